import { ask, type ScratchCluster } from "../../../../drill/scratch/scratch-cluster";
import { echoes, exchange, upgrade } from "./wire";

/** Requests that switch to another protocol than HTTP. */
export function upgrades(cluster: ScratchCluster): void {
  test.each(["websocket", "WebSocket"])(
    "an upgrade to %s passes with its path unchanged",
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
  ])("an upgrade to %s by %s passes", async (protocol, method) => {
    const wire = await upgrade(cluster, protocol, method);
    expect(wire.received).toMatch(/^HTTP\/1\.1 101 /);
    wire.send("raw bytes\0");
    await wire.until(/raw bytes\0/);
    wire.close();
  });

  test.each(["h2c", "H2C", "HTTP/2.0"])(
    "an upgrade to %s does not pass: it would bypass both proxies",
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

  test("plain requests still reuse open connections to the app", async () => {
    const connections = new Set<string>();
    for (let index = 0; index < 10; index++) {
      const { headers, body } = await ask(`${cluster.url}/echo`);
      connections.add(`${headers["x-served-by"]} ${JSON.parse(body).connection}`);
    }
    // Each web server has a worker for each processor, and each worker connections of its own.
    expect(connections.size).toBeLessThan(8);
  });
}
