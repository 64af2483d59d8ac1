import type { ClusterSettings } from "./settings-schema";

/** The settings that determine the number of hosts. */
export const COUNTING_SETTINGS = [
  "loadBalancer",
  "webServers",
  "database",
  "monitor",
] as const satisfies ReadonlyArray<keyof ClusterSettings>;

type CountingSettings = Pick<ClusterSettings, (typeof COUNTING_SETTINGS)[number]>;

/** The machine settings that every role has. */
type MachineSettings = Pick<
  ClusterSettings["webServers"],
  "instanceType" | "rootVolumeSize" | "memory"
>;

/** A volume of a host's data, apart from its root volume. */
export interface DataVolume {
  /** GiB. Stack aws only. */
  readonly size: number;
  /** Whether the cluster could not be had again without its data. */
  readonly isProtected: boolean;
}

interface RoleDefinition {
  /** The number of its hosts in a cluster. */
  readonly count: (settings: CountingSettings) => number;
  /** The settings of its machines. */
  readonly machine: (settings: ClusterSettings) => MachineSettings;
  /** The volume of each of its hosts, which outlives the host; none if omitted. */
  readonly volume?: (settings: ClusterSettings) => DataVolume;
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
    volume: ({ database }) => ({ size: database.dataVolumeSize, isProtected: true }),
    isPublic: false,
    leaves: 0,
  },
  monitor: {
    count: ({ monitor }) => (monitor ? 1 : 0),
    machine: ({ monitoring }) => monitoring,
    volume: ({ monitoring }) => ({ size: monitoring.dataVolumeSize, isProtected: false }),
    isPublic: false,
    // The last of the addresses that web servers leave; databases are six at most.
    leaves: 7,
  },
} satisfies Record<string, RoleDefinition>;

/** The role of a host. */
export type Role = keyof typeof DEFINITIONS;

/** Hosts that are not all of a role, nor of one role alone: see voters.ts. */
export type Group = "voters";

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

/** The volume of each host of a role; `undefined` if they have none. */
export function volumeOf(settings: ClusterSettings, role: Role): DataVolume | undefined {
  const definition: RoleDefinition = DEFINITIONS[role];
  return definition.volume?.(settings);
}

/** Where in the network a role's hosts are placed. */
export function placeOf(role: Role): Pick<RoleDefinition, "isPublic" | "leaves"> {
  return DEFINITIONS[role];
}
