import { execFile } from "node:child_process";
import { createHash, X509Certificate } from "node:crypto";
import { writeFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { connect } from "node:tls";
import { ask, type ScratchCluster, tally } from "../../../drill/scratch/scratch-cluster";
import { eventually } from "../../../drill/scratch/workspace";
import { VISITORS_CERTIFICATE } from "../../../hosts/agreed";
import { tlsPortOf } from "../../../topology/publication";
import { inBrowser, type OpenBrowser, openBrowser } from "../../chromium";
import { examine, type Finding, testWithTestssl } from "../../testssl";
import { overexposed } from "./hardening";

const CURL = ["--silent", "--show-error", "--output", "/dev/null"];

const DAY = 24 * 60 * 60 * 1000;

/** What a program prints to either stream, however it ends. */
function printedBy(program: string, args: readonly string[], input = ""): Promise<string> {
  return new Promise((resolve) => {
    const child = execFile(program, args, { timeout: 20_000 }, (_, stdout, stderr) =>
      resolve(`${stdout}${stderr}`),
    );
    child.stdin?.end(input);
  });
}

/** The certificate that a new connection gets. */
function served(port: number): Promise<X509Certificate> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => {
      resolve(new X509Certificate(socket.getPeerCertificate().raw));
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

/** Status and local port of a request over the connection that an agent keeps. */
function over(agent: Agent, url: string): Promise<{ status?: number; port?: number }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { agent, timeout: 10_000 }, (incoming) => {
      const port = incoming.socket.localPort;
      incoming.on("error", reject);
      incoming.on("end", () => resolve({ status: incoming.statusCode, port }));
      incoming.resume();
    });
    outgoing.on("timeout", () => outgoing.destroy(new Error(`${url} gave no answer`)));
    outgoing.on("error", reject);
    outgoing.end();
  });
}

/** What each request over a connection of its own was answered while something goes on: how many of each outcome. */
async function answeredDuring(urls: readonly string[], work: Promise<unknown>) {
  const outcomes: Record<string, number> = {};
  let isOver = false;
  const watched = work.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    for (const url of urls) {
      const outcome = await ask(url).then(
        ({ status }) => `${new URL(url).protocol} ${status}`,
        (error: Error) => `${new URL(url).protocol} ${error.message}`,
      );
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    }
    // What goes on needs the processors too.
    await pause(50);
  }
  await watched;
  return outcomes;
}

/** What testssl.sh finds of a severity of MEDIUM or worse, and why it is as it is meant to be. */
const EXPECTED_FINDINGS: Readonly<Record<string, string>> = {
  cert_chain_of_trust: "locally the certificate is self-signed",
  cert_revocation: "nobody could revoke a self-signed certificate",
};

const SEVERE: ReadonlyArray<Finding["severity"]> = ["MEDIUM", "HIGH", "CRITICAL", "FATAL", "WARN"];

/** What testssl.sh could not examine, and why that is nothing of the server's. */
const NOT_EXAMINED: Readonly<Record<string, string>> = {
  engine_problem: "this machine's OpenSSL has no GOST",
  sessionresumption_ticket:
    "its client closes before the session arrives; another test resumes one",
};

/** Visitors' TLS, judged by what other programs are offered. */
export function tls(cluster: ScratchCluster): void {
  const port = () => tlsPortOf(cluster.topology.settings);
  const whoami = () => `${cluster.tlsUrl}/api/whoami`;
  let examination: Promise<readonly Finding[]>;
  let browser: OpenBrowser | undefined;

  afterAll(() => browser?.close());

  // It takes longer than most tests, and waits for most of that.
  beforeAll(() => {
    examination = examine(port());
    examination.catch(() => undefined);
  });

  const client = (options: readonly string[], input?: string) =>
    printedBy("openssl", ["s_client", "-connect", `127.0.0.1:${port()}`, ...options], input);

  test.each([
    ["TLS 1.3", ["-tls1_3"], /New, TLSv1\.3, Cipher is TLS_/],
    ["TLS 1.2", ["-tls1_2"], /New, TLSv1\.2, Cipher is ECDHE-ECDSA-/],
    // The client would otherwise refuse these itself.
    ["TLS 1.1", ["-tls1_1", "-cipher", "ALL@SECLEVEL=0"], /alert protocol version/],
    ["TLS 1.0", ["-tls1", "-cipher", "ALL@SECLEVEL=0"], /alert protocol version/],
    ["TLS 1.2 without forward secrecy", ["-tls1_2", "-cipher", "kRSA"], /alert handshake failure/],
    ["TLS 1.2 with CBC", ["-tls1_2", "-cipher", "ECDHE+AES+SHA"], /alert handshake failure/],
  ])("a client of %s is answered accordingly", async (_version, options, answer) => {
    expect(await client(options)).toMatch(answer);
  });

  // Each would cost the load balancer as much as a new connection, without counting as one.
  test("a client cannot renegotiate", async () => {
    const outcome = await new Promise<string>((resolve) => {
      const socket = connect(
        { port: port(), host: "127.0.0.1", rejectUnauthorized: false, maxVersion: "TLSv1.2" },
        () => {
          const isBegun = socket.renegotiate({ rejectUnauthorized: false }, (error) =>
            resolve(error === null ? "renegotiated" : String(error)),
          );
          if (!isBegun) {
            resolve("this client does not renegotiate");
          }
        },
      );
      socket.on("error", (error) => resolve(String(error)));
      socket.on("close", () => resolve("closed"));
      socket.resume();
    });
    expect(outcome).toMatch(/no renegotiation/i);
  });

  test("the exchange of keys is hybrid with a client that can do that", () => {
    const offered = "X25519MLKEM768:X25519";
    expect(
      cluster.on(
        "load-balancer-1",
        `openssl s_client -connect ${cluster.address("load-balancer-1")}:443 -groups ${offered} </dev/null 2>&1`,
      ),
    ).toContain("Negotiated TLS1.3 group: X25519MLKEM768");
  });

  test("a session can be resumed, but not for longer than a day", async () => {
    const printed = await client(
      ["-tls1_3", "-ign_eof"],
      "GET /load-balancer-health HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n",
    );
    const [, seconds] = /ticket lifetime hint: (\d+) \(seconds\)/.exec(printed) ?? [];
    expect(Number(seconds)).toBeGreaterThan(0);
    expect(Number(seconds)).toBeLessThan(24 * 60 * 60);
    expect(await client(["-tls1_2"])).not.toContain("TLS session ticket");
  });

  test.each([
    ["--http2", "2 200"],
    ["--http1.1", "1.1 200"],
  ])(
    "curl %s is answered, and nothing is wrong with the certificate but who signed it",
    async (version, answer) => {
      const certificate = cluster.on("load-balancer-1", `openssl x509 -in ${VISITORS_CERTIFICATE}`);
      const file = join(cluster.workspace.directory, "visitors.pem");
      writeFileSync(file, certificate);
      for (const name of ["localhost", "127.0.0.1"]) {
        const asked = ["--cacert", file, `https://${name}:${port()}/api/whoami`];
        expect(
          await printedBy("curl", [
            ...CURL,
            "-w",
            "%{http_version} %{http_code}",
            version,
            ...asked,
          ]),
        ).toBe(answer);
      }
      expect(await printedBy("curl", [...CURL, whoami()])).toMatch(/self.signed certificate/);
    },
  );

  test("the certificate is the load balancer's own, for its names, for 90 days", async () => {
    const certificate = await served(port());
    expect(certificate.subject).toBe(`O=${cluster.topology.clusterName}\nCN=load-balancer-1`);
    expect(certificate.subjectAltName).toBe(
      `DNS:localhost, IP Address:127.0.0.1, IP Address:${cluster.address("load-balancer-1")}`,
    );
    expect(Date.parse(certificate.validTo) - Date.parse(certificate.validFrom)).toBe(90 * DAY);
    expect(Date.parse(certificate.validTo) - Date.now()).toBeGreaterThan(30 * DAY);
  });

  test("only root and HAProxy can read its key", () => {
    const folder = VISITORS_CERTIFICATE.replace(/\/[^/]+$/, "");
    expect(
      cluster.on("load-balancer-1", `stat --format '%a %U:%G' ${folder} ${VISITORS_CERTIFICATE}`),
    ).toBe("750 root:haproxy\n640 root:haproxy\n");
    const read = `setpriv --reuid nobody --regid nogroup --clear-groups cat ${VISITORS_CERTIFICATE}`;
    expect(cluster.attemptOn("load-balancer-1", read).stderr).toContain("Permission denied");
  });

  test("the app is told by which scheme the visitor came", async () => {
    const cookieOver = async (url: string) => {
      const key = `tls-${Date.now()}-${url.length}`;
      const { status, headers } = await ask(`${url}/api/entries`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          "idempotency-key": key,
          "x-forwarded-proto": "ftp",
        },
        body: JSON.stringify({ name: "integration", message: key }),
      });
      expect(status).toBe(201);
      return [headers["set-cookie"]].flat().join();
    };
    expect(await cookieOver(cluster.tlsUrl)).toMatch(/; Secure/);
    expect(await cookieOver(cluster.url)).not.toMatch(/; Secure/);
  });

  /** The SHA-256 of the certificate that a new client of HTTP/3 gets. */
  const servedOverQuic = () =>
    /Fingerprint=(\S+)/.exec(
      cluster.on(
        "load-balancer-1",
        `openssl s_client -quic -alpn h3 -connect ${cluster.address("load-balancer-1")}:443 </dev/null 2>/dev/null |
           openssl x509 -noout -fingerprint -sha256`,
      ),
    )?.[1];

  test("browsers are told of HTTP/3 at the load balancer's own port, not at this machine's, where there is none", async () => {
    const advertised = async (url: string) => (await ask(`${url}/`)).headers["alt-svc"];
    const own = cluster.address("load-balancer-1");
    expect(await advertised(`https://${own}`)).toBe('h3=":443"; ma=86400');
    expect(await advertised(`http://${own}`)).toBeUndefined();
    expect(await advertised(cluster.tlsUrl)).toBeUndefined();
    expect(await advertised(cluster.url)).toBeUndefined();
  });

  inBrowser(
    "over HTTP/3 a browser gets the site and the app learns the scheme, and a reload costs no request",
    async () => {
      const own = `${cluster.address("load-balancer-1")}:443`;
      const key = (await served(port())).publicKey.export({ type: "spki", format: "der" });
      const trusted = createHash("sha256").update(key).digest("base64");
      // A browser speaks HTTP/3 of itself only where it trusts the authority.
      browser = await openBrowser([
        `--origin-to-force-quic-on=${own}`,
        `--ignore-certificate-errors-spki-list=${trusted}`,
      ]);
      const { context } = browser as OpenBrowser;
      const page = await context.newPage();
      await page.goto(`https://${own}/`);
      const statusOf = (path: string, options = "{}") =>
        page.evaluate(`fetch("${path}", ${options}).then(({ status }) => status)`);
      const statuses: unknown[] = [];
      const asking = (async () => {
        for (let index = 0; index < 40; index++) {
          statuses.push(await statusOf(`/api/whoami?${index}`));
          await pause(50);
        }
      })();
      await cluster.printedOn("load-balancer-1", "systemctl reload haproxy.service");
      await asking;
      expect(statuses).toEqual(Array(40).fill(200));
      const post = {
        method: "POST",
        headers: { "content-type": "application/json", "idempotency-key": `http3-${Date.now()}` },
        body: JSON.stringify({ name: "integration", message: "over HTTP/3" }),
      };
      expect(await statusOf("/api/entries", JSON.stringify(post))).toBe(201);
      expect(await context.cookies()).toEqual([expect.objectContaining({ secure: true })]);
      const protocols = await page.evaluate(
        `performance.getEntries().map(({ nextHopProtocol }) => nextHopProtocol).filter(Boolean)`,
      );
      expect([...new Set(protocols as string[])]).toEqual(["h3"]);
    },
  );

  testWithTestssl(
    "testssl.sh finds nothing of severity MEDIUM or worse but that the certificate is self-signed",
    async () => {
      const findings = await examination;
      const severe = findings.filter(
        ({ id, severity }) => SEVERE.includes(severity) && NOT_EXAMINED[id] === undefined,
      );
      expect(severe.filter(({ id }) => EXPECTED_FINDINGS[id] === undefined)).toEqual([]);
      expect(severe.map(({ id }) => id)).toEqual(Object.keys(EXPECTED_FINDINGS));
      // It has examined everything, and what it reached is this site.
      const found = Object.fromEntries(findings.map(({ id, finding }) => [id, finding]));
      expect(found).toMatchObject({
        TLS1_3: "offered with final",
        FS_KEMs: "X25519MLKEM768",
        cert_commonName: "load-balancer-1",
        HTTP_status_code: "200 OK ('/')",
        heartbleed: expect.stringContaining("not vulnerable"),
        RC4: "not vulnerable",
      });
    },
  );

  test("a certificate that expires soon is renewed, on connections that go on and with no failed request", async () => {
    const before = await served(port());
    const agent = new Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false });
    const first = await over(agent, whoami());
    // Ten days are left of it.
    cluster.on(
      "load-balancer-1",
      `cd $(dirname ${VISITORS_CERTIFICATE})
       openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -out certificate -days 10 \\
         -subj /CN=soon -addext subjectAltName=DNS:localhost,IP:127.0.0.1,IP:${cluster.address("load-balancer-1")} 2>/dev/null
       cat key certificate >${VISITORS_CERTIFICATE} && rm key certificate`,
    );
    const renewed = cluster.printedOn(
      "load-balancer-1",
      "systemctl start cluster-visitors-certificate.service && echo renewed",
    );
    let kept: Awaited<ReturnType<typeof over>> | undefined;
    const outcomes = await answeredDuring(
      [whoami()],
      renewed.then(async (printed) => {
        expect(printed).toBe("renewed\n");
        kept = await over(agent, whoami());
      }),
    );
    expect(Object.keys(outcomes)).toEqual(["https: 200"]);
    expect(kept).toEqual({ status: 200, port: first.port });
    agent.destroy();
    const after = await served(port());
    expect(servedOverQuic()).toBe(after.fingerprint256);
    expect(after.fingerprint256).not.toBe(before.fingerprint256);
    expect(after.subject).toBe(`O=${cluster.topology.clusterName}\nCN=load-balancer-1`);
    expect(Date.parse(after.validTo) - Date.now()).toBeGreaterThan(89 * DAY);
    // Nor does a reload bring the earlier one back.
    cluster.on("load-balancer-1", "systemctl reload haproxy.service");
    expect((await served(port())).fingerprint256).toBe(after.fingerprint256);
  });
}

/** Changes of a running cluster that visitors of either scheme must not notice. */
export function changesOfTls(cluster: ScratchCluster): void {
  const port = () => tlsPortOf(cluster.topology.settings);
  const whoami = () => `${cluster.tlsUrl}/api/whoami`;

  test("of two load balancers each has its own certificate, and both ports move with the visitors' address", async () => {
    const urls = () => [`${cluster.url}/api/whoami`, whoami()];
    const two = { loadBalancer: { count: 2 } };
    expect(Object.keys(await answeredDuring(urls(), cluster.deployInBackground(two)))).toEqual([
      "http: 200",
      "https: 200",
    ]);
    await cluster.serving();
    expect(overexposed(cluster)).toEqual([]);
    const holder = async () => /CN=(.*)/.exec((await served(port())).subject)?.[1];
    const from = await eventually("a load balancer serves", holder);
    const other = from === "load-balancer-1" ? "load-balancer-2" : "load-balancer-1";
    const outcomes = await answeredDuring(
      urls(),
      cluster.printedOn(from, "/opt/cluster/scripts/load-balancer/hand-over.sh begin"),
    );
    expect(Object.keys(outcomes).sort()).toEqual(["http: 200", "https: 200"]);
    expect(await holder()).toBe(other);
    cluster.on(from, "/opt/cluster/scripts/load-balancer/hand-over.sh end");
    expect(await tally(`${cluster.tlsUrl}/api/whoami`, 10)).not.toHaveProperty("status 503");
    const one = await answeredDuring(urls(), cluster.deployInBackground());
    expect(Object.keys(one).sort()).toEqual(["http: 200", "https: 200"]);
    expect(await holder()).toBe("load-balancer-1");
  }, 900_000);

  test("a cluster loses TLS by a deploy, and gets it by another one, and no request fails", async () => {
    const plain = [`${cluster.url}/api/whoami`];
    const withoutTls = { tls: { mode: "off" } } as const;
    const off = await answeredDuring(plain, cluster.deployInBackground(withoutTls));
    expect(Object.keys(off)).toEqual(["http: 200"]);
    await expect(ask(whoami())).rejects.toThrow(/ECONNREFUSED/);
    expect(cluster.attemptOn("load-balancer-1", `ls ${VISITORS_CERTIFICATE}`).status).not.toBe(0);
    expect(cluster.operate("status")).toMatch(/load-balancer-1 .*plain HTTP only/);
    const on = await answeredDuring(plain, cluster.deployInBackground());
    expect(Object.keys(on)).toEqual(["http: 200"]);
    expect((await ask(whoami())).status).toBe(200);
    expect(cluster.operate("status")).toMatch(/load-balancer-1 .*TLS until \S+ \(self-signed\)/);
  }, 600_000);
}
