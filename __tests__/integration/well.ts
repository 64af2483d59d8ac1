import { setTimeout as pause } from "node:timers/promises";
import { packRelease } from "../../archives/pack-release";
import type { ScratchCluster } from "../../drill/scratch/scratch-cluster";
import { PROJECT } from "../../hosts/project";
import { type ClusterStatus, gatherStatus } from "../../ops/operations/status";
import { problemsOf } from "../../ops/operations/status-problems";
import { localHostAccess } from "../../ops/platform/local";
import { localReleases } from "../../ops/platform/local-releases";
import { runSync } from "../../ops/run";
import { localContainers } from "../../topology/names";
import type { Role } from "../../topology/roles";
import type { ClusterSettingsInput } from "../../topology/settings";
import type { Failures } from "./environment";

// A suite uses one cluster for many tests, and a test that fails must not fail those after it: every group starts from
// a cluster that is as declared, and so does the next test after a failed one.

type Change = Partial<ClusterSettingsInput>;

/** How long a cluster may take to become healthy by itself, in seconds: a host may be joining, or be checked again. */
const BY_ITSELF = 20;

/** The same after a repair. */
const BROUGHT_BACK = 90;

/** The time for a deploy, a destroy, another deploy and the waits in between, in milliseconds. */
const LIMIT = 900_000;

const NOT_DEPLOYED = "its settings are not deployed";

/** What runs on hosts of a role, and may have been stopped. */
const SERVICES: Record<Role, readonly string[]> = {
  "load-balancer": ["haproxy"],
  web: ["nginx", "haproxy", "app"],
  database: ["haproxy", "mysql", "cluster-database-agent"],
  monitor: ["prometheus", "prometheus-alertmanager"],
};

/** Prints all tables sorted by name: the kernel lists a reloaded table last. */
const TABLES = `nft list tables | sort | while read -r table; do nft --stateless --terse list $table; done`;

/** Prints the difference between the loaded firewall and the declared one. */
const FIREWALL = `diff <(${TABLES}) <(unshare --net bash -c 'nft --file /etc/nftables.conf && { ${TABLES}; }')`;

/** The settings that a cluster should have until the next group begins, and the attempts to bring it there. */
interface Upkeep {
  change: Change;
  /** `testsFailed` when it was last found healthy. */
  failedBefore: number;
  /** How many deploys in a row have failed. */
  givenUp: number;
}

const upkeeps = new Map<ScratchCluster, Upkeep>();

/** What was wrong with a cluster before a group although no test had failed. */
const left: string[] = [];

const say = (line: string) => process.stderr.write(`  ${line}\n`);

/** How many tests of this file have failed. */
export const testsFailed = () => (globalThis as Failures).testsFailed ?? 0;

interface Instance {
  readonly name: string;
  readonly status: string;
  readonly state: { readonly network?: Record<string, { host_name?: string }> | null } | null;
}

function instancesOf(cluster: ScratchCluster): Instance[] {
  const { status, stdout } = cluster.attemptIncus(["list", "--format", "json"]);
  return status === 0 ? JSON.parse(stdout) : [];
}

/** This machine's ends of the hosts' network links that are down, by host. */
function linksDown(instances: readonly Instance[]): Map<string, string> {
  const links: Array<{ ifname: string; flags: string[] }> = JSON.parse(
    runSync(["ip", "-json", "link"]),
  );
  const down = links.filter(({ flags }) => !flags.includes("UP")).map(({ ifname }) => ifname);
  return new Map(
    instances.flatMap(({ name, state }) =>
      Object.values(state?.network ?? {})
        .filter(({ host_name: link = "" }) => down.includes(link))
        .map(({ host_name: link = "" }) => [name, link] as const),
    ),
  );
}

/**
 * What is wrong with the cluster's settings and its hosts, seen from outside: none of these faults passes by itself.
 */
function faultsOutside(cluster: ScratchCluster, instances: readonly Instance[]): string[] {
  const declared = localContainers(cluster.topology);
  const there = instances.map(({ name }) => name);
  return [
    ...(cluster.isDeployed ? [] : [NOT_DEPLOYED]),
    ...declared.filter((name) => !there.includes(name)).map((name) => `${name} is not there`),
    ...there.filter((name) => !declared.includes(name)).map((name) => `${name} is there`),
    ...instances
      .filter(({ status }) => status !== "Running")
      .map(({ name, status }) => `${name} is ${status.toLowerCase()}`),
    ...[...linksDown(instances).keys()].map((name) => `${name} is cut off`),
  ];
}

const packed = new Map<string, string>();

/** The release that the settings declare. */
function declaredRelease({ topology }: ScratchCluster): string {
  const { app } = topology.settings;
  const key = JSON.stringify(app);
  const known = packed.get(key) ?? packRelease(PROJECT, app).sha256;
  packed.set(key, known);
  return known;
}

function onEveryHost(
  cluster: ScratchCluster,
  commandOf: (role: Role) => string,
): Promise<Array<{ host: string; printed: string }>> {
  return Promise.all(
    cluster.topology.hosts.map(async ({ name, role }) => ({
      host: name,
      printed: await cluster.printedOn(name, commandOf(role)),
    })),
  );
}

/** Where the release is not the declared one. */
async function otherReleases(cluster: ScratchCluster, { hosts }: ClusterStatus): Promise<string[]> {
  const declared = declaredRelease(cluster);
  const [remembered] = await localReleases(cluster.incusProject).list();
  return [
    ...hosts
      .filter(({ facts }) => facts?.role === "web" && facts.release !== declared)
      .map(({ host }) => `${host} does not have the declared release`),
    ...(remembered === declared ? [] : ["the cluster's release is not the declared one"]),
  ];
}

/** What is wrong inside the hosts. */
async function faultsInside(cluster: ScratchCluster): Promise<string[]> {
  const [status, firewalls] = await Promise.all([
    gatherStatus(cluster.topology, localHostAccess(cluster.incusProject)),
    onEveryHost(cluster, () => FIREWALL),
  ]);
  return [
    ...problemsOf(status),
    ...firewalls
      .filter(({ printed }) => printed !== "")
      .map(({ host }) => `${host} has another firewall than is declared`),
    ...(await otherReleases(cluster, status)),
  ];
}

/** The faults that last for longer than so many seconds; none as soon as there are none. */
async function lastingFaults(cluster: ScratchCluster, seconds: number): Promise<string[]> {
  for (const deadline = Date.now() + seconds * 1000; ; ) {
    const faults = await faultsInside(cluster).catch((error: Error) => [error.message]);
    if (faults.length === 0 || Date.now() > deadline) {
      return faults;
    }
    await pause(500);
  }
}

/** Starts or resumes hosts, and reconnects them to the network. */
function wake(cluster: ScratchCluster, instances: readonly Instance[]): void {
  const named = (wanted: string) =>
    instances.filter(({ status }) => status === wanted).map(({ name }) => name);
  for (const [verb, names] of [
    ["resume", named("Frozen")],
    ["start", named("Stopped")],
  ] as const) {
    if (names.length > 0) {
      cluster.incus([verb, ...names]);
    }
  }
  for (const link of linksDown(instancesOf(cluster)).values()) {
    runSync(["ip", "link", "set", link, "up"]);
  }
}

/** Repairs everything that can be repaired without deploying the cluster again. */
async function mend(cluster: ScratchCluster, faults: readonly string[]): Promise<void> {
  const instances = instancesOf(cluster);
  wake(cluster, instances);
  const areThere = localContainers(cluster.topology).every((declared) =>
    instances.some(({ name }) => name === declared),
  );
  if (!cluster.isDeployed || !areThere) {
    cluster.apply(upkeepOf(cluster).change);
  }
  if (faults.some((fault) => fault !== NOT_DEPLOYED)) {
    // What happens at boot, and what systemd starts at boot.
    await onEveryHost(
      cluster,
      (role) => `{ echo flush ruleset; cat /etc/nftables.conf; } | nft --file -
        systemctl reset-failed
        systemctl restart cluster-converge.service
        systemctl start ${SERVICES[role].join(" ")}`,
    );
  }
  for (const { name } of cluster.topology.hosts.filter(({ role }) => role === "web")) {
    cluster.attemptToOperate("undrain", name);
  }
  await cluster.inSync(60).catch(() => {
    // A restore or a switchover was left unfinished, or a host has lost its data.
    cluster.operate("promote", "--accept-loss");
    return cluster.inSync();
  });
  const access = localHostAccess(cluster.incusProject);
  const status = await gatherStatus(cluster.topology, access, ["web"]);
  if ((await otherReleases(cluster, status)).length > 0) {
    cluster.operate("release");
  }
  await cluster.serving(cluster.topology.settings.app.healthPath);
  const still = await lastingFaults(cluster, BROUGHT_BACK);
  if (still.length > 0) {
    throw new Error(`it is not well: ${still.join("; ")}`);
  }
}

/** Destroys the cluster, and deploys what is declared. */
async function makeAnew(cluster: ScratchCluster): Promise<void> {
  if (upkeepOf(cluster).givenUp < 2) {
    cluster.attemptToDestroy();
  }
  await bringUp(cluster);
}

/** Deploys a cluster that does not exist. */
async function bringUp(cluster: ScratchCluster): Promise<void> {
  const upkeep = upkeepOf(cluster);
  if (upkeep.givenUp >= 2) {
    throw new Error("the cluster could not be deployed twice in a row: the first failure says why");
  }
  upkeep.givenUp++;
  cluster.deploy(upkeep.change);
  await cluster.inSync();
  await cluster.serving(cluster.topology.settings.app.healthPath);
  upkeep.givenUp = 0;
}

function upkeepOf(cluster: ScratchCluster): Upkeep {
  const known = upkeeps.get(cluster) ?? { change: {}, failedBefore: 0, givenUp: 0 };
  upkeeps.set(cluster, known);
  return known;
}

/**
 * Brings a cluster to its original settings with `change` applied, and to what they declare: every host up and
 * connected, with its declared firewall, none drained, one primary, every replica fresh, the app's declared release. It
 * takes a second or two if all is well already; a cluster that cannot be repaired is destroyed and deployed again.
 *
 * @throws Error if it cannot be deployed
 */
export async function makeWell(cluster: ScratchCluster, change: Change = {}): Promise<void> {
  const upkeep = upkeepOf(cluster);
  upkeep.change = change;
  cluster.set(change);
  const instances = instancesOf(cluster);
  if (instances.length === 0) {
    await bringUp(cluster);
  } else {
    const outside = faultsOutside(cluster, instances);
    const faults = outside.length > 0 ? outside : await lastingFaults(cluster, BY_ITSELF);
    if (faults.length > 0) {
      say(`the cluster is brought back: ${faults.join("; ")}`);
      // Other settings are what a test changed on purpose.
      if (testsFailed() === 0 && cluster.isDeployed) {
        left.push(...faults);
      }
      await mend(cluster, faults).catch((error: Error) => {
        say(`the cluster is made anew: ${error.message}`);
        return makeAnew(cluster);
      });
    }
  }
  upkeep.failedBefore = testsFailed();
}

/**
 * Tests that start from a healthy cluster, whatever happened in those before, even when run alone.
 *
 * @param change to the cluster's original settings
 */
export function group(
  name: string,
  cluster: ScratchCluster,
  tests: () => void,
  change: Change = {},
): void {
  describe(name, () => {
    beforeAll(() => makeWell(cluster, change), LIMIT);
    beforeEach(async () => {
      const { change, failedBefore } = upkeepOf(cluster);
      if (testsFailed() > failedBefore) {
        await makeWell(cluster, change);
      }
    }, LIMIT);
    tests();
  });
}

/** The last test of a file: repairs are for tests that failed, and must not hide a fault. */
export function leftWell(): void {
  test("no group of tests that passed left a fault in the cluster", () => {
    expect(left).toEqual([]);
  });
}
