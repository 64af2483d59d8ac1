import type { RequestRecord } from "./load";

/** Bounds on a fault's effects; what has no bound is only reported. Gaps and times in seconds. */
export interface Bounds {
  /** Failed requests; `under-way`: any number, but all of them were in flight at one moment, when the fault happened. */
  readonly failed?: number | "under-way";
  readonly failedReads?: number;
  readonly readGap?: number;
  readonly writeGap?: number;
  /** From the operator's command to the first acknowledged write. */
  readonly commandToWrite?: number;
}

/** What was observed from the beginning of a fault until the cluster had recovered. */
export interface Observed {
  readonly records: readonly RequestRecord[];
  /** Writes that were acknowledged on connections to a database host itself. */
  readonly direct?: readonly RequestRecord[];
  /** When the fault began and when the cluster had recovered, milliseconds since 1970. */
  readonly from: number;
  readonly to: number;
  /** When the fault had happened at the latest, if that is known better than by `to`. */
  readonly happenedAt?: number | undefined;
  /** When the operator gave a command, if the fault needs one. */
  readonly commandAt?: number | undefined;
  /** Request keys that the primary holds afterwards. */
  readonly stored: ReadonlySet<string>;
  /** Whether every replica holds the same rows as the primary. */
  readonly inSync: boolean;
  /** Seconds until the replicas were in sync again. */
  readonly inSyncAfter: number;
}

/** One row of the drill's table. Gaps and times in seconds. */
export interface Row {
  readonly fault: string;
  readonly requests: number;
  readonly failed: number;
  readonly failedReads: number;
  readonly readGap: number;
  readonly writeGap: number;
  readonly commandToWrite: number | undefined;
  readonly acknowledged: number;
  readonly missing: number;
  readonly inSync: boolean;
  readonly inSyncAfter: number;
  /** The number of failed requests by kind of failure. */
  readonly failures: Readonly<Record<string, number>>;
  /** The bounds that were exceeded, one sentence each. */
  readonly broken: readonly string[];
}

/** What `npm run drill -- --json FILE` writes. */
export interface DrillResults {
  /** The distribution of the hosts, as their os-release names it. */
  readonly distribution: string;
  /** When it ended, `YYYY-MM-DD`; of several drills, the last. */
  readonly date: string;
  readonly rows: readonly Row[];
  /** The faults that could not be completed, and why. */
  readonly stopped: ReadonlyArray<{ readonly fault: string; readonly reason: string }>;
}

/** A time without a successful response. */
interface Gap {
  /** When it began, milliseconds since 1970. */
  readonly from: number;
  readonly seconds: number;
}

/** The longest time without a successful response. */
export function longestGap(records: readonly RequestRecord[], from: number, to: number): Gap {
  const answered = records
    .filter(({ outcome, endedAt }) => outcome === "ok" && endedAt >= from && endedAt <= to)
    .map(({ endedAt }) => endedAt)
    .sort((one, other) => one - other);
  const moments = [from, ...answered, to];
  const gaps = moments.slice(1).map((moment, index): Gap => {
    const before = moments[index] as number;
    return { from: before, seconds: (moment - before) / 1000 };
  });
  return gaps.reduce((one, other) => (other.seconds > one.seconds ? other : one), {
    from,
    seconds: 0,
  });
}

/**
 * The failed requests that were not in flight when the fault happened: nobody knows that moment exactly, but no request that
 * was in flight then ended before it, or began after it.
 *
 * @param happenedAt when it had happened at the latest
 */
function notUnderWay(failures: readonly RequestRecord[], happenedAt: number): RequestRecord[] {
  const moment = Math.min(happenedAt, ...failures.map(({ endedAt }) => endedAt));
  return failures.filter(({ startedAt }) => startedAt > moment);
}

const seconds = (value: number) => `${value.toFixed(1)} s`;

/** With the time at which it began, to be found in the hosts' journals. */
const shownGap = ({ from }: Gap) => {
  const time = new Date(from).toISOString().slice(11, -1);
  return (value: number, isMeasured: boolean) =>
    seconds(value) + (isMeasured ? ` from ${time} UTC` : "");
};

/**
 * A recording with the faults of a later drill in place of its own, in the order in which they are injected.
 *
 * @param names of all faults, in that order; others are dropped
 */
export function updated(
  before: DrillResults,
  now: DrillResults,
  names: readonly string[],
): DrillResults {
  const injected = [...now.rows, ...now.stopped].map(({ fault }) => fault);
  const merge = <One extends { readonly fault: string }>(
    old: readonly One[],
    fresh: readonly One[],
  ) =>
    [...old.filter(({ fault }) => !injected.includes(fault)), ...fresh]
      .filter(({ fault }) => names.includes(fault))
      .sort((one, other) => names.indexOf(one.fault) - names.indexOf(other.fault));
  return {
    distribution: now.distribution,
    date: now.date,
    rows: merge(before.rows, now.rows),
    stopped: merge(before.stopped, now.stopped),
  };
}

/** Compares what was observed with the bounds. */
export function judge(fault: string, observed: Observed, bounds: Bounds): Row {
  const { from, to, stored, commandAt } = observed;
  // Includes requests that began before the fault or ended after it.
  const records = observed.records.filter((one) => one.endedAt >= from && one.startedAt <= to);
  const failures = records.filter(({ outcome }) => outcome !== "ok");
  const reads = records.filter(({ kind }) => kind === "read");
  const writes = records.filter(({ kind }) => kind === "write");
  const acknowledged = [...observed.records, ...(observed.direct ?? [])].filter(
    ({ kind, outcome }) => kind === "write" && outcome === "ok",
  );
  const firstWrite = writes
    .filter(({ outcome, endedAt }) => outcome === "ok" && endedAt > (commandAt ?? from))
    .map(({ endedAt }) => endedAt)
    .sort((one, other) => one - other)[0];
  const counted: Record<string, number> = {};
  for (const { kind, outcome } of failures) {
    const name = `${kind}: ${outcome}`;
    counted[name] = (counted[name] ?? 0) + 1;
  }
  const readGap = longestGap(reads, from, to);
  const writeGap = longestGap(writes, from, to);
  const row = {
    fault,
    requests: records.length,
    failed: failures.length,
    failedReads: failures.filter(({ kind }) => kind === "read").length,
    readGap: readGap.seconds,
    writeGap: writeGap.seconds,
    commandToWrite:
      commandAt === undefined || bounds.commandToWrite === undefined
        ? undefined
        : firstWrite === undefined
          ? Number.POSITIVE_INFINITY
          : (firstWrite - commandAt) / 1000,
    acknowledged: acknowledged.length,
    missing: acknowledged.filter(({ key }) => key !== undefined && !stored.has(key)).length,
    inSync: observed.inSync,
    inSyncAfter: observed.inSyncAfter,
    failures: counted,
  };

  const broken: string[] = [];
  const atMost = (
    what: string,
    value: number,
    bound: number | undefined,
    shown: (value: number, isMeasured: boolean) => string = String,
  ) => {
    if (bound !== undefined && value > bound) {
      broken.push(`${what}: ${shown(value, true)}, at most ${shown(bound, false)}`);
    }
  };
  if (bounds.failed === "under-way") {
    const others = notUnderWay(failures, observed.happenedAt ?? to);
    atMost("failed requests that were not under way when it happened", others.length, 0);
  } else {
    atMost("failed requests", row.failed, bounds.failed);
  }
  atMost("failed reads", row.failedReads, bounds.failedReads);
  atMost("gap in reads", row.readGap, bounds.readGap, shownGap(readGap));
  atMost("gap in writes", row.writeGap, bounds.writeGap, shownGap(writeGap));
  atMost("from command to write", row.commandToWrite ?? 0, bounds.commandToWrite, seconds);
  atMost("acknowledged writes missing", row.missing, 0);
  if (!row.inSync) {
    broken.push("the replicas do not have the same rows as the primary");
  }
  if (acknowledged.length === 0 || reads.length === 0) {
    broken.push("the load did not reach the cluster");
  }
  return { ...row, broken };
}

/** Formats the rows as a table. */
export function table(rows: readonly Row[]): string[] {
  const cells = [
    [
      "fault",
      "requests",
      "failed",
      "read gap",
      "write gap",
      "to write",
      "acked",
      "missing",
      "in sync",
      "",
    ],
    ...rows.map((row) => [
      row.fault,
      String(row.requests),
      String(row.failed),
      seconds(row.readGap),
      seconds(row.writeGap),
      row.commandToWrite === undefined ? "" : seconds(row.commandToWrite),
      String(row.acknowledged),
      String(row.missing),
      row.inSync ? `after ${row.inSyncAfter.toFixed(0)} s` : "no",
      row.broken.length === 0 ? "holds" : "BROKEN",
    ]),
  ];
  const widths = (cells[0] ?? []).map((_, column) =>
    Math.max(...cells.map((row) => (row[column] as string).length)),
  );
  return cells.map((row) =>
    row
      .map((cell, column) =>
        column === 0 || column === row.length - 1
          ? cell.padEnd(widths[column] ?? 0)
          : cell.padStart(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd(),
  );
}
