import { type Flow, flowsOf } from "./flows";
import { type Network, planNetwork } from "./network";
import { placeHosts, type TopologyHost } from "./placement";
import { hostCounts, type Role } from "./roles";
import type { ClusterSettings } from "./settings";

export type { TopologyHost } from "./placement";

/** A generated secret. Only its name: this program never sees its value. */
export interface Secret {
  readonly name: string;
  /** The roles whose hosts may read it. */
  readonly readers: readonly Role[];
  /** Whether it must outlive the cluster, because the data it decrypts does. Default no. */
  readonly outlivesCluster?: boolean;
}

/**
 * What the cluster is: both stacks, both firewalls, the tests, the diagram and the cost table are derived from this
 * value. Pure data, independent of the platform.
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
 * The settings must have passed {@link parseClusters}, which ensures that the hosts fit into the network.
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
