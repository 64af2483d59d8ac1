import { type Flow, flowsOf } from "./flows";
import { type Network, planNetwork } from "./network";
import { placeHosts, type TopologyHost } from "./placement";
import { hostCounts, type Role } from "./roles";
import type { ClusterSettings } from "./settings";

export type { TopologyHost } from "./placement";

/** A generated secret, by name only; its value never passes through this program. */
export interface Secret {
  readonly name: string;
  /** The roles whose hosts may read it. */
  readonly readers: readonly Role[];
  /** Whether what it opens outlives the cluster, so that it has to as well. Default no. */
  readonly outlivesCluster?: boolean;
}

/**
 * What the cluster is: the one value from which both stacks, both firewalls, the tests, the
 * diagram and the cost table derive. Pure data; nothing in it knows a platform.
 */
export interface Topology {
  readonly clusterName: string;
  readonly settings: ClusterSettings;
  readonly network: Network;
  readonly hosts: readonly TopologyHost[];
  readonly flows: readonly Flow[];
  readonly secrets: readonly Secret[];
}

const SECRETS: readonly Secret[] = [
  { name: "mysql-app-password", readers: ["web", "database"] },
  { name: "mysql-read-password", readers: ["web", "database"] },
  { name: "mysql-replication-password", readers: ["database"] },
  { name: "certificate-authority-seed", readers: ["database"] },
  { name: "backup-password", readers: ["database"], outlivesCluster: true },
];

/**
 * Derives the topology of one cluster from its settings.
 *
 * Settings must have passed {@link parseClusters}: what is derived here is then known to fit.
 */
export function buildTopology(settings: ClusterSettings): Topology {
  const network = planNetwork(settings.network.cidr, settings.availabilityZones);
  return {
    clusterName: settings.name,
    settings,
    network,
    hosts: placeHosts(network, hostCounts(settings)),
    flows: flowsOf(),
    secrets: SECRETS,
  };
}

/** The hosts of one role, in the order of their numbers. */
export function hostsOf(topology: Topology, role: Role): TopologyHost[] {
  return topology.hosts.filter((host) => host.role === role);
}
