import { ask, type ScratchCluster } from "../../../../drill/scratch/scratch-cluster";
import { close, exchange } from "./wire";

/** The paths the cluster keeps for itself. */
export function ownPaths(cluster: ScratchCluster): void {
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
  ])("%s is not found", async (path) => {
    for (const version of ["1.0", "1.1"]) {
      const { status, text } = await exchange(cluster, [`GET ${path} HTTP/${version}`, ...close]);
      expect(status).toBe(404);
      expect(text).not.toMatch(/\nup\n/);
    }
  });

  test.each([
    ...["/.Cluster/health", "/.cluster;a/health", "/.cluster\\health", "/%2e%2ecluster/health"],
    ...["/%252ecluster/health", "/.clusters"],
  ])("%s is a different path, and reaches the app", async (path) => {
    const { echo } = await exchange(cluster, [`GET ${path} HTTP/1.1`, ...close]);
    expect(echo?.url).toBe(path);
  });

  test("a path with a NUL byte is a bad request", async () => {
    const { status } = await exchange(cluster, ["GET /.cluster/health%00 HTTP/1.1", ...close]);
    expect(status).toBe(400);
  });

  test("no header of a visitor gives access to them", async () => {
    const { status } = await exchange(cluster, [
      "GET /.cluster/health HTTP/1.1",
      "Host: load-balancer",
      "Connection: close, X-Request-Id",
      "X-Request-Id:",
    ]);
    expect(status).toBe(404);
  });

  test("the load balancer's own health check is public", async () => {
    expect((await ask(`${cluster.url}/load-balancer-health`)).status).toBe(200);
  });
}
