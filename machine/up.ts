import { packRelease } from "../archives/pack-release";
import { type ImageFacts, imageFacts, packagesOf } from "../hosts/image";
import { PROJECT } from "../hosts/project";
import { renderHosts } from "../hosts/render";
import { type LocalCluster, localCluster } from "../ops/clusters";
import { linesOfApp, release } from "../ops/operations/release";
import { OperatorError } from "../ops/operator-error";
import { localHostAccess } from "../ops/platform/local";
import { localReleases } from "../ops/platform/local-releases";
import { wasInterrupted } from "../ops/run";
import { runAsCommand } from "../ops/run-as-command";
import { localContainers } from "../topology/names";
import { localUrls, publishedPorts } from "../topology/publication";
import { machineOf } from "../topology/roles";
import { hasInterface, lookAtMachine } from "./inspect";
import { installFacts, sayMissing } from "./install";
import { type Demand, missingParts, problemsOf } from "./preflight";
import type { Line } from "./progress";
import {
  isSteady,
  missingToServe,
  type Observation,
  observeWebServers,
  waitUntilServing,
} from "./serving";
import { beginStages, runCdktf, type Stages, scriptStage, terraformStage } from "./terraform";

/** Sufficient to initialise and clone databases on a slow machine; the app starts meanwhile. */
const SERVING_SECONDS = 300;

function demandOf({ names, settings, topology }: LocalCluster): Demand {
  return {
    cidr: topology.network.cidr,
    bridge: names.bridge,
    published: publishedPorts(settings, topology.tls),
    memoryMiB: topology.hosts.reduce((sum, { role }) => sum + machineOf(settings, role).memory, 0),
    isDeployed: hasInterface(names.bridge),
  };
}

/** The facts that identify the hosts' image. */
function hostImage({ settings, topology }: LocalCluster): ImageFacts {
  const hosts = renderHosts(topology, { platform: "local", scripts: "" });
  return imageFacts(packagesOf(hosts), settings.local);
}

async function prepareMachine(stages: Stages, cluster: LocalCluster): Promise<void> {
  const { local } = cluster.settings;
  const demand = demandOf(cluster);
  const machine = await stages.progress.stage("the machine", async (line) => {
    const seen = await lookAtMachine(demand.published.map(({ localPort }) => localPort));
    const problems = problemsOf(seen, demand);
    if (problems.length > 0) {
      throw new OperatorError(
        ["This machine cannot run the cluster:", ...problems.map((one) => `  ${one}`)].join("\n"),
      );
    }
    line.note("suitable");
    return seen;
  });
  const parts = missingParts(machine, [local.distribution]);
  if (parts.length > 0) {
    sayMissing(parts, (line) => stages.progress.say(line));
    await scriptStage(stages, "packages", "install", installFacts(parts));
  }
}

function report({ stack, names, settings, topology }: LocalCluster, seen: Observation): string[] {
  const option = stack === "local" ? "" : ` -- ${stack}`;
  return [
    `\nThe cluster serves: ${localUrls(settings, topology.tls).join(" and ")}${
      topology.tls.mode === "self-signed" ? " (self-signed certificate)" : ""
    }\n`,
    ...topology.hosts.map(
      ({ name, role, address }) =>
        `  ${name.padEnd(16)} ${(seen.databases.get(name) ?? role).padEnd(14)} ${address}`,
    ),
    `\n  open a shell on a host   sudo incus exec --project ${names.project} web-1 -- bash`,
    `  show its status          npm run cluster -- ${stack} status`,
    `  deploy a change          npm run up${option}`,
    `  remove the cluster       npm run down${option}`,
  ];
}

/** Terraform deploys only a cluster's first release. If the app has changed since, releases it. */
async function releaseIfChanged(
  { log }: Stages,
  { names, settings, topology }: LocalCluster,
  line: Line,
): Promise<void> {
  const releases = localReleases(names.project);
  const archive = packRelease(PROJECT, settings.app);
  const [current] = await releases.list();
  if (current === archive.sha256) {
    line.note("unchanged");
    return;
  }
  const target = { topology, access: localHostAccess(names.project), releases };
  const note = (text: string) => {
    log.write(text);
    line.note(text);
  };
  note(`changed: releasing ${archive.sha256.slice(0, 12)}, one web server at a time`);
  await release(target, archive, note);
}

/** The state and the last output of the apps on web servers that do not serve. */
async function explainApps(cluster: LocalCluster): Promise<string[]> {
  const access = localHostAccess(cluster.names.project);
  const { healthPath, healthHost } = cluster.settings.app;
  const explained: string[] = [];
  for (const webServer of await observeWebServers(cluster)) {
    if (!isSteady(webServer) && webServer.held !== "drained") {
      const lines = (await linesOfApp(access, webServer.name)).split("\n");
      explained.push(
        `  ${webServer.name}: ${healthPath} (Host: ${healthHost}) must return 200 constantly; last check: ${webServer.check}`,
        ...lines.map((line) => `    ${line}`),
      );
    }
  }
  return explained;
}

/** Waits until the cluster serves, as observed from outside. */
async function awaitService(cluster: LocalCluster, line: Line): Promise<Observation> {
  const seconds = SERVING_SECONDS + cluster.settings.app.startTimeout;
  const seen = await waitUntilServing(cluster, seconds, (missing) => line.note(missing));
  const missing = missingToServe(seen);
  if (missing.length > 0 && !wasInterrupted()) {
    line.note(missing.join("; "));
    throw new OperatorError(
      [
        `The cluster was deployed but does not serve after ${seconds} s: ${missing.join("; ")}.`,
        ...(await explainApps(cluster)),
        `  The log of a host: sudo incus exec --project ${cluster.names.project} database-1 -- journalctl --boot`,
      ].join("\n"),
    );
  }
  line.note("serves, with every replica in sync");
  return seen;
}

async function up(stack = "local"): Promise<void> {
  const started = Date.now();
  const cluster = localCluster(stack);
  const stages = beginStages("up", stack);
  const { progress } = stages;
  await prepareMachine(stages, cluster);
  const project = { DWI_PROJECT: cluster.names.project } as const;
  await scriptStage(stages, "the engine", "resume", {
    ...project,
    DWI_HOSTS: localContainers(cluster.topology).join(" "),
  });
  await scriptStage(stages, "host image", "image", { ...project, ...hostImage(cluster) });
  await terraformStage(stages, "deploy", (output) =>
    runCdktf(output, "deploy", stack, "--auto-approve"),
  );
  await progress.stage("the app", (line) => releaseIfChanged(stages, cluster, line));
  const seen = await progress.stage("the cluster", (line) => awaitService(cluster, line));
  report(cluster, seen).map((line) => progress.say(line));
  progress.say(`\n${Math.round((Date.now() - started) / 1000)} s`);
}

void runAsCommand("up", () => up(process.argv[2]));
