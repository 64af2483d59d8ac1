import { addressAt, KEPT_AT_BEGINNING, type Network, type Subnet } from "./network";
import { placeOf, ROLES, type Role } from "./roles";

/** A host of the cluster and its place in the network. Its address never changes. */
export interface TopologyHost {
  /** `<role>-<number>`, unique in the cluster, for example `web-2`. Also its host name. */
  readonly name: string;
  readonly role: Role;
  /** Counts from 1 within the role. */
  readonly number: number;
  /** Private IPv4 address, inside the host's subnet. */
  readonly address: string;
  /** Name of its subnet. */
  readonly subnet: string;
  readonly availabilityZone: string;
}

type HostCounts = Readonly<Record<Role, number>>;

/** Offset of a role's first address in its subnet. */
function roleOffset(role: Role): number {
  return KEPT_AT_BEGINNING + placeOf(role).leaves;
}

/**
 * The number of addresses that a subnet must have for the fullest zone, including the five that AWS reserves and one for
 * a NAT gateway and a load balancer's floating address, even where there is none: switching to one gateway per zone, or
 * to two load balancers, must not require a larger network.
 *
 * @param counts number of hosts of each role in the whole cluster
 */
export function addressesNeeded(counts: HostCounts, zones: number): number {
  const perZone = ROLES.map(
    (role) => roleOffset(role) + Math.ceil(counts[role] / zones) + (placeOf(role).isPublic ? 2 : 0),
  );
  return Math.max(...perZone) + 1;
}

/**
 * Assigns a subnet and an address to every host.
 *
 * Hosts of a role alternate across the zones. An address depends only on the role and the number, so adding a host never
 * moves another.
 */
export function placeHosts(network: Network, counts: HostCounts): TopologyHost[] {
  return ROLES.flatMap((role) => {
    const subnets = network.subnets.filter(({ isPublic }) => isPublic === placeOf(role).isPublic);
    return Array.from({ length: counts[role] }, (_, index) => {
      const subnet = subnets[index % subnets.length] as Subnet;
      return {
        name: `${role}-${index + 1}`,
        role,
        number: index + 1,
        address: addressAt(subnet.cidr, roleOffset(role) + Math.floor(index / subnets.length)),
        subnet: subnet.name,
        availabilityZone: subnet.availabilityZone,
      };
    });
  });
}

/**
 * The floating address of each load balancer, by its name, in its own subnet; empty if there is only one load balancer.
 *
 * It follows the addresses of the role's hosts, which alternate across at least two zones.
 */
export function floatingAddresses(
  network: Network,
  hosts: readonly TopologyHost[],
): ReadonlyMap<string, string> {
  const pair = hosts.filter(({ role }) => role === "load-balancer");
  return new Map(
    pair.length < 2
      ? []
      : pair.map(({ name, subnet }) => {
          const { cidr } = network.subnets.find((one) => one.name === subnet) as Subnet;
          return [name, addressAt(cidr, roleOffset("load-balancer") + 1)] as const;
        }),
  );
}
