import type { ClusterSettings } from "../../topology/settings";
import type { Role } from "../../topology/topology";

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
