/**
 * GTID sets, as MySQL writes them: `UUID[:TAG]:FIRST[-LAST]...`, with commas between sources.
 * https://dev.mysql.com/doc/refman/8.4/en/replication-gtids-concepts.html
 *
 * A set of this type is immutable. Its keys are `UUID` or `UUID:TAG`; its intervals are sorted, neither overlap nor
 * touch, and include both ends.
 */
export type GtidSet = ReadonlyMap<string, readonly Interval[]>;

type Interval = readonly [first: number, last: number];

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const TAG = /^[a-z_][a-z0-9_]{0,31}$/;
const INTERVAL = /^(\d{1,16})(?:-(\d{1,16}))?$/;

export const NO_GTIDS: GtidSet = new Map();

function parseInterval(text: string): Interval | undefined {
  const [, first, last = first] = INTERVAL.exec(text) ?? [];
  const interval = [Number(first), Number(last)] as const;
  const isSound =
    interval.every(Number.isSafeInteger) && interval[0] > 0 && interval[0] <= interval[1];
  return isSound ? interval : undefined;
}

function normalized(intervals: readonly Interval[]): Interval[] {
  const merged: [number, number][] = [];
  for (const [first, last] of [...intervals].sort(([one], [other]) => one - other)) {
    const before = merged.at(-1);
    if (before !== undefined && first <= before[1] + 1) {
      before[1] = Math.max(before[1], last);
    } else {
      merged.push([first, last]);
    }
  }
  return merged;
}

/**
 * Parses a set as MySQL prints it; line breaks and spaces between sources are allowed, and the empty text is the empty
 * set.
 *
 * @throws Error if the text is not such a set
 */
export function parseGtidSet(text: string): GtidSet {
  const set = new Map<string, Interval[]>();
  for (const source of text.toLowerCase().split(",")) {
    const [uuid = "", ...parts] = source.trim().split(":");
    if (uuid === "" && parts.length === 0) {
      continue;
    }
    let key = uuid;
    for (const part of parts) {
      const interval = parseInterval(part);
      if (interval !== undefined) {
        set.set(key, [...(set.get(key) ?? []), interval]);
      } else if (TAG.test(part)) {
        key = `${uuid}:${part}`;
      } else {
        throw new Error(`"${part}" is neither a tag nor an interval of transactions`);
      }
    }
    if (!UUID.test(uuid) || parts.length === 0) {
      throw new Error(`"${source.trim()}" names no transactions of a server`);
    }
  }
  return new Map([...set].map(([key, intervals]) => [key, normalized(intervals)]));
}

/** The set in MySQL's format; empty for the empty set. */
export function formatGtidSet(set: GtidSet): string {
  return [...set]
    .map(([key, intervals]) =>
      [
        key,
        ...intervals.map(([first, last]) => (first === last ? first : `${first}-${last}`)),
      ].join(":"),
    )
    .join(",");
}

function subtractIntervals(from: readonly Interval[], taken: readonly Interval[]): Interval[] {
  const left: Interval[] = [];
  let index = 0;
  for (const [first, last] of from) {
    let next = first;
    while (index < taken.length && (taken[index] as Interval)[1] < next) {
      index++;
    }
    for (let at = index; at < taken.length && (taken[at] as Interval)[0] <= last; at++) {
      const [takenFirst, takenLast] = taken[at] as Interval;
      if (takenFirst > next) {
        left.push([next, takenFirst - 1]);
      }
      next = Math.max(next, takenLast + 1);
    }
    if (next <= last) {
      left.push([next, last]);
    }
  }
  return left;
}

/** The difference: what is in the first set and not in the second. */
export function subtract(from: GtidSet, taken: GtidSet): GtidSet {
  const left = new Map<string, readonly Interval[]>();
  for (const [key, intervals] of from) {
    const rest = subtractIntervals(intervals, taken.get(key) ?? []);
    if (rest.length > 0) {
      left.set(key, rest);
    }
  }
  return left;
}

/** The union. */
export function union(one: GtidSet, other: GtidSet): GtidSet {
  const all = new Map(one);
  for (const [key, intervals] of other) {
    all.set(key, normalized([...(one.get(key) ?? []), ...intervals]));
  }
  return all;
}

/** Transactions that a server has written itself, whatever their tag. */
export function writtenBy(set: GtidSet, serverUuid: string): GtidSet {
  return new Map([...set].filter(([key]) => key.split(":")[0] === serverUuid));
}

/** Whether the second set contains all of the first. */
export function isSubset(part: GtidSet, whole: GtidSet): boolean {
  return subtract(part, whole).size === 0;
}
