import type { ClusterSettings } from "./settings-schema";

/** The settings that say how many hosts there are. */
export const COUNTING_SETTINGS = ["webServers", "database"] as const satisfies ReadonlyArray<
  keyof ClusterSettings
>;

type CountingSettings = Pick<ClusterSettings, (typeof COUNTING_SETTINGS)[number]>;

/** What every role's machines have in common. */
type MachineSettings = Pick<
  ClusterSettings["webServers"],
  "instanceType" | "rootVolumeSize" | "memory"
>;

interface RoleDefinition {
  /** How many hosts of it a cluster has. */
  readonly count: (settings: CountingSettings) => number;
  /** What its hosts run on. */
  readonly machine: (settings: ClusterSettings) => MachineSettings;
  /** Whether its hosts stand in public subnets, rather than in private ones. */
  readonly isPublic: boolean;
  /** Addresses at the beginning of each of its subnets that it leaves to other roles. */
  readonly leaves: number;
}

/** Every role, in the order in which hosts are listed. A further one is an entry here. */
const DEFINITIONS = {
  "load-balancer": {
    count: () => 1,
    machine: ({ loadBalancer }) => loadBalancer,
    isPublic: true,
    leaves: 0,
  },
  web: {
    count: ({ webServers }) => webServers.count,
    machine: ({ webServers }) => webServers,
    isPublic: false,
    // For databases.
    leaves: 8,
  },
  database: {
    count: ({ database }) => 1 + database.replicas,
    machine: ({ database }) => database,
    isPublic: false,
    leaves: 0,
  },
} satisfies Record<string, RoleDefinition>;

/** What a host is for. A host is a role plus facts. */
export type Role = keyof typeof DEFINITIONS;

export const ROLES = Object.keys(DEFINITIONS) as readonly Role[];

/** How many hosts of each role a cluster with such settings has. */
export function hostCounts(settings: CountingSettings): Readonly<Record<Role, number>> {
  const counts = ROLES.map((role) => [role, DEFINITIONS[role].count(settings)]);
  return Object.fromEntries(counts) as Record<Role, number>;
}

/** The settings of a role's machines. */
export function machineOf(settings: ClusterSettings, role: Role): MachineSettings {
  return DEFINITIONS[role].machine(settings);
}

/** Where in the network a role's hosts stand. */
export function placeOf(role: Role): Pick<RoleDefinition, "isPublic" | "leaves"> {
  return DEFINITIONS[role];
}
