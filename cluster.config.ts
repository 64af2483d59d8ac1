import type { ClusterSettingsInput } from "./topology/settings";

/**
 * The clusters. Everything but the name has a default; docs/settings.md lists every setting with its unit, default and
 * range.
 *
 * The stacks of the first cluster are `local` and `aws`; those of further clusters are `local-<name>` and `aws-<name>`.
 */
const clusters: ClusterSettingsInput[] = [
  {
    name: "demo",
    region: "eu-central-1",
    availabilityZones: ["eu-central-1a", "eu-central-1b"],
    network: { cidr: "10.90.0.0/22" },
    loadBalancer: { algorithm: "roundrobin" },
    webServers: { count: 2, mode: "active-active" },
    database: { replicas: 1 },
    tags: {},
  },
];

export default clusters;
