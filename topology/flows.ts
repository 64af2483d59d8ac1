import { ROLES, type Role } from "./roles";

/** Where a flow may come from or go to, besides the cluster's own roles. */
export type Outside = "internet";

/**
 * Permitted traffic in one direction. Everything that is not listed is denied: security groups and each host's nftables
 * ruleset are generated from the same list.
 */
export interface Flow {
  /** Unique, kebab-case; names the rule on every platform. */
  readonly name: string;
  readonly from: Role | Outside;
  readonly to: Role | Outside;
  readonly protocol: "tcp" | "udp";
  readonly port: number;
  /** Description of the rule, one sentence; EC2 permits no apostrophe, and at most 255 characters. */
  readonly purpose: string;
}

/** Port numbers that several hosts share. */
export const PORTS = {
  http: 80,
  mysql: 3306,
  /** The health port of each database host: `/primary`, `/replica` and so on, over HTTP. */
  databaseHealth: 8008,
} as const;

/** Every flow of a cluster. */
export function flowsOf(): Flow[] {
  const flows: Flow[] = [
    {
      name: "visitors",
      from: "internet",
      to: "load-balancer",
      protocol: "tcp",
      port: PORTS.http,
      purpose: "Visitors reach the site",
    },
    {
      name: "requests",
      from: "load-balancer",
      to: "web",
      protocol: "tcp",
      port: PORTS.http,
      purpose: "The load balancer forwards requests and checks health through Nginx",
    },
    {
      name: "queries",
      from: "web",
      to: "database",
      protocol: "tcp",
      port: PORTS.mysql,
      purpose: "The app reads and writes",
    },
    {
      name: "database-roles",
      from: "web",
      to: "database",
      protocol: "tcp",
      port: PORTS.databaseHealth,
      purpose: "Web servers follow who is primary and which replicas are fresh",
    },
    {
      name: "replication",
      from: "database",
      to: "database",
      protocol: "tcp",
      port: PORTS.mysql,
      purpose: "Replicas clone and replicate",
    },
    {
      name: "database-peers",
      from: "database",
      to: "database",
      protocol: "tcp",
      port: PORTS.databaseHealth,
      purpose: "Database hosts look for their peers before they decide anything",
    },
  ];
  for (const role of ROLES) {
    flows.push(
      {
        name: `${role}-packages`,
        from: role,
        to: "internet",
        protocol: "tcp",
        port: 80,
        purpose: "Packages over signed repositories",
      },
      {
        name: `${role}-apis`,
        from: role,
        to: "internet",
        protocol: "tcp",
        port: 443,
        purpose: "Packages, secrets, releases and sessions",
      },
    );
  }
  return flows;
}
