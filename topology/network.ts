import ipaddr from "ipaddr.js";

/** A subnet, in one availability zone. */
export interface Subnet {
  /** `public-<zone letter>` or `private-<zone letter>`. */
  readonly name: string;
  readonly cidr: string;
  readonly availabilityZone: string;
  /** Load balancers are in public subnets; everything else is in private ones. */
  readonly isPublic: boolean;
  /** In a public subnet, the address reserved for a NAT gateway: it is never assigned to a host. */
  readonly natAddress?: string;
}

export interface Network {
  readonly cidr: string;
  /** The network's first address: the local bridge's, and reserved by AWS. */
  readonly gateway: string;
  readonly prefixLength: number;
  readonly subnets: readonly Subnet[];
}

/**
 * AWS reserves the first four addresses and the last one of each subnet.
 * https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html
 */
export const KEPT_AT_BEGINNING = 4;

/**
 * A NAT gateway gets the last address of its subnet that AWS does not reserve, counted from the subnet's end. Hosts are
 * placed from the other end, so adding a gateway never moves an existing host.
 */
const NAT_OFFSET_FROM_END = 2;

function toNumber(address: string): number {
  return ipaddr.IPv4.parse(address)
    .toByteArray()
    .reduce((value, octet) => value * 256 + octet, 0);
}

function toAddress(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join(".");
}

function parse(cidr: string): { first: number; prefixLength: number } {
  const [, prefixLength] = ipaddr.IPv4.parseCIDR(cidr);
  return { first: toNumber(firstAddress(cidr)), prefixLength };
}

/** The first address of the network that an address in CIDR notation belongs to. */
export function firstAddress(cidr: string): string {
  return ipaddr.IPv4.networkAddressFromCIDR(cidr).toString();
}

/** Whether two IPv4 networks in CIDR notation share an address. */
export function overlap(one: string, other: string): boolean {
  const [a, b] = [parse(one), parse(other)];
  const shorter = Math.min(a.prefixLength, b.prefixLength);
  const size = 2 ** (32 - shorter);
  return Math.floor(a.first / size) === Math.floor(b.first / size);
}

/** Prefix length of each subnet: the network is divided equally, into two subnets for each zone. */
function subnetPrefixLength(cidr: string, zones: number): number {
  return parse(cidr).prefixLength + Math.ceil(Math.log2(2 * zones));
}

/** Divides a network into one public and one private subnet of equal size for each zone. */
export function planNetwork(cidr: string, availabilityZones: readonly string[]): Network {
  const { first, prefixLength } = parse(cidr);
  const length = subnetPrefixLength(cidr, availabilityZones.length);
  const size = 2 ** (32 - length);
  const subnetsOf = (kind: "public" | "private", offset: number): Subnet[] =>
    availabilityZones.map((availabilityZone, index) => {
      const start = first + (offset + index) * size;
      return {
        name: `${kind}-${availabilityZone.slice(-1)}`,
        cidr: `${toAddress(start)}/${length}`,
        availabilityZone,
        isPublic: kind === "public",
        ...(kind === "public" ? { natAddress: toAddress(start + size - NAT_OFFSET_FROM_END) } : {}),
      };
    });
  return {
    cidr,
    gateway: toAddress(first + 1),
    prefixLength,
    subnets: [...subnetsOf("public", 0), ...subnetsOf("private", 2 ** (length - prefixLength - 1))],
  };
}

/** The number of addresses in each subnet if the network is divided for `zones` zones. */
export function addressesPerSubnet(cidr: string, zones: number): number {
  return 2 ** (32 - subnetPrefixLength(cidr, zones));
}

/** The address at an offset from a network's first address. */
export function addressAt(cidr: string, offset: number): string {
  return toAddress(parse(cidr).first + offset);
}
