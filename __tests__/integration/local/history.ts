import { report, runHistory, summary } from "../../../drill/history/run-history";
import type { ScratchCluster } from "../../../drill/scratch/scratch-cluster";
import { placeForLog } from "../../../machine/log";

/** The same each time, so that a change is what makes it fail; HISTORY_SEED draws other faults. */
const SEED = Number(process.env.HISTORY_SEED ?? 10);

/** How long faults come; the last one is healed after that, and then it is about a minute. */
const SECONDS = 40;

/** What sessions do under random faults keeps what docs/consistency.md promises. */
export function history(cluster: ScratchCluster): void {
  test("a minute of random faults: no acknowledged write is lost, and reads show what is promised", async () => {
    const lines: string[] = [`seed ${SEED}`];
    const result = await runHistory(cluster, {
      seed: SEED,
      seconds: SECONDS,
      short: true,
      folder: placeForLog("history-test", ""),
      say: (line) => lines.push(line),
    });
    const { verdict, faults, stopped } = result;
    lines.push(...report(result), summary(SEED, verdict));
    process.stderr.write(lines.map((line) => `  ${line}\n`).join(""));
    expect(verdict.anomalies.map(({ sentence }) => sentence)).toEqual([]);
    expect(stopped).toBeUndefined();
    // Else it shows nothing.
    expect(faults).toBeGreaterThanOrEqual(2);
    expect(Math.min(...Object.values(verdict.judged))).toBeGreaterThan(20);
  }, 240_000);
}
