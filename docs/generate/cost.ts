import { machineOf, ROLES } from "../../topology/roles";
import { hostsOf, type Topology } from "../../topology/topology";
import { GENERATED, table } from "./markdown";
import { HOURS_PER_MONTH, type Price, type PriceList } from "./prices";

/** One line of a bill. */
interface CostLine {
  readonly item: string;
  /** How many of it there are, in words, for example `3 × 730 h`. */
  readonly amount: string;
  readonly price: Price;
  /** US cents a month, rounded. */
  readonly cents: number;
}

function line(item: string, amount: string, units: number, price: Price): CostLine {
  return { item, amount, price, cents: Math.round(units * price.dollars * 100) };
}

/**
 * What a cluster costs in a month, whether or not anybody visits it.
 *
 * @throws Error when the price list lacks an instance type or is of another region
 */
export function monthlyCost(topology: Topology, prices: PriceList): CostLine[] {
  const { settings, network } = topology;
  if (settings.region !== prices.region) {
    throw new Error(`The prices are of ${prices.region}, the cluster stands in ${settings.region}`);
  }
  const hours = (count: number) => count * HOURS_PER_MONTH;
  const hoursText = (count: number) => `${count} × ${HOURS_PER_MONTH} h`;

  const hostsByType = new Map<string, string[]>();
  for (const host of topology.hosts) {
    const type = machineOf(settings, host.role).instanceType;
    hostsByType.set(type, [...(hostsByType.get(type) ?? []), host.name]);
  }
  const instances = [...hostsByType].map(([type, names]) => {
    const price = prices.instanceHours[type];
    if (price === undefined) {
      throw new Error(`There is no price of ${type} in docs/generate/prices.ts`);
    }
    const item = `EC2 ${type}: ${names.join(", ")}`;
    return line(item, hoursText(names.length), hours(names.length), price);
  });

  const rootGigabytes = ROLES.reduce(
    (sum, role) => sum + hostsOf(topology, role).length * machineOf(settings, role).rootVolumeSize,
    0,
  );
  const databases = hostsOf(topology, "database").length;
  const dataGigabytes = databases * settings.database.dataVolumeSize;
  const zones = network.subnets.filter((subnet) => subnet.isPublic).length;
  const gateways = settings.natGateways === "per-zone" ? zones : 1;
  // One for visitors, one for each NAT gateway, and one for each of two load balancers.
  const addresses = 1 + gateways + topology.floatingAddresses.size;

  return [
    ...instances,
    line(
      `EBS gp3: ${topology.hosts.length} root volumes`,
      `${rootGigabytes} GB`,
      rootGigabytes,
      prices.gp3,
    ),
    line(`EBS gp3: ${databases} data volumes`, `${dataGigabytes} GB`, dataGigabytes, prices.gp3),
    line("NAT gateway", hoursText(gateways), hours(gateways), prices.natGatewayHour),
    line(
      topology.floatingAddresses.size === 0
        ? "Public IPv4: visitors, NAT gateway"
        : "Public IPv4: visitors, NAT gateway, load balancers",
      hoursText(addresses),
      hours(addresses),
      prices.publicIpv4Hour,
    ),
  ];
}

function dollars(cents: number): string {
  return `$${(cents / 100).toFixed(2)}`;
}

/** The sum of a bill, for example `$116.10`. */
export function sumOf(lines: readonly CostLine[]): string {
  return dollars(lines.reduce((sum, { cents }) => sum + cents, 0));
}

/** A bill as a table, its sum in the last row. */
export function costTable(lines: readonly CostLine[]): string {
  return table(
    ["Item", "Amount", "Price", "A month"],
    [
      ...lines.map(({ item, amount, price, cents }) => [
        item,
        amount,
        `$${price.dollars} per ${price.unit}`,
        dollars(cents),
      ]),
      ["**Sum**", "", "", `**${sumOf(lines)}**`],
    ],
    ["Amount", "Price", "A month"],
  );
}

/** The whole of docs/cost.md. */
export function costPage(topology: Topology, prices: PriceList): string {
  const lines = monthlyCost(topology, prices);
  const priced = new Map([
    ...Object.entries(prices.instanceHours).map(([type, price]) => [`EC2 ${type}`, price] as const),
    ["EBS gp3", prices.gp3] as const,
    ["NAT gateway", prices.natGatewayHour] as const,
    ["Public IPv4 address", prices.publicIpv4Hour] as const,
  ]);
  const sources = [...priced].map(([what, { dollars: amount, unit, page, readAt, doubt }]) => [
    what,
    `$${amount} per ${unit}`,
    `[page](${page})`,
    [readAt === undefined ? undefined : `[page](${readAt})`, doubt]
      .filter((part) => part !== undefined)
      .join(", "),
  ]);
  return `${GENERATED}
# What the default cluster costs on AWS

One cluster with default settings in ${prices.region}: on-demand list prices in US dollars, a month of
${HOURS_PER_MONTH} hours, before taxes, free tiers and discounts. The amounts are derived from the same
topology that is deployed.

${costTable(lines)}

## Where the prices come from

Looked up on ${prices.date}. AWS's own pages load their prices by script; the last column says where
each price was found in plain text, and what is uncertain about it. Check the prices before you rely on them.

${table(["What", "Price", "AWS's page", "Read at"], sources)}

## What is not in the sum

- Traffic. Data that leaves for the internet, that a NAT gateway processes, or that crosses from one
  availability zone to another is charged by the gigabyte. Requests cross zones by design: the load
  balancer is in one, half of the web servers are in the other.
- CPU credits. T3 instances launch in unlimited mode: a host whose average load stays above its
  baseline is charged for the surplus
  ([AWS](https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/burstable-performance-instances-unlimited-mode.html)).
- S3. Backups are compressed, deduplicated, and charged by the gigabyte-month, deleted ones for 30 more days.
  Archiving the binary logs makes some requests every five minutes while something is written. The other bucket
  holds a few megabytes. Each host requests its user-data once a minute, which is about 44,000 requests per host
  and month.
- Snapshots. A data volume that Terraform destroys while \`database.preventDestroy\` is true leaves
  a final snapshot, which is stored until you delete it.
- The state bucket, if you use one.

Nothing else is charged by the hour: the S3 endpoint is a gateway endpoint, the secrets are standard
SSM parameters under AWS's own key.

## What moves the sum most

- \`natGateways: "per-zone"\` adds a gateway and an address for each further zone.
- \`loadBalancer.count: 2\` adds a host and two addresses: one for the way out of each load balancer.
- Instance types and volume sizes are settings of each role: see [settings](settings.md).
- A stopped instance is not charged; its volumes and addresses are.
`;
}
