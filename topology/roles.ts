import type { ClusterSettings } from "./settings-schema";

/** The settings that determine the number of hosts. */
export const COUNTING_SETTINGS = [
  "loadBalancer",
  "webServers",
  "database",
] as const satisfies ReadonlyArray<keyof ClusterSettings>;

type CountingSettings = Pick<ClusterSettings, (typeof COUNTING_SETTINGS)[number]>;

/** The machine settings that every role has. */
type MachineSettings = Pick<
  ClusterSettings["webServers"],
  "instanceType" | "rootVolumeSize" | "memory"
>;

interface RoleDefinition {
  /** The number of its hosts in a cluster. */
  readonly count: (settings: CountingSettings) => number;
  /** The settings of its machines. */
  readonly machine: (settings: ClusterSettings) => MachineSettings;
  /** Whether its hosts are in public subnets rather than in private ones. */
  readonly isPublic: boolean;
  /** Number of addresses at the start of each of its subnets that are left for other roles. */
  readonly leaves: number;
}

/** Every role, in the order in which hosts are listed. To add a role, add an entry. */
const DEFINITIONS = {
  "load-balancer": {
    count: ({ loadBalancer }) => loadBalancer.count,
    machine: ({ loadBalancer }) => loadBalancer,
    isPublic: true,
    leaves: 0,
  },
  web: {
    count: ({ webServers }) => webServers.count,
    machine: ({ webServers }) => webServers,
    isPublic: false,
    // Left for databases, which are in the same subnets.
    leaves: 8,
  },
  database: {
    count: ({ database }) => 1 + database.replicas,
    machine: ({ database }) => database,
    isPublic: false,
    leaves: 0,
  },
} satisfies Record<string, RoleDefinition>;

/** The role of a host. */
export type Role = keyof typeof DEFINITIONS;

export const ROLES = Object.keys(DEFINITIONS) as readonly Role[];

/** The number of hosts of each role. */
export function hostCounts(settings: CountingSettings): Readonly<Record<Role, number>> {
  const counts = ROLES.map((role) => [role, DEFINITIONS[role].count(settings)]);
  return Object.fromEntries(counts) as Record<Role, number>;
}

/** The settings of a role's machines. */
export function machineOf(settings: ClusterSettings, role: Role): MachineSettings {
  return DEFINITIONS[role].machine(settings);
}

/** Where in the network a role's hosts are placed. */
export function placeOf(role: Role): Pick<RoleDefinition, "isPublic" | "leaves"> {
  return DEFINITIONS[role];
}
