import { setTimeout as pause } from "node:timers/promises";
import { hostsOf, type Topology } from "../../topology/topology";
import { OperatorError } from "../clusters";
import type { Platform } from "../platform/platform";
import { drain, undrain } from "./drain";
import { factsOf, gatherStatus } from "./status";

// A release goes from web server to web server: each is taken out of service, gets it, proves healthy
// and comes back. What serves is the cluster's own state, like who is primary: Terraform gives a
// cluster its first release, and operators every later one.

/** How many releases are remembered, the one that is to run included. */
const REMEMBERED = 5;

/** How long a web server may take to come back into service. */
const BACK_SECONDS = 60;

const short = (release: string) => release.slice(0, 12);

/** The releases to remember once `release` runs: it first, and no other twice. */
export function rememberedReleases(release: string, before: readonly string[]): string[] {
  return [release, ...before.filter((other) => other !== release)].slice(0, REMEMBERED);
}

/**
 * The releases to remember once the first of them has been taken back for the second. The one that
 * was taken back is forgotten: rolling back again goes one further back.
 *
 * @throws OperatorError when there is none before it
 */
export function rolledBack(releases: readonly string[]): string[] {
  if (releases.length < 2) {
    throw new OperatorError("There is no release before the one that runs.");
  }
  return releases.slice(1);
}

async function activate(platform: Platform, host: string, release: string): Promise<void> {
  const { exitCode, stderr } = await platform.run(
    host,
    ["/opt/cluster/scripts/web/activate-release.sh", release],
    120,
  );
  if (exitCode !== 0) {
    throw new OperatorError(stderr.trim() || `${host} is out of reach`);
  }
}

/** Waits until the load balancer sends a web server requests. */
async function waitUntilBack(topology: Topology, platform: Platform, host: string): Promise<void> {
  const deadline = Date.now() + BACK_SECONDS * 1000;
  for (;;) {
    const status = await gatherStatus(topology, platform, ["load-balancer"]);
    const [loadBalancer] = factsOf(status, "load-balancer");
    const server = loadBalancer?.facts.servers.find(({ name }) => name === host);
    if (server?.status.startsWith("UP")) {
      return;
    }
    if (Date.now() > deadline) {
      throw new OperatorError(
        `The load balancer does not send ${host} requests again: ${server?.status ?? "it is not known"}.`,
      );
    }
    await pause(500);
  }
}

/**
 * Brings every web server to a release, one at a time. At the first that does not become healthy with
 * it, all that have it go back to what they served before.
 *
 * @throws OperatorError that says which one, and why
 */
async function roll(
  topology: Topology,
  platform: Platform,
  release: string,
  say: (line: string) => void,
): Promise<void> {
  const hosts = hostsOf(topology, "web").map(({ name }) => name);
  const status = await gatherStatus(topology, platform, ["web"]);
  const served = new Map(factsOf(status, "web").map(({ host, facts }) => [host, facts]));
  const silent = hosts.filter((host) => !served.has(host));
  if (silent.length > 0) {
    throw new OperatorError(
      `${silent.join(", ")} cannot be reached. Nothing was changed: start it, or remove it from the settings and deploy.`,
    );
  }
  const done: string[] = [];
  const bring = async (host: string, wanted: string) => {
    // Alone it cannot be spared: its visitors wait while the app starts.
    if (hosts.length > 1) {
      // One that does not serve is missed by nobody.
      await drain(topology, platform, host, { force: !served.get(host)?.healthy });
    }
    try {
      await activate(platform, host, wanted);
    } finally {
      if (hosts.length > 1) {
        await undrain(topology, platform, host);
      }
    }
    await waitUntilBack(topology, platform, host);
  };
  for (const host of hosts) {
    const facts = served.get(host);
    if (facts?.release === release && facts.healthy) {
      say(`${host} serves ${short(release)} already`);
      continue;
    }
    try {
      await bring(host, release);
    } catch (error) {
      say(`${host}: ${(error as Error).message}`);
      for (const changed of done.reverse()) {
        const before = served.get(changed)?.release;
        if (before !== undefined && before !== "" && before !== release) {
          await bring(changed, before);
          say(`${changed} serves ${short(before)} again`);
        }
      }
      throw new OperatorError(`Release ${short(release)} was stopped at ${host} and taken back.`);
    }
    done.push(host);
    say(`${host} serves ${short(release)}`);
  }
}

/**
 * Brings a new release of the app to every web server, one at a time.
 *
 * @param archive the packed release
 */
export async function release(
  topology: Topology,
  platform: Platform,
  archive: { readonly sha256: string; readonly name: string; readonly file: string },
  say: (line: string) => void,
): Promise<void> {
  const before = await platform.releases();
  await platform.store(archive.name, archive.file);
  await roll(topology, platform, archive.sha256, say);
  // Said last: a web server that boots meanwhile serves what it is known to be able to.
  await platform.setReleases(rememberedReleases(archive.sha256, before));
}

/** Brings every web server back to the release before the one that runs. */
export async function rollback(
  topology: Topology,
  platform: Platform,
  say: (line: string) => void,
): Promise<void> {
  const releases = rolledBack(await platform.releases());
  await roll(topology, platform, releases[0] as string, say);
  await platform.setReleases(releases);
}
