import { execFile, execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ScratchCluster } from "../../../drill/scratch/scratch-cluster";
import { eventually } from "../../../drill/scratch/workspace";
import { attemptSync } from "../../../ops/run";
import { tlsPortOf } from "../../../topology/publication";
import { hostsOf } from "../../../topology/topology";
import { describeWithPebble, Pebble } from "../../pebble";

const SITE = "www.example.test";
const OTHER = "example.test";
const HOST = "load-balancer-1";
const UNIT = "cluster-visitors-certificate.service";

const openssl = (...args: string[]) => execFileSync("openssl", args, { stdio: "pipe" });

/** A certificate that an operator gives. */
export function givenCertificate(cluster: ScratchCluster): void {
  test("one that is given is served to visitors from then on, and one that is wrong changes nothing", async () => {
    cluster.ensure({ domain: SITE, tls: { mode: "files", alsoFor: [OTHER] } });
    const file = (name: string) => join(cluster.workspace.directory, name);
    const make = (name: string, names: readonly string[]) =>
      openssl(
        ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=given"],
        ...["-keyout", file(`${name}.key`), "-out", file(`${name}.pem`)],
        ...["-addext", `subjectAltName=${names.map((one) => `DNS:${one}`).join(",")}`],
      );
    make("right", [SITE, OTHER]);
    make("wrong", ["www.example.net"]);
    const set = (name: string) =>
      cluster.attemptToOperate(
        "set-certificate",
        ...["--certificate", file(`${name}.pem`), "--key", file(`${name}.key`)],
      );
    expect(cluster.attemptToOperate("status").stdout).toMatch(
      /only a certificate of its own, of which browsers warn.*none was given yet/,
    );
    expect(set("right")).toMatchObject({
      status: 0,
      stdout: expect.stringContaining("load-balancer-1 serves the certificate"),
    });
    const port = tlsPortOf(cluster.topology.settings);
    const trusting = () =>
      execFileSync(
        "curl",
        [
          ...["--silent", "--show-error", "--cacert", file("right.pem"), "--output", "/dev/null"],
          ...["--connect-to", `${SITE}:443:127.0.0.1:${port}`, "--write-out", "%{http_code}"],
          `https://${SITE}/api/whoami`,
        ],
        { encoding: "utf8" },
      );
    expect(trusting()).toBe("200");
    const refused = set("wrong");
    expect([refused.status, refused.stderr]).toEqual([
      1,
      expect.stringMatching(/the certificate is not for www\.example\.test, example\.test/),
    ]);
    expect(trusting()).toBe("200");
    // Neither a reboot nor a deploy loses it.
    cluster.incus(["restart", HOST]);
    await cluster.serving();
    cluster.apply(cluster.topology.settings);
    expect(trusting()).toBe("200");
    expect(cluster.on(HOST, "systemctl list-units --failed --plain --no-legend")).toBe("");
  }, 300_000);
}

/** Certificates of an authority, from the first one to one that it does not renew any more. */
export function acme(cluster: ScratchCluster): void {
  describeWithPebble("an authority", () => {
    let pebble: Pebble;

    /** What curl prints and with which exit code it ends, asking the site as a visitor from elsewhere would. */
    const curl = (args: readonly string[], name = SITE) => {
      const { localPort } = cluster.topology.settings;
      const to = (port: number, local: number) => [
        "--connect-to",
        `${name}:${port}:127.0.0.1:${local}`,
      ];
      const all = [
        ...["--silent", "--show-error", "--max-time", "10", "--output", "/dev/null"],
        ...[...to(80, localPort), ...to(443, tlsPortOf(cluster.topology.settings))],
        ...args,
      ];
      return new Promise<string>((resolve) =>
        execFile("curl", all, (_, stdout, stderr) => resolve(`${stdout}${stderr}`.trim())),
      );
    };
    /** The same over TLS, trusting the authority's root. */
    const trusting = async (print: string, name = SITE) => {
      const file = join(cluster.workspace.directory, "root.pem");
      writeFileSync(file, await pebble.root());
      return curl(["--cacert", file, "--write-out", print, `https://${name}/api/whoami`], name);
    };
    const serial = (host = HOST) =>
      cluster.on(
        host,
        `openssl s_client -connect ${cluster.address(host)}:443 -servername ${SITE} </dev/null 2>/dev/null | openssl x509 -noout -serial`,
      );
    const renew = (host = HOST) => cluster.attemptOn(host, `systemctl start ${UNIT}`).status;

    beforeAll(() => {
      pebble = new Pebble(join(cluster.workspace.directory, "pebble"), cluster.address(HOST), {
        default: 90 * 24 * 60 * 60,
        brief: 15,
      });
    });
    afterAll(() => {
      pebble.stop();
      cluster.ensure({});
    });

    // Without one, Pebble chooses any.
    const wanted = (profile = "default") => ({
      domain: SITE,
      tls: {
        mode: "acme" as const,
        directory: pebble.directory,
        trust: pebble.trust,
        contact: "operator@example.test",
        alsoFor: [OTHER],
        profile,
      },
    });

    test("that does not answer costs visitors nothing but its certificate, and status says so", async () => {
      cluster.ensure(wanted());
      expect(await curl(["--write-out", "%{http_code}", `http://${SITE}/api/whoami`])).toBe("200");
      expect(
        await curl(["--insecure", "--write-out", "%{http_code}", `https://${SITE}/api/whoami`]),
      ).toBe("200");
      await eventually(
        "status says why there is no certificate of the authority",
        () =>
          /has only a certificate of its own, of which browsers warn.*no certificate for www\.example\.test.*curl returned with 7/.test(
            cluster.attemptToOperate("status").stdout,
          ) || undefined,
        30,
      );
    }, 300_000);

    test("issues a certificate for every name, and visitors are led to TLS", async () => {
      await pebble.start();
      expect(renew()).toBe(0);
      for (const name of [SITE, OTHER]) {
        expect(await trusting("%{http_code} %{ssl_verify_result}", name)).toBe("200 0");
        expect(
          await curl(["--write-out", "%{http_code} %{redirect_url}", `http://${name}/a?b=c`], name),
        ).toBe(`308 https://${name}/a?b=c`);
      }
      expect(await trusting("%header{strict-transport-security}")).toBe("max-age=31536000");
      // This machine's own ports, and the load balancer's health, are not the site.
      expect(await curl(["--write-out", "%{http_code}", `${cluster.url}/api/whoami`])).toBe("200");
      expect(cluster.operate("status")).toMatch(/load-balancer-1 .*TLS until \S+/);
      // Nobody is asked again while it is valid.
      const before = serial();
      expect(renew()).toBe(0);
      expect(serial()).toBe(before);
    });

    test("that speaks again after a restart of the load balancer's host need not issue another one", async () => {
      const before = serial();
      cluster.incus(["restart", HOST]);
      await cluster.serving();
      expect(renew()).toBe(0);
      expect(serial()).toBe(before);
      expect(await trusting("%{http_code}")).toBe("200");
    }, 120_000);

    test("renews certificates that are valid for seconds; without it the last one stays, and plain HTTP is served again", async () => {
      const before = serial();
      cluster.ensure(wanted("brief"));
      const first = await eventually(
        "a certificate of the other profile replaces the one that is there",
        () => (serial() === before ? undefined : serial()),
        30,
      );
      await eventually(
        "two thirds of its validity are over, and it is renewed",
        () => (renew() === 0 && serial() !== first) || undefined,
        30,
      );
      expect(await trusting("%{http_code}")).toBe("200");
      pebble.stop();
      const last = serial();
      await eventually("the authority is asked again", () => renew() !== 0 || undefined, 30);
      expect(serial()).toBe(last);
      await eventually(
        "nobody is led to a certificate that has expired",
        async () => {
          renew();
          const code = await curl(["--write-out", "%{http_code}", `http://${SITE}/api/whoami`]);
          return code === "200" || undefined;
        },
        40,
      );
      cluster.attemptOn(HOST, `systemctl stop ${UNIT}; systemctl reset-failed ${UNIT}`);
    }, 300_000);

    test("issues each of two load balancers a certificate of its own", async () => {
      await pebble.start();
      cluster.ensure({ ...wanted(), loadBalancer: { count: 2 } });
      const file = join(cluster.workspace.directory, "root.pem");
      writeFileSync(file, await pebble.root());
      const pair = hostsOf(cluster.topology, "load-balancer").map(({ name }) => name);
      const serials = await Promise.all(
        pair.map((host) =>
          eventually(
            `${host} serves a certificate of the authority`,
            async () => {
              renew(host);
              const { stdout } = attemptSync([
                ...["curl", "--silent", "--max-time", "10", "--output", "/dev/null"],
                ...["--cacert", file, "--write-out", "%{http_code} %{ssl_verify_result}"],
                ...["--resolve", `${SITE}:443:${cluster.address(host)}`],
                `https://${SITE}/api/whoami`,
              ]);
              return stdout === "200 0" ? serial(host) : undefined;
            },
            60,
          ),
        ),
      );
      expect(new Set(serials).size).toBe(2);
      // The one that visitors do not reach has one as well: it serves as soon as it takes over.
      cluster.incus(["stop", "--force", pair[0] as string]);
      await eventually(
        "the other one serves visitors, with its own",
        async () => ((await trusting("%{http_code}")) === "200" ? true : undefined),
        30,
      );
      cluster.incus(["start", pair[0] as string]);
    }, 300_000);
  });
}
