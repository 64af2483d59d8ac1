import type { Operation, Placed } from "./operations";

// Compares a history with what is promised (docs/consistency.md). Pure.

/** What must not be in a history, in Jepsen's words; docs/consistency.md says what each means. */
export type Phenomenon =
  | "lost write"
  | "lost update"
  | "dirty read"
  | "aborted read (G1a)"
  | "garbage read"
  | "duplicate"
  | "incompatible order"
  | "reordered writes (G0-realtime)"
  | "stale read"
  | "read-your-writes violation"
  | "monotonic-reads violation"
  | "diverged replicas";

/** Something that is promised not to happen, and the operations that show that it did. */
export interface Anomaly {
  readonly phenomenon: Phenomenon;
  readonly sentence: string;
  readonly operations: readonly Operation[];
}

/** What a history shows. */
export interface Verdict {
  readonly operations: number;
  readonly ok: number;
  readonly fail: number;
  readonly info: number;
  readonly anomalies: readonly Anomaly[];
  /** How often each promise was put to the test: with none of it, no anomaly means nothing. */
  readonly judged: {
    /** Acknowledged writes that were looked for in the end. */
    readonly writes: number;
    /** Acknowledged writes that would have overwritten another one, had it depended on the same. */
    readonly updates: number;
    /** Pairs of an own acknowledged write and a later read that had to show it. */
    readonly ownWrites: number;
    /** Pairs of what was known and a later linearizable read that had to show it. */
    readonly known: number;
  };
  /** Reads that lacked what the same session had read before, where that is not promised. */
  readonly wentBack: number;
}

type Append = Extract<Operation, { f: "append" }>;
type Read = Extract<Operation, { f: "read" | "final-read" }>;

const isAppend = (operation: Operation): operation is Append => operation.f === "append";
const isOk = ({ type }: Operation) => type === "ok";
const placesOf = ({ elements = [] }: Read) => new Map(elements);

/** A read shows an element at this place, if it is there. */
const covers = ({ from = 0 }: Read, place: number | undefined): place is number =>
  place !== undefined && place >= from;

const who = ({ process }: Operation) =>
  typeof process === "number" ? `session ${process}` : process;

const seconds = (nanoseconds: number) => `${(nanoseconds / 1e9).toFixed(3)} s`;

/** An element that a linearizable read has to show, since when, and which operation made it known. */
interface Known {
  readonly element: string;
  readonly place: number;
  readonly by: Operation;
}

/** Groups by a key, in the order of the first of each. */
function grouped<Value>(
  values: readonly Value[],
  keyOf: (value: Value) => string | undefined,
): Map<string, Value[]> {
  const groups = new Map<string, Value[]>();
  for (const value of values) {
    const key = keyOf(value);
    if (key !== undefined) {
      const group = groups.get(key) ?? [];
      groups.set(key, group);
      group.push(value);
    }
  }
  return groups;
}

/** Collects anomalies; what was said of an element once is not said again for each later read. */
class Anomalies {
  readonly found: Anomaly[] = [];
  private readonly said = new Set<string>();

  add(
    phenomenon: Phenomenon,
    list: string,
    element: string,
    sentence: string,
    operations: readonly Operation[],
  ): void {
    const key = JSON.stringify([phenomenon, list, element]);
    if (!this.said.has(key)) {
      this.said.add(key);
      this.found.push({ phenomenon, sentence: `${phenomenon}: ${sentence}`, operations });
    }
  }
}

/** One list of a history, and what was done to it. */
class ListCheck {
  private readonly appends: readonly Append[];
  private readonly acknowledged: readonly Append[];
  private readonly byElement: ReadonlyMap<string, Append>;
  private readonly reads: readonly Read[];
  private readonly finals: readonly Read[];
  readonly judged = { writes: 0, updates: 0, ownWrites: 0, known: 0 };
  wentBack = 0;

  constructor(
    private readonly list: string,
    operations: readonly Operation[],
    private readonly anomalies: Anomalies,
  ) {
    this.appends = operations.filter(isAppend);
    this.acknowledged = this.appends.filter(isOk);
    this.byElement = new Map(this.appends.map((append) => [append.element, append]));
    if (this.byElement.size < this.appends.length) {
      throw new Error(`an element was appended to ${list} by two operations`);
    }
    const reads = operations.filter(
      (operation): operation is Read => !isAppend(operation) && isOk(operation),
    );
    this.reads = reads.filter(({ f }) => f === "read");
    this.finals = reads.filter(({ f }) => f === "final-read");
  }

  run(): void {
    this.checkElements();
    this.checkPlaces();
    this.checkRealTime();
    this.checkUpdates();
    this.checkOwnWrites();
    this.checkKnown();
    this.checkFinals();
    this.countWentBack();
  }

  private say(
    phenomenon: Phenomenon,
    element: string,
    sentence: string,
    ...operations: (Operation | undefined)[]
  ): void {
    this.anomalies.add(
      phenomenon,
      this.list,
      element,
      sentence,
      operations.filter((operation) => operation !== undefined),
    );
  }

  /** A read shows only what was written, each element once. */
  private checkElements(): void {
    for (const read of [...this.reads, ...this.finals]) {
      const seen = new Set<string>();
      for (const [element] of read.elements ?? []) {
        const append = this.byElement.get(element);
        const what = `${who(read)} read ${element} in ${this.list}`;
        if (append === undefined) {
          this.say("garbage read", element, `${what}, which nobody wrote`, read);
        } else if (append.invoked > read.ended) {
          this.say("garbage read", element, `${what} before it was written`, read, append);
        } else if (append.type === "fail") {
          this.say("aborted read (G1a)", element, `${what}, which was refused`, append, read);
        }
        if (seen.has(element)) {
          this.say("duplicate", element, `${what} twice`, append, read);
        }
        seen.add(element);
      }
    }
  }

  /** An element stays at its place, and no other is ever there. */
  private checkPlaces(): void {
    const places = new Map<string, { place: number; by: Operation }>();
    const elements = new Map<number, { element: string; by: Operation }>();
    const put = ([element, place]: Placed, by: Operation) => {
      const before = places.get(element);
      if (before !== undefined && before.place !== place) {
        const sentence = `${element} is at ${before.place} of ${this.list}, and later at ${place}`;
        this.say("incompatible order", element, sentence, before.by, by);
      }
      const other = elements.get(place);
      if (other !== undefined && other.element !== element) {
        const sentence = `${other.element} and ${element} are both at ${place} of ${this.list}`;
        this.say("incompatible order", element, sentence, other.by, by);
      }
      places.set(element, { place, by });
      elements.set(place, { element, by });
    };
    for (const append of this.acknowledged) {
      if (append.place !== undefined) {
        put([append.element, append.place], append);
      }
    }
    for (const read of [...this.reads, ...this.finals]) {
      for (const placed of read.elements ?? []) {
        put(placed, read);
      }
    }
  }

  /** What was acknowledged before another write began comes before it. */
  private checkRealTime(): void {
    const ended = [...this.acknowledged].sort((one, other) => one.ended - other.ended);
    const invoked = [...this.acknowledged].sort((one, other) => one.invoked - other.invoked);
    let last: Append | undefined;
    let index = 0;
    for (const append of invoked) {
      for (let next = ended[index]; next !== undefined && next.ended < append.invoked; ) {
        if (last === undefined || (next.place ?? -1) > (last.place ?? -1)) {
          last = next;
        }
        next = ended[++index];
      }
      if (last?.place !== undefined && append.place !== undefined && append.place < last.place) {
        this.say(
          "reordered writes (G0-realtime)",
          append.element,
          `${append.element} is before ${last.element} in ${this.list}, and was written after that was acknowledged`,
          last,
          append,
        );
      }
    }
  }

  /** Of all that depends on the same, one was appended. */
  private checkUpdates(): void {
    for (const [base, appends] of grouped(this.acknowledged, (append) => append.base)) {
      this.judged.updates++;
      if (appends.length > 1) {
        const elements = appends.map(({ element }) => element).join(" and ");
        const sentence = `${elements} were both appended to ${this.list} at ${base}`;
        this.say("lost update", base, sentence, ...appends);
      }
    }
  }

  /** A session reads what it was acknowledged before. */
  private checkOwnWrites(): void {
    const own = grouped(this.acknowledged, ({ process }) => String(process));
    for (const read of this.reads.filter(({ promised }) => promised !== "none")) {
      const shown = placesOf(read);
      for (const append of own.get(String(read.process)) ?? []) {
        if (append.ended < read.invoked && covers(read, append.place)) {
          this.judged.ownWrites++;
          if (!shown.has(append.element)) {
            const sentence = `${who(read)} read ${this.list} without ${append.element}, which it had been acknowledged ${seconds(read.invoked - append.ended)} before`;
            this.say("read-your-writes violation", append.element, sentence, append, read);
          }
        }
      }
    }
  }

  /** What is known to be there is shown by every linearizable read that begins later. */
  private checkKnown(): void {
    const linearizable = this.reads
      .filter(({ promised }) => promised === "linearizable")
      .sort((one, other) => one.ended - other.ended);
    const known = new Map<string, Known>();
    const learn = (element: string, place: number, by: Operation) => {
      if (by.ended < (known.get(element)?.by.ended ?? Number.POSITIVE_INFINITY)) {
        known.set(element, { element, place, by });
      }
    };
    for (const append of this.acknowledged) {
      if (append.place !== undefined) {
        learn(append.element, append.place, append);
      }
    }
    /** The first time that each session read an element. */
    const readBy = new Map<string, Read>();
    for (const read of linearizable) {
      for (const [element, place] of read.elements ?? []) {
        learn(element, place, read);
        const key = `${read.process} ${element}`;
        readBy.set(key, readBy.get(key) ?? read);
      }
    }
    const highestFirst = [...known.values()].sort((one, other) => other.place - one.place);
    for (const read of linearizable) {
      const shown = placesOf(read);
      for (const { element, place, by } of highestFirst) {
        if (!covers(read, place)) {
          break;
        }
        if (by.ended >= read.invoked) {
          continue;
        }
        this.judged.known++;
        if (!shown.has(element) && !(isAppend(by) && by.process === read.process)) {
          const before = readBy.get(`${read.process} ${element}`);
          const [phenomenon, since] =
            before !== undefined && before.ended < read.invoked
              ? (["monotonic-reads violation", before] as const)
              : (["stale read", by] as const);
          const sentence = `${who(read)} read ${this.list} without ${element}, which ${who(since)} had ${isAppend(since) ? "been acknowledged" : "read"} ${seconds(read.invoked - since.ended)} before`;
          this.say(phenomenon, element, sentence, since, read);
        }
      }
    }
  }

  /** In the end every host has all that was acknowledged, all that was ever read, and the same. */
  private checkFinals(): void {
    const everRead = new Map<string, Read>();
    for (const read of this.reads) {
      for (const [element] of read.elements ?? []) {
        everRead.set(element, everRead.get(element) ?? read);
      }
    }
    const [first] = this.finals;
    const atFirst = first === undefined ? undefined : placesOf(first);
    for (const final of this.finals) {
      const there = placesOf(final);
      for (const append of this.acknowledged) {
        this.judged.writes += final === first ? 1 : 0;
        if (!there.has(append.element)) {
          const sentence = `${append.element} was acknowledged to ${who(append)}, and in the end is not in ${this.list} on ${who(final)}`;
          this.say("lost write", append.element, sentence, append, final);
        }
      }
      for (const [element, read] of everRead) {
        const append = this.byElement.get(element);
        if (!there.has(element) && append !== undefined && append.type === "info") {
          const sentence = `${element} was read by ${who(read)}, and in the end is not in ${this.list} on ${who(final)}`;
          this.say("dirty read", element, sentence, append, read, final);
        }
      }
      for (const element of new Set([...there.keys(), ...(atFirst?.keys() ?? [])])) {
        if (first !== undefined && there.has(element) !== atFirst?.has(element)) {
          const sentence = `in the end ${element} of ${this.list} is on one of ${who(first)} and ${who(final)} only`;
          this.say("diverged replicas", element, sentence, first, final);
        }
      }
    }
  }

  private countWentBack(): void {
    for (const reads of grouped(this.reads, ({ process }) => String(process)).values()) {
      for (const [index, read] of reads.entries()) {
        const before = reads[index - 1];
        const shown = placesOf(read);
        if (
          read.promised !== "linearizable" &&
          before?.elements?.some(
            ([element, place]) => covers(read, place) && !shown.has(element),
          ) === true
        ) {
          this.wentBack++;
        }
      }
    }
  }
}

/**
 * Checks a history.
 *
 * @throws Error if two operations append the same element: then nobody could tell whose it is
 */
export function check(operations: readonly Operation[]): Verdict {
  const anomalies = new Anomalies();
  const judged = { writes: 0, updates: 0, ownWrites: 0, known: 0 };
  let wentBack = 0;
  for (const [list, its] of grouped(operations, (operation) => operation.list)) {
    const one = new ListCheck(list, its, anomalies);
    one.run();
    wentBack += one.wentBack;
    for (const name of Object.keys(judged) as (keyof typeof judged)[]) {
      judged[name] += one.judged[name];
    }
  }
  const count = (type: Operation["type"]) =>
    operations.filter((operation) => operation.type === type).length;
  return {
    operations: operations.length,
    ok: count("ok"),
    fail: count("fail"),
    info: count("info"),
    anomalies: anomalies.found,
    judged,
    wentBack,
  };
}
