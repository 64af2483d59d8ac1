import { readFileSync } from "node:fs";
import { Command } from "commander";
import { PROJECT } from "../hosts/project";
import { localNames, stackNames } from "../topology/names";
import { parseClusters } from "../topology/settings";
import { BACKUP_PASSWORD } from "../topology/topology";
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
import { rotateSecret } from "./operations/rotate-secret";
import { setCertificate } from "./operations/set-certificate";
import { setReceiver } from "./operations/set-receiver";
import { gatherStatus } from "./operations/status";
import { problemsOf } from "./operations/status-problems";
import { natGatewayLine, statusTable } from "./operations/status-table";
import { upgrade } from "./operations/upgrade";
import { OperatorError } from "./operator-error";
import { awsHostAccess } from "./platform/aws";
import { awsReleases } from "./platform/aws-releases";
import { awsSecrets } from "./platform/aws-secrets";
import { localHostAccess } from "./platform/local";
import { localReleases } from "./platform/local-releases";
import { localSecrets } from "./platform/local-secrets";
import { runAsCommand } from "./run-as-command";

// npm run cluster -- STACK VERB: operations on a running cluster.

const say = console.log;

/** The exit code if the command succeeds. */
let exitCode = 0;

/** The cluster of a stack, with access to its hosts, its releases and its secrets. */
function reach(stack: string) {
  const cluster = clusterOf(stack);
  const { clusterName } = cluster.topology;
  const { region, backup } = cluster.settings;
  const { copyRegion } = backup;
  const { project } = localNames(clusterName);
  return cluster.platform === "aws"
    ? {
        ...cluster,
        access: awsHostAccess(clusterName, region),
        releases: awsReleases(clusterName, region),
        secrets: awsSecrets(
          clusterName,
          region,
          copyRegion === undefined ? [] : [{ name: BACKUP_PASSWORD, region: copyRegion }],
        ),
      }
    : {
        ...cluster,
        access: localHostAccess(project),
        releases: localReleases(project),
        secrets: localSecrets(project, cluster.topology),
      };
}

const collect = (value: string, before: string[]) => [...before, value];

function commands(stack: string): Command {
  const program = new Command(`npm run cluster -- ${stack}`)
    .description(`Operations on the cluster of stack ${stack}.`)
    .helpCommand(false)
    .showHelpAfterError("See --help for the available verbs and options.")
    .configureHelp({ sortSubcommands: false });

  program
    .command("status")
    .description("show every host, what it does, and every problem")
    .option("--json", "print everything that was gathered, as JSON")
    .addHelpText("after", "\nExits with 1 if there is a problem.")
    .action(async ({ json }: { json?: boolean }) => {
      const { topology, access, platform } = reach(stack);
      const status = await gatherStatus(topology, access);
      if (json) {
        say(JSON.stringify({ ...status, problems: problemsOf(status) }, null, 2));
      } else {
        const notes = platform === "aws" ? [natGatewayLine(topology)] : [];
        statusTable(status, notes).map((line) => say(line));
      }
      if (problemsOf(status).length > 0) {
        exitCode = 1;
      }
    });

  program
    .command("switchover [host]")
    .description("hand the primary role over to a replica; writes are briefly delayed")
    .option("--lost <host>", "declare that a host is permanently lost, or closed", collect, [])
    .option("--fence <host>", "first stop a host that does not answer", collect, [])
    .option("--dry-run", "only print what would be done", false)
    .addHelpText(
      "after",
      "\nIf interrupted, run it again, or switch over to the old primary, which then accepts writes again.",
    )
    .action((candidate: string | undefined, { lost, fence, dryRun }) => {
      const { topology, access } = reach(stack);
      const request = { verb: "switchover", candidate, lost, fence, acceptLoss: false } as const;
      return changePrimary(topology, access, request, { dryRun }, say);
    });

  program
    .command("promote [host]")
    .description("promote a replica, because the primary is gone")
    .option("--lost <host>", "declare that a host is permanently lost, or closed", collect, [])
    .option("--fence <host>", "first stop a host that does not answer", collect, [])
    .option(
      "--accept-loss",
      "accept the loss of acknowledged writes that the new primary lacks",
      false,
    )
    .option("--dry-run", "only print what would be done", false)
    .addHelpText("after", "\nSee docs/failover.md for the consequences of these flags.")
    .action((candidate: string | undefined, { lost, fence, acceptLoss, dryRun }) => {
      const { topology, access } = reach(stack);
      const request = { verb: "promote", candidate, lost, fence, acceptLoss } as const;
      return changePrimary(topology, access, request, { dryRun }, say);
    });

  program
    .command("release")
    .description("roll out the app, as it is in its folder now, to one web server at a time")
    .action(async () => {
      const { settings, ...target } = reach(stack);
      // Bundling takes a while to load, and only this verb needs it.
      const { packRelease } = await import("../archives/pack-release");
      const archive = packRelease(PROJECT, settings.app);
      say(
        `Release ${archive.sha256.slice(0, 12)} will be rolled out to one web server at a time, and rolled back if it does not become healthy.`,
      );
      await release(target, archive, say);
    });

  program
    .command("rollback")
    .description("roll back to the previous release, one web server at a time")
    .action(async () => {
      const target = reach(stack);
      say("The previous release will be rolled out to one web server at a time.");
      await rollback(target, say);
    });

  program
    .command("upgrade [host]")
    .description("upgrade packages and reboot, one host at a time, each out of service meanwhile")
    .option("--interrupt", "also reboot the only host of a role, which interrupts service", false)
    .option("--dry-run", "only fetch package lists, and print what would be done", false)
    .addHelpText(
      "after",
      "\nIf interrupted, run it again: it continues with the host where it stopped.",
    )
    .action(async (host: string | undefined, { interrupt, dryRun }) => {
      const { topology, access } = reach(stack);
      await upgrade(topology, access, { host, interrupt, dryRun }, say);
    });

  program
    .command("rotate-secret <secret>")
    .description("replace a secret by a new value, on all hosts, without a failed request")
    .option("--dry-run", "only print what would be done", false)
    .addHelpText(
      "after",
      "\nIf interrupted, run it again: it continues from there. The secrets are listed in docs/security.md.",
    )
    .action((secret: string, { dryRun }: { dryRun: boolean }) =>
      rotateSecret(reach(stack), secret, { dryRun }, say),
    );

  program
    .command("set-certificate")
    .description("give the load balancers a certificate for visitors, with tls.mode files")
    .requiredOption("--certificate <file>", "PEM: the site's certificate, then its chain")
    .requiredOption("--key <file>", "PEM: its key")
    .addHelpText("after", "\nRun it again for each renewal. If interrupted, run it again.")
    .action((files: { certificate: string; key: string }) =>
      setCertificate(reach(stack), files, say),
    );

  program
    .command("set-receiver <receiver>")
    .description(
      "give the monitor, on standard input, what it needs to send alerts: the address of the webhook or the heartbeat, or the password for email",
    )
    .addHelpText(
      "after",
      "\nFor example: set-receiver webhook < address.txt. If interrupted, run it again.",
    )
    .action((receiver: string) =>
      setReceiver(reach(stack), receiver, readFileSync(0, "utf8"), say),
    );

  program
    .command("drain <web-server>")
    .description("send a web server no new requests, and wait for those in flight")
    .option("--force", "even if no other web server serves: visitors then get errors", false)
    .action(async (webServer: string, { force }: { force: boolean }) => {
      const { topology, access } = reach(stack);
      say(`The load balancer will send ${webServer} no new requests until undrain.`);
      say(await drain(topology, access, webServer, { force }));
    });

  program
    .command("undrain <web-server>")
    .description("send a web server requests again, gradually")
    .action(async (webServer: string) => {
      const { topology, access } = reach(stack);
      say(await undrain(topology, access, webServer));
    });

  program
    .command("backup")
    .description(
      "dump the app's database into the repository, encrypted, and archive the binary logs",
    )
    .option("--list", "instead, list what can be restored", false)
    .option("--json", "with --list: as JSON", false)
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
    .description("restore the app's database to a point in time")
    .option(
      "--to <time>",
      "the point in time, for example 2026-11-25T09:30:00.5Z; default the latest possible",
    )
    .option("--overwrite", "even if the database is not empty", false)
    .option("--dry-run", "only print what would be done", false)
    .addHelpText(
      "after",
      "\nIf interrupted, run it again: until it has succeeded, no database host serves.",
    )
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
            "Refused: the database is not empty. Add --overwrite to replace it. Nothing was changed.",
          );
        }
        await restore(topology, access, plan, say);
      },
    );
  return program;
}

/** The usage, with all stacks and verbs. */
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
      (command) => `  ${command.name().padEnd(17)}${command.description()}`,
    ),
    "",
    "For the options of a verb: npm run cluster -- STACK VERB --help",
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
