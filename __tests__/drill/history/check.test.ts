import { Chance } from "../../../drill/chance";
import { check, type Phenomenon } from "../../../drill/history/check";
import type { Operation, Placed, Promised } from "../../../drill/history/operations";
import { simulatedHistory } from "./simulated-history";

// Times are small numbers here, and an operation is [invoked, ended].

type Times = readonly [invoked: number, ended: number];
type Session = number;

const base = (process: number | string, [invoked, ended]: Times) => ({
  process,
  invoked,
  ended,
  list: "list",
});

function append(
  session: Session,
  times: Times,
  element: string,
  place: number | undefined,
  more: { type?: Operation["type"]; base?: string } = {},
): Operation {
  return { ...base(session, times), f: "append", type: "ok", element, place, ...more };
}

function read(
  session: Session,
  times: Times,
  promised: Promised,
  elements: readonly Placed[],
  from = 0,
): Operation {
  return { ...base(session, times), f: "read", type: "ok", promised, elements, from };
}

const final = (host: string, elements: readonly Placed[]): Operation => ({
  ...base(host, [1_000, 1_001]),
  f: "final-read",
  type: "ok",
  host,
  elements,
});

const A: Placed = ["a", 0];
const B: Placed = ["b", 1];

/** What is found: each phenomenon, and the operations that show it as places in the history. */
const found = (operations: readonly Operation[]) =>
  check(operations).anomalies.map(({ phenomenon, operations: shown }) => [
    phenomenon,
    ...shown.map((operation) => operations.indexOf(operation)),
  ]);

test.each<[string, Operation[]]>([
  ["the history is empty", []],
  [
    "every acknowledged write is present",
    [
      append(1, [0, 1], "a", 0),
      append(2, [2, 3], "b", 1),
      read(1, [4, 5], "linearizable", [A, B]),
      final("database-1", [A, B]),
      final("database-2", [A, B]),
    ],
  ],
  [
    "a write without an outcome appears",
    [append(1, [0, 1], "a", undefined, { type: "info" }), final("database-1", [A])],
  ],
  [
    "a write without an outcome never appears",
    [append(1, [0, 1], "a", undefined, { type: "info" }), final("database-1", [])],
  ],
  [
    "a write without an outcome appears after others",
    [
      append(1, [0, 1], "b", undefined, { type: "info" }),
      append(2, [2, 3], "a", 0),
      read(2, [4, 5], "linearizable", [A]),
      read(2, [6, 7], "linearizable", [A, B]),
      final("database-1", [A, B]),
    ],
  ],
  [
    "of two reads concurrent with a write, one shows it and the other does not",
    [
      append(1, [0, 10], "a", 0),
      read(2, [1, 8], "linearizable", [A]),
      read(3, [2, 9], "linearizable", []),
    ],
  ],
  [
    "a replica lags for a session that has written nothing",
    [append(1, [0, 1], "a", 0), read(2, [2, 3], "read-your-writes", [])],
  ],
  [
    "a read goes back in time where nothing is promised",
    [append(1, [0, 1], "a", 0), read(2, [2, 3], "none", [A]), read(2, [4, 5], "none", [])],
  ],
  [
    "a session's own write is older than what a page shows",
    [append(1, [0, 1], "a", 0), append(2, [2, 3], "b", 1), read(1, [4, 5], "linearizable", [B], 1)],
  ],
  ["a read fails", [append(1, [0, 1], "a", 0), { ...base(1, [2, 3]), f: "read", type: "fail" }]],
  [
    "one of two writes with the same base is refused",
    [
      append(1, [0, 9], "a", 0, { base: "nothing" }),
      append(2, [1, 8], "b", undefined, { base: "nothing", type: "fail" }),
      final("database-1", [A]),
    ],
  ],
  [
    "one of two writes with the same base has no outcome",
    [
      append(1, [0, 9], "a", 0, { base: "nothing" }),
      append(2, [1, 8], "b", undefined, { base: "nothing", type: "info" }),
      final("database-1", [A]),
    ],
  ],
])("no anomaly: %s", (_, operations) => {
  expect(found(operations)).toEqual([]);
});

test.each<[Phenomenon, string, Operation[], number[]]>([
  [
    "lost write",
    "an acknowledged write is missing at the end",
    [append(1, [0, 1], "a", 0), append(1, [2, 3], "b", 1), final("database-1", [B])],
    [0, 2],
  ],
  [
    "lost update",
    "two writes with the same base are both acknowledged",
    [
      append(1, [0, 9], "a", 0, { base: "nothing" }),
      append(2, [1, 8], "b", 1, { base: "nothing" }),
      final("database-1", [A, B]),
    ],
    [0, 1],
  ],
  [
    "dirty read",
    "an element that was read is missing at the end",
    [
      append(1, [0, 1], "a", undefined, { type: "info" }),
      read(2, [2, 3], "none", [A]),
      final("database-1", []),
    ],
    [0, 1, 2],
  ],
  [
    "aborted read (G1a)",
    "a refused write is read",
    [append(1, [0, 1], "a", undefined, { type: "fail" }), read(2, [2, 3], "none", [A])],
    [0, 1],
  ],
  [
    "aborted read (G1a)",
    "a refused write is present at the end",
    [append(1, [0, 1], "a", undefined, { type: "fail" }), final("database-1", [A])],
    [0, 1],
  ],
  ["garbage read", "an element that nobody wrote is read", [read(2, [2, 3], "none", [A])], [0]],
  [
    "garbage read",
    "an element is read before it is written",
    [read(2, [0, 1], "none", [A]), append(1, [2, 3], "a", 0)],
    [0, 1],
  ],
  [
    "duplicate",
    "one read shows an element twice",
    [append(1, [0, 1], "a", 0), read(2, [2, 3], "none", [A, A])],
    [0, 1],
  ],
  [
    "incompatible order",
    "two elements have the same place",
    [append(1, [0, 1], "a", 0), append(1, [2, 3], "b", 0)],
    [0, 1],
  ],
  [
    "incompatible order",
    "an element moves",
    [
      append(1, [0, 1], "a", undefined, { type: "info" }),
      read(2, [2, 3], "none", [A]),
      read(2, [4, 5], "none", [["a", 7]]),
    ],
    [1, 2],
  ],
  [
    "reordered writes (G0-realtime)",
    "a later write comes before an earlier one",
    [append(1, [0, 1], "b", 1), append(2, [2, 3], "a", 0)],
    [0, 1],
  ],
  [
    "stale read",
    "a linearizable read lacks another session's acknowledged write",
    [append(1, [0, 1], "a", 0), read(2, [2, 3], "linearizable", [])],
    [0, 1],
  ],
  [
    "stale read",
    "a linearizable read lacks an element that an earlier one showed",
    [
      append(1, [0, 9], "a", 0),
      read(2, [1, 2], "linearizable", [A]),
      read(3, [3, 4], "linearizable", []),
    ],
    [1, 2],
  ],
  [
    "read-your-writes violation",
    "a session's own write is missing",
    [
      append(1, [0, 1], "a", 0),
      append(1, [2, 3], "b", 1),
      read(1, [4, 5], "read-your-writes", [B]),
    ],
    [0, 2],
  ],
  [
    "read-your-writes violation",
    "a session's own write is missing from a linearizable read, and is reported once",
    [append(1, [0, 1], "a", 0), read(1, [2, 3], "linearizable", [])],
    [0, 1],
  ],
  [
    "monotonic-reads violation",
    "an element that the same session read before is missing",
    [
      append(1, [0, 9], "a", 0),
      read(2, [1, 2], "linearizable", [A]),
      read(2, [3, 4], "linearizable", []),
    ],
    [1, 2],
  ],
  [
    "diverged replicas",
    "a write without an outcome is on one host only",
    [
      append(1, [0, 1], "a", undefined, { type: "info" }),
      final("database-1", []),
      final("database-2", [A]),
    ],
    [1, 2],
  ],
])("%s: %s", (phenomenon, _, operations, shown) => {
  expect(found(operations)).toEqual([[phenomenon, ...shown]]);
});

test("an anomaly states who, what and when, and is reported once for each element", () => {
  const operations = [
    append(1, [0, 1e9], "a", 0),
    read(1, [3e9, 4e9], "read-your-writes", []),
    read(1, [5e9, 6e9], "read-your-writes", []),
  ];
  expect(check(operations).anomalies.map(({ sentence }) => sentence)).toEqual([
    "read-your-writes violation: session 1 read list without a, which it had been acknowledged 2.000 s before",
  ]);
});

test("judged operations are counted, and so are reads that go back in time", () => {
  const operations = [
    append(1, [0, 1], "a", 0, { base: "nothing" }),
    append(1, [2, 3], "b", 1),
    read(1, [4, 5], "linearizable", [A, B]),
    read(2, [6, 7], "none", [A, B]),
    read(2, [8, 9], "none", [A]),
    { ...base(3, [10, 11]), f: "read", type: "fail" } as const,
    final("database-1", [A, B]),
    final("database-2", [A, B]),
  ];
  expect(check(operations)).toEqual({
    operations: 8,
    ok: 7,
    fail: 1,
    info: 0,
    anomalies: [],
    judged: { writes: 2, updates: 1, ownWrites: 2, known: 2 },
    wentBack: 1,
  });
});

test("each list is judged separately", () => {
  const other = { ...append(1, [0, 1], "b", 0), list: "other" };
  expect(found([append(1, [2, 3], "a", 0), other])).toEqual([]);
});

test("a history with two appends of the same element is refused", () => {
  expect(() => check([append(1, [0, 1], "a", 0), append(2, [2, 3], "a", 1)])).toThrow(
    /an element was appended to list by two operations/,
  );
});

/** How many histories each property is tried with; each takes about a millisecond. */
const HISTORIES = 500;

describe("simulated histories", () => {
  const histories = Array.from(
    { length: HISTORIES },
    (_, index) => [index + 1, simulatedHistory(index + 1)] as const,
  );

  test("have no anomaly", () => {
    let judged = 0;
    for (const [seed, history] of histories) {
      const verdict = check(history);
      expect([seed, verdict.anomalies]).toEqual([seed, []]);
      judged += Math.min(...Object.values(verdict.judged));
    }
    expect(judged).toBeGreaterThan(HISTORIES);
  });

  type Change = (operations: readonly Operation[], chance: Chance) => Operation[] | undefined;

  const elementsOf = (operation: Operation) => operation.elements ?? [];
  const without = (operation: Operation, element: string): Operation => ({
    ...operation,
    elements: elementsOf(operation).filter(([one]) => one !== element),
  });
  const withMore = (operation: Operation, ...more: Placed[]): Operation => ({
    ...operation,
    elements: [...elementsOf(operation), ...more],
  });
  const elementOf = (operation: Operation) => (operation as { element: string }).element;
  const isAppend = ({ f }: Operation) => f === "append";
  const isRead = ({ f }: Operation) => f === "read";
  const isFinal = ({ f }: Operation) => f === "final-read";

  /** One of those that fit, if there are any. */
  const pick = <Value>(chance: Chance, values: readonly Value[]) =>
    values.length === 0 ? undefined : chance.oneOf(values);

  /** Replaces one operation. */
  const replaced = (operations: readonly Operation[], one: Operation, other: Operation) =>
    operations.map((operation) => (operation === one ? other : operation));

  /** Takes an element that fits away from a read that shows it. */
  const takenAway =
    (fits: (append: Operation, read: Operation) => boolean): Change =>
    (operations, chance) => {
      const pairs = operations
        .filter(isRead)
        .flatMap((one) =>
          operations
            .filter(
              (append) =>
                isAppend(append) &&
                elementsOf(one).some(([element]) => element === elementOf(append)) &&
                fits(append, one),
            )
            .map((append) => [append, one] as const),
        );
      const [append, one] = pick(chance, pairs) ?? [];
      return append === undefined || one === undefined
        ? undefined
        : replaced(operations, one, without(one, elementOf(append)));
    };

  const CHANGES: [Phenomenon, Change][] = [
    [
      "lost write",
      (operations, chance) => {
        const lost = pick(
          chance,
          operations.filter((one) => isAppend(one) && one.type === "ok"),
        );
        return lost === undefined
          ? undefined
          : operations.map((one) => (isFinal(one) ? without(one, elementOf(lost)) : one));
      },
    ],
    [
      "lost update",
      (operations, chance) => {
        const refused = operations.filter(
          (one) =>
            one.f === "append" &&
            one.type === "fail" &&
            operations.some(
              (other) =>
                other.f === "append" &&
                other.type === "ok" &&
                one.base !== undefined &&
                other.base === one.base,
            ),
        );
        const one = pick(chance, refused);
        return one === undefined
          ? undefined
          : replaced(operations, one, { ...one, type: "ok", place: 1_000 });
      },
    ],
    [
      "dirty read",
      (operations, chance) => {
        const seen = operations.filter(
          (append) =>
            isAppend(append) &&
            append.type === "info" &&
            operations.some(
              (one) =>
                isRead(one) && elementsOf(one).some(([element]) => element === elementOf(append)),
            ),
        );
        const lost = pick(chance, seen);
        return lost === undefined
          ? undefined
          : operations.map((one) => (isFinal(one) ? without(one, elementOf(lost)) : one));
      },
    ],
    [
      "aborted read (G1a)",
      (operations, chance) => {
        const refused = pick(
          chance,
          operations.filter((one) => isAppend(one) && one.type === "fail"),
        );
        const one = pick(
          chance,
          operations.filter((other) => !isAppend(other) && other.ended > (refused?.ended ?? 0)),
        );
        return refused === undefined || one === undefined
          ? undefined
          : replaced(operations, one, withMore(one, [elementOf(refused), 1_000]));
      },
    ],
    [
      "garbage read",
      (operations, chance) => {
        const one = pick(
          chance,
          operations.filter((other) => !isAppend(other)),
        );
        return one === undefined
          ? undefined
          : replaced(operations, one, withMore(one, ["never", 1_000]));
      },
    ],
    [
      "duplicate",
      (operations, chance) => {
        const one = pick(
          chance,
          operations.filter((other) => elementsOf(other).length > 0),
        );
        return one === undefined
          ? undefined
          : replaced(operations, one, withMore(one, elementsOf(one)[0] as Placed));
      },
    ],
    [
      "incompatible order",
      (operations, chance) => {
        const one = pick(
          chance,
          operations.filter((other) => isRead(other) && elementsOf(other).length > 1),
        );
        const [[first, high] = [], [second, low] = [], ...rest] = one?.elements ?? [];
        return one === undefined || first === undefined || second === undefined
          ? undefined
          : replaced(operations, one, {
              ...one,
              elements: [[first, low as number], [second, high as number], ...rest],
            });
      },
    ],
    [
      "read-your-writes violation",
      takenAway(
        (append, one) =>
          one.promised !== "none" &&
          append.type === "ok" &&
          append.process === one.process &&
          append.ended < one.invoked,
      ),
    ],
    [
      "stale read",
      takenAway(
        (append, one) =>
          one.promised === "linearizable" &&
          append.type === "ok" &&
          append.process !== one.process &&
          append.ended < one.invoked,
      ),
    ],
    [
      "diverged replicas",
      (operations, chance) => {
        const one = operations.find(isFinal);
        const [element] = pick(chance, one?.elements ?? []) ?? [];
        return one === undefined || element === undefined
          ? undefined
          : replaced(operations, one, without(one, element));
      },
    ],
  ];

  test.each(CHANGES)("show every injected %s", (phenomenon, change) => {
    let changed = 0;
    for (const [seed, history] of histories) {
      const operations = change(history, new Chance(seed));
      if (operations !== undefined) {
        changed++;
        const phenomena = check(operations).anomalies.map((anomaly) => anomaly.phenomenon);
        const alike: Phenomenon[] =
          phenomenon === "stale read" ? ["stale read", "monotonic-reads violation"] : [phenomenon];
        if (!phenomena.some((one) => alike.includes(one))) {
          throw new Error(`seed ${seed}: found ${phenomena.join(", ") || "nothing"}`);
        }
      }
    }
    expect(changed).toBeGreaterThan(HISTORIES / 10);
  });
});
