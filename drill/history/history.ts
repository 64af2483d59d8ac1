import { Command, InvalidArgumentError, Option } from "commander";
import { placeForLog } from "../../machine/log";
import { beginStages, terraformStage } from "../../machine/terraform";
import { OperatorError } from "../../ops/operator-error";
import { runAsCommand } from "../../ops/run-as-command";
import type { ClusterSettings } from "../../topology/settings";
import { unfit } from "../faults";
import { distributionOption } from "../scratch/distribution-option";
import { ScratchCluster } from "../scratch/scratch-cluster";
import { report, runHistory, summary } from "./run-history";

// npm run history: records what sessions do to a cluster under random faults, and checks it (docs/consistency.md).

const say = console.log;

interface Options {
  readonly minutes: number;
  readonly seed: number;
  readonly failover: ClusterSettings["database"]["failover"];
  readonly durability: ClusterSettings["database"]["durability"];
  readonly replicas: number;
  readonly distribution: ClusterSettings["local"]["distribution"];
}

const number = (least: number, most: number) => (text: string) => {
  const value = Number(text);
  if (text.trim() === "" || Number.isNaN(value) || value < least || value > most) {
    throw new InvalidArgumentError(`it has to be a number from ${least} to ${most}.`);
  }
  return value;
};

async function history(options: Options): Promise<number> {
  const { minutes, seed, failover, durability, replicas, distribution } = options;
  const reason = unfit();
  if (reason !== undefined) {
    throw new OperatorError(reason);
  }
  const cluster = new ScratchCluster({
    name: "history",
    network: { cidr: "10.89.0.0/22" },
    localPort: 18089,
    database: { failover, durability, replicas },
    local: { distribution },
  });
  say(`seed ${seed}`);
  const stages = beginStages("history", cluster.stack);
  try {
    await terraformStage(stages, "deploy", (output) =>
      cluster.workspace.cdktfInto(output, ["deploy", cluster.stack, "--auto-approve"]),
    );
    await stages.progress.stage("the cluster", async () => {
      await cluster.inSync(180);
      await cluster.serving();
    });
    const folder = placeForLog("history", "");
    const result = await runHistory(cluster, { seed, seconds: minutes * 60, folder, say });
    report(result).map((line) => say(line));
    say(summary(seed, result.verdict));
    return result.verdict.anomalies.length === 0 && result.stopped === undefined ? 0 : 1;
  } finally {
    // A failure here must not hide an earlier error; the folder is no longer needed in any case.
    await terraformStage(stages, "destroy", (output) =>
      cluster.workspace.cdktfInto(output, ["destroy", cluster.stack, "--auto-approve"]),
    ).catch(() => undefined);
    cluster.workspace.remove();
  }
}

void runAsCommand("history", async () => {
  let exitCode = 0;
  await new Command("npm run history --")
    .description(
      "Brings up a scratch cluster, injects random faults while sessions write and read, and checks the history of it for what docs/consistency.md promises. Exits with 1 if there is an anomaly, or the cluster does not recover.",
    )
    .addOption(
      new Option("--minutes <number>", "how long faults are injected")
        .argParser(number(0.1, 600))
        .default(10),
    )
    .addOption(
      new Option("--seed <number>", "draws the same faults and operations again")
        .argParser(number(0, 2 ** 31))
        .default(Date.now() % 1_000_000, "another one each time, which is printed"),
    )
    .addOption(
      new Option("--failover <name>", "like the setting database.failover")
        .choices(["automatic", "manual"])
        .default("automatic"),
    )
    .addOption(
      new Option("--durability <name>", "like the setting database.durability")
        .choices(["available", "lossless"])
        .default("available"),
    )
    .addOption(
      new Option("--replicas <number>", "like the setting database.replicas")
        .argParser(number(1, 5))
        .default(1),
    )
    .addOption(distributionOption())
    .action(async (options: Options) => {
      exitCode = await history(options);
    })
    .parseAsync();
  return exitCode;
});
