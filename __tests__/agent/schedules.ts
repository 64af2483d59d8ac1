import type { Counts, FaultSchedule } from "./fakes/fault-schedule";

// Schedules of faults over three simulated hosts, each with the real agent. A failure prints its seed and everything that
// happened. It happens again with
//   SEED=... SIMULATIONS=1 npm run simulate
// `npm run simulate` runs 10,000; other schedules are run with
//   SEED=... SIMULATIONS=... npm run simulate

const { SEED, SIMULATIONS } = process.env;

/** The same schedules in each run, so that a change is what makes one fail. */
export const FIRST = Number(SEED ?? 1);

/** How many schedules are run; each takes some 5 ms. */
export const SCHEDULES = Number(SIMULATIONS ?? (SEED === undefined ? 3_000 : 1));

/** Runs the schedules from the first to the last seed. */
export async function runAll(
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
