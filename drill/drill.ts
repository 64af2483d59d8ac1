import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { Command } from "commander";
import type { Output } from "../machine/log";
import { beginStages, type Stages, terraformStage } from "../machine/terraform";
import { OperatorError } from "../ops/operator-error";
import { runAsCommand } from "../ops/run-as-command";
import type { ClusterSettings } from "../topology/settings";
import type { Fault } from "./fault";
import { FAULTS, unfit } from "./faults";
import { type DrillResults, judge, type Row, table, updated } from "./measure";
import { distributionOption } from "./scratch/distribution-option";
import { ScratchCluster } from "./scratch/scratch-cluster";
import { Stage } from "./stage";

// npm run drill [-- NAME...]: injects faults into a cluster, one after the other, under load.

const LOAD = { readsPerSecond: 12, writesPerSecond: 4 };

/** Seconds of load before a fault is injected. */
const STEADY_SECONDS = 3;

const say = console.log;

interface Options {
  readonly short: boolean;
  readonly keep: boolean;
  readonly list: boolean;
  readonly on: string | undefined;
  readonly json: string | undefined;
  readonly distribution: ClusterSettings["local"]["distribution"];
}

/** The faults to inject: those that are named, or all, or all short ones. */
function selectFaults(names: readonly string[], { short }: Options): Fault[] {
  const unknown = names.filter((name) => !FAULTS.some((fault) => fault.name === name));
  if (unknown.length > 0) {
    throw new OperatorError(
      `There is no fault ${unknown.join(", ")}; there are: ${FAULTS.map(({ name }) => name).join(", ")}.`,
    );
  }
  return FAULTS.filter((fault) =>
    names.length > 0 ? names.includes(fault.name) : !short || fault.short === true,
  );
}

async function inject(cluster: ScratchCluster, fault: Fault): Promise<Row> {
  cluster.ensure(fault.settings ?? {});
  await cluster.inSync(180);
  await cluster.serving();
  const stage = new Stage(cluster, fault.load ?? LOAD, say);
  try {
    await stage.wait(STEADY_SECONDS);
    await fault.inject(stage);
    return judge(fault.name, await stage.end(), fault.bounds);
  } finally {
    await stage.abandon();
  }
}

const cdktf = (cluster: ScratchCluster, verb: "deploy" | "destroy") => (output: Output) =>
  cluster.workspace.cdktfInto(output, [verb, cluster.stack, "--auto-approve"]);

/** Deploys the cluster and waits until it serves. If it was already up, also releases the current app. */
async function bringUp(stages: Stages, cluster: ScratchCluster, wasUp: boolean): Promise<void> {
  const { progress } = stages;
  await terraformStage(stages, "deploy", cdktf(cluster, "deploy"));
  await progress.stage("the databases", async (line) => {
    const primary = await cluster.inSync(180);
    line.note(`in sync; ${primary} is primary`);
  });
  await progress.stage("the cluster", async (line) => {
    await cluster.serving();
    line.note("serves");
  });
  if (wasUp) {
    await progress.stage("the app", async (line) => {
      cluster.operate("release");
      line.note("released");
    });
  }
}

async function drill(
  faults: readonly Fault[],
  { distribution, json, keep, on }: Options,
): Promise<number> {
  const reason = unfit();
  if (reason !== undefined) {
    throw new OperatorError(reason);
  }
  const settings = {
    name: "drill",
    network: { cidr: "10.93.0.0/22" },
    localPort: 18093,
    local: { distribution },
  };
  const cluster = new ScratchCluster(settings, [], on);
  const stages = beginStages("drill", cluster.stack);
  const rows: Row[] = [];
  const stopped: Array<DrillResults["stopped"][number]> = [];
  let distributionOfHosts = "";
  try {
    await bringUp(stages, cluster, on !== undefined);
    distributionOfHosts = cluster.on("web-1", '. /etc/os-release; echo "$PRETTY_NAME"').trim();
    for (const fault of faults) {
      say(`\n${fault.name}`);
      try {
        const row = await inject(cluster, fault);
        rows.push(row);
        table([row]).map((line) => say(`    ${line}`));
        for (const [failure, count] of Object.entries(row.failures)) {
          say(`    ${count} x ${failure}`);
        }
        row.broken.map((sentence) => say(`    BROKEN: ${sentence}`));
      } catch (error) {
        const reason = (error as Error).message;
        stopped.push({ fault: fault.name, reason });
        say(`    STOPPED: ${reason}`);
      }
    }
  } finally {
    if (keep || on !== undefined) {
      say(
        `\nthe cluster was left up; to use it again: npm run drill -- --on ${cluster.workspace.directory}`,
      );
    } else {
      say("");
      // A failure here must not hide an earlier error; the folder is no longer needed in any case.
      await terraformStage(stages, "destroy", cdktf(cluster, "destroy")).catch(() => undefined);
      cluster.workspace.remove();
    }
  }
  say("");
  table(rows).map((line) => say(line));
  stopped.map(({ fault }) => say(`${fault}: stopped`));
  if (json !== undefined) {
    const date = new Date().toISOString().slice(0, 10);
    const results: DrillResults = { distribution: distributionOfHosts, date, rows, stopped };
    const isPart = faults.length < FAULTS.length && existsSync(json);
    const recorded = isPart
      ? updated(
          JSON.parse(readFileSync(json, "utf8")),
          results,
          FAULTS.map(({ name }) => name),
        )
      : results;
    writeFileSync(json, `${JSON.stringify(recorded, null, 2)}\n`);
  }
  const broken = rows.filter((row) => row.broken.length > 0).length + stopped.length;
  say(`\n${rows.length - broken + stopped.length} passed, ${broken} failed`);
  return broken === 0 ? 0 : 1;
}

void runAsCommand("drill", async () => {
  let exitCode = 0;
  await new Command("npm run drill --")
    .description(
      "Brings up a scratch cluster, injects faults under a constant load of reads and writes, and prints a table. Exits with 1 if a bound is exceeded. Without names, injects all faults, which takes 15 to 30 minutes.",
    )
    .argument("[name...]", "the faults to inject")
    .option("--list", "only list the faults", false)
    .option("--short", "only inject faults that take little time", false)
    .option("--keep", "leave the cluster up afterwards", false)
    .option("--on <folder>", "use a cluster that was left up, and leave it up again")
    .addOption(distributionOption())
    .option(
      "--json <file>",
      "also write the results to a file; with names, only their rows of a file that is there",
    )
    .action(async (names: string[], options: Options) => {
      if (options.list) {
        FAULTS.map(({ name, what, short }) =>
          say(`${name}${short === true ? " (short)" : ""}: ${what}`),
        );
      } else {
        exitCode = await drill(selectFaults(names, options), options);
      }
    })
    .parseAsync();
  return exitCode;
});
