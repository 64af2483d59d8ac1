import { packRelease } from "../archives/pack-release";
import { type ImageFacts, imageFacts, packagesOf } from "../hosts/image";
import { PROJECT } from "../hosts/project";
import { renderHosts } from "../hosts/render";
import { type LocalCluster, localCluster } from "../ops/clusters";
import { linesOfApp, release } from "../ops/operations/release";
import { OperatorError } from "../ops/operator-error";
import { localPlatform } from "../ops/platform/local";
import { localReleases } from "../ops/platform/local-releases";
import { runScript } from "../ops/run";
import { runAsCommand } from "../ops/run-as-command";
import { machineOf } from "../topology/roles";
import { runCdktf } from "./cdktf";
import { hasInterface, lookAtMachine } from "./inspect";
import { installMissing } from "./install";
import { type Demand, problemsOf } from "./preflight";
import {
  isSteady,
  missingToServe,
  type Observation,
  observeWebServers,
  waitUntilServing,
} from "./serving";

/** Long enough for databases to be initialised and cloned on a slow machine; the app starts meanwhile. */
const SERVING_SECONDS = 300;

const say = console.log;

function demandOf({ names, settings, topology }: LocalCluster): Demand {
  return {
    cidr: topology.network.cidr,
    bridge: names.bridge,
    localPort: settings.localPort,
    memoryMiB: topology.hosts.reduce((sum, { role }) => sum + machineOf(settings, role).memory, 0),
    isDeployed: hasInterface(names.bridge),
  };
}

/** The image of the hosts; the release has no part in it. */
function hostImage({ settings, topology }: LocalCluster): ImageFacts {
  const hosts = renderHosts(topology, { platform: "local", scripts: "" });
  return imageFacts(packagesOf(hosts), settings.local);
}

async function prepareMachine(cluster: LocalCluster): Promise<void> {
  const machine = await lookAtMachine(cluster.settings.localPort);
  const problems = problemsOf(machine, demandOf(cluster));
  if (problems.length > 0) {
    throw new OperatorError(
      ["This machine cannot run the cluster yet:", ...problems.map((line) => `  ${line}`)].join(
        "\n",
      ),
    );
  }
  await installMissing(machine, [cluster.settings.local.distribution]);
}

function report({ stack, names, settings, topology }: LocalCluster, seen: Observation): void {
  say(`\nThe cluster serves: http://127.0.0.1:${settings.localPort}/\n`);
  for (const { name, role, address } of topology.hosts) {
    say(`  ${name.padEnd(16)} ${(seen.databases.get(name) ?? role).padEnd(14)} ${address}`);
  }
  const option = stack === "local" ? "" : ` -- ${stack}`;
  say(`\n  open a shell on a host   sudo incus exec --project ${names.project} web-1 -- bash`);
  say(`  look at all of it        npm run cluster -- ${stack} status`);
  say(`  after a change           npm run up${option}`);
  say(`  remove the cluster       npm run down${option}`);
}

/** Terraform gives a cluster its first release; an app that has changed since is released here. */
async function releaseIfChanged({ names, settings, topology }: LocalCluster): Promise<void> {
  const releases = localReleases(names.project);
  const archive = packRelease(PROJECT, settings.app);
  const [current] = await releases.list();
  if (current !== archive.sha256) {
    say(`the app has changed: releasing ${archive.sha256.slice(0, 12)}, one web server at a time`);
    const target = { topology, platform: localPlatform(names.project), releases };
    await release(target, archive, (line) => say(`  ${line}`));
  }
}

/** What the apps of web servers that do not serve say. */
async function explainApps(cluster: LocalCluster): Promise<string[]> {
  const platform = localPlatform(cluster.names.project);
  const { healthPath, healthHost } = cluster.settings.app;
  const explained: string[] = [];
  for (const webServer of await observeWebServers(cluster)) {
    if (!isSteady(webServer) && webServer.held !== "drained") {
      const lines = (await linesOfApp(platform, webServer.name)).split("\n");
      explained.push(
        `  ${webServer.name}: ${healthPath} (Host: ${healthHost}) is to answer 200 and go on to: ${webServer.check}`,
        ...lines.map((line) => `    ${line}`),
      );
    }
  }
  return explained;
}

async function up(stack = "local"): Promise<void> {
  const started = Date.now();
  const cluster = localCluster(stack);
  await prepareMachine(cluster);
  const project = { DWI_PROJECT: cluster.names.project } as const;
  await runScript("resume", [], {
    ...project,
    DWI_HOSTS: cluster.topology.hosts.map(({ name }) => name).join(" "),
  });
  await runScript("image", [], { ...project, ...hostImage(cluster) });
  await runCdktf("deploy", stack, "--auto-approve");

  await releaseIfChanged(cluster);

  say("waiting until the cluster serves");
  const seconds = SERVING_SECONDS + cluster.settings.app.startTimeout;
  const seen = await waitUntilServing(cluster, seconds, say);
  const missing = missingToServe(seen);
  if (missing.length > 0) {
    throw new OperatorError(
      [
        `The cluster was deployed but does not serve, ${seconds} s later: ${missing.join("; ")}.`,
        ...(await explainApps(cluster)),
        `  Look at a host: sudo incus exec --project ${cluster.names.project} database-1 -- journalctl --boot`,
      ].join("\n"),
    );
  }
  report(cluster, seen);
  say(`\n${Math.round((Date.now() - started) / 1000)} s`);
}

void runAsCommand("up", () => up(process.argv[2]));
