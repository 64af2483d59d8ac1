import type { Topology, TopologyHost } from "../topology/topology";
import { firewall } from "./firewall";
import type { RoleContent } from "./host";
import { staticFiles } from "./static-files";

/**
 * Packages that nothing of the cluster needs, but an operator or an auditor of a host expects (docs/security.md). A host from an
 * image without them does without.
 */
export const EXPECTED_PACKAGES: readonly string[] = [
  "debsums",
  "libpam-passwdqc",
  "libpam-tmpdir",
  "unattended-upgrades",
];

/** The content of every host, whatever its role. */
export function baseContent(topology: Topology, host: TopologyHost): RoleContent {
  return {
    packages: ["ca-certificates", "curl", "jq", "nftables", "openssl"],
    units: ["nftables.service"],
    files: [firewall(topology, host), ...staticFiles("every")],
    facts: {
      CLUSTER_NAME: topology.clusterName,
      CLUSTER_NETWORK: topology.network.cidr,
      HOST_NAME: host.name,
      HOST_ROLE: host.role,
      HOST_NUMBER: String(host.number),
      HOST_ADDRESS: host.address,
      EXPECTED_PACKAGES: EXPECTED_PACKAGES.join(" "),
    },
  };
}
