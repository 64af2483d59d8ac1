import type { TopologyHost } from "./placement";
import type { ClusterSettings } from "./settings-schema";

/** A majority of three is left when any one of them is lost. */
const VOTERS = 3;

/**
 * The hosts that run etcd, which keeps the record of who is primary: the first three database hosts, or both of them
 * and the first load balancer where there are only two. None with `database.failover: "manual"`.
 *
 * @param hosts of the cluster, in the order of their roles and numbers
 */
export function chooseVoters(
  { database }: Pick<ClusterSettings, "database">,
  hosts: readonly TopologyHost[],
): TopologyHost[] {
  if (database.failover === "manual") {
    return [];
  }
  const candidates = [
    ...hosts.filter(({ role }) => role === "database"),
    ...hosts.filter(({ role }) => role === "load-balancer"),
  ];
  return candidates.slice(0, VOTERS);
}
