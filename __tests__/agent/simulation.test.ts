import type { Counts, FaultSchedule } from "./fakes/fault-schedule";
import { RecordSchedule } from "./fakes/record-schedule";
import { Schedule } from "./fakes/schedule";

// Schedules of faults over three simulated hosts, each with the real agent. A failure prints its seed and everything that
// happened. It happens again with
//   SEED=... npx jest --selectProjects unit --testPathPatterns __tests__/agent/simulation
// and other schedules than the usual ones are run with
//   SEED=... SIMULATIONS=... npx jest --selectProjects unit --testPathPatterns __tests__/agent/simulation

const { SEED, SIMULATIONS } = process.env;

/** The same schedules in each run, so that a change is what makes one fail. */
const FIRST = Number(SEED ?? 1);

/** How many schedules are run; each takes some 5 ms. */
const SCHEDULES = Number(SIMULATIONS ?? (SEED === undefined ? 10_000 : 1));

const LAST = FIRST + SCHEDULES - 1;

/** Runs the schedules from the first to the last seed. */
async function runAll(
  Kind: new (seed: number, counts: Counts) => FaultSchedule,
  last: number,
  counts: Counts,
): Promise<void> {
  for (let seed = FIRST; seed <= last; seed++) {
    await new Kind(seed, counts).run();
    if (seed % 50 === 0) {
      // Jest has something to do as well.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

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
