import { type Flow, VRRP_NUMBER } from "../topology/flows";
import { PORTS } from "../topology/ports";
import { endsOf, hostsAt, type Topology, type TopologyHost } from "../topology/topology";
import { type HostFile, textFile } from "./host";
import { visitorsPorts } from "./visitors-tls";

/** An nftables match for the other end of a flow, or undefined if there is no such host. */
function peerMatch(
  topology: Topology,
  host: TopologyHost,
  direction: "saddr" | "daddr",
  peer: Flow["from"],
): string | undefined {
  if (peer === "internet") {
    // Visitors come from any address; but a flow to the internet must not permit traffic to a peer.
    return direction === "saddr" ? "" : `ip daddr != ${topology.network.cidr} `;
  }
  const addresses = hostsAt(topology, peer)
    .filter(({ name }) => name !== host.name)
    .map(({ address }) => address);
  return addresses.length === 0 ? undefined : `ip ${direction} { ${addresses.join(", ")} } `;
}

/** An nftables match for what a flow carries. */
function contentMatch({ protocol, port }: Flow): string {
  return protocol === "vrrp" ? `ip protocol ${VRRP_NUMBER}` : `${protocol} dport ${port}`;
}

function rules(
  topology: Topology,
  host: TopologyHost,
  flows: readonly Flow[],
  direction: "saddr" | "daddr",
): string[] {
  return flows.flatMap((flow) => {
    const peer = direction === "saddr" ? flow.from : flow.to;
    const match = peerMatch(topology, host, direction, peer);
    return match === undefined
      ? []
      : [`${match}${contentMatch(flow)} accept comment "${flow.name}"`];
  });
}

/**
 * The kernel's part in automatic failover: web servers reach a database only while the agent says so (agent/fence.ts),
 * also over connections that are open, and in both directions. Loading the file again keeps what the agent last said.
 * Until it has said anything the port is open: a server starts closed, and where failover was manual it goes on. Where
 * failover becomes manual, the agent removes the table.
 */
function lease(topology: Topology, host: TopologyHost): string {
  const isFenced = host.role === "database" && topology.settings.database.failover === "automatic";
  if (!isFenced) {
    return "";
  }
  const webs = hostsAt(topology, "web").map(({ address }) => address);
  return `table inet lease {
  set fenced {
    type inet_service
  }
  set served {
    type inet_service
    flags timeout
  }
  chain input {
    type filter hook input priority filter - 1; policy accept;
  }
  chain output {
    type filter hook output priority filter - 1; policy accept;
  }
}
flush table inet lease
table inet lease {
  chain input {
    ip saddr { ${webs.join(", ")} } tcp dport ${PORTS.mysql} tcp dport @fenced tcp dport != @served reject with tcp reset
  }
  chain output {
    ip daddr { ${webs.join(", ")} } tcp sport ${PORTS.mysql} tcp sport @fenced tcp sport != @served drop
  }
}
`;
}

/**
 * One of two load balancers: while HAProxy does not listen, the first packet of a connection is dropped rather than
 * refused. Its client sends it again a second later, and then reaches whoever holds the address.
 */
function withoutListener(topology: Topology, host: TopologyHost): string {
  const arriving = `meta l4proto { tcp, udp } th dport { ${visitorsPorts(topology).join(", ")} }`;
  return topology.floatingAddresses.has(host.name)
    ? `table inet visitors
delete table inet visitors
table inet visitors {
  chain input {
    type filter hook input priority filter - 1; policy accept;
    iif != "lo" ${arriving} ct state new socket wildcard { 0, 1 } accept
    iif != "lo" ${arriving} ct state new drop
  }
}
`
    : "";
}

/**
 * The host firewall: default deny in both directions, with one rule for each flow of the topology that starts or ends at
 * the host.
 *
 * Denied packets from inside the cluster are rejected, so that a mistake is noticed at once; all others are dropped.
 */
export function firewall(topology: Topology, host: TopologyHost): HostFile {
  const { cidr } = topology.network;
  const ends: ReadonlyArray<Flow["from"]> = endsOf(topology, host);
  const input = rules(
    topology,
    host,
    topology.flows.filter((flow) => ends.includes(flow.to)),
    "saddr",
  );
  const output = rules(
    topology,
    host,
    topology.flows.filter((flow) => ends.includes(flow.from)),
    "daddr",
  );
  return textFile(
    "/etc/nftables.conf",
    `# Declare and delete the table first, so that reloading the file replaces it atomically.
table inet cluster
delete table inet cluster

table inet cluster {
  chain input {
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    ct state invalid drop
    iif "lo" accept
    # Path MTU discovery (RFC 1191) and reachability.
    icmp type { destination-unreachable, time-exceeded, parameter-problem, echo-request } accept
    ${input.join("\n    ")}
    ip saddr ${cidr} reject with icmpx admin-prohibited
  }

  chain forward {
    type filter hook forward priority filter; policy drop;
  }

  chain output {
    type filter hook output priority filter; policy drop;
    ct state established,related accept
    oif "lo" accept
    icmp type { destination-unreachable, time-exceeded, parameter-problem, echo-request } accept
    # The platform's services: DHCP, DNS, NTP. Only root may reach the metadata service, which has the host's credentials.
    udp sport 68 udp dport 67 accept
    udp dport { 53, 123 } accept
    tcp dport 53 accept
    ip daddr 169.254.169.254 tcp dport 80 meta skuid 0 accept
    ip daddr 169.254.0.0/16 reject with icmpx admin-prohibited
    ${output.join("\n    ")}
    reject with icmpx admin-prohibited
  }
}
${lease(topology, host)}${withoutListener(topology, host)}`,
  );
}
