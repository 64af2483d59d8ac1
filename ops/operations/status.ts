import type { LeaseStatus } from "../../agent/lease";
import type { Failure } from "../../agent/loop";
import { nameTables } from "../../agent/objections";
import type { StateAnswer } from "../../agent/state";
import { ROLES, type Role } from "../../topology/roles";
import type { Topology, TopologyHost } from "../../topology/topology";
import type { HostAccess, Power, Ran } from "../platform/host-access";
import { type CheckedServer, checkInWords, type Held, heldFor } from "./checks";
import { type EtcdFacts, etcdLine, problemsOfEtcd } from "./etcd";
import { problemsOfRecord, recordLine } from "./record";

/** Available package upgrades of a host, and its running programs that are outdated (scripts/host/updates.sh). */
export interface Updates {
  /** The upgrades: name, installed version, new version. */
  readonly packages: readonly string[];
  /** When the package lists were fetched, seconds since 1970; `null` if there are none. */
  readonly listedAt: number | null;
  readonly rebootRequired: boolean;
  /** Units that run a program or a library that has been replaced since. */
  readonly outdatedUnits: readonly string[];
  /** Whether an upgrade was started and not finished. */
  readonly underWay: boolean;
}

/** Facts that every host reports (scripts/host/status.sh). */
interface HostFacts {
  readonly uptimeSeconds: number;
  /** Whether it has converged to its declared state. */
  readonly converged: boolean;
  readonly failedUnits: readonly string[];
  /** By program, for example `mysql`. */
  readonly versions: Readonly<Record<string, string>>;
  /** `null` if the package manager could not be queried; omitted by hosts with scripts from before upgrades. */
  readonly updates?: Updates | null;
  /** Whether a reboot was requested and has not happened yet. */
  readonly rebooting?: boolean;
  /** `null` if it has no part in etcd; omitted by hosts with scripts from before etcd. */
  readonly etcd?: EtcdFacts | null;
}

/** How one of two load balancers stands to the visitors' address (scripts/load-balancer/status.sh). */
export interface PairFacts {
  readonly holds: boolean;
  /** Why it could not take the address; `null` if it can. */
  readonly obstacle: string | null;
  /** Why the platform does not send visitors to it although it holds the address; retried. `null` if it does. */
  readonly failure: string | null;
}

export interface LoadBalancerFacts extends HostFacts {
  readonly role: "load-balancer";
  /** Its balancing algorithm. */
  readonly balance: string;
  /** The web servers as it sees them. */
  readonly servers: readonly CheckedServer[];
  /** `null` if it is the only load balancer; omitted by hosts with scripts from before there could be two. */
  readonly pair?: PairFacts | null;
}

export interface WebFacts extends HostFacts {
  readonly role: "web";
  /** SHA-256 of the release that serves; empty when there is none. */
  readonly release: string;
  readonly releaseBefore: string;
  /** Whether the app answers its own host that it can serve. */
  readonly healthy: boolean;
  /** Identifier of the app's current run: each start has a new one. */
  readonly run: string;
  /** How long that run has lasted. */
  readonly runningSeconds: number;
  readonly writesTo: readonly string[];
  readonly readsFrom: readonly string[];
}

/** What a database host's agent reports about its role, whatever the command. */
export interface DatabaseState extends Omit<StateAnswer, "host"> {
  /** Whether an operator closed it, so that it does not reopen by itself. */
  readonly held: boolean;
}

/** What scripts/database/status.sh adds. */
export interface DatabaseFacts extends HostFacts, DatabaseState {
  readonly role: "database";
  /** Whether its agent answers; if not, the other values are those of a host whose server does not answer. */
  readonly agentAnswers: boolean;
  /** The failure of the last decision, which is retried; `null` if there was none. */
  readonly failure: Failure | null;
  readonly hasRoom: boolean;
  readonly freeMebibytes: number;
  /** Its part in the record of the primary; `null` while failover is manual. Omitted if its agent does not answer. */
  readonly lease?: LeaseStatus | null;
  readonly durability: "available" | "lossless";
  /** The answers of its health port. */
  readonly answers: {
    readonly primary: number;
    readonly replica: number;
    readonly readable: number;
  };
  /** Files with transactions that never reached the primary. */
  readonly setAside: readonly string[];
  /**
   * Tables that are not InnoDB, `schema.table (engine)`, at most a hundred: no clone copies their rows. Omitted by
   * hosts that do not look for them.
   */
  readonly otherTables?: readonly string[];
  /** When this host last put a dump and binary logs into the repository, seconds since 1970. */
  readonly backups: { readonly dump: number | null; readonly logs: number | null };
}

/** A host and its observed state. */
export interface HostStatus {
  readonly host: string;
  readonly address: string;
  readonly role: TopologyHost["role"];
  readonly power: Power;
  /** Its own report; `undefined` if it does not answer. */
  readonly facts: LoadBalancerFacts | WebFacts | DatabaseFacts | undefined;
  /** Why there are no facts, as a sentence, if that is known. */
  readonly silence?: string;
}

/** A whole cluster and its observed state. */
export interface ClusterStatus {
  readonly cluster: string;
  readonly hosts: readonly HostStatus[];
}

const SCRIPT = "/opt/cluster/scripts/host/status.sh";

/** How long a host may take to report its facts. */
const ANSWER_SECONDS = 20;

/** The facts that a script printed as its last line; `undefined` if that line is something else. */
export function parseFacts<Facts>({ exitCode, stdout, cut }: Ran): Facts | undefined {
  if (exitCode !== 0 || cut !== undefined) {
    return undefined;
  }
  try {
    return JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
  } catch {
    return undefined;
  }
}

/** Why a host returned no facts; `undefined` if that is not known. */
function silenceOf(host: string, { exitCode, stdout, stderr, cut }: Ran): string | undefined {
  const last = stderr.trim().split("\n").at(-1) ?? "";
  if (exitCode === undefined) {
    return last || undefined;
  }
  const why =
    exitCode !== 0
      ? `its status script exited with ${exitCode}${last === "" ? "" : `: ${last}`}`
      : cut !== undefined
        ? `its status is incomplete: ${cut}`
        : `its status is not valid JSON: ${JSON.stringify(stdout.slice(0, 80))}`;
  return `${host} does not answer: ${why}`;
}

/** Queries the facts of one host; `undefined` if it does not answer. */
export async function askHost<Facts extends NonNullable<HostStatus["facts"]>>(
  access: HostAccess,
  host: string,
): Promise<Facts | undefined> {
  return parseFacts<Facts>(await access.run(host, [SCRIPT], ANSWER_SECONDS));
}

/** Queries the facts of every host, or of those of some roles. */
export async function gatherStatus(
  topology: Topology,
  access: HostAccess,
  roles: readonly Role[] = ROLES,
): Promise<ClusterStatus> {
  const hosts = topology.hosts.filter(({ role }) => roles.includes(role));
  const [power, answers] = await Promise.all([
    access.power(hosts.map(({ name }) => name)),
    Promise.all(
      hosts.map(async ({ name, address, role }) => {
        const ran = await access.run(name, [SCRIPT], ANSWER_SECONDS);
        const facts = parseFacts<NonNullable<HostStatus["facts"]>>(ran);
        const silence = facts === undefined ? silenceOf(name, ran) : undefined;
        return { host: name, address, role, facts, ...(silence === undefined ? {} : { silence }) };
      }),
    ),
  ]);
  return {
    cluster: topology.clusterName,
    hosts: answers.map((one) => ({
      ...one,
      power: one.facts === undefined ? (power.get(one.host) ?? "unknown") : "running",
    })),
  };
}

/** The facts of the hosts of one role that answer, with their names. */
export function factsOf<Role extends TopologyHost["role"]>(
  status: ClusterStatus,
  role: Role,
): Array<{ host: string; facts: Extract<HostStatus["facts"], { role: Role }> }> {
  return status.hosts.flatMap(({ host, facts }) =>
    facts?.role === role
      ? [{ host, facts: facts as Extract<HostStatus["facts"], { role: Role }> }]
      : [],
  );
}

/** Why hosts do not answer, one sentence each, if that is known. */
export function silencesOf(status: ClusterStatus): string[] {
  return status.hosts.flatMap(({ silence }) => silence ?? []);
}

/**
 * A web server's status according to the load balancers: the worst, if there are several. `undefined` if none answers
 * or knows it.
 */
export function heldByLoadBalancers(status: ClusterStatus, webServer: string): Held | undefined {
  const held = factsOf(status, "load-balancer").flatMap(({ facts }) =>
    facts.servers.filter(({ name }) => name === webServer).map(heldFor),
  );
  return (["down", "drained", "up"] as const).find((one) => held.includes(one));
}

const WEB_STATES: Readonly<Record<Held, string>> = {
  up: "serves",
  down: "down",
  drained: "drained",
};

/** A web server serves if the load balancer sends it requests, whatever it reports itself. */
function webState(facts: WebFacts, held: Held | undefined): string {
  if (!facts.healthy) {
    return "unhealthy";
  }
  return held === undefined ? "healthy" : WEB_STATES[held];
}

/**
 * The replicas that a primary's writes wait for. The server's own count includes dead connections; what counts is which
 * hosts replicate from it.
 */
function writesWaitFor(status: ClusterStatus, host: string, { semiSync }: DatabaseFacts): string {
  if (semiSync !== "on") {
    return "writes do not wait for a replica";
  }
  const replicas = replicasOf(status, host);
  switch (replicas.length) {
    case 0:
      return "writes wait for a replica, but none replicates";
    case 1:
      return `writes wait for ${replicas[0]}`;
    default:
      return `writes wait for one of ${replicas.join(", ")}`;
  }
}

function pairInWords({ holds, obstacle }: PairFacts): string {
  return holds
    ? "holds the visitors' address"
    : obstacle === null
      ? "stands by"
      : "cannot take the visitors' address";
}

function describe(
  { host, facts, power }: HostStatus,
  status: ClusterStatus,
): { state: string; details: string[] } {
  if (facts === undefined) {
    return { state: power === "running" ? "silent" : power, details: [] };
  }
  switch (facts.role) {
    case "load-balancer":
      return {
        state: facts.servers.some((server) => heldFor(server) === "up") ? "serves" : "no server",
        details: [
          facts.balance,
          ...(facts.pair ? [pairInWords(facts.pair)] : []),
          facts.servers.map(({ name, status }) => `${name} ${status.toLowerCase()}`).join(", "),
        ],
      };
    case "web":
      return {
        state: webState(facts, heldByLoadBalancers(status, host)),
        details: [
          facts.release === "" ? "no release" : `release ${facts.release.slice(0, 12)}`,
          `writes to ${facts.writesTo.join(", ") || "no host"}`,
          `reads from ${facts.readsFrom.join(", ") || "no host"}`,
        ],
      };
    case "database":
      return {
        state:
          facts.answers.primary === 200 && facts.writability === "open"
            ? "primary"
            : facts.answers.replica === 200
              ? "replica"
              : facts.decision,
        details: [
          `term ${facts.term} of ${facts.primary}`,
          ...(facts.writability === "closed" ? [] : [facts.writability]),
          facts.source === "-"
            ? writesWaitFor(status, host, facts)
            : facts.lagSeconds === null
              ? `has received nothing from ${facts.source} yet`
              : `${facts.lagSeconds} s behind ${facts.source}`,
        ],
      };
  }
}

function problemsOfHost({ host, facts, power, silence }: HostStatus): string[] {
  if (facts === undefined) {
    switch (power) {
      case "running":
        return [silence ?? `${host} does not answer`];
      case "unknown":
        return [`${silence ?? `${host} does not answer`}; it is not known whether it runs`];
      default:
        return [`${host} is ${power}`];
    }
  }
  const problems: string[] = [];
  if (!facts.converged) {
    problems.push(`${host} has not converged to its declared state`);
  }
  if (facts.failedUnits.length > 0) {
    problems.push(`${host}: failed units: ${facts.failedUnits.join(", ")}`);
  }
  if (facts.role === "load-balancer") {
    if (facts.pair?.obstacle && !facts.pair.holds) {
      problems.push(`${host} cannot take the visitors' address: ${facts.pair.obstacle}`);
    }
    if (facts.pair?.failure) {
      problems.push(
        `${host} holds the visitors' address, but claiming it from the platform fails and is being retried: ${facts.pair.failure}`,
      );
    }
    for (const server of facts.servers) {
      const held = heldFor(server);
      if (held !== "up") {
        const why = held === "down" ? `, ${checkInWords(server)}` : "";
        problems.push(
          `${host} sends no requests to ${server.name}: ${server.status.toLowerCase()}${why}`,
        );
      }
    }
  }
  if (facts.role === "web" && !facts.healthy) {
    problems.push(`${host}: its app is not healthy`);
  }
  if (facts.role === "database") {
    if (facts.answers.primary !== 200 && facts.answers.replica !== 200) {
      problems.push(`${host} serves neither writes nor fresh reads: ${facts.decision}`);
    }
    if (!facts.agentAnswers) {
      problems.push(`${host}: its agent does not answer: journalctl -u cluster-database-agent`);
    }
    if (facts.failure !== null) {
      problems.push(
        `${host}: ${facts.failure.decision} failed and is being retried: ${facts.failure.message}`,
      );
    }
    if (!facts.hasRoom) {
      problems.push(`${host}: its data volume is full; ${facts.freeMebibytes} MiB are free`);
    }
    if (facts.setAside.length > 0) {
      problems.push(
        `${host} has set aside transactions that never reached the primary: ${facts.setAside.join(", ")}`,
      );
    }
  }
  return problems;
}

/** Tables that are not InnoDB, on any of the hosts. */
export function otherTablesOf(databases: readonly DatabaseFacts[]): string[] {
  return [...new Set(databases.flatMap(({ otherTables = [] }) => otherTables))].sort();
}

/** Two nights, in seconds. */
const BACKUP_OVERDUE = 50 * 60 * 60;

const secondsSince = (time: number) => Math.max(0, Date.now() / 1000 - time);

function age(time: number): string {
  const minutes = Math.round(secondsSince(time) / 60);
  return minutes < 100 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

/** When any of the hosts last put a dump and binary logs into the repository. */
function lastBackups(databases: readonly DatabaseFacts[]): DatabaseFacts["backups"] {
  const newest = (times: ReadonlyArray<number | null>) => {
    const known = times.filter((time) => time !== null);
    return known.length === 0 ? null : Math.max(...known);
  };
  return {
    dump: newest(databases.map(({ backups }) => backups.dump)),
    logs: newest(databases.map(({ backups }) => backups.logs)),
  };
}

function backupLine(databases: readonly DatabaseFacts[]): string {
  const { dump, logs } = lastBackups(databases);
  return [
    `backups: ${dump === null ? "no dump yet" : `last dump ${age(dump)} ago`}`,
    logs === null ? "no binary logs yet" : `binary logs ${age(logs)} ago`,
  ].join(", ");
}

/** The updates of a host that are still to be done, in words; empty if there are none. */
export function pendingOf({ packages, rebootRequired, outdatedUnits, underWay }: Updates): string {
  return [
    ...(packages.length > 0 ? [`${packages.length} package${packages.length > 1 ? "s" : ""}`] : []),
    ...(rebootRequired ? ["a reboot"] : []),
    ...(outdatedUnits.length > 0 ? [`a restart of ${outdatedUnits.join(", ")}`] : []),
    ...(underWay ? ["the end of an upgrade"] : []),
  ].join(" and ");
}

/** The upgrades due on the hosts, and the age of the package lists that show them. */
function updatesLine({ hosts }: ClusterStatus): string {
  const known = hosts.flatMap(({ host, facts }) =>
    facts?.updates ? [{ host, ...facts.updates }] : [],
  );
  const pending = known.flatMap((one) => {
    const words = pendingOf(one);
    return words === "" ? [] : [`${one.host} ${words}`];
  });
  const listed = known.map(({ listedAt }) => listedAt ?? 0);
  const oldest = listed.length === 0 ? 0 : Math.min(...listed);
  return [
    `updates: ${pending.length === 0 ? "none known" : pending.join("; ")}`,
    oldest === 0 ? "package lists not fetched yet" : `package lists fetched ${age(oldest)} ago`,
  ].join(", ");
}

/** The database hosts that replicate from this one. */
function replicasOf(status: ClusterStatus, primary: string): string[] {
  return factsOf(status, "database")
    .filter(({ facts }) => facts.source === primary && facts.replication === "running")
    .map(({ host }) => host);
}

/** Why writes wait although there is a primary, one sentence each. */
function problemsOfWrites(status: ClusterStatus): string[] {
  const databases = factsOf(status, "database");
  const hasReplicas = status.hosts.filter(({ role }) => role === "database").length > 1;
  const waiting = databases
    .filter(
      ({ host, facts }) =>
        facts.primary === host &&
        facts.writability !== "closed" &&
        facts.durability === "lossless" &&
        hasReplicas &&
        replicasOf(status, host).length === 0,
    )
    .map(
      ({ host }) =>
        `writes to ${host} wait: durability is lossless, and no replica has them; start a replica`,
    );
  const [primary, ...more] = databases.filter(({ facts }) => facts.answers.primary === 200);
  const cutOff = factsOf(status, "web")
    .filter(({ facts }) => !facts.writesTo.includes(primary?.host ?? ""))
    .map(({ host }) => host);
  return primary === undefined || more.length > 0 || cutOff.length === 0
    ? waiting
    : [
        ...waiting,
        `${cutOff.join(" and ")} ${cutOff.length > 1 ? "do" : "does"} not reach ${primary.host}, the primary: writes fail there, and no replica takes over, as the primary is well; repair the network between them, or switch over`,
      ];
}

/** What is wrong with two load balancers that no host of them knows by itself. */
function problemsOfPair(status: ClusterStatus): string[] {
  const pair = factsOf(status, "load-balancer").filter(({ facts }) => facts.pair);
  const isKnown =
    pair.length === status.hosts.filter(({ role }) => role === "load-balancer").length;
  const holders = pair.filter(({ facts }) => facts.pair?.holds).map(({ host }) => host);
  const drainedOn = (server: string) =>
    pair.filter(({ facts }) =>
      facts.servers.some((one) => one.name === server && heldFor(one) === "drained"),
    );
  const names = new Set(pair.flatMap(({ facts }) => facts.servers.map(({ name }) => name)));
  return [
    ...(pair.length > 0 && isKnown && holders.length === 0
      ? ["no load balancer holds the visitors' address"]
      : []),
    ...(holders.length > 1 ? [`${holders.join(" and ")} both hold the visitors' address`] : []),
    ...[...names]
      .filter((name) => pair.length > 1 && drainedOn(name).length === 1)
      .map(
        (name) =>
          `${name} is drained on ${drainedOn(name)[0]?.host} only: drain or undrain it again`,
      ),
  ];
}

/** All problems, one sentence each; empty if all is well. */
export function problemsOf(status: ClusterStatus): string[] {
  const problems = [
    ...status.hosts.flatMap(problemsOfHost),
    ...problemsOfEtcd(status.hosts),
    ...problemsOfRecord(recordHostsOf(status)),
    ...problemsOfWrites(status),
    ...problemsOfPair(status),
  ];
  const databases = factsOf(status, "database");
  const primaries = databases.filter(({ facts }) => facts.writability === "open");
  if (primaries.length !== 1) {
    problems.push(
      primaries.length === 0
        ? "no database host accepts writes"
        : `several database hosts accept writes: ${primaries.map(({ host }) => host).join(", ")}`,
    );
  }
  const hasReplicas = status.hosts.filter(({ role }) => role === "database").length > 1;
  for (const { host, facts } of primaries) {
    if (hasReplicas && facts.semiSync !== "on") {
      problems.push(`writes to ${host} are acknowledged without a second copy`);
    }
  }
  const tables = otherTablesOf(databases.map(({ facts }) => facts));
  if (tables.length > 0) {
    problems.push(
      `replicas that cloned have no rows of ${nameTables(tables)}, which a switchover would lose: ALTER TABLE ... ENGINE=InnoDB on the primary`,
    );
  }
  const { dump } = lastBackups(databases.map(({ facts }) => facts));
  const upFor = Math.max(0, ...databases.map(({ facts }) => facts.uptimeSeconds));
  if (databases.length > 0 && Math.min(upFor, secondsSince(dump ?? 0)) > BACKUP_OVERDUE) {
    problems.push(
      dump === null
        ? "there is no backup"
        : `the last backup is ${age(dump)} old; one is due every night`,
    );
  }
  const releases = new Set(factsOf(status, "web").map(({ facts }) => facts.release));
  if (releases.size > 1) {
    problems.push("web servers serve different releases");
  }
  return problems;
}

const recordHostsOf = (status: ClusterStatus) => factsOf(status, "database");

function failoverLines(status: ClusterStatus): string[] {
  return [recordLine(recordHostsOf(status)), etcdLine(status.hosts)].filter(
    (line) => line !== undefined,
  );
}

/** What hangs on the NAT gateways of a cluster on AWS, in a line; nothing that serves visitors does. */
export function natGatewayLine({ settings, network }: Topology): string {
  const [first] = network.subnets.filter(({ isPublic }) => isPublic);
  return settings.natGateways === "one"
    ? `NAT gateway: one, in ${first?.availabilityZone}; if it fails, visitors are served, but web servers and database hosts cannot be reached, changed, upgraded, backed up or booted`
    : "NAT gateways: one in each zone; if one fails, visitors are served, but hosts of its zone cannot be reached, changed, upgraded, backed up or booted";
}

/**
 * The status as a table for people, with all problems.
 *
 * @param notes further lines, which are not problems
 */
export function statusTable(status: ClusterStatus, notes: readonly string[] = []): string[] {
  const rows = [
    ["HOST", "ADDRESS", "STATE", "DETAILS"],
    ...status.hosts.map((host) => {
      const { state, details } = describe(host, status);
      return [host.host, host.address, state, details.join("; ")];
    }),
  ];
  const widths = [0, 1, 2].map((column) =>
    Math.max(...rows.map((row) => (row[column] as string).length)),
  );
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  const versions = new Map<string, Set<string>>();
  for (const { facts } of status.hosts) {
    for (const [program, version] of Object.entries(facts?.versions ?? {})) {
      versions.set(program, (versions.get(program) ?? new Set()).add(version));
    }
  }
  const programs = [...versions].sort(([one], [other]) => (one < other ? -1 : 1));
  const problems = problemsOf(status);
  return [
    ...lines,
    "",
    backupLine(factsOf(status, "database").map(({ facts }) => facts)),
    ...failoverLines(status),
    updatesLine(status),
    `versions: ${programs.map(([program, found]) => `${program} ${[...found].join(" and ")}`).join(", ")}`,
    ...notes,
    ...(problems.length === 0 ? ["all is well"] : problems.map((problem) => `! ${problem}`)),
  ];
}
