import { writeFileSync } from "node:fs";
import { OperatorError } from "../clusters";
import { main } from "../main";
import { ScratchCluster } from "../scratch/cluster";
import { FAULTS, type Fault, unfit } from "./faults";
import { judge, type Row, table } from "./measure";
import { Stage } from "./stage";

// npm run drill [-- NAME...]: what can happen to a cluster, one thing after the other, under load.

const USAGE = `Usage: npm run drill [-- NAME... | --short | --list]

Brings up a cluster of its own, lets things happen to it under a constant load of reads and writes, and
prints a table. Ends with 1 when a bound is broken. Without a name all of it, which takes about half an hour.

  --short        those that take little time
  --list         the names
  --json FILE    writes the rows to a file as well
  --keep         leaves the cluster up afterwards`;

const LOAD = { readsPerSecond: 12, writesPerSecond: 4 };

/** Seconds of load before anything happens. */
const STEADY_SECONDS = 3;

const say = console.log;

interface Wanted {
  readonly faults: readonly Fault[];
  readonly json: string | undefined;
  readonly keep: boolean;
}

function wanted(args: readonly string[]): Wanted {
  const names: string[] = [];
  let [short, keep, json]: [boolean, boolean, string | undefined] = [false, false, undefined];
  for (let index = 0; index < args.length; index++) {
    const word = args[index] as string;
    if (word === "--short") {
      short = true;
    } else if (word === "--keep") {
      keep = true;
    } else if (word === "--json") {
      index++;
      json = args[index];
    } else if (FAULTS.some(({ name }) => name === word)) {
      names.push(word);
    } else {
      throw new OperatorError(`"${word}" is not known.\n\n${USAGE}`);
    }
  }
  const isWanted = (fault: Fault) =>
    names.length > 0 ? names.includes(fault.name) : !short || fault.short === true;
  return { faults: FAULTS.filter(isWanted), json, keep };
}

async function happen(cluster: ScratchCluster, fault: Fault): Promise<Row> {
  await cluster.inSync(180);
  await cluster.serving();
  const stage = new Stage(cluster, LOAD, say);
  try {
    await stage.wait(STEADY_SECONDS);
    await fault.happen(stage);
    return judge(fault.name, await stage.end(), fault.bounds);
  } finally {
    await stage.abandon();
  }
}

async function drill({ faults, json, keep }: Wanted): Promise<number> {
  const reason = unfit();
  if (reason !== undefined) {
    throw new OperatorError(reason);
  }
  const cluster = new ScratchCluster({
    name: "drill",
    network: { cidr: "10.93.0.0/22" },
    localPort: 18093,
  });
  const rows: Row[] = [];
  const stopped: string[] = [];
  try {
    say("bringing up the cluster drill");
    cluster.deploy();
    await cluster.inSync(180);
    await cluster.serving();
    for (const fault of faults) {
      say(`\n${fault.name}`);
      try {
        const row = await happen(cluster, fault);
        rows.push(row);
        table([row]).map((line) => say(`    ${line}`));
        for (const [failure, count] of Object.entries(row.failures)) {
          say(`    ${count} x ${failure}`);
        }
        row.broken.map((sentence) => say(`    BROKEN: ${sentence}`));
      } catch (error) {
        stopped.push(fault.name);
        say(`    STOPPED: ${(error as Error).message}`);
      }
    }
  } finally {
    if (keep) {
      say(
        `\nthe cluster drill is left up, its settings and state in ${cluster.workspace.directory}`,
      );
    } else {
      cluster.workspace.attemptCdktf(["destroy", cluster.stack, "--auto-approve"]);
      cluster.workspace.remove();
    }
  }
  say("");
  table(rows).map((line) => say(line));
  stopped.map((name) => say(`${name}: stopped`));
  if (json !== undefined) {
    writeFileSync(json, JSON.stringify({ rows, stopped }, null, 2));
  }
  const broken = rows.filter((row) => row.broken.length > 0).length + stopped.length;
  say(`\n${rows.length - broken + stopped.length} hold, ${broken} broken`);
  return broken === 0 ? 0 : 1;
}

void main("drill", async () => {
  const args = process.argv.slice(2);
  if (args.includes("--help") || args.includes("-h")) {
    say(USAGE);
    return 0;
  }
  if (args.includes("--list")) {
    FAULTS.map(({ name, short }) => say(`${name}${short === true ? " (short)" : ""}`));
    return 0;
  }
  return drill(wanted(args));
});
