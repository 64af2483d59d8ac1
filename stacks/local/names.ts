import { createHash } from "node:crypto";

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
