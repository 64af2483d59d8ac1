import type { ClusterSettings } from "../topology/settings";

/** The names of a cluster's stacks: plain for the first cluster, with its name for the others. */
export function stackNames(
  cluster: ClusterSettings,
  index: number,
): { local: string; aws: string } {
  const suffix = index === 0 ? "" : `-${cluster.name}`;
  return { local: `local${suffix}`, aws: `aws${suffix}` };
}
