import { Promises } from "../../agent/promises";

// From when a holder may rely on what the others promise while etcd is away. Times are milliseconds.

const said = (...promises: (number | "manual" | undefined)[]) =>
  promises.map((promise, index) => ({
    name: `database-${index + 2}`,
    promise: promise === "manual" ? undefined : promise,
    isManual: promise === "manual",
  }));

test("a promise that was there at the first question may be of any age", () => {
  expect(new Promises().note(said(7), 1_000)).toBe(Number.NEGATIVE_INFINITY);
});

test("a new one counts from the question before, whose answer did not have it, and not from its own", () => {
  const promises = new Promises();
  promises.note(said(7), 1_000);
  expect(promises.note(said(8), 1_500)).toBe(1_000);
  // It was published at some time between the two, and is no newer when it is heard again.
  expect(promises.note(said(8), 9_000)).toBe(1_000);
  expect(promises.note(said(9), 9_500)).toBe(9_000);
});

test("a host that was not heard has promised nothing until it is heard twice", () => {
  const promises = new Promises();
  promises.note(said(7), 1_000);
  promises.note(said(8), 1_500);
  expect(promises.note(said(undefined), 2_000)).toBe(Number.NEGATIVE_INFINITY);
  expect(promises.note(said(9), 2_500)).toBe(Number.NEGATIVE_INFINITY);
  expect(promises.note(said(10), 3_000)).toBe(2_500);
});

test("of several the oldest counts, and none once etcd has answered", () => {
  const promises = new Promises();
  promises.note(said(7, 70), 1_000);
  expect(promises.note(said(8, 70), 1_500)).toBe(Number.NEGATIVE_INFINITY);
  expect(promises.note(said(9, 71), 2_000)).toBe(1_500);
  expect(promises.note(said(9, 72), 2_500)).toBe(1_500);
  promises.forget();
  expect(promises.note(said(10, 73), 3_000)).toBe(Number.NEGATIVE_INFINITY);
});

test("a host where failover is manual takes over at no time", () => {
  expect(new Promises().note(said("manual"), 1_000)).toBe(1_000);
});
