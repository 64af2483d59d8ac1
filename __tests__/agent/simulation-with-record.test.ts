import type { Counts } from "./fakes/fault-schedule";
import { RecordSchedule } from "./fakes/record-schedule";
import { FIRST, runAll, SCHEDULES } from "./schedules";

describe("automatic failover under random faults", () => {
  const counts: Counts = {};
  /** Each takes some 15 ms. */
  const last = FIRST + Math.ceil(SCHEDULES / 5) - 1;

  test(`holds what is promised, seeds ${FIRST} to ${last}`, async () => {
    await runAll(RecordSchedule, last, counts);
    expect(counts.ended).toBe(last - FIRST + 1);
  }, 600_000);

  (last - FIRST < 500 ? test.skip : test)("comes to what it is for", () => {
    const perThousand = (what: string) => ((counts[what] ?? 0) * 1_000) / (last - FIRST + 1);
    expect(perThousand("written taking")).toBeGreaterThan(500);
    expect(perThousand("written vacant")).toBeGreaterThan(100);
    expect(perThousand("failed over in time")).toBeGreaterThan(200);
    expect(perThousand("acknowledged by a replica")).toBeGreaterThan(10_000);
    expect(perThousand("acknowledged alone")).toBeGreaterThan(500);
    expect(perThousand("left to a person")).toBeLessThan(5);
  });
});
