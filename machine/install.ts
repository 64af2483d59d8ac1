import { DISTRIBUTIONS, type Distribution } from "../hosts/distributions";
import { localClusters } from "../ops/clusters";
import { OperatorError } from "../ops/operator-error";
import { runScript, type ScriptFacts } from "../ops/run";
import { runAsCommand } from "../ops/run-as-command";
import { partsPresent } from "./inspect";
import { missingParts, type Part } from "./preflight";

/** Says which packages are going to be installed, and why. */
export function sayMissing(parts: readonly Part[], say: (line: string) => void): void {
  say("Local hosts need packages that this machine lacks; apt-get installs them now:");
  for (const part of parts) {
    say(`  ${part.package}: ${part.why}`);
  }
}

/** What scripts/local/install.sh needs to know. */
export function installFacts(parts: readonly Part[]): ScriptFacts {
  return { DWI_PARTS: parts.map((part) => part.package).join(" ") };
}

const isDistribution = (name: string): name is Distribution => name in DISTRIBUTIONS;

/** For the clusters of the settings, and for hosts of further distributions. */
async function setup(names: readonly string[]): Promise<void> {
  const further = names.filter(isDistribution);
  if (further.length < names.length) {
    const known = Object.keys(DISTRIBUTIONS).join(", ");
    throw new OperatorError(
      `Usage: npm run setup [-- DISTRIBUTION...], with distributions of: ${known}; got ${names.join(" ")}`,
    );
  }
  const configured = localClusters().map(({ settings }) => settings.local.distribution);
  const parts = missingParts(partsPresent(), [...configured, ...further]);
  if (parts.length > 0) {
    sayMissing(parts, console.log);
    await runScript("install", [], installFacts(parts));
  }
}

if (require.main === module) {
  void runAsCommand("setup", () => setup(process.argv.slice(2)));
}
