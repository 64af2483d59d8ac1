// A history as Jepsen records it: one line of JSON for what a process invokes, and one for how that ended. It ends with
// `ok`, it happened; `fail`, it did not happen; or `info`, nobody knows. What never ended counts as `info`.

/** The list of the guestbook's entries. A row of the table of lists is named `list-NUMBER`. */
export const GUESTBOOK = "guestbook";

/**
 * What a read has to show. `linearizable`: all that was acknowledged before it began, and all that such a read had
 * shown before. `read-your-writes`: all that its own session had been acknowledged before. `none`: it may lag. Every
 * read shows only what was written, each element once, and nothing that turns out lost.
 */
export type Promised = "linearizable" | "read-your-writes" | "none";

/** An element of a list and its place there: the entry's id, or how many are before it. */
export type Placed = readonly [element: string, place: number];

/** What is invoked. */
export type Invocation =
  | {
      readonly f: "append";
      readonly list: string;
      readonly element: string;
      /**
       * What it depends on: it must be appended only if nothing else was that depends on the same. `undefined`: on
       * nothing.
       */
      readonly base?: string | undefined;
    }
  | { readonly f: "read"; readonly list: string }
  /** A read of a whole list on one database host, after all is healed. */
  | { readonly f: "final-read"; readonly list: string; readonly host: string };

/** How it ended. */
export interface Ending {
  readonly type: "ok" | "fail" | "info";
  /** Of an append that is ok. */
  readonly place?: number | undefined;
  /** Of a read that is ok. */
  readonly promised?: Promised | undefined;
  readonly elements?: readonly Placed[] | undefined;
  /** The read shows every element whose place is not lower. Default: it shows the whole list. */
  readonly from?: number | undefined;
  /** What answered, or why it did not, for whoever looks into it. */
  readonly details?: string | undefined;
}

/** A line of a history. Times in nanoseconds of one monotonic clock, since the history began. */
export interface HistoryLine {
  readonly time: number;
  /** The number of a session; `nemesis` for a fault; `test` for the run itself. */
  readonly process: number | string;
  readonly type: "invoke" | "ok" | "fail" | "info";
  readonly f: string;
  readonly [more: string]: unknown;
}

/** An operation: its invocation, and how it ended. */
export type Operation = Invocation &
  Ending & {
    readonly process: number | string;
    /** When it was invoked and when it ended, nanoseconds; what is `info` may still happen at any later time. */
    readonly invoked: number;
    readonly ended: number;
  };

/** Processes that are no clients. */
const OTHERS: readonly (number | string)[] = ["nemesis", "test"];

/**
 * Puts together what was invoked and how it ended.
 *
 * @throws Error for a process that invokes a second thing before the first ended, or ends what it has not invoked
 */
export function operationsOf(lines: readonly HistoryLine[]): Operation[] {
  const underWay = new Map<number | string, HistoryLine>();
  const operations: Operation[] = [];
  const put = (invocation: HistoryLine, ending: Partial<HistoryLine>, ended: number) =>
    operations.push({
      ...invocation,
      ...ending,
      invoked: invocation.time,
      ended,
    } as unknown as Operation);
  for (const line of lines.filter(({ process }) => !OTHERS.includes(process))) {
    const invocation = underWay.get(line.process);
    if (line.type === "invoke") {
      if (invocation !== undefined) {
        throw new Error(
          `process ${line.process} invokes ${line.f} at ${line.time} while its ${invocation.f} of ${invocation.time} is under way`,
        );
      }
      underWay.set(line.process, line);
    } else {
      if (invocation === undefined) {
        throw new Error(`process ${line.process} ends ${line.f} at ${line.time}, and invoked none`);
      }
      underWay.delete(line.process);
      put(invocation, line, line.time);
    }
  }
  for (const invocation of underWay.values()) {
    put(invocation, { type: "info", details: "never ended" }, Number.POSITIVE_INFINITY);
  }
  return operations;
}

/** Parses the text of a history. */
export function parseHistory(text: string): HistoryLine[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}
