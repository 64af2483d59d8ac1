import { createHash } from "node:crypto";
import { join } from "node:path";
import type { ClusterSettings } from "./settings";
import type { Topology } from "./topology";

/** The names of a cluster's stacks: `local` and `aws` for the first cluster, with its name appended for the others. */
export function stackNames(
  cluster: ClusterSettings,
  index: number,
): { local: string; aws: string } {
  const suffix = index === 0 ? "" : `-${cluster.name}`;
  return { local: `local${suffix}`, aws: `aws${suffix}` };
}

/** The names of a cluster's resources in Incus. */
export interface LocalNames {
  readonly project: string;
  /** Its bridge: a network interface, whose name the kernel limits to 15 characters. */
  readonly bridge: string;
}

/** Derives names from the cluster's name alone, so that several clusters on one machine never collide. */
export function localNames(clusterName: string): LocalNames {
  const hash = createHash("sha256").update(clusterName).digest("hex").slice(0, 8);
  return { project: `dwi-${clusterName}`, bridge: `dwi-${hash}` };
}

/**
 * The container that publishes a cluster with two load balancers on this machine: it forwards connections to the floating
 * address, whoever holds it. With one load balancer there is no such container: that host publishes itself.
 */
export const ENTRANCE = "entrance";

/** The names of all containers of a cluster, the one that publishes it last. */
export function localContainers({ hosts, floatingAddresses }: Topology): string[] {
  return [...hosts.map(({ name }) => name), ...(floatingAddresses.size > 0 ? [ENTRANCE] : [])];
}

/** The folder on this machine with a cluster's backups, and the password that decrypts them. */
export function backupDirectory({ name, backup }: ClusterSettings): string {
  return join(backup.localDirectory, localNames(name).project);
}
