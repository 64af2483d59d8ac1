import { messageOf, type RequestRecord, wrongIn } from "../../drill/load";
import { type Bounds, judge, longestGap, type Observed, table, updated } from "../../drill/measure";

const record = (change: Partial<RequestRecord>): RequestRecord => ({
  kind: "read",
  startedAt: 1_000,
  endedAt: 1_010,
  outcome: "ok",
  server: "web-1",
  key: undefined,
  ...change,
});

/** Reads and writes that were answered well, one of each every hundred milliseconds from 0 to 10 s. */
function steady(): RequestRecord[] {
  return Array.from({ length: 100 }, (_, index) => {
    const times = { startedAt: index * 100, endedAt: index * 100 + 10 };
    return [record(times), record({ ...times, kind: "write", key: `key-${index}` })];
  }).flat();
}

function observed(change: Partial<Observed> = {}): Observed {
  const records = change.records ?? steady();
  return {
    from: 2_000,
    to: 8_000,
    stored: new Set(records.flatMap(({ key }) => key ?? [])),
    inSync: true,
    inSyncAfter: 3,
    ...change,
    records,
  };
}

const brokenOf = (change: Partial<Observed>, bounds: Bounds) =>
  judge("x", observed(change), bounds).broken;

test("a steady load breaks no bound", () => {
  const row = judge("x", observed(), { failed: 0, readGap: 1, writeGap: 1 });
  expect(row).toMatchObject({ failed: 0, missing: 0, acknowledged: 100, broken: [] });
  expect(row.readGap).toBeCloseTo(0.1);
});

test("a gap is the longest time without a successful answer, up to the very end", () => {
  const records = steady().filter(({ endedAt }) => endedAt < 3_000 || endedAt > 5_000);
  expect(longestGap(records, 2_000, 8_000).seconds).toBeCloseTo(2.1);
  expect(longestGap(records, 2_000, 14_000).seconds).toBeCloseTo(4.09);
  expect(longestGap([], 2_000, 8_000)).toEqual({ from: 2_000, seconds: 6 });
  expect(brokenOf({ records }, { readGap: 2 })).toEqual([
    "gap in reads: 2.1 s from 00:00:02.910 UTC, at most 2.0 s",
  ]);
});

test("requests that fail during the fault are counted by error", () => {
  const failures = [
    record({ startedAt: 1_900, endedAt: 2_100, outcome: "ECONNRESET" }),
    record({ startedAt: 7_900, endedAt: 9_000, outcome: "ECONNRESET", kind: "write", key: "w" }),
    record({ startedAt: 100, endedAt: 200, outcome: "status 503" }),
  ];
  const row = judge("x", observed({ records: [...steady(), ...failures] }), { failed: 0 });
  expect(row.failed).toBe(2);
  expect(row.failures).toEqual({ "read: ECONNRESET": 1, "write: ECONNRESET": 1 });
  expect(row.broken).toEqual(["failed requests: 2, at most 0"]);
});

describe("with the bound under-way", () => {
  const failed = (startedAt: number, endedAt: number) =>
    record({ startedAt, endedAt, outcome: "no answer" });

  test.each<[string, RequestRecord[], number | undefined, number]>([
    [
      "all that failed were in flight at one moment",
      [failed(1_900, 2_100), failed(2_050, 2_120)],
      2_150,
      0,
    ],
    [
      "one ended only long after it had happened",
      [failed(1_900, 2_100), failed(2_050, 6_000)],
      2_150,
      0,
    ],
    [
      "one began after another one had failed",
      [failed(1_900, 2_100), failed(2_110, 2_120)],
      2_150,
      1,
    ],
    ["two began after it had happened", [failed(2_200, 5_000), failed(2_300, 5_000)], 2_150, 2],
    [
      "that is not known, and all were in flight at one moment",
      [failed(3_900, 5_000)],
      undefined,
      0,
    ],
  ])("%s", (_, failures, happenedAt, others) => {
    const records = [...steady(), ...failures];
    expect(brokenOf({ records, happenedAt }, { failed: "under-way" })).toEqual(
      others === 0
        ? []
        : [`failed requests that were not under way when it happened: ${others}, at most 0`],
    );
  });
});

test("an acknowledged write that is not stored counts as missing, whenever it was written", () => {
  const stored = new Set(steady().flatMap(({ key }) => key ?? []));
  stored.delete("key-3");
  expect(brokenOf({ stored }, {})).toEqual(["acknowledged writes missing: 1, at most 0"]);
});

test("a refused write does not count as missing", () => {
  const refused = record({ kind: "write", key: "never", outcome: "status 503" });
  expect(brokenOf({ records: [...steady(), refused], stored: observed().stored }, {})).toEqual([]);
});

test("the time to the first write is measured from the command", () => {
  const records = steady().filter(({ kind, endedAt }) => kind === "read" || endedAt > 6_000);
  const row = judge("x", observed({ records, commandAt: 4_000 }), { commandToWrite: 2 });
  expect(row.commandToWrite).toBeCloseTo(2.01);
  expect(row.broken).toEqual(["from command to write: 2.0 s, at most 2.0 s"]);
  const never = steady().filter(({ kind, endedAt }) => kind === "read" || endedAt < 4_000);
  expect(
    judge("x", observed({ records: never, commandAt: 4_000 }), { commandToWrite: 2 }),
  ).toMatchObject({
    commandToWrite: Number.POSITIVE_INFINITY,
  });
});

test("replicas with different rows, and a load that did not reach the cluster, are reported", () => {
  expect(brokenOf({ inSync: false }, {})).toEqual([
    "the replicas do not have the same rows as the primary",
  ]);
  expect(brokenOf({ records: [] }, {})).toEqual(["the load did not reach the cluster"]);
});

test("the table has a line for each fault", () => {
  const lines = table([
    judge("one", observed(), {}),
    judge("two", observed({ inSync: false }), {}),
  ]);
  expect(lines).toHaveLength(3);
  expect(lines[1]).toMatch(/^one .* after 3 s +holds$/);
  expect(lines[2]).toMatch(/^two .* no +BROKEN$/);
});

describe("a page of entries", () => {
  const entry = (id: number, message: string) => ({ id, message });
  const page = (...entries: object[]) => JSON.stringify({ entries });

  test("is correct if every entry is as it was written, newest first", () => {
    const entries = [
      entry(3, messageOf("drill-b")),
      entry(2, "a visitor's"),
      entry(1, messageOf("drill-a")),
    ];
    expect(wrongIn(page(...entries))).toBeUndefined();
  });

  test.each([
    [
      "changed",
      page(entry(1, `${messageOf("drill-a")}x`)),
      /entry 1 differs from what was written/,
    ],
    ["out of order", page(entry(1, "a"), entry(2, "b")), /entry 2 is out of order/],
    ["cut off", '{"entries": [', /not JSON/],
  ])("is wrong if it is %s", (_, body, wrong) => {
    expect(wrongIn(body)).toMatch(wrong);
  });
});

describe("a recording after some faults are injected again", () => {
  const row = (fault: string, requests: number) => ({
    ...judge(fault, observed(), {}),
    requests,
  });
  const before = {
    distribution: "Debian",
    date: "2026-11-01",
    rows: [row("one", 1), row("two", 1), row("gone", 1)],
    stopped: [{ fault: "three", reason: "it hung" }],
  };

  test("has the new rows, keeps the others in order, and drops faults that no longer exist", () => {
    const now = {
      distribution: "Ubuntu",
      date: "2026-11-02",
      rows: [row("three", 2), row("one", 2)],
      stopped: [],
    };
    const recording = updated(before, now, ["one", "two", "three"]);
    expect(recording.rows.map(({ fault, requests }) => [fault, requests])).toEqual([
      ["one", 2],
      ["two", 1],
      ["three", 2],
    ]);
    expect(recording).toMatchObject({ distribution: "Ubuntu", date: "2026-11-02", stopped: [] });
  });

  test("has no old row of a fault that could not be completed", () => {
    const now = { ...before, rows: [], stopped: [{ fault: "two", reason: "no answer" }] };
    const recording = updated(before, now, ["one", "two", "three"]);
    expect(recording.rows.map(({ fault }) => fault)).toEqual(["one"]);
    expect(recording.stopped.map(({ fault }) => fault)).toEqual(["two", "three"]);
  });
});
