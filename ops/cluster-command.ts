import { Command } from "commander";
import { PROJECT } from "../hosts/project";
import { localNames, stackNames } from "../topology/names";
import { parseClusters } from "../topology/settings";
import { clusterOf, clusterSettings } from "./clusters";
import {
  backup,
  backupTable,
  explainRestore,
  listBackups,
  planRestore,
  restore,
} from "./operations/backup";
import { changePrimary } from "./operations/change-primary";
import { drain, undrain } from "./operations/drain";
import { release, rollback } from "./operations/release";
import { gatherStatus, problemsOf, statusTable } from "./operations/status";
import { upgrade } from "./operations/upgrade";
import { OperatorError } from "./operator-error";
import { awsHostAccess } from "./platform/aws";
import { awsReleases } from "./platform/aws-releases";
import { localHostAccess } from "./platform/local";
import { localReleases } from "./platform/local-releases";
import { runAsCommand } from "./run-as-command";

// npm run cluster -- STACK VERB: what an operator does to a cluster that is up.

const say = console.log;

/** What the command ends with when it did what it was asked for. */
let exitCode = 0;

/** The cluster of the stack that was named, and the ways to its hosts and to its releases. */
function reach(stack: string) {
  const cluster = clusterOf(stack);
  const { clusterName } = cluster.topology;
  const { region } = cluster.settings;
  const { project } = localNames(clusterName);
  return cluster.platform === "aws"
    ? {
        ...cluster,
        access: awsHostAccess(clusterName, region),
        releases: awsReleases(clusterName, region),
      }
    : { ...cluster, access: localHostAccess(project), releases: localReleases(project) };
}

const collect = (value: string, before: string[]) => [...before, value];

function commands(stack: string): Command {
  const program = new Command(`npm run cluster -- ${stack}`)
    .description(`Operations on the cluster of stack ${stack}.`)
    .helpCommand(false)
    .showHelpAfterError("Add --help for what there is.")
    .configureHelp({ sortSubcommands: false });

  program
    .command("status")
    .description("show every host: what it is, what it does, what is not as it should be")
    .option("--json", "everything that was gathered, as JSON")
    .addHelpText("after", "\nEnds with 1 when something is not as it should be.")
    .action(async ({ json }: { json?: boolean }) => {
      const { topology, access } = reach(stack);
      const status = await gatherStatus(topology, access);
      if (json) {
        say(JSON.stringify({ ...status, problems: problemsOf(status) }, null, 2));
      } else {
        statusTable(status).map((line) => say(line));
      }
      if (problemsOf(status).length > 0) {
        exitCode = 1;
      }
    });

  program
    .command("switchover [host]")
    .description("hand the primary's part to a replica; writes wait for a moment")
    .option("--lost <host>", "vouch that a host is gone for good, or closed", collect, [])
    .option("--fence <host>", "stop a host that does not answer, first", collect, [])
    .option("--dry-run", "say what would be done, and do nothing", false)
    .addHelpText(
      "after",
      "\nInterrupted, run it again; or name the old primary, and it takes writes again.",
    )
    .action((candidate: string | undefined, { lost, fence, dryRun }) => {
      const { topology, access } = reach(stack);
      const request = { verb: "switchover", candidate, lost, fence, acceptLoss: false } as const;
      return changePrimary(topology, access, request, { dryRun }, say);
    });

  program
    .command("promote [host]")
    .description("make a replica the primary, because the primary is gone")
    .option("--lost <host>", "vouch that a host is gone for good, or closed", collect, [])
    .option("--fence <host>", "stop a host that does not answer, first", collect, [])
    .option("--accept-loss", "acknowledged writes that the new primary lacks may go", false)
    .option("--dry-run", "say what would be done, and do nothing", false)
    .addHelpText("after", "\nWhat the flags cost is in docs/failover.md.")
    .action((candidate: string | undefined, { lost, fence, acceptLoss, dryRun }) => {
      const { topology, access } = reach(stack);
      const request = { verb: "promote", candidate, lost, fence, acceptLoss } as const;
      return changePrimary(topology, access, request, { dryRun }, say);
    });

  program
    .command("release")
    .description("bring the app, as it is in its folder now, to every web server, one at a time")
    .action(async () => {
      const { settings, ...target } = reach(stack);
      // Bundling takes a while to load, and only this verb needs it.
      const { packRelease } = await import("../archives/pack-release");
      const archive = packRelease(PROJECT, settings.app);
      say(
        `Every web server gets release ${archive.sha256.slice(0, 12)}, one after the other; a release that does not become healthy is taken back.`,
      );
      await release(target, archive, say);
    });

  program
    .command("rollback")
    .description("bring every web server back to the release before, one at a time")
    .action(async () => {
      const target = reach(stack);
      say("Every web server goes back to the release before, one after the other.");
      await rollback(target, say);
    });

  program
    .command("upgrade [host]")
    .description("install newer packages and reboot, host by host, each out of service meanwhile")
    .option("--interrupt", "also what visitors notice: reboots of hosts that are alone", false)
    .option("--dry-run", "say what would be done, and do nothing but fetch package lists", false)
    .addHelpText("after", "\nInterrupted, run it again: it goes on from the host it was at.")
    .action(async (host: string | undefined, { interrupt, dryRun }) => {
      const { topology, access } = reach(stack);
      await upgrade(topology, access, { host, interrupt, dryRun }, say);
    });

  program
    .command("drain <web-server>")
    .description("send a web server no new requests, and wait for those under way")
    .option("--force", "even when no other serves: visitors then get no answer", false)
    .action(async (webServer: string, { force }: { force: boolean }) => {
      const { topology, access } = reach(stack);
      say(`The load balancer is told to send ${webServer} no new requests, until undrain.`);
      say(await drain(topology, access, webServer, { force }));
    });

  program
    .command("undrain <web-server>")
    .description("send a web server requests again, at first a few")
    .action(async (webServer: string) => {
      const { topology, access } = reach(stack);
      say(await undrain(topology, access, webServer));
    });

  program
    .command("backup")
    .description(
      "dump the app's database into the repository, encrypted, and archive the binary logs",
    )
    .option("--list", "show what can be restored instead", false)
    .option("--json", "with --list: the same as JSON", false)
    .addHelpText(
      "after",
      "\nA dump is made every night, and the binary logs are archived every five minutes.",
    )
    .action(async ({ list, json }: { list: boolean; json: boolean }) => {
      const { topology, access } = reach(stack);
      if (!list) {
        await backup(topology, access, say);
        return;
      }
      const dumps = await listBackups(topology, access);
      say(json ? JSON.stringify(dumps, null, 2) : backupTable(dumps).join("\n"));
    });

  program
    .command("restore")
    .description("bring the app's database back to a moment that is archived")
    .option(
      "--to <time>",
      "the moment, for example 2026-11-25T09:30:00.5Z; default the last there is",
    )
    .option("--overwrite", "even when there is something in it now", false)
    .option("--dry-run", "say what would be done, and do nothing", false)
    .addHelpText("after", "\nInterrupted, run it again: until it is done no database host serves.")
    .action(
      async ({ to, overwrite, dryRun }: { to?: string; overwrite: boolean; dryRun: boolean }) => {
        const { settings, topology, access } = reach(stack);
        const plan = await planRestore(topology, access, to);
        explainRestore(plan, settings.database.name).map((line) => say(line));
        if (dryRun) {
          return;
        }
        if (plan.tablesWithRows > 0 && !overwrite) {
          throw new OperatorError(
            "Refused: the database is not empty. With --overwrite it is replaced. Nothing was changed.",
          );
        }
        await restore(topology, access, plan, say);
      },
    );
  return program;
}

/** The stacks there are, for whoever named none. */
function overview(): string {
  const stacks = parseClusters(clusterSettings()).flatMap((settings, index) => {
    const { local, aws } = stackNames(settings, index);
    return [local, aws];
  });
  return [
    "Usage: npm run cluster -- STACK VERB",
    "",
    `Stacks: ${stacks.join(", ")}`,
    "",
    "Verbs:",
    ...commands("STACK").commands.map(
      (command) => `  ${command.name().padEnd(12)}${command.description()}`,
    ),
    "",
    "npm run cluster -- STACK VERB --help tells more of each.",
  ].join("\n");
}

void runAsCommand("cluster", async () => {
  const [stack, ...rest] = process.argv.slice(2);
  if (stack === undefined || stack.startsWith("-")) {
    if (stack === "--help" || stack === "-h") {
      say(overview());
      return 0;
    }
    throw new OperatorError(overview());
  }
  clusterOf(stack);
  await commands(stack).parseAsync(rest, { from: "user" });
  return exitCode;
});
