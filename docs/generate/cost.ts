import { machineOf, ROLES, volumeOf } from "../../topology/roles";
import {
  type ClusterSettings,
  type ClusterSettingsInput,
  parseClusters,
} from "../../topology/settings";
import { buildTopology, hostsOf, type Topology } from "../../topology/topology";
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
  const volumes = topology.hosts.flatMap(({ role }) => volumeOf(settings, role) ?? []);
  const dataGigabytes = volumes.reduce((sum, { size }) => sum + size, 0);
  const zones = network.subnets.filter((subnet) => subnet.isPublic).length;
  const gateways = settings.natGateways === "per-zone" ? zones : 1;
  // One for visitors, one for each NAT gateway, and one for each of two load balancers.
  const addresses = 1 + gateways + topology.floatingAddresses.size;
  const keyed = settings.aws.encryptionKey === "customer-managed";
  const keys = keyed ? (settings.backup.copyRegion === undefined ? 1 : 2) : 0;

  return [
    ...instances,
    line(
      `EBS gp3: ${topology.hosts.length} root volumes`,
      `${rootGigabytes} GB`,
      rootGigabytes,
      prices.gp3,
    ),
    line(
      `EBS gp3: ${volumes.length} data volumes`,
      `${dataGigabytes} GB`,
      dataGigabytes,
      prices.gp3,
    ),
    line("NAT gateway", hoursText(gateways), hours(gateways), prices.natGatewayHour),
    line(
      topology.floatingAddresses.size === 0
        ? "Public IPv4: visitors, NAT gateway"
        : "Public IPv4: visitors, NAT gateway, load balancers",
      hoursText(addresses),
      hours(addresses),
      prices.publicIpv4Hour,
    ),
    ...(keys === 0 ? [] : [line("KMS: keys of the cluster", `${keys}`, keys, prices.keyMonth)]),
  ];
}

function dollars(cents: number): string {
  return `$${(cents / 100).toFixed(2)}`;
}

const centsOf = (lines: readonly CostLine[]) => lines.reduce((sum, { cents }) => sum + cents, 0);

/** The sum of a bill, for example `$116.10`. */
export function sumOf(lines: readonly CostLine[]): string {
  return dollars(centsOf(lines));
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

/** Settings that add to the default cluster's sum, as a user writes them. */
const ADDITIONS: ReadonlyArray<readonly [setting: string, value: Partial<ClusterSettingsInput>]> = [
  ['`natGateways: "per-zone"`: a gateway and an address', { natGateways: "per-zone" }],
  [
    "`loadBalancer.count: 2`: a host, and an address for the way out of each",
    { loadBalancer: { count: 2 } },
  ],
  ["`webServers.count: 3`: a host", { webServers: { count: 3 } }],
  ["`monitor: true`: a host with a data volume", { monitor: true }],
  ["`database.replicas: 2`: a host with a data volume", { database: { replicas: 2 } }],
  [
    '`aws.encryptionKey: "customer-managed"`: a key',
    { aws: { encryptionKey: "customer-managed" } },
  ],
  [
    '`aws.encryptionKey: "customer-managed"` with `backup.copyRegion`: a key in each region',
    { aws: { encryptionKey: "customer-managed" }, backup: { copyRegion: "eu-west-1" } },
  ],
];

/** What each of these settings adds to a month of the default cluster. */
function additionsTable(prices: PriceList): string {
  const sumWith = (settings: Partial<ClusterSettingsInput>) => {
    const [parsed] = parseClusters([{ name: "demo", ...settings }]);
    return centsOf(monthlyCost(buildTopology(parsed as ClusterSettings, "aws"), prices));
  };
  const before = sumWith({});
  return table(
    ["Setting", "Adds a month"],
    ADDITIONS.map(([setting, value]) => [setting, dollars(sumWith(value) - before)]),
    ["Adds a month"],
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
    ["KMS key", prices.keyMonth] as const,
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
- Logs. Flow logs (\`aws.flowLogs\`) are charged by the gigabyte that CloudWatch Logs takes in, and again by the
  gigabyte-month. A record has about 100 bytes; rejected connections of a site without visitors are port scans, all of a
  busy one are one or two records for each visitor and ten minutes. S3's logs of buckets (\`aws.bucketLogs\`) are charged as
  what they are, objects: a line of about 500 bytes for each request, so some 20 MB a month for each host.
- Copies of backups (\`backup.copyRegion\`): traffic between the regions and requests once, storage a second time.
- Requests to KMS, with a key of the cluster: 20,000 a month are free, and buckets ask once for many objects.
- Snapshots. A data volume that Terraform destroys while \`database.preventDestroy\` is true leaves
  a final snapshot, which is stored until you delete it.
- The state bucket, if you use one.

Nothing else is charged by the hour: the S3 endpoint is a gateway endpoint, the secrets are standard
SSM parameters, under AWS's own key unless you ask for one of the cluster.

## What moves the sum most

${additionsTable(prices)}

- Instance types and volume sizes are settings of each role: see [settings](settings.md).
- A stopped instance is not charged; its volumes and addresses are.
`;
}
