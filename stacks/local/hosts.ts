import type { Host } from "../../hosts/host";
import type { ClusterSettings } from "../../topology/settings";
import type { Role } from "../../topology/topology";

/** Every package a host of the cluster needs: all hosts start from one image that has them. */
export function packagesOf(hosts: readonly Host[]): string {
  const packages = hosts.flatMap(({ facts }) => (facts.PACKAGES ?? "").split(" "));
  return [...new Set(packages)].filter(Boolean).sort().join(" ");
}

/** Memory limit of a role's hosts, MiB. */
export function memoryOf(settings: ClusterSettings, role: Role): number {
  switch (role) {
    case "load-balancer":
      return settings.loadBalancer.memory;
    case "web":
      return settings.webServers.memory;
    case "database":
      return settings.database.memory;
  }
}
