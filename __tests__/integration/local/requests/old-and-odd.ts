import type { ScratchCluster } from "../../../../drill/scratch/scratch-cluster";
import { close, exchange, Wire } from "./wire";

/** Requests that few clients send. */
export function oldAndOdd(cluster: ScratchCluster): void {
  test.each([
    ["in HTTP/1.0 without Host", ["GET /echo HTTP/1.0"], "127.0.0.1"],
    ["in HTTP/1.0 with Host", ["GET /echo HTTP/1.0", "Host: test"], "test"],
    ["with an empty Host", ["GET /echo HTTP/1.1", "Host: ", "Connection: close"], "127.0.0.1"],
    ["with a port", ["GET /echo HTTP/1.1", "Host: test:81", "Connection: close"], "test:81"],
    [
      "with an IPv6 address",
      ["GET /echo HTTP/1.1", "Host: [::1]:81", "Connection: close"],
      "[::1]:81",
    ],
    ["with an absolute URL", ["GET http://test/echo HTTP/1.1", ...close], "test"],
  ])("a request %s reaches the app with a valid Host", async (_, lines, host) => {
    const { status, echo } = await exchange(cluster, lines);
    expect([status, echo?.url, echo?.rawHeaders.slice(0, 2)]).toEqual([
      200,
      "/echo",
      ["Host", host],
    ]);
  });

  test.each([
    ["HTTP/1.1 without Host", ["Connection: close"]],
    ["a request with two Hosts", ["Host: one", "Host: other", "Connection: close"]],
    ["a request with an invalid Host", ["Host: a b", "Connection: close"]],
  ])("%s is a bad request", async (_, lines) => {
    expect((await exchange(cluster, ["GET /echo HTTP/1.1", ...lines])).status).toBe(400);
  });

  test("HTTP/1.0 can keep its connection alive", async () => {
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

  test("HEAD returns the headers of GET without a body", async () => {
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
}
