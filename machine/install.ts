import { DISTRIBUTIONS, type Distribution } from "../hosts/distributions";
import { localClusters } from "../ops/clusters";
import { OperatorError } from "../ops/operator-error";
import { runScript, type ScriptFacts } from "../ops/run";
import { runAsCommand } from "../ops/run-as-command";
import { partsPresent } from "./inspect";
import { missingParts, type Part } from "./preflight";

/** Prints which packages are going to be installed, and why. */
export function sayMissing(parts: readonly Part[], say: (line: string) => void): void {
  say("Installing packages that this machine needs for local hosts, with apt-get:");
  for (const part of parts) {
    say(`  ${part.package}: ${part.why}`);
  }
}

/** The facts for scripts/local/install.sh. */
export function installFacts(parts: readonly Part[]): ScriptFacts {
  return { DWI_PARTS: parts.map((part) => part.package).join(" ") };
}

const isDistribution = (name: string): name is Distribution => name in DISTRIBUTIONS;

/** Installs what the configured clusters need, and hosts of additional distributions. */
async function setup(names: readonly string[]): Promise<void> {
  const further = names.filter(isDistribution);
  if (further.length < names.length) {
    const known = Object.keys(DISTRIBUTIONS).join(", ");
    throw new OperatorError(
      `Usage: npm run setup [-- DISTRIBUTION...]; got ${names.join(" ")}; the distributions are: ${known}`,
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
