import { ReadinessProbe } from "../../app/readiness";

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

test("concurrent requests share one check, and its result is reused for half a second", async () => {
  const check = jest.fn(async () => undefined);
  const probe = new ReadinessProbe(check);
  await Promise.all(Array.from({ length: 20 }, () => probe.ask()));
  jest.advanceTimersByTime(499);
  expect(await probe.ask()).toEqual({ ready: true });
  expect(check).toHaveBeenCalledTimes(1);
  jest.advanceTimersByTime(1);
  await probe.ask();
  expect(check).toHaveBeenCalledTimes(2);
});

test("a failed check makes it unready with a reason, and a later success makes it ready", async () => {
  let failing = true;
  const probe = new ReadinessProbe(async () => {
    if (failing) throw new Error("No database answers reads at the moment.");
  });
  expect(await probe.ask()).toEqual({
    ready: false,
    reason: "No database answers reads at the moment.",
  });
  failing = false;
  jest.advanceTimersByTime(500);
  expect(await probe.ask()).toEqual({ ready: true });
});

test("a check that hangs fails before the load balancer's timeout", async () => {
  const probe = new ReadinessProbe(() => new Promise(() => undefined));
  const answer = probe.ask();
  await jest.advanceTimersByTimeAsync(800);
  expect(await answer).toEqual({ ready: false, reason: "No answer within 800 ms." });
});

test("a ready process stays ready while checks fail for less than three seconds", async () => {
  let failing = false;
  const probe = new ReadinessProbe(async () => {
    if (failing) throw new Error("No database answers reads at the moment.");
  });
  await probe.ask();
  failing = true;
  jest.advanceTimersByTime(2_999);
  expect(await probe.ask()).toEqual({ ready: true });
  jest.advanceTimersByTime(500);
  expect(await probe.ask()).toMatchObject({ ready: false });
  failing = false;
  jest.advanceTimersByTime(500);
  expect(await probe.ask()).toEqual({ ready: true });
});

test("a process that is stopping is not ready, whatever the last result was", async () => {
  const probe = new ReadinessProbe(async () => undefined);
  await probe.ask();
  probe.drain();
  expect(await probe.ask()).toMatchObject({ ready: false });
});
