import { existsSync } from "node:fs";
import { join } from "node:path";

// promtool, which tests Prometheus' rules (https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/).

/** Its path; `undefined` if it is not installed. */
export const PROMTOOL: string | undefined = [
  process.env.PROMTOOL_DIRECTORY ?? "",
  "/usr/bin",
  "/usr/local/bin",
]
  .filter(Boolean)
  .map((folder) => join(folder, "promtool"))
  .find((path) => existsSync(path));

/** Tests that need promtool; without it they are skipped, which a run that requires all of them counts as failed. */
export function describeWithPromtool(name: string, tests: () => void): void {
  const declare = PROMTOOL === undefined ? describe.skip : describe;
  declare(`${name} (needs promtool: apt-get install prometheus)`, tests);
}
