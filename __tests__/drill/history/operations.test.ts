import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { operationsOf, parseHistory } from "../../../drill/history/operations";
import { monotonicClock, Recorder } from "../../../drill/history/recorder";

const folder = mkdtempSync(join(tmpdir(), "history-"));

afterAll(() => rmSync(folder, { recursive: true }));

test("recorded operations are read back without the faults", async () => {
  const path = join(folder, "recorded.jsonl");
  let now = 0;
  const recorder = new Recorder(path, () => ++now);
  recorder.note("test", { type: "info", f: "begin", seed: 7 });
  const append = { f: "append", list: "guestbook", element: "a" } as const;
  expect(await recorder.record(1, append, async () => ({ type: "ok", place: 3 }))).toEqual({
    type: "ok",
    place: 3,
  });
  recorder.note("nemesis", { type: "info", f: "app-killed", host: "web-1" });
  await recorder.record(2, { f: "read", list: "guestbook" }, async () => ({ type: "fail" }));
  recorder.close();
  expect(operationsOf(parseHistory(readFileSync(path, "utf8")))).toMatchObject([
    { process: 1, ...append, type: "ok", place: 3, invoked: 2, ended: 3 },
    { process: 2, f: "read", type: "fail", invoked: 5, ended: 6 },
  ]);
});

test("an operation that throws has no outcome", async () => {
  const recorder = new Recorder(join(folder, "thrown.jsonl"), () => 0);
  const ending = await recorder.record(1, { f: "read", list: "guestbook" }, async () => {
    throw new Error("gone");
  });
  recorder.close();
  expect(ending).toEqual({ type: "info", details: "gone" });
});

test("two recorders append to the same history", () => {
  const path = join(folder, "shared.jsonl");
  const [one, other] = [new Recorder(path, () => 1), new Recorder(path, () => 2)];
  one.note("nemesis", { type: "info", f: "a" });
  other.note("nemesis", { type: "info", f: "b" });
  one.note("nemesis", { type: "info", f: "c" });
  expect(parseHistory(readFileSync(path, "utf8")).map(({ f }) => f)).toEqual(["a", "b", "c"]);
  one.close();
  other.close();
});

test("the clock counts from its origin, and never goes back", () => {
  const clock = monotonicClock(process.hrtime.bigint());
  const [first, second] = [clock(), clock()];
  expect(first).toBeGreaterThanOrEqual(0);
  expect(first).toBeLessThan(1e9);
  expect(second).toBeGreaterThanOrEqual(first);
});

test("an operation that never ends has no outcome", () => {
  const invocation = {
    time: 5,
    process: 1,
    type: "invoke",
    f: "append",
    list: "l",
    element: "a",
  } as const;
  expect(operationsOf([invocation])).toMatchObject([
    { element: "a", type: "info", invoked: 5, ended: Number.POSITIVE_INFINITY },
  ]);
});

test.each([
  [
    "invokes two operations at once",
    ["invoke", "invoke"],
    /process 1 invokes read at 1 while its read of 0/,
  ],
  [
    "ends an operation that it has not invoked",
    ["ok"],
    /process 1 ends read at 0, and invoked none/,
  ],
] as const)("a process that %s is refused", (_, types, message) => {
  const lines = types.map((type, time) => ({ time, process: 1, type, f: "read", list: "l" }));
  expect(() => operationsOf(lines)).toThrow(message);
});
