import { type Flow, flowsOf } from "./flows";
import { type Network, planNetwork } from "./network";
import { floatingAddresses, placeHosts, type TopologyHost } from "./placement";
import type { Platform } from "./platform";
import { type Group, hostCounts, ROLES, type Role } from "./roles";
import type { ClusterSettings } from "./settings";
import { directoryPort, hasTls, type Tls, tlsOn } from "./tls";
import { chooseVoters } from "./voters";

export type { TopologyHost } from "./placement";

/** A secret. Only its name: this program never sees its value. */
export interface Secret {
  readonly name: string;
  /** The roles whose hosts may read it. */
  readonly readers: readonly Role[];
  /** Whether it must outlive the cluster, because the data it decrypts does. Default no. */
  readonly outlivesCluster?: boolean;
  /** Whether an operator gives it. Others are generated, and so is this one until it is given. Default no. */
  readonly isGiven?: boolean;
}

/**
 * What the cluster is: both stacks, both firewalls, the tests, the diagram and the cost table are derived from this
 * value. Pure data. The platforms differ in nothing but the default of `tls`.
 */
export interface Topology {
  readonly clusterName: string;
  readonly settings: ClusterSettings;
  /** How visitors' connections are encrypted: `settings.tls`, or the platform's default. */
  readonly tls: Tls;
  readonly network: Network;
  readonly hosts: readonly TopologyHost[];
  /** The hosts that run etcd; none with `database.failover: "manual"`. */
  readonly voters: readonly TopologyHost[];
  /** The second address of each load balancer, by its name, if there are two of them; else empty. */
  readonly floatingAddresses: ReadonlyMap<string, string>;
  readonly flows: readonly Flow[];
  readonly secrets: readonly Secret[];
}

/** The secret that decrypts the backups. */
export const BACKUP_PASSWORD = "backup-password";

const SECRETS: readonly Secret[] = [
  { name: "mysql-app-password", readers: ["web", "database"] },
  { name: "mysql-read-password", readers: ["web", "database"] },
  { name: "mysql-replication-password", readers: ["database"] },
  { name: "certificate-authority-seed", readers: ["database"] },
  { name: BACKUP_PASSWORD, readers: ["database"], outlivesCluster: true },
];

/**
 * The secret from which etcd's own certificate authority is derived. It is apart from the database's: a load balancer
 * may be a voter, and whoever has the load balancer must not have the database.
 */
function etcdSecrets(voters: readonly TopologyHost[]): Secret[] {
  const readers = [...new Set<Role>(["database", ...voters.map(({ role }) => role)])];
  return voters.length === 0 ? [] : [{ name: "etcd-authority-seed", readers }];
}

/** The secret from which the key of the account with the authority of visitors' certificates is derived. */
export const ACME_ACCOUNT_SEED = "acme-account-seed";

/** The secret that holds a given certificate for visitors, with its key and its chain. */
export const GIVEN_CERTIFICATE = "visitors-certificate";

/** The secrets that an operator gives a monitor (`set-receiver`), by what they are for. */
export const ALERT_SECRETS = {
  /** The address that alerts are sent to. */
  webhook: "alert-webhook",
  /** The password of the mail server. */
  email: "alert-email-password",
  /** The address that is told every minute that the monitor works. */
  heartbeat: "alert-heartbeat",
} as const;

/**
 * The secret from which HAProxy's `cluster-secret` is derived: with it, a load balancer tells a client of HTTP/3 at once
 * that it does not know the client's connection, whichever of them began it (RFC 9000, section 10.3).
 */
export const QUIC_SEED = "quic-seed";

/** The secrets of a monitor: what an operator gives it, so that it can tell somebody. */
function monitorSecrets({ monitor, monitoring }: ClusterSettings): Secret[] {
  const { webhook, email, heartbeat } = monitoring;
  const names = [
    ...(webhook ? [ALERT_SECRETS.webhook] : []),
    ...(email?.user === undefined ? [] : [ALERT_SECRETS.email]),
    ...(heartbeat ? [ALERT_SECRETS.heartbeat] : []),
  ];
  return monitor ? names.map((name) => ({ name, readers: ["monitor"], isGiven: true })) : [];
}

function tlsSecrets(tls: Tls): Secret[] {
  const quic: Secret = { name: QUIC_SEED, readers: ["load-balancer"] };
  switch (tls.mode) {
    case "acme":
      return [quic, { name: ACME_ACCOUNT_SEED, readers: ["load-balancer"] }];
    case "files":
      return [quic, { name: GIVEN_CERTIFICATE, readers: ["load-balancer"], isGiven: true }];
    case "self-signed":
      return [quic];
    case "off":
      return [];
  }
}

/**
 * Derives the topology of one cluster from its settings and the platform that it runs on.
 *
 * The settings must have passed {@link parseClusters}, which ensures that the hosts fit into the network.
 */
export function buildTopology(settings: ClusterSettings, platform: Platform): Topology {
  const network = planNetwork(settings.network.cidr, settings.availabilityZones);
  const hosts = placeHosts(network, hostCounts(settings));
  const voters = chooseVoters(settings, hosts);
  const floating = floatingAddresses(network, hosts);
  const tls = tlsOn(platform, settings);
  return {
    clusterName: settings.name,
    settings,
    tls,
    network,
    hosts,
    voters,
    floatingAddresses: floating,
    flows: flowsOf({
      voters: voters.length > 0,
      pair: floating.size > 0,
      tls: hasTls({ tls }),
      monitor: settings.monitor ? { mailPort: mailPort(settings.monitoring) } : undefined,
      directoryPort: directoryPort(tls),
    }),
    secrets: [...SECRETS, ...etcdSecrets(voters), ...tlsSecrets(tls), ...monitorSecrets(settings)],
  };
}

/** The port of the mail server that alerts are sent to; `undefined` if there is none. */
function mailPort({ email }: ClusterSettings["monitoring"]): number | undefined {
  return email === undefined ? undefined : Number(email.server.split(":").at(-1));
}

/** The hosts of one role, in the order of their numbers. */
export function hostsOf(topology: Topology, role: Role): TopologyHost[] {
  return topology.hosts.filter((host) => host.role === role);
}

/** The roles that the cluster has hosts of, in their order. */
export function rolesOf({ hosts }: Topology): Role[] {
  return ROLES.filter((one) => hosts.some(({ role }) => role === one));
}

/** The hosts at one end of a flow. */
export function hostsAt(topology: Topology, end: Role | Group): readonly TopologyHost[] {
  return end === "voters" ? topology.voters : hostsOf(topology, end);
}

/** What a host counts as in flows: its role, and the groups that it is in. */
export function endsOf(topology: Topology, host: TopologyHost): Array<Role | Group> {
  const isVoter = topology.voters.some(({ name }) => name === host.name);
  return isVoter ? [host.role, "voters"] : [host.role];
}

/**
 * The address that one of two load balancers holds at a time; `undefined` if there is only one. Visitors' requests
 * arrive there where hosts of all subnets are on one network. Where they are not, as on AWS, it is a mere name for
 * what is held, and requests arrive at the holder's own floating address.
 */
export function floatingAddress({ floatingAddresses }: Topology): string | undefined {
  return [...floatingAddresses.values()][0];
}
