import { report, runHistory, summary } from "../../../drill/history/run-history";
import type { ScratchCluster } from "../../../drill/scratch/scratch-cluster";
import { placeForLog } from "../../../machine/log";

/** The same each time, so that only a change can make it fail; HISTORY_SEED draws other faults. */
const SEED = Number(process.env.HISTORY_SEED ?? 10);

/** How long faults are injected; with the last one's healing it takes about a minute. */
const SECONDS = 40;

/** Sessions under random faults see what docs/consistency.md promises. */
export function history(cluster: ScratchCluster): void {
  test("during a minute of random faults no acknowledged write is lost, and reads keep their promises", async () => {
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
    // Otherwise the run proves nothing.
    expect(faults).toBeGreaterThanOrEqual(2);
    expect(Math.min(...Object.values(verdict.judged))).toBeGreaterThan(20);
  }, 240_000);
}
