import { setTimeout as pause } from "node:timers/promises";
import { secondsToNotice } from "../../hosts/load-balancer";
import { hostsOf, type Topology, type TopologyHost } from "../../topology/topology";
import { OperatorError } from "../operator-error";
import type { HostAccess } from "../platform/host-access";
import { awaitChecks } from "./await-checks";
import { changePrimary } from "./change-primary";
import { outOfService } from "./drain";
import { lacksEtcd } from "./etcd";
import { onHost } from "./on-host";
import {
  askHost,
  type ClusterStatus,
  factsOf,
  gatherStatus,
  type HostStatus,
  heldByLoadBalancers,
  silencesOf,
  type Updates,
} from "./status";
import { pendingOf } from "./status-table";

// Upgrades go through the hosts one at a time: each is out of service while its packages are installed, reboots, and
// proves healthy before the next one's turn. The reboot makes every process run what is installed, including the
// kernel.

/** Timeout for installing packages, in seconds. */
const INSTALLING = 1800;
/** Timeout for fetching the package lists, in seconds. */
const FETCHING = 300;
/** How long a host may take to reboot and to work again, in seconds. */
const REBOOTING = 600;
/** How long the load balancer sends a web server requests before the next host's turn, in seconds. */
const IN_SERVICE = 2;
/** How long to wait for the cluster to recover after an interrupted upgrade, in seconds. */
const SETTLING = 120;

/** The operator's request. */
export interface UpgradeRequest {
  /** The one host to upgrade; if omitted, all. */
  readonly host?: string | undefined;
  /** Whether hosts that are the only one in their role also reboot, which visitors notice. */
  readonly interrupt: boolean;
  readonly dryRun: boolean;
}

/** One host's turn. */
export interface Turn {
  readonly host: string;
  readonly role: TopologyHost["role"];
  /** Whether it is the primary, which first hands its role over if there is a replica. */
  readonly isPrimary: boolean;
  readonly reboots: boolean;
  readonly updates: Updates;
}

/** What an upgrade will do, and what it will not do. */
export interface UpgradePlan {
  readonly turns: readonly Turn[];
  /** What it does not do unless `--interrupt` is given, one sentence each. */
  readonly left: readonly string[];
}

const underWay = ({ facts }: HostStatus) => facts?.updates?.underWay === true;

/** Why a host cannot be relied on while another one is away; `undefined` if it can. */
function against(one: HostStatus, status: ClusterStatus): string | undefined {
  const { host, facts, silence } = one;
  if (facts === undefined) {
    return silence ?? `${host} does not answer`;
  }
  if (facts.updates === undefined) {
    return `${host} has scripts that do not support upgrades yet: deploy first`;
  }
  if (facts.updates === null) {
    return `${host}: its package manager fails; for the reason, run there: apt-get --simulate upgrade`;
  }
  if (underWay(one)) {
    return undefined;
  }
  if (!facts.converged) {
    return `${host} has not converged to its declared state`;
  }
  if (lacksEtcd(facts.etcd)) {
    return `etcd on ${host} does not answer: one voter is away already`;
  }
  if (facts.role === "load-balancer" && facts.pair?.obstacle && !facts.pair.holds) {
    return `${host} cannot take the visitors' address: ${facts.pair.obstacle}`;
  }
  if (facts.role === "web" && !(facts.healthy && heldByLoadBalancers(status, host) === "up")) {
    return `${host} does not serve`;
  }
  if (facts.role === "database" && facts.answers.primary !== 200 && facts.answers.replica !== 200) {
    return `${host} serves neither writes nor fresh reads: ${facts.decision}`;
  }
  return undefined;
}

/**
 * Why the cluster is not healthy enough for one of its hosts to be taken away, one sentence each. A host whose own
 * upgrade was interrupted does not count.
 */
export function standing(status: ClusterStatus): string[] {
  const open = factsOf(status, "database").filter(({ facts }) => facts.writability === "open");
  return [
    ...status.hosts.flatMap((one) => against(one, status) ?? []),
    ...(open.length === 1
      ? []
      : [`${open.length} database hosts accept writes; wanted exactly one`]),
  ];
}

/**
 * The steps, in order: replicas, web servers, the primary once an upgraded replica can take its role, load balancers
 * last, of two the one that does not hold the visitors' address first. Pure.
 */
export function planUpgrade(
  status: ClusterStatus,
  { host: wanted, interrupt }: Pick<UpgradeRequest, "host" | "interrupt">,
): UpgradePlan {
  const count = (role: TopologyHost["role"]) =>
    status.hosts.filter((one) => one.role === role).length;
  /** What visitors would notice if a host is away; `undefined` if nothing. */
  const noticed = ({ role, facts }: HostStatus): string | undefined => {
    // While it is away, nobody watches.
    if (count(role) === 1 && role !== "monitor") {
      return `it is the only ${role}, so service would be interrupted`;
    }
    return facts?.role === "database" && facts.durability === "lossless" && count(role) === 2
      ? "with durability lossless, writes would wait while one of two database hosts is away"
      : undefined;
  };
  const left: string[] = [];
  const turns = status.hosts.flatMap((one): Turn[] => {
    const { host, role, facts } = one;
    const updates = facts?.updates;
    if (!updates || pendingOf(updates) === "" || (wanted !== undefined && wanted !== host)) {
      return [];
    }
    const isPrimary = facts.role === "database" && facts.writability === "open";
    const why = noticed(one);
    if (interrupt || why === undefined) {
      return [{ host, role, isPrimary, reboots: true, updates }];
    }
    // HAProxy switches to a newer program without interruption; everything else on the only host of a role would
    // interrupt service.
    if (role === "load-balancer" && (updates.packages.length > 0 || updates.underWay)) {
      left.push(`${host} does not reboot: it is the only ${role}. To reboot it: --interrupt`);
      return [{ host, role, isPrimary, reboots: false, updates }];
    }
    left.push(
      `${host} is skipped (due: ${pendingOf(updates)}): ${why}. To do it anyway: --interrupt`,
    );
    return [];
  });
  const holder = factsOf(status, "load-balancer").find(({ facts }) => facts.pair?.holds)?.host;
  const rank = ({ host, role, isPrimary }: Turn) =>
    role === "database" ? (isPrimary ? 2 : 0) : role === "web" ? 1 : host === holder ? 4 : 3;
  return { turns: turns.sort((one, other) => rank(one) - rank(other)), left };
}

/** The plan, one line for each host. */
export function explainUpgrade({ turns, left }: UpgradePlan): string[] {
  return [
    turns.length === 0 ? "There is nothing to do now." : "This will be done, one host at a time:",
    ...turns.map(({ host, isPrimary, reboots, updates }) => {
      const { packages } = updates;
      const named = packages.slice(0, 5).map((line) => line.split(" ")[0]);
      const more = packages.length > 5 ? ` and ${packages.length - 5} more` : "";
      return [
        `  ${host}`,
        ...(isPrimary ? ["hands the primary role to a replica"] : []),
        ...(packages.length > 0 ? [`gets ${named.join(", ")}${more}`] : []),
        reboots ? "reboots" : "does not reboot",
      ].join("; ");
    }),
    ...left.map((sentence) => `  ${sentence}`),
  ];
}

/** Makes every host fetch its package lists, in parallel. */
async function refresh(access: HostAccess, hosts: readonly string[]): Promise<void> {
  const failures = await Promise.all(
    hosts.map((host) =>
      onHost(access, host, ["host/updates.sh", "--refresh"], FETCHING).then(
        () => [],
        (error: Error) => [error.message],
      ),
    ),
  );
  if (failures.flat().length > 0) {
    throw new OperatorError(
      ["The package lists could not be fetched. Nothing was changed.", ...failures.flat()].join(
        "\n  ",
      ),
    );
  }
}

/** Upgrades one host at a time. */
class Upgrading {
  constructor(
    private readonly topology: Topology,
    private readonly access: HostAccess,
    private readonly say: (line: string) => void,
  ) {}

  private part(host: string, part: string, seconds?: number): Promise<string> {
    return onHost(this.access, host, ["host/upgrade.sh", part], seconds);
  }

  /** Whether a host works in the cluster, as it reports itself. */
  private async doesItsPart(host: string): Promise<{ yes: boolean; why: string }> {
    const facts = await askHost(this.access, host);
    if (facts === undefined) {
      return { yes: false, why: "it does not answer" };
    }
    if (facts.rebooting) {
      return { yes: false, why: "it has not rebooted" };
    }
    if (!facts.converged) {
      return { yes: false, why: "it has not converged to its declared state" };
    }
    if (lacksEtcd(facts.etcd)) {
      return { yes: false, why: "its etcd does not answer" };
    }
    switch (facts.role) {
      case "web":
        return { yes: facts.healthy, why: "its app is not healthy" };
      case "monitor":
        return { yes: facts.targets !== null, why: "its Prometheus does not answer" };
      case "database":
        return {
          yes: facts.answers.replica === 200 || facts.answers.primary === 200,
          why: `it serves neither writes nor fresh reads: ${facts.decision}`,
        };
      case "load-balancer":
        if (facts.pair?.obstacle && !facts.pair.holds) {
          return {
            yes: false,
            why: `it cannot take the visitors' address: ${facts.pair.obstacle}`,
          };
        }
        return {
          yes: facts.servers.some(({ status }) => status.startsWith("UP")),
          why: "according to it, no web server is up",
        };
    }
  }

  private async isBack(host: string): Promise<void> {
    const started = Date.now();
    for (;;) {
      const { yes, why } = await this.doesItsPart(host);
      if (yes) {
        return;
      }
      if (Date.now() - started > REBOOTING * 1000) {
        throw new OperatorError(`${host} is not back ${REBOOTING} s after its reboot: ${why}`);
      }
      await pause(1000);
    }
  }

  private async renew({ host, reboots, updates }: Turn): Promise<void> {
    this.say(`${host}: upgrading ${updates.packages.length} packages`);
    await this.part(host, "packages", INSTALLING);
    if (reboots) {
      this.say(`${host}: rebooting`);
      await this.part(host, "reboot");
      await pause(2000);
    } else {
      await this.part(host, "reload");
    }
    await this.isBack(host);
  }

  /** Hands the primary role to a replica. */
  async handOver(): Promise<void> {
    const request = { verb: "switchover", lost: [], fence: [], acceptLoss: false } as const;
    await changePrimary(this.topology, this.access, request, { dryRun: false }, this.say);
  }

  private async isPrimary(host: string): Promise<boolean> {
    const facts = await askHost(this.access, host);
    return facts?.role === "database" && facts.writability === "open";
  }

  private async take(turn: Turn): Promise<void> {
    const { host, role } = turn;
    // From here on, a drained or closed host is known to be so because of an upgrade.
    await this.part(host, "begin");
    if (role === "web") {
      const found = (seconds: number, inService: boolean) =>
        awaitChecks(this.topology, this.access, host, { seconds, inService });
      await outOfService(this.topology, this.access, { host, serves: true }, async () => {
        await this.renew(turn);
        await found(secondsToNotice(), false);
      });
      await found(IN_SERVICE, true);
    } else {
      const databases = hostsOf(this.topology, "database");
      // Checked now: it may have become the primary since.
      if (role === "database" && databases.length > 1 && (await this.isPrimary(host))) {
        await this.handOver();
      }
      await this.renew(turn);
    }
    await this.part(host, "end");
    this.say(`${host} is up to date and works`);
  }

  /** @throws OperatorError that names the host at which it stopped */
  async run(turns: readonly Turn[]): Promise<void> {
    for (const [index, turn] of turns.entries()) {
      try {
        await this.take(turn);
      } catch (error) {
        const rest = turns.slice(index + 1).map(({ host }) => host);
        throw new OperatorError(
          [
            `The upgrade was stopped at ${turn.host}: ${(error as Error).message}`,
            rest.length === 0 ? "" : `Not started: ${rest.join(", ")}.`,
            "Once this is fixed, run the same command again: it continues from there.",
          ]
            .filter(Boolean)
            .join("\n  "),
        );
      }
    }
  }
}

/** A primary that was closed to hand its role over when an upgrade was interrupted. */
const isHandingOver = ({ hosts }: ClusterStatus) =>
  hosts.some((one) => one.facts?.role === "database" && one.facts.held && underWay(one)) &&
  hosts.every(({ facts }) => facts?.role !== "database" || facts.writability !== "open");

/** Returns once the cluster is healthy enough; waits for what an interrupted upgrade left to recover. */
async function stands(
  topology: Topology,
  access: HostAccess,
  handOver: () => Promise<void>,
): Promise<void> {
  const started = Date.now();
  for (;;) {
    const status = await gatherStatus(topology, access);
    const against = standing(status);
    if (against.length === 0) {
      return;
    }
    if (isHandingOver(status)) {
      await handOver();
      continue;
    }
    const patience = status.hosts.some(underWay) ? SETTLING : 2;
    if (Date.now() - started > patience * 1000) {
      throw new OperatorError(
        [
          "The cluster is not healthy enough to take a host out of service. Nothing was changed.",
          ...new Set([...against, ...silencesOf(status)]),
        ].join("\n  "),
      );
    }
    await pause(1000);
  }
}

/**
 * Upgrades every host to the newest packages, one at a time, each out of service meanwhile and rebooted afterwards.
 *
 * @throws OperatorError if a host cannot be taken out of service, or does not come back: the remaining ones are not
 *   started
 */
export async function upgrade(
  topology: Topology,
  access: HostAccess,
  request: UpgradeRequest,
  say: (line: string) => void,
): Promise<void> {
  const names = topology.hosts.map(({ name }) => name);
  if (request.host !== undefined && !names.includes(request.host)) {
    throw new OperatorError(`There is no host ${request.host}; there are: ${names.join(", ")}.`);
  }
  const upgrading = new Upgrading(topology, access, say);
  await stands(topology, access, () => upgrading.handOver());
  await refresh(access, request.host === undefined ? names : [request.host]);
  const plan = planUpgrade(await gatherStatus(topology, access), request);
  explainUpgrade(plan).map((line) => say(line));
  if (!request.dryRun) {
    await upgrading.run(plan.turns);
  }
}
