import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import { ask, type ScratchCluster } from "../../../ops/scratch/cluster";

/** The app of these tests, with limits short enough to wait for. */
const app = {
  directory: "__tests__/fixtures/echo-app",
  command: "/usr/bin/node main.js",
  port: 8081,
  healthPath: "/up",
  responseTimeout: 3,
  tunnelTimeout: 35,
  maxBodySize: 2,
};

const MIB = 2 ** 20;

const pause = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** What the fixture's app says of a request that reached it. */
interface Echo {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly rawTrailers: readonly string[];
  readonly bytes: number;
  readonly connection: number;
}

/** A connection on which every byte is ours. */
class Wire {
  received = "";
  closed = false;

  private constructor(readonly socket: Socket) {
    socket.on("data", (data) => {
      this.received += data.toString("latin1");
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.closed = true;
    });
  }

  static open(cluster: ScratchCluster): Promise<Wire> {
    return new Promise((resolve, reject) => {
      const socket = connect(cluster.topology.settings.localPort, "127.0.0.1", () =>
        resolve(new Wire(socket)),
      );
      socket.on("error", reject);
    });
  }

  send(bytes: string | Buffer): void {
    this.socket.write(bytes);
  }

  /** Waits until what was received matches, or the connection is closed. */
  async until(pattern: RegExp, seconds = 10): Promise<string> {
    const deadline = Date.now() + seconds * 1000;
    while (!pattern.test(this.received)) {
      if (this.closed || Date.now() > deadline) {
        throw new Error(
          `${pattern} did not arrive within ${seconds} s${this.closed ? ", the connection is closed" : ""}: ${this.received.slice(0, 2000)}`,
        );
      }
      await pause(0.05);
    }
    return this.received;
  }

  /** Waits until the other side closes the connection. */
  end(seconds = 15): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.closed) {
        resolve();
        return;
      }
      const deadline = setTimeout(
        () => reject(new Error(`still open after ${seconds} s: ${this.received.slice(0, 2000)}`)),
        seconds * 1000,
      );
      this.socket.on("close", () => {
        clearTimeout(deadline);
        resolve();
      });
    });
  }

  close(): void {
    this.socket.destroy();
  }
}

/** Sends a request as it is written here, and returns all that is answered. */
async function exchange(
  cluster: ScratchCluster,
  lines: readonly string[],
  body = "",
): Promise<{ status: number; text: string; echo: Echo | undefined }> {
  const wire = await Wire.open(cluster);
  wire.send(`${lines.join("\r\n")}\r\n\r\n${body}`);
  await wire.end();
  const text = wire.received;
  const json = /\{"method".*\}/.exec(text)?.[0];
  return {
    status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]),
    text,
    echo: json === undefined ? undefined : JSON.parse(json),
  };
}

/** A WebSocket, or whatever else the token says, once the app has agreed to it. */
async function upgrade(cluster: ScratchCluster, protocol = "websocket", method = "GET") {
  const wire = await Wire.open(cluster);
  wire.send(
    [
      `${method} /socket//a%2Fb?x=1 HTTP/1.1`,
      "Host: test",
      "Connection: keep-alive, Upgrade",
      `Upgrade: ${protocol}`,
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      "Sec-WebSocket-Version: 13",
      "Content-Length: 0",
      "\r\n",
    ].join("\r\n"),
  );
  await wire.until(/\r\n\r\n/);
  return wire;
}

/** A text frame of a client; its payload comes back in one of a server. */
function frame(text: string): Buffer {
  const mask = randomBytes(4);
  const masked = Buffer.from(text).map((byte, index) => byte ^ (mask[index % 4] as number));
  return Buffer.concat([Buffer.from([0x81, 0x80 | text.length]), mask, masked]);
}

async function echoes(wire: Wire, text: string): Promise<void> {
  wire.send(frame(text));
  await wire.until(new RegExp(text));
}

/** How often a request reached an app, on each web server, whether or not the app lived on. */
function arrivals(cluster: ScratchCluster, marker: string): Record<string, number> {
  const count = (host: string) =>
    Number(
      cluster.on(
        host,
        `journalctl --unit app.service --output cat | grep --count --fixed-strings '${marker}' || true`,
      ),
    );
  return { "web-1": count("web-1"), "web-2": count("web-2") };
}

const sum = (counts: Record<string, number>) =>
  Object.values(counts).reduce((one, other) => one + other, 0);

let markers = 0;
const marker = () => `marker-${process.pid}-${Date.now()}-${markers++}`;

/** curl, as a client that sends its body in its own way; status, and what was answered. */
function curl(cluster: ScratchCluster, path: string, args: readonly string[], input: string) {
  const options = ["--silent", "--max-time", "20", "-w", "\n%{http_code}"];
  return new Promise<{ exitCode: number | null; status: number; body: string | undefined }>(
    (resolve, reject) => {
      const child = spawn("curl", [...options, ...args, cluster.url + path], {
        stdio: ["pipe", "pipe", "ignore"],
      });
      let printed = "";
      child.stdout.on("data", (data) => {
        printed += data;
      });
      child.on("error", reject);
      child.on("close", (exitCode) => {
        const [, body, code] = /^([\s\S]*)\n(\d+)$/.exec(printed) ?? [];
        resolve({ exitCode, status: Number(code), body });
      });
      // It may end before it has read all of it.
      child.stdin.on("error", () => {});
      child.stdin.end(input);
    },
  );
}

const close = ["Host: test", "Connection: close"];

/** What happens to a request, and to what answers it, on the way to somebody else's app and back. */
export function requests(cluster: ScratchCluster): void {
  test("an app with limits of its own takes the place of the guestbook", async () => {
    cluster.deploy({ app });
    cluster.operate("release");
    await cluster.serving("/echo");
  }, 300_000);

  // All of it at once, while other tests go on: each waits, and none hinders another.
  const slow: Record<string, Promise<unknown>> = {};
  const outcome = (name: string) => slow[name] as Promise<unknown>;

  describe("what takes long", () => {
    test("begins", async () => {
      const start = (name: string, work: () => Promise<unknown>) => {
        slow[name] = work();
        slow[name]?.catch(() => {});
      };
      const reloaded = await upgrade(cluster);
      cluster.on("load-balancer-1", "systemctl reload haproxy.service");
      for (const web of ["web-1", "web-2"]) {
        cluster.on(web, "systemctl reload nginx.service");
      }
      // What is opened at once may still come to what is on its way out.
      await pause(2);
      start("reload", async () => {
        await echoes(reloaded, "after the reload");
        await pause(30);
        await echoes(reloaded, "and half a minute");
        reloaded.close();
      });
      start("idle", async () => {
        const wire = await upgrade(cluster);
        await pause(31);
        await echoes(wire, "after 31 s");
        const since = Date.now();
        await wire.end(60);
        return (Date.now() - since) / 1000;
      });
      start("events", async () => {
        const wire = await Wire.open(cluster);
        wire.send(
          `GET /stream?every=31000&times=1 HTTP/1.1\r\n${close.join("\r\n")}\r\nAccept: text/event-stream\r\n\r\n`,
        );
        await wire.until(/\r\n\r\n/);
        await wire.until(/data: 1/, 40);
      });
      start("parts", async () => {
        const wire = await Wire.open(cluster);
        wire.send(
          `GET /stream?every=1000&times=8&type=application/x-ndjson HTTP/1.1\r\n${close.join("\r\n")}\r\n\r\n`,
        );
        const came: number[] = [];
        for (let part = 1; part <= 8; part++) {
          await wire.until(new RegExp(`data: ${part}\n`));
          came.push(Date.now());
        }
        return came.slice(1).map((moment, index) => moment - (came[index] as number));
      });
      for (const kind of ["length", "chunked"]) {
        start(`upload ${kind}`, async () => {
          const wire = await Wire.open(cluster);
          const part = "u".repeat(20_000);
          const chunk = kind === "chunked" ? `${part.length.toString(16)}\r\n${part}\r\n` : part;
          wire.send(
            `POST /echo HTTP/1.1\r\n${close.join("\r\n")}\r\n${
              kind === "chunked"
                ? "Transfer-Encoding: chunked"
                : `Content-Length: ${part.length * 5}`
            }\r\n\r\n`,
          );
          for (const seconds of [1, 15, 1, 25, 1]) {
            await pause(seconds);
            wire.send(chunk);
          }
          wire.send(kind === "chunked" ? "0\r\n\r\n" : "");
          return wire.until(/"bytes":100000/);
        });
      }
      start("keyed upload", async () => {
        const wire = await Wire.open(cluster);
        wire.send(
          `POST /echo HTTP/1.1\r\n${close.join("\r\n")}\r\nIdempotency-Key: k\r\nContent-Length: 6\r\n\r\nabc`,
        );
        await pause(15);
        wire.send("def");
        return wire.until(/"bytes":6/);
      });
      start("slow reader", async () =>
        exchange(
          cluster,
          ["POST /reads-slowly?seconds=2 HTTP/1.1", ...close, `Content-Length: ${MIB}`],
          "r".repeat(MIB),
        ),
      );
    });

    test("an answer goes to the visitor in parts, as it comes, and for as long as it comes", async () => {
      for (const gap of (await outcome("parts")) as number[]) {
        expect(gap).toBeGreaterThan(500);
        expect(gap).toBeLessThan(2000);
      }
    });

    test("an app that reads a body slowly gets all of it", async () => {
      expect(await outcome("slow reader")).toMatchObject({ status: 200, echo: { bytes: MIB } });
    });
  });

  describe("upgrades", () => {
    test.each(["websocket", "WebSocket"])(
      "%s passes, and its path as it was sent",
      async (protocol) => {
        const wire = await upgrade(cluster, protocol);
        expect(wire.received).toMatch(/^HTTP\/1\.1 101 /);
        expect(wire.received).toMatch(/sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/i);
        expect(wire.received).toMatch(/x-url: \/socket\/\/a%2Fb\?x=1\r/i);
        await echoes(wire, "hello");
        wire.close();
      },
    );

    test.each([
      ["tcp", "GET"],
      ["SPDY/3.1", "POST"],
    ])("%s by %s passes", async (protocol, method) => {
      const wire = await upgrade(cluster, protocol, method);
      expect(wire.received).toMatch(/^HTTP\/1\.1 101 /);
      wire.send("raw bytes\0");
      await wire.until(/raw bytes\0/);
      wire.close();
    });

    test.each(["h2c", "H2C", "HTTP/2.0"])(
      "%s does not: it would pass by both proxies",
      async (protocol) => {
        const { status, echo } = await exchange(cluster, [
          "GET /echo HTTP/1.1",
          "Host: test",
          "Connection: Upgrade, HTTP2-Settings, close",
          `Upgrade: ${protocol}`,
          "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
        ]);
        expect(status).toBe(200);
        expect(echo?.rawHeaders.join().toLowerCase()).not.toMatch(/upgrade|http2-settings/);
      },
    );

    test("a plain request still finds a connection to the app that is open", async () => {
      const connections = new Set<string>();
      for (let index = 0; index < 10; index++) {
        const { headers, body } = await ask(`${cluster.url}/echo`);
        connections.add(`${headers["x-served-by"]} ${JSON.parse(body).connection}`);
      }
      // Each web server has a worker for each processor, and each worker connections of its own.
      expect(connections.size).toBeLessThan(8);
    });
  });

  describe("sizes", () => {
    const large = "b".repeat(app.maxBodySize * MIB + 1);
    const fits = "b".repeat(app.maxBodySize * MIB);
    const ways: Array<[string, string[]]> = [
      ["with its length", ["--data-binary", "@-", "-H", "Expect:"]],
      [
        "with its length, asking before it sends",
        ["--data-binary", "@-", "-H", "Expect: 100-continue"],
      ],
      ["chunked", ["-T", "-", "-X", "POST", "-H", "Expect:"]],
      ["chunked, asking before it sends", ["-T", "-", "-X", "POST", "-H", "Expect: 100-continue"]],
      ["chunked, to be repeated", ["-T", "-", "-X", "POST", "-H", "Idempotency-Key: k"]],
      ["slowly", ["-T", "-", "-X", "POST", "-H", "Expect:", "--limit-rate", "1M"]],
    ];

    test.each(ways)(
      "a body as large as the settings say passes, one byte more is told the limit: %s",
      async (_, args) => {
        const passed = await curl(cluster, "/echo", args, fits);
        expect(passed).toMatchObject({ exitCode: 0, status: 200 });
        expect(JSON.parse(passed.body as string).bytes).toBe(app.maxBodySize * MIB);
        expect(await curl(cluster, "/echo", args, large)).toEqual({
          exitCode: 0,
          status: 413,
          body: `413: the body of this request is larger than ${app.maxBodySize} MiB.\n`,
        });
      },
    );

    test("a client far over the limit that first sends and then reads is told so too", async () => {
      expect(
        await curl(cluster, "/echo", ["-T", "-", "-H", "Expect:"], large.repeat(8)),
      ).toMatchObject({
        exitCode: 0,
        status: 413,
      });
    });

    test.each([4000, 8000, 12_000, 16_000])(
      "headers of an answer of %d bytes pass",
      async (bytes) => {
        const { status, headers } = await ask(`${cluster.url}/header?bytes=${bytes}`);
        expect([status, String(headers["x-large"]).length]).toEqual([200, bytes]);
      },
    );

    test("an answer may set many cookies", async () => {
      const { status, headers } = await ask(`${cluster.url}/cookies?count=300`);
      expect([status, headers["set-cookie"]?.length]).toEqual([200, 300]);
    });

    test.each([7000, 9000, 12_000, 15_000])(
      "headers of a request of %d bytes pass",
      async (bytes) => {
        const cookie = "c".repeat(bytes);
        const { status, body } = await ask(`${cluster.url}/echo`, { headers: { cookie } });
        expect(status).toBe(200);
        expect(JSON.parse(body).rawHeaders).toContain(cookie);
      },
    );

    // A connection that ends with much of a request unread is reset, which may overtake the answer
    // (RFC 9112, section 9.6): then there is none.
    test.each([
      [20_000, [431]],
      [100_000, [431, Number.NaN]],
    ])("headers of %d bytes are answered with %j", async (bytes, expected) => {
      const { status } = await exchange(cluster, [
        "GET /page HTTP/1.1",
        ...close,
        `Cookie: ${"c".repeat(bytes)}`,
      ]);
      expect(expected).toContainEqual(status);
    });
  });

  describe("old and odd requests", () => {
    test.each([
      ["without Host", ["GET /echo HTTP/1.0"], "127.0.0.1"],
      ["with Host", ["GET /echo HTTP/1.0", "Host: test"], "test"],
      ["with an empty Host", ["GET /echo HTTP/1.1", "Host: ", "Connection: close"], "127.0.0.1"],
      ["with a port", ["GET /echo HTTP/1.1", "Host: test:81", "Connection: close"], "test:81"],
      [
        "with an IPv6 address",
        ["GET /echo HTTP/1.1", "Host: [::1]:81", "Connection: close"],
        "[::1]:81",
      ],
      ["with the whole URL", ["GET http://test/echo HTTP/1.1", ...close], "test"],
    ])("%s", async (_, lines, host) => {
      const { status, echo } = await exchange(cluster, lines);
      expect([status, echo?.url, echo?.rawHeaders.slice(0, 2)]).toEqual([
        200,
        "/echo",
        ["Host", host],
      ]);
    });

    test.each([
      ["no Host in HTTP/1.1", ["Connection: close"]],
      ["two of them", ["Host: one", "Host: other", "Connection: close"]],
      ["one that is none", ["Host: a b", "Connection: close"]],
    ])("%s is a bad request", async (_, lines) => {
      expect((await exchange(cluster, ["GET /echo HTTP/1.1", ...lines])).status).toBe(400);
    });

    test("HTTP/1.0 may keep its connection", async () => {
      const wire = await Wire.open(cluster);
      for (const time of [1, 2]) {
        wire.send("GET /up HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        await wire.until(new RegExp(`(up\n[^]*){${time}}`));
      }
      wire.close();
    });

    test.each(["PATCH", "DELETE", "OPTIONS", "PROPFIND", "PUT", "QUERY"])(
      "%s reaches the app",
      async (method) => {
        const { status, echo } = await exchange(
          cluster,
          [`${method} /echo HTTP/1.1`, ...close, "Content-Length: 3"],
          "abc",
        );
        expect([status, echo?.method, echo?.bytes]).toEqual([200, method, 3]);
      },
    );

    test("HEAD has the headers of GET, and no body", async () => {
      const { status, text } = await exchange(cluster, ["HEAD /page HTTP/1.1", ...close]);
      expect(status).toBe(200);
      expect(text).toMatch(/etag: "strong"/i);
      expect(text).toMatch(/\r\n\r\n$/);
    });

    test.each(["//a/%2F..%2fb/../c/./d?x=%2e%2F", "/a%20b%C3%A9", "/a;b=c/d:e@f", "/%E0%A4"])(
      "the path %s reaches the app as it was sent",
      async (path) => {
        const { echo } = await exchange(cluster, [`GET ${path} HTTP/1.1`, ...close]);
        expect(echo?.url).toBe(path);
      },
    );
  });

  describe("answers", () => {
    test("pass as the app gave them", async () => {
      const { headers, body } = await ask(`${cluster.url}/page`, {
        headers: { "accept-encoding": "gzip" },
      });
      expect(headers).toMatchObject({
        "content-type": "text/html",
        etag: '"strong"',
        date: "Thu, 01 Jan 1998 00:00:00 GMT",
        server: "echo",
        "accept-ranges": "bytes",
      });
      expect(headers).not.toHaveProperty("content-encoding");
      expect(body).toHaveLength(8192);
    });

    test.each([
      ["without a type", "/untyped", { "content-type": undefined }],
      [
        "compressed by the app",
        "/encoded",
        { "content-encoding": "zstd", "content-type": "text/html" },
      ],
      ["a part", "/range", { "content-range": "bytes 2-5/100" }],
      ["elsewhere", "/redirect?to=http://app/x", { location: "http://app/x" }],
    ])("%s", async (_, path, expected) => {
      const { headers } = await ask(cluster.url + path, { headers: { "accept-encoding": "gzip" } });
      for (const [name, value] of Object.entries(expected)) {
        expect([name, headers[name]]).toEqual([name, value]);
      }
    });
  });

  describe("who and where a visitor says he is", () => {
    const claims = [
      ...[
        "For",
        "Proto",
        "Host",
        "Port",
        "Server",
        "Prefix",
        "Ssl",
        "User",
        "By",
        "Scheme",
        "Path",
      ].map((name) => `X-Forwarded-${name}`),
      ...[
        "X-Forwarded",
        "Forwarded",
        "Forwarded-For",
        "Via",
        "X-Real-IP",
        "X-Client-IP",
        "Client-IP",
      ],
      ...[
        "True-Client-IP",
        "CF-Connecting-IP",
        "CF-IPCountry",
        "Fastly-Client-IP",
        "Fly-Client-IP",
      ],
      ...[
        "X-Cluster-Client-IP",
        "X-Originating-IP",
        "X-Remote-IP",
        "X-Remote-Addr",
        "X-Remote-User",
      ],
      ...["Remote-User", "Remote-Addr", "X-Original-URL", "X-Original-Host", "X-Original-For"],
      ...["X-Rewrite-URL", "X-Host", "X-Scheme", "X-Url-Scheme", "Front-End-Https", "Proxy"],
      ...["X-Accel-Redirect", "X-Accel-Mapping", "X-Sendfile-Type", "X-Request-Id", "X-SSL-Cert"],
      ...[
        "SSL-Client-Cert",
        "X-Client-Cert",
        "X-Client-Verify",
        "X-Azure-ClientIP",
        "X-Amzn-Trace-Id",
      ],
      ...[
        "CloudFront-Viewer-Address",
        "X-Auth-Request-User",
        "X-Authenticated-User",
        "X-ProxyUser-Ip",
      ],
      ...["X_Forwarded_For", "X_REAL_IP", "X-Forwarded_Host", "X.Forwarded.For", "REMOTE_USER"],
    ];
    const own = ["host", "x-forwarded-for", "x-forwarded-proto", "x-request-id"];
    const judge = (echo: Echo | undefined) => {
      const { rawHeaders = [], rawTrailers } = echo ?? {};
      expect(rawHeaders.join()).not.toContain("claimed");
      expect(rawTrailers).toEqual([]);
      const names = rawHeaders
        .filter((_, index) => index % 2 === 0)
        .map((name) => name.toLowerCase());
      expect(names.filter((name) => own.includes(name)).sort()).toEqual(own);
    };

    test("does not reach the app, once or twice, in whatever case", async () => {
      const { status, echo } = await exchange(cluster, [
        "GET /echo HTTP/1.1",
        ...close,
        ...claims.flatMap((name) => [
          `${name}: claimed`,
          `${name.toUpperCase()}: claimed`,
          `${name.toLowerCase()}: claimed`,
        ]),
      ]);
      expect(status).toBe(200);
      judge(echo);
      const value = (name: string) => echo?.rawHeaders[echo.rawHeaders.indexOf(name) + 1];
      expect(value("X-Forwarded-For")).toBe("127.0.0.1");
      expect(value("X-Forwarded-Proto")).toBe("http");
      expect(value("X-Request-Id")).toMatch(/^[0-9a-f-]{36}$/);
    });

    test("nor in trailers, nor when Connection names what the cluster says", async () => {
      const chunked = await exchange(
        cluster,
        ["POST /echo HTTP/1.1", ...close, "Transfer-Encoding: chunked", "Trailer: X-Real-IP"],
        "3\r\nabc\r\n0\r\nX-Real-IP: claimed\r\nX-Forwarded-For: claimed\r\n\r\n",
      );
      expect(chunked.echo?.bytes).toBe(3);
      judge(chunked.echo);
      const named = await exchange(cluster, [
        "GET /echo HTTP/1.1",
        "Host: test",
        "Connection: close, X-Forwarded-For, X-Forwarded-Proto, X-Request-Id",
        "X-Forwarded-For: claimed",
      ]);
      judge(named.echo);
    });

    test("what says something else passes", async () => {
      const passing = {
        "x-http-method-override": "PUT",
        "x-csrf-token": "t",
        authorization: "Bearer a",
        "x-api-key": "k",
        referer: "http://elsewhere/",
        from: "robot@example.com",
        "x-clientele": "c",
      };
      const { body } = await ask(`${cluster.url}/echo`, { headers: passing });
      const { rawHeaders } = JSON.parse(body) as Echo;
      for (const [name, value] of Object.entries(passing)) {
        expect(rawHeaders[rawHeaders.indexOf(name) + 1]).toBe(value);
      }
    });
  });

  describe("the paths of the cluster itself", () => {
    test.each([
      ...["/.cluster/health", "/%2ecluster/health", "/.%63luster/health", "/.cluster/%68ealth"],
      ...["//.cluster/health", "/./.cluster/health", "/x/../.cluster/health", "/.cluster//health"],
      ...[
        "/.cluster%2fhealth",
        "/%2f.cluster/health",
        "/.cluster/./health",
        "/x/%2e%2e/.cluster/health",
      ],
      ...[
        "/static/../.cluster/health",
        "/.cluster/health/",
        "/.cluster/health?x",
        "/.cluster/health;a",
      ],
      ...["/.cluster/health%20", "/.cluster", "/.cluster/", "/.cluster/other"],
      ...["http://test/.cluster/health", "http://test//.cluster/health"],
    ])("%s is nobody's", async (path) => {
      for (const version of ["1.0", "1.1"]) {
        const { status, text } = await exchange(cluster, [`GET ${path} HTTP/${version}`, ...close]);
        expect(status).toBe(404);
        expect(text).not.toMatch(/\nup\n/);
      }
    });

    test.each([
      ...["/.Cluster/health", "/.cluster;a/health", "/.cluster\\health", "/%2e%2ecluster/health"],
      ...["/%252ecluster/health", "/.clusters"],
    ])("%s is another path, and the app's", async (path) => {
      const { echo } = await exchange(cluster, [`GET ${path} HTTP/1.1`, ...close]);
      expect(echo?.url).toBe(path);
    });

    test("a byte of zero is a bad request", async () => {
      const { status } = await exchange(cluster, ["GET /.cluster/health%00 HTTP/1.1", ...close]);
      expect(status).toBe(400);
    });

    test("no header of a visitor opens them", async () => {
      const { status } = await exchange(cluster, [
        "GET /.cluster/health HTTP/1.1",
        "Host: load-balancer",
        "Connection: close, X-Request-Id",
        "X-Request-Id:",
      ]);
      expect(status).toBe(404);
    });

    test("the load balancer's own health is everybody's", async () => {
      expect((await ask(`${cluster.url}/load-balancer-health`)).status).toBe(200);
    });
  });

  describe("what has taken long", () => {
    test.each(["upload length", "upload chunked", "keyed upload"])(
      "a body with pauses arrives whole: %s",
      async (name) => {
        expect(await outcome(name)).toMatch(/^HTTP\/1\.1 200/);
      },
      60_000,
    );

    test("a WebSocket lives on while proxies reload", async () => {
      await outcome("reload");
    }, 60_000);

    test("server-sent events may be silent for as long as a tunnel", async () => {
      await outcome("events");
    }, 60_000);

    test("a silent WebSocket is kept for the time the settings say, and no longer", async () => {
      const seconds = await outcome("idle");
      expect(seconds).toBeGreaterThan(app.tunnelTimeout - 2);
      expect(seconds).toBeLessThan(app.tunnelTimeout + 5);
    }, 120_000);
  });

  describe("what is repeated", () => {
    test("a read that takes too long is told so, and sent once", async () => {
      const mark = marker();
      const before = Date.now();
      const { status } = await ask(`${cluster.url}/slow?seconds=8&${mark}`);
      expect(status).toBe(504);
      expect(Date.now() - before).toBeLessThan(5000);
      await pause(4);
      expect(sum(arrivals(cluster, mark))).toBe(1);
    });

    test("one that waits for events, or for an upgrade, is sent twice at most", async () => {
      const events = marker();
      const socket = marker();
      const answers = await Promise.all([
        exchange(cluster, [
          `GET /slow?seconds=20&${events} HTTP/1.1`,
          ...close,
          "Accept: text/event-stream",
        ]),
        exchange(cluster, [
          `GET /slow?seconds=20&${socket} HTTP/1.1`,
          "Host: test",
          "Connection: Upgrade, close",
          "Upgrade: tcp",
        ]),
      ]);
      expect(answers.map(({ status }) => status)).toEqual([504, 504]);
      expect(sum(arrivals(cluster, events))).toBeLessThanOrEqual(2);
      expect(sum(arrivals(cluster, socket))).toBeLessThanOrEqual(2);
    }, 60_000);

    /** Sends until one of them has come to an app that ends with it; what was answered, by marker. */
    async function dying(headers: Record<string, string>, method: string, bytes: number) {
      await cluster.serving("/up");
      const answered = new Map<string, number>();
      const deadline = Date.now() + 30_000;
      while (Date.now() < deadline) {
        const mark = marker();
        const { status } = await ask(`${cluster.url}/die?on=web-1&${mark}`, {
          method,
          headers: { ...headers, "content-length": String(bytes) },
          body: "d".repeat(bytes),
        });
        answered.set(mark, status);
        const arrived = arrivals(cluster, mark);
        if (arrived["web-1"] !== 0) {
          return { status, arrived };
        }
      }
      throw new Error(`none came to web-1: ${JSON.stringify([...answered])}`);
    }

    test("a read whose app ends is answered by another", async () => {
      expect(await dying({}, "GET", 0)).toEqual({
        status: 200,
        arrived: { "web-1": 1, "web-2": 1 },
      });
    });

    test("so is a write with a key, of 8 KB", async () => {
      expect(await dying({ "idempotency-key": "k" }, "POST", 8192)).toEqual({
        status: 200,
        arrived: { "web-1": 1, "web-2": 1 },
      });
    });

    test("one of 100 KB is not: it fails, and was sent once", async () => {
      expect(await dying({ "idempotency-key": "k" }, "POST", 100_000)).toEqual({
        status: 502,
        arrived: { "web-1": 1, "web-2": 0 },
      });
    });

    test("nor is a write without a key", async () => {
      expect(await dying({}, "POST", 10)).toEqual({
        status: 502,
        arrived: { "web-1": 1, "web-2": 0 },
      });
    });
  });

  test("the guestbook is back", async () => {
    cluster.deploy();
    cluster.operate("rollback");
    await cluster.serving();
  }, 300_000);
}
