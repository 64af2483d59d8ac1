import { nameTables } from "../../agent/objections";
import { hostsOf, type Topology } from "../../topology/topology";
import { OperatorError } from "../operator-error";
import type { HostAccess } from "../platform/host-access";
import { complaintOf, onHost } from "./on-host";
import { type ClusterStatus, factsOf, gatherStatus, otherTablesOf, silencesOf } from "./status";

/** Timeout for a large database, in seconds. */
const LONG = 12 * 60 * 60;

type Say = (line: string) => void;

/** The primary as it reports itself, whether or not it serves at the moment. */
function primaryOf(status: ClusterStatus): string {
  const [primary] = factsOf(status, "database")
    .filter(
      ({ host, facts }) =>
        facts.state === "member" && facts.primary === host && facts.writability !== "closed",
    )
    .sort((one, other) => other.facts.term - one.facts.term);
  if (primary === undefined) {
    throw new OperatorError(
      ["There is no primary; see status.", ...silencesOf(status)].join("\n  "),
    );
  }
  return primary.host;
}

/** Tables whose rows a replica may lack. */
const otherTablesIn = (status: ClusterStatus): string[] =>
  otherTablesOf(factsOf(status, "database").map(({ facts }) => facts));

/** The host whose dump disturbs least: a fresh replica that has everything, otherwise the primary. */
function hostToDump(status: ClusterStatus): string {
  const replica = factsOf(status, "database").find(({ facts }) => facts.answers.replica === 200);
  return replica === undefined || otherTablesIn(status).length > 0
    ? primaryOf(status)
    : replica.host;
}

/**
 * Dumps the app's database into the cluster's repository, and archives the primary's binary logs.
 *
 * @throws OperatorError with the host's error, if it fails
 */
export async function backup(topology: Topology, access: HostAccess, say: Say): Promise<void> {
  const status = await gatherStatus(topology, access, ["database"]);
  const [host, primary] = [hostToDump(status), primaryOf(status)];
  say(
    `${host} dumps the app's database, encrypted; ${primary} archives the binary logs. Both keep serving.`,
  );
  const tables = otherTablesIn(status);
  if (tables.length > 0) {
    say(
      `${nameTables(tables)}: not InnoDB, so the primary makes the dump, which may be inconsistent in these tables. Remedy: ALTER TABLE ... ENGINE=InnoDB on the primary. A restore converts them to InnoDB.`,
    );
  }
  await onHost(access, host, ["database/backup.sh", "dump"], LONG);
  await onHost(access, primary, ["database/backup.sh", "logs"], LONG);
  say("done");
}

/** A dump in the repository (scripts/database/backup.sh). */
export interface Dump {
  readonly id: string;
  readonly completeAt: string;
  /** Its size as SQL. */
  readonly bytes: number;
  /** How far the binary logs of its history reach, microseconds since 1970; 0 if there are none. */
  readonly reaches: number;
}

/** Prints what can be restored: the dumps, and how far the binary logs after each reach. */
export function backupTable(dumps: readonly Dump[]): string[] {
  if (dumps.length === 0) {
    return ["There is no backup yet. One is made every night, or on demand: backup"];
  }
  const rows = dumps.map(({ id, completeAt, bytes, reaches }) => {
    const complete = new Date(completeAt);
    return [
      id.slice(0, 8),
      complete.toISOString(),
      `${(bytes / 1024 ** 2).toFixed(1)} MiB`,
      reaches / 1000 > complete.getTime() ? new Date(reaches / 1000).toISOString() : "same time",
    ];
  });
  const table = [["BACKUP", "COMPLETE AT", "SIZE", "RESTORES UNTIL"], ...rows];
  return table.map(([id = "", at = "", size = "", until = ""]) =>
    [id.padEnd(8), at.padEnd(24), size.padEnd(10), until].join("  "),
  );
}

/**
 * Lists the dumps in the repository, oldest first.
 *
 * @throws OperatorError if no database host answers, or the repository cannot be read
 */
export async function listBackups(topology: Topology, access: HostAccess): Promise<Dump[]> {
  const status = await gatherStatus(topology, access, ["database"]);
  const [host] = factsOf(status, "database");
  if (host === undefined) {
    throw new OperatorError(["No database host answers.", ...silencesOf(status)].join("\n  "));
  }
  return JSON.parse(await onHost(access, host.host, ["database/backup.sh", "list"], 600));
}

/** What a restore would do. */
export interface RestorePlan {
  readonly primary: string;
  readonly dump: string;
  /** When the dump was complete. */
  readonly dumpedAt: string;
  /** What scripts/database/restore.sh uses from the archive of binary logs; `-` for nothing. */
  readonly logs: string;
  /** How far the logs reach, microseconds since 1970; `-` if there are none. */
  readonly reaches: string;
  /** The requested moment, microseconds since 1970; `-` for everything. */
  readonly to: string;
  /** Number of tables of the app's database that have rows now. */
  readonly tablesWithRows: number;
}

/** Parses the line of fields that restore.sh prints as its plan. */
export function parsePlan(primary: string, printed: string): RestorePlan {
  const [dump, dumpedAt, logs, reaches, to, tables] = printed.trim().split("\t");
  if (
    dump === undefined ||
    dumpedAt === undefined ||
    logs === undefined ||
    reaches === undefined ||
    to === undefined ||
    tables === undefined
  ) {
    throw new OperatorError(`${primary} printed no valid plan for the restore: ${printed.trim()}`);
  }
  return { primary, dump, dumpedAt, logs, reaches, to, tablesWithRows: Number(tables) };
}

/**
 * Finds out what a restore would do. Archives the primary's binary logs first, so that the current data can be restored
 * as well.
 *
 * @param to a moment in ISO 8601, with any number of decimal places for the seconds; `undefined` for everything that is
 *   archived
 * @throws OperatorError if there is no such backup, or the logs do not reach that far
 */
export async function planRestore(
  topology: Topology,
  access: HostAccess,
  to: string | undefined,
): Promise<RestorePlan> {
  if (
    to !== undefined &&
    !/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)$/.test(to)
  ) {
    throw new OperatorError(
      `--to: got ${to}; wanted a time with its time zone, for example 2026-11-25T09:30:00.5Z`,
    );
  }
  const status = await gatherStatus(topology, access, ["database"]);
  for (const { host, power, facts, silence } of status.hosts) {
    if (facts === undefined && power !== "stopped" && power !== "absent") {
      throw new OperatorError(
        `${host} does not answer, and might serve half-restored data: stop it first, or start it.${silence === undefined ? "" : `\n  ${silence}`}`,
      );
    }
  }
  const primary = primaryOf(status);
  const words = to === undefined ? [] : [to];
  return parsePlan(
    primary,
    await onHost(access, primary, ["database/restore.sh", "plan", ...words], 3600),
  );
}

const moment = (microseconds: string) => {
  const [seconds, fraction] = [microseconds.slice(0, -6), microseconds.slice(-6)];
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}.${fraction}Z`;
};

/** Prints what a restore will do, and what it will replace. */
export function explainRestore(plan: RestorePlan, database: string): string[] {
  const dumpedAt = new Date(plan.dumpedAt).toISOString();
  const target =
    plan.to !== "-"
      ? `at ${moment(plan.to)}`
      : plan.logs === "-"
        ? `at ${dumpedAt}`
        : `at ${moment(plan.reaches)}, the end of the archive`;
  return [
    "This will be done:",
    `  ${plan.primary} replaces the database ${database} with its state ${target}:`,
    `    the backup of ${dumpedAt}${plan.logs === "-" ? "" : ", and the changes after it from the binary logs"}`,
    ...(plan.tablesWithRows === 0
      ? []
      : [
          `  its current data (tables with rows: ${plan.tablesWithRows}) is removed; it is archived, and can be restored in turn`,
        ]),
    "  meanwhile no database host serves, and visitors get a 503; the replicas replicate the restored data",
  ];
}

/**
 * Restores the app's database as planned. If interrupted, it is repeated from the start: until it has succeeded no
 * database host serves.
 *
 * @throws OperatorError with a host's error, if it fails
 */
export async function restore(
  topology: Topology,
  access: HostAccess,
  { primary, dump, logs, to }: RestorePlan,
  say: Say,
): Promise<void> {
  const changes = await onHost(access, primary, ["database/restore.sh", "fetch", dump, logs], LONG);
  for (const line of changes.split("\n").filter((one) => one !== "")) {
    say(line);
  }
  say(`${primary} has fetched the dump and the binary logs, and they are complete`);
  const hosts = hostsOf(topology, "database").map(({ name }) => name);
  const begun = await Promise.all(
    hosts.map(async (host) => {
      const ran = await access.run(host, ["/opt/cluster/scripts/database/restore.sh", "begin"], 60);
      return { host, ran, answers: ran.exitCode === 0 };
    }),
  );
  const answering = begun.filter(({ answers }) => answers).map(({ host }) => host);
  const silent = begun.filter(({ answers }) => !answers);
  const power = silent.length > 0 ? await access.power(silent.map(({ host }) => host)) : undefined;
  for (const { host, ran } of silent) {
    const state = power?.get(host);
    // A host that was not told may serve half-restored data. The others wait, and are told again.
    if (state !== "stopped" && state !== "absent") {
      throw new OperatorError(
        `${complaintOf(host, ran)}\nIt might serve half-restored data: stop it first, or start it, and run this again. Nothing was restored, and no database host serves until a restore has succeeded.`,
      );
    }
    say(
      `${host} is not running; do not start it before this has finished: it replicates once it is back`,
    );
  }
  const printed = await onHost(access, primary, ["database/restore.sh", "apply", to], LONG).catch(
    (error: Error) => {
      throw new OperatorError(
        `${error.message}\nNo database host serves until a restore has succeeded.`,
      );
    },
  );
  say(`${primary} has restored the database`);
  const executed = printed.trim().split("\n").at(-1) ?? "";
  for (const host of [primary, ...answering.filter((other) => other !== primary)]) {
    await onHost(access, host, ["database/restore.sh", "end", executed], LONG);
    say(`${host} serves again`);
  }
}
