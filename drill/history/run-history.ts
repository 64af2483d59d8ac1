import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { parseRecord, RECORD_KEY } from "../../agent/record";
import { LOCAL_PORTS } from "../../topology/ports";
import { hostsOf } from "../../topology/topology";
import type { ScratchCluster } from "../scratch/scratch-cluster";
import { eventually } from "../scratch/workspace";
import { check, type Verdict } from "./check";
import { HISTORY_FAULTS, type HistoryFault } from "./faults";
import { LISTS, listName } from "./list-client";
import { GUESTBOOK, operationsOf, type Placed, parseHistory } from "./operations";
import { monotonicClock, Recorder } from "./recorder";
import { type Step, schedule } from "./schedule";
import { LIST_SECONDS, type SessionSettings, type Tally } from "./sessions";

/** What to do, and where. */
export interface HistoryOptions {
  readonly seed: number;
  /** How long faults are injected, in seconds. The last one is healed after that. */
  readonly seconds: number;
  /** Only faults after which the cluster is well again soon. Default: all that the settings promise to survive. */
  readonly short?: boolean;
  /** The folder for the history, which is made. */
  readonly folder: string;
  readonly say: (line: string) => void;
}

/** What came of it. */
export interface HistoryResult {
  readonly verdict: Verdict;
  /** The file with the history. */
  readonly path: string;
  /** How often a fault was injected. */
  readonly faults: number;
  /** Why it ended before its time, for example because the cluster did not recover. What was recorded is checked. */
  readonly stopped: string | undefined;
}

/** Seconds within which the cluster is well again after a fault was healed. */
const RECOVERY_SECONDS = 240;

/** Before the first fault, in seconds. */
const STEADY_SECONDS = 2;

/** The faults that a cluster with these settings promises to survive. */
export function faultsFor(
  { topology }: Pick<ScratchCluster, "topology">,
  short = false,
): HistoryFault[] {
  const { failover, replicas } = topology.settings.database;
  if (replicas === 0) {
    throw new Error("database.replicas: got 0; the history check needs a replica: at least 1");
  }
  return HISTORY_FAULTS.filter(
    (fault) =>
      (failover === "automatic" || fault.automatic === undefined) &&
      (!short || fault.short === true),
  );
}

/** What the record of the primary says is wrong for another fault; `undefined` if nothing, or there is no record. */
function recordLacks(cluster: ScratchCluster, primary: string): string | undefined {
  if (cluster.topology.voters.length === 0) {
    return undefined;
  }
  const key = Buffer.from(RECORD_KEY).toString("base64");
  const range = cluster.on(
    primary,
    `source /opt/cluster/scripts/etcd/common.sh; call "$HOST_ADDRESS" kv/range '{"key":"${key}"}'`,
  );
  const value: string = JSON.parse(range).kvs?.[0]?.value ?? "";
  const { holder, state, sync } = parseRecord(Buffer.from(value, "base64").toString());
  const lacking = cluster.databases.filter(
    (name) => name !== primary && !sync.some((entry) => entry.startsWith(`${name}@`)),
  );
  return holder !== primary || state !== "open" || lacking.length > 0
    ? `the record says ${holder}, ${state}, in sync: ${sync.join(", ") || "none"}`
    : undefined;
}

/** Waits until the cluster has all that the next fault may take away. Returns the primary. */
async function well(cluster: ScratchCluster): Promise<string> {
  let primary = await cluster.inSync(RECOVERY_SECONDS);
  let lacking: string | undefined;
  await eventually(
    "the record names every replica, and every voter's member answers",
    async () => {
      primary = await cluster.inSync(RECOVERY_SECONDS);
      lacking = recordLacks(cluster, primary);
      for (const { name } of lacking === undefined ? cluster.topology.voters : []) {
        const { answers } = JSON.parse(cluster.on(name, "/opt/cluster/scripts/etcd/status.sh"));
        lacking = answers === true ? lacking : `etcd on ${name} does not answer`;
      }
      return lacking === undefined || undefined;
    },
    RECOVERY_SECONDS,
    () => `; ${lacking}`,
  );
  await cluster.serving("/api/whoami", RECOVERY_SECONDS);
  return primary;
}

function attempt(act: () => void): Error | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

/** A history that is being made: the sessions, and the faults beside them. */
class RunningHistory {
  readonly path: string;
  private readonly origin = process.hrtime.bigint();
  private readonly clock = monotonicClock(this.origin);
  private readonly recorder: Recorder;
  /** What all elements begin with: no other history has the same on this cluster. */
  private readonly prefix = Date.now().toString(36);
  private readonly worker: Worker;
  private readonly ended: Promise<void>;
  private tally: Tally = { operations: 0, ok: 0, fail: 0, info: 0 };
  faults = 0;

  constructor(
    private readonly cluster: ScratchCluster,
    private readonly options: HistoryOptions,
    private readonly lists: number,
  ) {
    mkdirSync(options.folder, { recursive: true });
    this.path = join(options.folder, "history.jsonl");
    this.recorder = new Recorder(this.path, this.clock);
    const { seed } = options;
    const { database } = cluster.topology.settings;
    this.note("test", "begin", { seed, database });
    const workerData: SessionSettings = {
      url: cluster.url,
      access: {
        incusProject: cluster.incusProject,
        webServers: hostsOf(cluster.topology, "web").map(({ name }) => name),
        port: LOCAL_PORTS.databaseWrites,
        ...cluster.appAccount(),
      },
      seed,
      prefix: this.prefix,
      path: this.path,
      origin: this.origin,
    };
    this.worker = new Worker(join(__dirname, "sessions.ts"), {
      execArgv: ["-r", "ts-node/register"],
      workerData,
    });
    this.ended = new Promise((resolve, reject) => {
      this.worker.on("message", (message: { tally?: Tally; ended?: Tally }) => {
        this.tally = message.ended ?? message.tally ?? this.tally;
        if (message.ended !== undefined) {
          resolve();
        }
      });
      this.worker.on("error", reject);
    });
    // Prevents an unhandled rejection; end() awaits the same promise and gets the error.
    this.ended.catch(() => undefined);
  }

  /** Injects faults until the time is over, and heals each. */
  async injectFaults(): Promise<void> {
    const { cluster, options } = this;
    const steps = schedule(options.seed, faultsFor(cluster, options.short));
    await pause(STEADY_SECONDS * 1000);
    while (this.clock() / 1e9 < options.seconds) {
      const step = steps.next().value;
      await this.inject(step, await well(cluster));
      await pause(step.rest * 1000);
    }
    await well(cluster);
  }

  private async inject({ faults, lasts }: Step<HistoryFault>, primary: string): Promise<void> {
    const healing: Array<() => void> = [];
    try {
      for (const { fault, choice } of faults) {
        const hosts = fault.hosts(this.cluster, primary);
        const host = hosts[Math.floor(choice * hosts.length)] as string;
        this.note("nemesis", fault.name, { host, primary });
        this.say(`${host}: ${fault.what}`);
        const heal = fault.inject(this.cluster, host);
        this.faults++;
        healing.push(() => {
          heal();
          this.note("nemesis", `${fault.name} healed`, { host });
        });
      }
      await pause(lasts * 1000);
    } finally {
      // Each, also after one that does not work: nothing else would undo it.
      const outcomes = healing.map((heal) => attempt(heal));
      const failed = outcomes.find((outcome) => outcome !== undefined);
      if (failed !== undefined) {
        this.say(`could not be healed: ${failed.message}`);
      }
    }
  }

  /** Ends the sessions, and reads every list as a whole on every database host. */
  async end(): Promise<void> {
    this.worker.postMessage("stop");
    await this.ended;
    const primary = await well(this.cluster);
    const [executed = ""] = this.cluster.query(
      primary,
      "SELECT REPLACE(@@gtid_executed, '\\n', '')",
    );
    for (const host of this.cluster.databases) {
      const [late] = this.cluster.query(
        host,
        `SELECT WAIT_FOR_EXECUTED_GTID_SET('${executed}', 30)`,
      );
      if (late !== "0") {
        throw new Error(`${host} has not executed within 30 s what ${primary} has: ${executed}`);
      }
      this.readAll(host);
    }
  }

  private readAll(host: string): void {
    const lists = new Map<string, Placed[]>([[GUESTBOOK, []]]);
    for (let number = 0; number < this.lists; number++) {
      lists.set(listName(number), []);
    }
    const rows = this.cluster.query(
      host,
      `SELECT '${GUESTBOOK}', id, message FROM app.guestbook_entries WHERE message LIKE '${this.prefix}-%'
       UNION ALL SELECT name, 0, elements FROM app.${LISTS}`,
    );
    for (const row of rows) {
      const [list = "", place, value = ""] = row.split("\t");
      const elements: Placed[] =
        list === GUESTBOOK
          ? [[value, Number(place)]]
          : value
              .split(" ")
              .filter(Boolean)
              .map((element, index): Placed => [element, index]);
      lists.get(list)?.push(...elements);
    }
    for (const [list, elements] of lists) {
      this.recorder.note(host, { type: "invoke", f: "final-read", list, host });
      this.recorder.note(host, { type: "ok", f: "final-read", elements });
    }
  }

  /** Ends the sessions, whatever the cluster's state. */
  async abandon(): Promise<void> {
    this.recorder.close();
    await this.worker.terminate();
  }

  private note(process: "nemesis" | "test", f: string, more: object): void {
    this.recorder.note(process, { type: "info", f, ...more });
  }

  /** Prints what happens, with the time, and how far the sessions have come. */
  private say(line: string): void {
    const seconds = Math.round(this.clock() / 1e9);
    const { operations, ok, info } = this.tally;
    this.options.say(
      `${String(seconds).padStart(5)} s  ${operations} operations, ${ok} ok, ${info} info  ${line}`,
    );
    this.worker.postMessage("tally");
  }
}

/** Makes a history on a cluster that is up, under faults, and checks it. */
export async function runHistory(
  cluster: ScratchCluster,
  options: HistoryOptions,
): Promise<HistoryResult> {
  // Faults have to heal after the time is over; sessions that come late find a list as well.
  const lists = Math.ceil((options.seconds + 2 * RECOVERY_SECONDS) / LIST_SECONDS);
  const primary = await well(cluster);
  const rows = Array.from({ length: lists }, (_, number) => `('${listName(number)}', 0, '')`);
  cluster.query(
    primary,
    `DROP TABLE IF EXISTS app.${LISTS};
     CREATE TABLE app.${LISTS} (name VARCHAR(32) PRIMARY KEY, version INT NOT NULL, elements TEXT NOT NULL);
     INSERT INTO app.${LISTS} VALUES ${rows.join(", ")}`,
  );
  const running = new RunningHistory(cluster, options, lists);
  let stopped: string | undefined;
  try {
    await running.injectFaults();
    await running.end();
    cluster.query(await cluster.inSync(), `DROP TABLE app.${LISTS}`);
  } catch (error) {
    stopped = (error as Error).message;
  } finally {
    await running.abandon();
  }
  const lines = parseHistory(readFileSync(running.path, "utf8"));
  lines.sort((one, other) => one.time - other.time);
  const verdict = check(operationsOf(lines));
  return { verdict, path: running.path, faults: running.faults, stopped };
}

/** An anomaly is told with at most so many of its operations. */
const OPERATIONS_SHOWN = 4;

/** How many anomalies are told; all are in the history. */
const ANOMALIES_SHOWN = 10;

/** The last line of a run. */
export function summary(seed: number, { operations, ok, info, anomalies }: Verdict): string {
  return `seed ${seed}: ${operations} operations, ${ok} ok, ${info} info, ${anomalies.length} ${anomalies.length === 1 ? "anomaly" : "anomalies"}`;
}

/** What a run showed, in lines. */
export function report({ verdict, path, faults, stopped }: HistoryResult): string[] {
  const { anomalies, judged, wentBack } = verdict;
  const shown = anomalies
    .slice(0, ANOMALIES_SHOWN)
    .flatMap(({ sentence, operations }) => [
      sentence,
      ...operations
        .slice(0, OPERATIONS_SHOWN)
        .map(({ elements, ...operation }) => `    ${JSON.stringify(operation)}`),
    ]);
  return [
    ...shown,
    ...(anomalies.length > ANOMALIES_SHOWN
      ? [`and ${anomalies.length - ANOMALIES_SHOWN} anomalies more`]
      : []),
    `${faults} faults; looked for: ${judged.writes} acknowledged writes in the end, ${judged.ownWrites} times an own write, ${judged.known} times what was known, ${judged.updates} updates that only one session may make`,
    `reads that went back where monotonic reads are not promised: ${wentBack}`,
    `history: ${path}`,
    ...(stopped === undefined ? [] : [`STOPPED: ${stopped}`]),
  ];
}
