import { DISTRIBUTIONS, type Distribution } from "../hosts/distributions";
import { localClusters } from "../ops/clusters";
import { OperatorError } from "../ops/operator-error";
import { runScript } from "../ops/run";
import { runAsCommand } from "../ops/run-as-command";
import { partsPresent } from "./inspect";
import { missingParts } from "./preflight";

/** Installs what local hosts need and this machine lacks, and says what and why before it does. */
export async function installMissing(...wanted: Parameters<typeof missingParts>): Promise<void> {
  const parts = missingParts(...wanted);
  if (parts.length === 0) {
    return;
  }
  console.log("Local hosts need packages that this machine lacks; apt-get installs them now:");
  for (const part of parts) {
    console.log(`  ${part.package}: ${part.why}`);
  }
  await runScript("install", [], { DWI_PARTS: parts.map((part) => part.package).join(" ") });
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
  await installMissing(partsPresent(), [...configured, ...further]);
}

if (require.main === module) {
  void runAsCommand("setup", () => setup(process.argv.slice(2)));
}
