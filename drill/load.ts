import { createHash, randomBytes } from "node:crypto";
import { request } from "node:http";
import { parentPort, workerData } from "node:worker_threads";

// A constant load, in its own thread: a fixed number of requests per second, whether or not earlier ones have been
// answered, each on its own connection and without retries. It ends on request, and after an hour at the latest.

/** The URL and the rates of the load. */
export interface LoadSettings {
  readonly url: string;
  readonly readsPerSecond: number;
  readonly writesPerSecond: number;
}

/** A request and its outcome. Times in milliseconds since 1970. */
export interface RequestRecord {
  readonly kind: "read" | "write";
  readonly startedAt: number;
  readonly endedAt: number;
  /** `ok`, or what went wrong in a few words. */
  readonly outcome: string;
  /** The web server that answered. */
  readonly server: string | undefined;
  /** The request key of a write. */
  readonly key: string | undefined;
}

/** Seconds after which a request without an answer has failed. */
const PATIENCE_SECONDS = 15;
const LONGEST_SECONDS = 3600;

/** The message to write under a key. It contains a checksum, so that a reader can verify it. */
export function messageOf(key: string): string {
  return `${key} ${createHash("sha256").update(key).digest("hex").slice(0, 16)}`;
}

/** Checks a page of entries; returns what is wrong with it, or undefined if every entry is as it was written. */
export function wrongIn(body: string): string | undefined {
  let entries: Array<{ id: number; message: string }>;
  try {
    entries = JSON.parse(body).entries;
  } catch {
    return "not JSON";
  }
  for (const [index, { id, message }] of entries.entries()) {
    const [key = ""] = message.split(" ");
    if (key.startsWith("drill-") && message !== messageOf(key)) {
      return `entry ${id} differs from what was written`;
    }
    const before = entries[index - 1];
    if (before !== undefined && before.id <= id) {
      return `entry ${id} is out of order`;
    }
  }
  return undefined;
}

function send({ url }: LoadSettings, kind: "read" | "write"): Promise<RequestRecord> {
  const startedAt = Date.now();
  const key = kind === "write" ? `drill-${randomBytes(9).toString("hex")}` : undefined;
  return new Promise((resolve) => {
    const done = (outcome: string, server?: string) =>
      resolve({ kind, startedAt, endedAt: Date.now(), outcome, server, key });
    const outgoing = request(
      `${url}/api/entries`,
      {
        method: kind === "write" ? "POST" : "GET",
        agent: false,
        headers:
          key === undefined ? {} : { "content-type": "application/json", "idempotency-key": key },
      },
      (incoming) => {
        let body = "";
        incoming.on("data", (chunk) => {
          body += chunk;
        });
        incoming.on("error", (error) => done(error.message));
        incoming.on("end", () => {
          const status = incoming.statusCode ?? 0;
          const wrong = status === 200 && kind === "read" ? wrongIn(body) : undefined;
          done(
            wrong ?? (status >= 200 && status < 300 ? "ok" : `status ${status}`),
            String(incoming.headers["x-served-by"] ?? ""),
          );
        });
      },
    );
    outgoing.setTimeout(PATIENCE_SECONDS * 1000, () => outgoing.destroy(new Error("no answer")));
    outgoing.on("error", (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
    outgoing.end(
      key === undefined ? undefined : JSON.stringify({ name: "drill", message: messageOf(key) }),
    );
  });
}

function run(settings: LoadSettings): void {
  const records: RequestRecord[] = [];
  const underWay = new Set<Promise<void>>();
  const fire = (kind: "read" | "write") => {
    const one = send(settings, kind).then((record) => {
      records.push(record);
      underWay.delete(one);
    });
    underWay.add(one);
  };
  const timers = [
    setInterval(() => fire("read"), 1000 / settings.readsPerSecond),
    setInterval(() => fire("write"), 1000 / settings.writesPerSecond),
  ];
  const stop = async () => {
    timers.map(clearInterval);
    await Promise.all(underWay);
    parentPort?.postMessage({ records });
    process.exit(0);
  };
  setTimeout(stop, LONGEST_SECONDS * 1000).unref();
  parentPort?.on("message", (_: "stop") => void stop());
}

if (parentPort !== null) {
  run(workerData);
}
