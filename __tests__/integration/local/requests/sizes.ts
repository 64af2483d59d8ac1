import { ask, type ScratchCluster } from "../../../../drill/scratch/scratch-cluster";
import { app } from "./echo-app";
import { close, curl, exchange, MIB } from "./wire";

/** How large a request and a response may be. */
export function sizes(cluster: ScratchCluster): void {
  const large = "b".repeat(app.maxBodySize * MIB + 1);
  const fits = "b".repeat(app.maxBodySize * MIB);
  const ways: Array<[string, string[]]> = [
    ["with Content-Length", ["--data-binary", "@-", "-H", "Expect:"]],
    [
      "with Content-Length and Expect: 100-continue",
      ["--data-binary", "@-", "-H", "Expect: 100-continue"],
    ],
    ["chunked", ["-T", "-", "-X", "POST", "-H", "Expect:"]],
    ["chunked, with Expect: 100-continue", ["-T", "-", "-X", "POST", "-H", "Expect: 100-continue"]],
    ["chunked, with an idempotency key", ["-T", "-", "-X", "POST", "-H", "Idempotency-Key: k"]],
    ["chunked, sent slowly", ["-T", "-", "-X", "POST", "-H", "Expect:", "--limit-rate", "1M"]],
  ];

  test.each(ways)(
    "a body of app.maxBodySize passes, and one byte more gets status 413 with the limit: %s",
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

  test("a client far over the limit that reads only after sending gets status 413 too", async () => {
    expect(
      await curl(cluster, "/echo", ["-T", "-", "-H", "Expect:"], large.repeat(8)),
    ).toMatchObject({
      exitCode: 0,
      status: 413,
    });
  });

  test.each([4000, 8000, 12_000, 16_000])("response headers of %d bytes pass", async (bytes) => {
    const { status, headers } = await ask(`${cluster.url}/header?bytes=${bytes}`);
    expect([status, String(headers["x-large"]).length]).toEqual([200, bytes]);
  });

  test("a response may set many cookies", async () => {
    const { status, headers } = await ask(`${cluster.url}/cookies?count=300`);
    expect([status, headers["set-cookie"]?.length]).toEqual([200, 300]);
  });

  test.each([7000, 9000, 12_000, 15_000])("request headers of %d bytes pass", async (bytes) => {
    const cookie = "c".repeat(bytes);
    const { status, body } = await ask(`${cluster.url}/echo`, { headers: { cookie } });
    expect(status).toBe(200);
    expect(JSON.parse(body).rawHeaders).toContain(cookie);
  });

  test("headers larger than the load balancer accepts get status 431", async () => {
    const { status } = await exchange(cluster, [
      "GET /page HTTP/1.1",
      ...close,
      `Cookie: ${"c".repeat(20_000)}`,
    ]);
    expect(status).toBe(431);
  });

  // HAProxy answers and closes without reading the rest, so that a client which goes on sending may be
  // reset before it has the answer (RFC 9112, section 9.6).
  test("headers many times larger do not reach the app, and the connection ends", async () => {
    const { status, echo } = await exchange(cluster, [
      "GET /echo HTTP/1.1",
      ...close,
      `Cookie: ${"c".repeat(100_000)}`,
    ]);
    expect([431, Number.NaN]).toContainEqual(status);
    expect(echo).toBeUndefined();
  });
}
