import { existsSync } from "node:fs";
import { type LocalCluster, localCluster, localClusters } from "../ops/clusters";
import { OperatorError } from "../ops/operator-error";
import { runScript } from "../ops/run";
import { runAsCommand } from "../ops/run-as-command";
import { backupDirectory } from "../topology/names";
import { hasInterface } from "./inspect";
import { beginStages, runCdktf, type Stages, terraformStage } from "./terraform";

const say = console.log;

/** Backups are never removed automatically. Prints where they are. */
function sayWhereBackupsAre(clusters: readonly LocalCluster[]): void {
  for (const directory of clusters.map(({ settings }) => backupDirectory(settings))) {
    if (existsSync(directory)) {
      say(`Backups were kept, in ${directory}. To remove them: sudo rm -r ${directory}`);
    }
  }
}

function destroy(stages: Stages, stack: string): Promise<void> {
  return terraformStage(stages, `destroy ${stack}`, (output) =>
    runCdktf(output, "destroy", stack, "--auto-approve"),
  );
}

async function down(stack = "local"): Promise<void> {
  const cluster = localCluster(stack);
  await destroy(beginStages("down", stack), stack);
  say(
    "\nThe cluster and its data were removed. The host image, the storage pool and the container engine were kept for",
  );
  say("the next one. To remove them as well: npm run down -- --purge");
  sayWhereBackupsAre([cluster]);
}

async function purge(): Promise<void> {
  const deployed = localClusters().filter(({ names }) => hasInterface(names.bridge));
  if (deployed.length > 0) {
    const stages = beginStages("down", "all");
    for (const { stack } of deployed) {
      await destroy(stages, stack);
    }
  }
  await runScript("purge", [], {});
  say("everything of local clusters was removed from this machine, except for what is listed here");
  sayWhereBackupsAre(localClusters());
}

const [argument, ...rest] = process.argv.slice(2);
void runAsCommand("down", () => {
  if (rest.length > 0 || (argument?.startsWith("-") && argument !== "--purge")) {
    throw new OperatorError("Usage: npm run down [-- STACK | --purge]");
  }
  return argument === "--purge" ? purge() : down(argument);
});
