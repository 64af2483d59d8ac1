import { ask, type ScratchCluster } from "../../../../drill/scratch/scratch-cluster";

/** Responses of the app. */
export function answers(cluster: ScratchCluster): void {
  test("pass unchanged", async () => {
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
    ["with a part of a resource", "/range", { "content-range": "bytes 2-5/100" }],
    ["that redirect", "/redirect?to=http://app/x", { location: "http://app/x" }],
  ])("%s pass unchanged", async (_, path, expected) => {
    const { headers } = await ask(cluster.url + path, { headers: { "accept-encoding": "gzip" } });
    for (const [name, value] of Object.entries(expected)) {
      expect([name, headers[name]]).toEqual([name, value]);
    }
  });
}
