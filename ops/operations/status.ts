import type { LeaseStatus } from "../../agent/lease";
import type { Failure } from "../../agent/loop";
import type { StateAnswer } from "../../agent/state";
import { ROLES, type Role } from "../../topology/roles";
import type { Topology, TopologyHost } from "../../topology/topology";
import type { HostAccess, Power, Ran } from "../platform/host-access";
import { type CheckedServer, type Held, heldFor } from "./checks";
import type { EtcdFacts } from "./etcd";

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

/** What chrony says of a host's clock. */
export interface Clock {
  readonly isSynchronized: boolean;
  /** How far it is from its time source, in seconds; `null` if that is not known. */
  readonly offsetSeconds: number | null;
}

/** Facts that every host reports (scripts/host/status.sh). */
export interface HostFacts {
  readonly uptimeSeconds: number;
  /** Whether it has converged to its declared state. */
  readonly converged: boolean;
  readonly failedUnits: readonly string[];
  /** `null` where the machine keeps the time; omitted by hosts with scripts from before it was reported. */
  readonly clock?: Clock | null;
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

/** The certificate that a load balancer serves. */
export interface ServedCertificate {
  readonly subject: string;
  readonly issuer: string;
  /** Seconds since 1970. */
  readonly validFrom: number;
  readonly validUntil: number;
}

/** Visitors' TLS at a load balancer. */
export interface ServedTls {
  readonly certificate: ServedCertificate | null;
  /** Whether browsers are to trust the certificate; omitted by hosts with scripts from before they could. */
  readonly isToBeTrusted?: boolean;
  /** Why it has no certificate that they trust, or no newer one; `null` if nothing is wrong. */
  readonly failure?: string | null;
}

export interface LoadBalancerFacts extends HostFacts {
  readonly role: "load-balancer";
  /** Its balancing algorithm. */
  readonly balance: string;
  /** The web servers as it sees them. */
  readonly servers: readonly CheckedServer[];
  /**
   * `null` if visitors cannot use TLS; omitted by hosts with scripts from before they could. Without a certificate if
   * HAProxy does not answer or has none.
   */
  readonly tls?: ServedTls | null;
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

/** An alert that a monitor raises. */
export interface RaisedAlert {
  readonly name: string;
  readonly severity: string;
  /** The host that it is about; `null` if it is about none, or about several. */
  readonly host: string | null;
  /** Seconds since 1970; `null` if that is not known. */
  readonly since: number | null;
  readonly summary: string;
}

export interface MonitorFacts extends HostFacts {
  readonly role: "monitor";
  readonly alertmanagerReady: boolean;
  /** What it asks for metrics, and whether that answers; `null` if Prometheus does not answer. */
  readonly targets: ReadonlyArray<{
    readonly host: string;
    readonly job: string;
    readonly up: boolean;
  }> | null;
  /** `null` if Prometheus does not answer. */
  readonly alerts: readonly RaisedAlert[] | null;
}

/** A host and its observed state. */
export interface HostStatus {
  readonly host: string;
  readonly address: string;
  readonly role: TopologyHost["role"];
  readonly power: Power;
  /** Its own report; `undefined` if it does not answer. */
  readonly facts: LoadBalancerFacts | WebFacts | DatabaseFacts | MonitorFacts | undefined;
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

/** Tables that are not InnoDB, on any of the hosts. */
export function otherTablesOf(databases: readonly DatabaseFacts[]): string[] {
  return [...new Set(databases.flatMap(({ otherTables = [] }) => otherTables))].sort();
}

/** When any of the hosts last put a dump and binary logs into the repository. */
export function lastBackups(databases: readonly DatabaseFacts[]): DatabaseFacts["backups"] {
  const newest = (times: ReadonlyArray<number | null>) => {
    const known = times.filter((time) => time !== null);
    return known.length === 0 ? null : Math.max(...known);
  };
  return {
    dump: newest(databases.map(({ backups }) => backups.dump)),
    logs: newest(databases.map(({ backups }) => backups.logs)),
  };
}

/** The database hosts that replicate from this one. */
export function replicasOf(status: ClusterStatus, primary: string): string[] {
  return factsOf(status, "database")
    .filter(({ facts }) => facts.source === primary && facts.replication === "running")
    .map(({ host }) => host);
}
