import { createHash } from "node:crypto";
import { join } from "node:path";
import type { ClusterSettings } from "./settings";

/** The names of a cluster's stacks: plain for the first cluster, with its name for the others. */
export function stackNames(
  cluster: ClusterSettings,
  index: number,
): { local: string; aws: string } {
  const suffix = index === 0 ? "" : `-${cluster.name}`;
  return { local: `local${suffix}`, aws: `aws${suffix}` };
}

/** The names a cluster's parts have in Incus. */
export interface LocalNames {
  readonly project: string;
  /** A bridge is a network interface, whose name the kernel cuts at 15 characters. */
  readonly bridge: string;
}

/** Names derive from the cluster's name alone, so clusters side by side never collide. */
export function localNames(clusterName: string): LocalNames {
  const hash = createHash("sha256").update(clusterName).digest("hex").slice(0, 8);
  return { project: `dwi-${clusterName}`, bridge: `dwi-${hash}` };
}

/** The folder of this machine that holds a cluster's backups, and the password that opens them. */
export function backupDirectory({ name, backup }: ClusterSettings): string {
  return join(backup.localDirectory, localNames(name).project);
}
