import { addressAt, KEPT_AT_BEGINNING, type Network, type Subnet } from "./network";
import { placeOf, ROLES, type Role } from "./roles";

/** One host of the cluster, placed: its address is fixed for its whole life. */
export interface TopologyHost {
  /** `<role>-<number>`, unique in the cluster, for example `web-2`. Also its host name. */
  readonly name: string;
  readonly role: Role;
  /** Counts from 1 within the role. */
  readonly number: number;
  /** Private IPv4 address, inside the host's subnet. */
  readonly address: string;
  /** Name of the subnet it stands in. */
  readonly subnet: string;
  readonly availabilityZone: string;
}

type HostCounts = Readonly<Record<Role, number>>;

/** Offset of a role's first address in its subnet. */
function roleOffset(role: Role): number {
  return KEPT_AT_BEGINNING + placeOf(role).leaves;
}

/**
 * Addresses a subnet must have for the fullest zone, AWS's own five and the one of a NAT gateway
 * included. There may be none today: going over to one for each zone must not ask for another network.
 *
 * @param counts hosts of each role in the whole cluster
 */
export function addressesNeeded(counts: HostCounts, zones: number): number {
  const perZone = ROLES.map(
    (role) => roleOffset(role) + Math.ceil(counts[role] / zones) + (placeOf(role).isPublic ? 1 : 0),
  );
  return Math.max(...perZone) + 1;
}

/**
 * Gives every host a subnet and an address.
 *
 * Hosts of a role alternate over the zones. An address depends on the role and the number alone,
 * so adding a host never moves another.
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
