import { programsPresent } from "./machine";
import { main } from "./main";
import { type Machine, missingParts } from "./preflight";
import { runScript } from "./run";

/** Installs what local hosts need and this machine lacks, and says what and why before it does. */
export async function installMissing(programs: Machine["programs"]): Promise<void> {
  const parts = missingParts(programs);
  if (parts.length === 0) {
    return;
  }
  console.log("Local hosts need packages that this machine lacks; apt-get installs them now:");
  for (const part of parts) {
    console.log(`  ${part.package}: ${part.why}`);
  }
  await runScript("install", [], { DWI_PARTS: parts.map((part) => part.package).join(" ") });
}

if (require.main === module) {
  void main("setup", () => installMissing(programsPresent()));
}
