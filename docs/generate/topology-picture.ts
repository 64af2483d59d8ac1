import type { Flow } from "../../topology/flows";
import type { Subnet } from "../../topology/network";
import { ROLES, type Role } from "../../topology/roles";
import type { Topology, TopologyHost } from "../../topology/topology";
import { type Box, chip, drawing, glyph, middleOf, portOf, rectangle, text } from "./drawing";

/** Hosts of one role in one subnet, one above the other. */
interface Group {
  readonly role: Role;
  readonly hosts: readonly TopologyHost[];
  readonly box: Box;
}

const MARGIN = 24;
const ZONE_WIDTH = 316;
/** Between two zones: wide enough for the longest name of a flow. */
const ZONE_GAP = 208;
const CARD = { width: 262, height: 60, gap: 12 };
/** Above and below a column of cards, inside its subnet. */
const PADDING = 22;
/** Between the web servers and the databases of a zone, for two lines of text and the arrows. */
const ROLE_GAP = 104;
const INTERNET = { y: 20, height: 44 };
const NETWORK_TOP = 146;
const ZONE_TOP = NETWORK_TOP + 40;
const SUBNET_TOP = ZONE_TOP + 34;
const SUBNET_LABEL = 26;
const SUBNET_GAP = 76;
/** Above a monitor, for what flows from it, which would cross all else as arrows. */
const MONITOR_GAP = 44;
const LEGEND_HEIGHT = 58;

/** What a host of each role is made of, in a few words. */
const MADE_OF: Readonly<Record<Role, string>> = {
  "load-balancer": "HAProxy",
  web: "Nginx, app, HAProxy",
  database: "MySQL",
  monitor: "Prometheus",
};

function zonesOf(topology: Topology): string[] {
  return [...new Set(topology.network.subnets.map((subnet) => subnet.availabilityZone))];
}

function hostsIn(topology: Topology, subnet: Subnet, role: Role): TopologyHost[] {
  return topology.hosts.filter((host) => host.subnet === subnet.name && host.role === role);
}

function columnHeight(cards: number): number {
  return cards === 0 ? 0 : cards * CARD.height + (cards - 1) * CARD.gap;
}

/** Tallest column of a role's cards in any subnet of one kind. */
function tallest(topology: Topology, subnets: readonly Subnet[], role: Role): number {
  return Math.max(
    0,
    ...subnets.map((subnet) => columnHeight(hostsIn(topology, subnet, role).length)),
  );
}

interface Plan {
  readonly width: number;
  readonly height: number;
  readonly network: Box;
  readonly zones: readonly { readonly name: string; readonly box: Box }[];
  readonly subnets: readonly { readonly subnet: Subnet; readonly box: Box }[];
  readonly groups: readonly Group[];
}

/** Says of a monitor what its flows are. */
function monitorsNote({ groups }: Plan): string[] {
  return groups
    .filter(({ role }) => role === "monitor")
    .map(({ box }) => text(box.x, box.y - 14, "faint small", "asks every host for metrics"));
}

/** Where everything stands: zones side by side, public subnets above private ones. */
function plan(topology: Topology): Plan {
  const zones = zonesOf(topology);
  const publicSubnets = topology.network.subnets.filter((subnet) => subnet.isPublic);
  const privateSubnets = topology.network.subnets.filter((subnet) => !subnet.isPublic);
  const publicHeight = SUBNET_LABEL + PADDING + tallest(topology, publicSubnets, "load-balancer");
  const webHeight = tallest(topology, privateSubnets, "web");
  const databaseHeight = tallest(topology, privateSubnets, "database");
  const monitorHeight = tallest(topology, privateSubnets, "monitor");
  const privateHeight =
    SUBNET_LABEL +
    PADDING +
    webHeight +
    ROLE_GAP +
    databaseHeight +
    (monitorHeight > 0 ? MONITOR_GAP + monitorHeight : 0);
  const privateTop = SUBNET_TOP + publicHeight + SUBNET_GAP;
  const zoneHeight = privateTop + privateHeight + 14 - ZONE_TOP;
  const zoneX = (zone: string) => MARGIN + 20 + zones.indexOf(zone) * (ZONE_WIDTH + ZONE_GAP);
  const width = 2 * (MARGIN + 20) + zones.length * ZONE_WIDTH + (zones.length - 1) * ZONE_GAP;
  const networkHeight = ZONE_TOP + zoneHeight + 18 - NETWORK_TOP;

  const boxOf = (subnet: Subnet): Box => ({
    x: zoneX(subnet.availabilityZone) + 14,
    y: subnet.isPublic ? SUBNET_TOP : privateTop,
    width: ZONE_WIDTH - 28,
    height: subnet.isPublic ? publicHeight : privateHeight,
  });
  const groups = topology.network.subnets.flatMap((subnet) => {
    const box = boxOf(subnet);
    const tops: Record<Role, number> = {
      "load-balancer": box.y + SUBNET_LABEL,
      web: box.y + SUBNET_LABEL,
      database: box.y + SUBNET_LABEL + webHeight + ROLE_GAP,
      monitor: box.y + SUBNET_LABEL + webHeight + ROLE_GAP + databaseHeight + MONITOR_GAP,
    };
    return ROLES.flatMap((role): Group[] => {
      const hosts = hostsIn(topology, subnet, role);
      const x = box.x + (box.width - CARD.width) / 2;
      const height = columnHeight(hosts.length);
      return hosts.length === 0
        ? []
        : [{ role, hosts, box: { x, y: tops[role], width: CARD.width, height } }];
    });
  });
  return {
    width,
    height: NETWORK_TOP + networkHeight + LEGEND_HEIGHT,
    network: { x: MARGIN, y: NETWORK_TOP, width: width - 2 * MARGIN, height: networkHeight },
    zones: zones.map((name) => ({
      name,
      box: { x: zoneX(name), y: ZONE_TOP, width: ZONE_WIDTH, height: zoneHeight },
    })),
    subnets: topology.network.subnets.map((subnet) => ({ subnet, box: boxOf(subnet) })),
    groups,
  };
}

function card(host: TopologyHost, x: number, y: number): string[] {
  return [
    rectangle({ x, y, width: CARD.width, height: CARD.height }, 8, `card ${host.role}`),
    glyph(host.role, x + 14, y + (CARD.height - 28) / 2),
    text(x + 56, y + 26, "text strong", host.name),
    text(x + 56, y + 46, "faint mono", host.address),
    text(x + CARD.width - 14, y + 26, "faint small end", MADE_OF[host.role]),
  ];
}

function labelled(flows: readonly Flow[]): [string, string][] {
  return flows.map((flow) => [flow.name, portOf(flow)]);
}

/** From the foot of one box to the head of another, leaving and arriving upright. */
function falling(from: Box, to: Box, role: Role): string {
  const [x1, y1, x2, y2] = [middleOf(from), from.y + from.height, middleOf(to), to.y - 9];
  const bend = (y2 - y1) * 0.62;
  return `<path d="M${x1} ${y1}C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2}" class="flow ${role}" marker-end="url(#${role})"/>`;
}

/** Flows between two roles: an arrow for each pair of their groups, one label for all. */
function flowsBetween(from: Role, to: Role, { flows }: Topology, plan: Plan): string[] {
  const these = flows.filter((flow) => flow.from === from && flow.to === to);
  const starts = plan.groups.filter((group) => group.role === from);
  const ends = plan.groups.filter((group) => group.role === to);
  const [start, end] = [starts[0], ends[0]];
  if (these.length === 0 || start === undefined || end === undefined) {
    return [];
  }
  const arrows = starts.flatMap((one) => ends.map((other) => falling(one.box, other.box, from)));
  const middle = (start.box.y + start.box.height + end.box.y) / 2;
  return [...arrows, ...chip(plan.width / 2, middle, labelled(these), "chip")];
}

/**
 * Flows among the hosts of one role, from each column to the next and back. Those among voters are among database
 * hosts, and the picture says in words which other host is a voter.
 */
function flowsWithin(role: Role, { flows }: Topology, plan: Plan): string[] {
  const isWithin = (end: Flow["from"]) => end === role || (role === "database" && end === "voters");
  const these = flows.filter(({ from, to }) => isWithin(from) && isWithin(to));
  const groups = plan.groups.filter((group) => group.role === role);
  return groups.slice(1).flatMap((group, index): string[] => {
    const before = (groups[index] as Group).box;
    const y = group.box.y + CARD.height / 2;
    const [left, right] = [before.x + before.width + 9, group.box.x - 9];
    return these.length === 0
      ? []
      : [
          `<path d="M${left} ${y}H${right}" class="flow ${role}" marker-start="url(#${role})" marker-end="url(#${role})"/>`,
          ...chip((left + right) / 2, y, labelled(these), "chip"),
        ];
  });
}

/** What reaches the cluster from the internet, and what every role may ask of it. */
function flowsOutside({ flows }: Topology, plan: Plan): string[] {
  const bottom = INTERNET.y + INTERNET.height;
  const incoming = plan.groups.flatMap(({ role, box }) => {
    const these = flows.filter((flow) => flow.from === "internet" && flow.to === role);
    const x = middleOf(box);
    return these.length === 0
      ? []
      : [
          `<path d="M${x} ${bottom}V${box.y - 9}" class="flow ${role}" marker-end="url(#${role})"/>`,
          ...chip(x, (bottom + NETWORK_TOP) / 2, labelled(these), "chip-out"),
        ];
  });
  const outgoing = new Map<string, Role[]>();
  for (const flow of flows) {
    if (flow.to === "internet" && flow.from !== "internet" && flow.from !== "voters") {
      const name = flow.name.startsWith(`${flow.from}-`)
        ? flow.name.slice(flow.from.length + 1)
        : flow.name;
      const key = `${name}\n${portOf(flow)}`;
      outgoing.set(key, [...(outgoing.get(key) ?? []), flow.from]);
    }
  }
  const lines = [...outgoing].map(([key, roles]): [string, string] => {
    const [name, port] = key.split("\n") as [string, string];
    return plan.groups.every(({ role }) => roles.includes(role))
      ? [`${name} of every host`, port]
      : [`${name} of ${roles.join(", ")}`, port];
  });
  const x = middleOf((plan.zones.at(-1) as Plan["zones"][number]).box);
  return lines.length === 0
    ? incoming
    : [
        ...incoming,
        `<path d="M${x} ${NETWORK_TOP}V${bottom + 9}" class="outside" marker-end="url(#outside)"/>`,
        ...chip(x, (bottom + NETWORK_TOP) / 2, lines, "chip-out"),
      ];
}

/** Who is primary, in words. */
function primaryNote({ voters }: Topology): string {
  return voters.length === 0
    ? "One database host is the primary. Which one is the cluster's own state, not part of this picture."
    : `One database host is the primary. Which one is in the record that etcd keeps on ${voters.map(({ name }) => name).join(", ")}.`;
}

/**
 * Draws a cluster: its hosts in their subnets and zones, every flow as an arrow with its name and
 * port. The same topology gives the same bytes.
 */
export function topologyPicture(topology: Topology): string {
  const planned = plan(topology);
  const { width, height, network, zones, subnets, groups } = planned;
  const { clusterName } = topology;
  const parts = [
    rectangle({ x: 0.5, y: 0.5, width: width - 1, height: height - 1 }, 12, "paper"),
    rectangle(
      { x: MARGIN, y: INTERNET.y, width: width - 2 * MARGIN, height: INTERNET.height },
      10,
      "network",
    ),
    text(width / 2, INTERNET.y + 27, "text strong middle", "Internet"),
    rectangle(network, 12, "network"),
    text(network.x + 20, network.y + 26, "text strong", `Cluster ${clusterName}`),
    text(network.x + network.width - 20, network.y + 26, "faint mono end", topology.network.cidr),
    ...zones.flatMap(({ name, box }) => [
      rectangle(box, 10, "zone"),
      text(box.x + 14, box.y + 22, "faint small", `zone ${name}`),
    ]),
    ...subnets.flatMap(({ subnet, box }) => [
      rectangle(box, 8, "subnet"),
      text(box.x + 14, box.y + 17, "faint small", subnet.name),
      text(box.x + box.width - 14, box.y + 17, "faint mono end", subnet.cidr),
      ...(topology.hosts.some((host) => host.subnet === subnet.name)
        ? []
        : [text(middleOf(box), box.y + box.height / 2 + 8, "faint small middle", "no host")]),
    ]),
    ...flowsOutside(topology, planned),
    ...flowsWithin("load-balancer", topology, planned),
    ...flowsBetween("load-balancer", "web", topology, planned),
    ...flowsBetween("web", "database", topology, planned),
    ...flowsWithin("database", topology, planned),
    ...monitorsNote(planned),
    ...groups.flatMap(({ hosts, box }) =>
      hosts.flatMap((host, index) => card(host, box.x, box.y + index * (CARD.height + CARD.gap))),
    ),
    text(
      width / 2,
      height - 34,
      "faint middle",
      "Every arrow is a permitted flow. In addition, ICMP, DNS, NTP and requests to the platform are permitted.",
    ),
    text(width / 2, height - 15, "faint middle", primaryNote(topology)),
  ];
  const summary = topology.hosts.map((host) => `${host.name} ${host.address}`).join(", ");
  const title = `The cluster ${clusterName}: hosts, subnets and flows`;
  return drawing({ width, height, title, summary, parts });
}
