import { ask, type ScratchCluster } from "../../../../drill/scratch/scratch-cluster";
import { close, exchange, pause } from "./wire";

/** How often a request reached an app, on each web server, whether or not the app survived. */
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

/** What is retried, and how often. */
export function repeats(cluster: ScratchCluster): void {
  test("a read that takes too long gets status 504, and is sent once", async () => {
    const mark = marker();
    const before = Date.now();
    const { status } = await ask(`${cluster.url}/slow?seconds=8&${mark}`);
    expect(status).toBe(504);
    expect(Date.now() - before).toBeLessThan(5000);
    await pause(4);
    expect(sum(arrivals(cluster, mark))).toBe(1);
  });

  test("a read that waits for events or an upgrade is sent twice at most", async () => {
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

  /** Sends requests until one reaches the app that exits on it; returns its status and where it arrived. */
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

  test("if its app exits, a read is answered by the other web server", async () => {
    expect(await dying({}, "GET", 0)).toEqual({
      status: 200,
      arrived: { "web-1": 1, "web-2": 1 },
    });
  });

  test("if its app exits, an 8 KB write with a key is answered by the other web server", async () => {
    expect(await dying({ "idempotency-key": "k" }, "POST", 8192)).toEqual({
      status: 200,
      arrived: { "web-1": 1, "web-2": 1 },
    });
  });

  test("if its app exits, a 100 KB write with a key fails, and is sent once", async () => {
    expect(await dying({ "idempotency-key": "k" }, "POST", 100_000)).toEqual({
      status: 502,
      arrived: { "web-1": 1, "web-2": 0 },
    });
  });

  test("if its app exits, a write without a key fails, and is sent once", async () => {
    expect(await dying({}, "POST", 10)).toEqual({
      status: 502,
      arrived: { "web-1": 1, "web-2": 0 },
    });
  });
}
