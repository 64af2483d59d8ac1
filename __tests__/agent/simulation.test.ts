import type { Counts } from "./fakes/fault-schedule";
import { Schedule } from "./fakes/schedule";
import { FIRST, runAll, SCHEDULES } from "./schedules";

const LAST = FIRST + SCHEDULES - 1;

describe("three hosts under random faults", () => {
  const counts: Counts = {};

  test(`hold what is promised, seeds ${FIRST} to ${LAST}`, async () => {
    await runAll(Schedule, LAST, counts);
    expect(counts.well).toBe(LAST - FIRST + 1);
  }, 600_000);

  /** A test in which nothing happens would show nothing. */
  (LAST - FIRST < 500 ? test.skip : test)("come to what they are for", () => {
    const perThousand = (what: string) => ((counts[what] ?? 0) * 1_000) / (LAST - FIRST + 1);
    expect(perThousand("founded")).toBeGreaterThan(50);
    expect(perThousand("promoted")).toBeGreaterThan(100);
    expect(perThousand("acknowledged by a replica")).toBeGreaterThan(3_000);
    expect(perThousand("acknowledged alone")).toBeGreaterThan(300);
    expect(perThousand("set aside")).toBeGreaterThan(5);
    expect(perThousand("cloned")).toBeGreaterThan(50);
  });
});
