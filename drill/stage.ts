import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { runSync } from "../ops/run";
import { DirectWriter } from "./direct-writer";
import { type LoadSettings, messageOf, type RequestRecord } from "./load";
import type { Observed } from "./measure";
import { type Answer, ask, type ScratchCluster } from "./scratch/scratch-cluster";
import { eventually } from "./scratch/workspace";

/** A cluster under load, and the means to inject a fault into it. */
export class Stage {
  private readonly worker: Worker;
  private readonly records: Promise<RequestRecord[]>;
  private from = 0;
  private happenedAt: number | undefined;
  private commandAt: number | undefined;
  private readonly direct: RequestRecord[] = [];

  constructor(
    readonly cluster: ScratchCluster,
    load: Omit<LoadSettings, "url">,
    private readonly say: (line: string) => void,
  ) {
    this.worker = new Worker(join(__dirname, "load.ts"), {
      execArgv: ["-r", "ts-node/register"],
      workerData: { ...load, url: cluster.url },
    });
    this.records = new Promise((resolve, reject) => {
      this.worker.on("message", (message) => {
        if (message.records !== undefined) {
          resolve(message.records);
        }
      });
      this.worker.on("error", reject);
    });
    // Prevents an unhandled rejection; end() awaits the same promise and gets the error.
    this.records.catch(() => undefined);
  }

  /** Prints what is being done. */
  note(line: string): void {
    this.say(`    ${line}`);
  }

  /** Marks the beginning: from now on, what happens to requests counts. */
  begin(): void {
    this.from = Date.now();
  }

  /** Marks that the fault has happened. Requests that begin later were not in flight then. */
  happened(): void {
    this.happenedAt = Date.now();
  }

  /** Runs an operator's command: `npm run cluster -- STACK WORDS...`. Returns its output. */
  command(...words: string[]): string {
    this.commandAt ??= Date.now();
    this.note(`npm run cluster -- ${this.cluster.stack} ${words.join(" ")}`);
    return this.cluster.operate(...words);
  }

  /** Waits while the load continues. */
  async wait(seconds: number): Promise<void> {
    await pause(seconds * 1000);
  }

  /** Waits until the database is in sync, and returns the hosts' roles. */
  async databases(): Promise<{ primary: string; replica: string }> {
    const primary = await this.cluster.inSync(180);
    const replica = this.cluster.databases.find((name) => name !== primary) as string;
    return { primary, replica };
  }

  /** A web server's share, in per cent, of the requests made during `seconds`. */
  async answeredBy(webServer: string, seconds: number): Promise<number> {
    const { url } = this.cluster;
    let [requests, answered] = [0, 0];
    for (const until = Date.now() + seconds * 1000; Date.now() < until; requests++) {
      const { headers } = await ask(`${url}/healthz`);
      answered += headers["x-served-by"] === webServer ? 1 : 0;
      await this.wait(0.05);
    }
    return Math.round((100 * answered) / requests);
  }

  /** Sends a write in addition to the load. */
  tryToWrite(): Promise<Answer> {
    const key = `drill-${randomBytes(9).toString("hex")}`;
    return ask(`${this.cluster.url}/api/entries`, {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": key },
      body: JSON.stringify({ name: "drill", message: messageOf(key) }),
    });
  }

  /**
   * Writes on connections that lead from a web server to one database host and stay there, whatever becomes of it.
   * Returns a function that ends them; what was acknowledged on them then counts like any other write.
   *
   * @throws Error if no write is acknowledged within ten seconds
   */
  async writeDirectly(host: string): Promise<() => void> {
    const writer = new DirectWriter(this.cluster, host);
    await eventually(
      `a client that is connected to ${host} writes`,
      () => writer.acknowledged.length > 0,
      10,
    );
    return () => {
      writer.stop();
      const at = Date.now();
      const keys = writer.acknowledged;
      this.note(`${keys.length} writes were acknowledged to clients connected to ${host}`);
      this.direct.push(
        ...keys.map((key) => ({
          kind: "write" as const,
          startedAt: at,
          endedAt: at,
          outcome: "ok",
          server: undefined,
          key,
        })),
      );
    };
  }

  /** Limits a database host's data volume to 40 MiB of free space. Returns a function that removes the limit. */
  fill(host: string): () => void {
    const pool = "/var/lib/incus/storage-pools/dwi";
    const volume = `${pool}/custom/${this.cluster.incusProject}_${host}`;
    const btrfs = (command: string) =>
      runSync(["bash", "-c", `group="0/$(btrfs inspect-internal rootid ${volume})"; ${command}`]);
    // What counts for the limit: du and the engine do not see what the volume shares with the host's root.
    const used = Number(
      btrfs(
        `btrfs qgroup show --sync --raw ${pool} | awk -v group="$group" '$1 == group { print $2 }'`,
      ),
    );
    const size = Math.ceil(used / 2 ** 20) + 40;
    this.cluster.incus(["storage", "volume", "set", "dwi", host, `size=${size}MiB`]);
    return () => {
      // Btrfs cannot change a limit of a full volume through the volume itself, as the engine does. There are two: of what
      // it refers to, and of what no other volume does.
      btrfs(
        `btrfs qgroup limit none "$group" ${pool}; btrfs qgroup limit -e none "$group" ${pool}`,
      );
      this.cluster.incus(["storage", "volume", "unset", "dwi", host, "size"]);
    };
  }

  /** Waits until the cluster has recovered, ends the load, and returns what was observed. */
  async end(): Promise<Observed> {
    const primary = await this.cluster.inSync(240);
    const inSyncAfter = (Date.now() - this.from) / 1000;
    await this.cluster.serving("/api/whoami", 90);
    const to = Date.now();
    await this.wait(1);
    this.worker.postMessage("stop");
    const records = await this.records;
    return {
      records,
      direct: this.direct,
      from: this.from,
      to,
      happenedAt: this.happenedAt,
      commandAt: this.commandAt,
      stored: this.stored(primary),
      inSync: await this.sameRows(primary),
      inSyncAfter,
    };
  }

  /** Ends the load, whatever the cluster's state. */
  async abandon(): Promise<void> {
    await this.worker.terminate();
  }

  private stored(host: string): Set<string> {
    return new Set(this.cluster.query(host, "SELECT request_key FROM app.guestbook_entries"));
  }

  /** Whether every database host has the same rows within 20 seconds. */
  private async sameRows(primary: string): Promise<boolean> {
    const sum = (host: string) =>
      this.cluster.query(host, "CHECKSUM TABLE app.guestbook_entries")[0]?.split("\t")[1];
    const same = eventually(
      "the same rows on every database host",
      () => this.cluster.databases.every((host) => sum(host) === sum(primary)) || undefined,
      20,
    );
    return same.catch(() => false);
  }
}
