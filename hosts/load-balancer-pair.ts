import { PORTS } from "../topology/ports";
import { floatingAddress, hostsOf, type Topology, type TopologyHost } from "../topology/topology";
import { PAIR } from "./agreed";
import { type RoleContent, textFile } from "./host";
import { LOAD_BALANCER_HEALTH_PATH } from "./load-balancer-health";
import { sandbox, sandboxOf } from "./sandbox";
import { staticFiles } from "./static-files";
import { HIGHEST_PRIORITY } from "./unit-priority";
import { visitorsPorts } from "./visitors-tls";

/** The packages of a load balancer that is one of two. */
export const PAIR_PACKAGES: readonly string[] = ["keepalived"];

/**
 * Seconds between two messages of the holder. The other one takes over after three of them were missing and a skew of
 * 0.18 s (RFC 9568, section 6.1), or after the skew alone if the holder says that it goes.
 */
const ADVERTISEMENT_SECONDS = 0.3;

/** Both load balancers have it: whoever holds the address keeps it, and none is preferred. */
const PRIORITY = 100;

/** What a load balancer without any web server in rotation is behind the other one. */
const WITHOUT_SERVERS = -20;

function keepalivedConfiguration(topology: Topology, host: TopologyHost, peer: TopologyHost) {
  const { floatingAddresses } = topology;
  const floating = floatingAddress(topology);
  const own = floatingAddresses.get(host.name);
  const health = `http://127.0.0.1:${PORTS.http}${LOAD_BALANCER_HEALTH_PATH}`;
  const curl = "/usr/bin/curl --silent --output /dev/null --max-time 1";
  return `# keepalived 2 (keepalived.conf(5)): one of two load balancers holds the visitors' address.
# Its files are in a folder of its own instead of /run.
use_pid_dir
global_defs {
  router_id ${host.name}
  enable_script_security
  script_user root
  vrrp_version 3
  # A kernel that was told whose an address is ignores other news for a second (locktime, arp(7)). So the new holder says it
  # several times in the first seconds.
  vrrp_garp_interval 0.25
  vrrp_garp_master_delay 1
  # A container that is frozen still answers for the address in its kernel: the holder repeats whose it is. Seldom, because
  # each time delays a takeover in the second after it.
  vrrp_garp_master_refresh 10
  vrrp_garp_master_refresh_repeat 1
  # Two load balancers that did not hear each other have both said that the address is theirs.
  vrrp_garp_lower_prio_delay 1
  vrrp_garp_lower_prio_repeat 5
}

# Any answer over HTTP shows that HAProxy runs.
vrrp_script haproxy {
  script "${curl} ${health}"
  interval 0.25
  timeout 2
  fall 2
  rise 4
}

vrrp_script web_server {
  script "${curl} --fail ${health}"
  interval 1
  timeout 2
  fall 2
  rise 2
  weight ${WITHOUT_SERVERS}
}

# hand-over.sh writes -254, which makes this load balancer give the address away at once.
track_file hand_over {
  file ${PAIR.handOver}
  weight 1
  init_file 0 overwrite
}

vrrp_instance visitors {
  # The network interface is known on the host alone.
  include ${PAIR.interface}
  state BACKUP
  virtual_router_id 51
  priority ${PRIORITY}
  advert_int ${ADVERTISEMENT_SECONDS}
  unicast_src_ip ${host.address}
  unicast_peer {
    ${peer.address}
  }
  virtual_ipaddress {
    ${floating}/32
  }
${
  own === floating
    ? ""
    : `  # Where hosts of different subnets share no network, as on AWS, visitors' requests arrive at this one.
  virtual_ipaddress_excluded {
    ${own}/32
  }
`
}  track_script {
    haproxy
    web_server
  }
  track_file {
    hand_over
  }
}
`;
}

/**
 * Hands the address over before keepalived stops, also at a reboot, while HAProxy still runs: outside of keepalived's
 * sandbox, since that holds back new connections.
 */
const KEEPALIVED_DROP_IN = `[Unit]
After=haproxy.service
StartLimitIntervalSec=0

[Service]
ExecStartPre=+/usr/bin/mkdir --parents ${PAIR.run}
ExecStop=-+/opt/cluster/scripts/load-balancer/hand-over.sh begin
TimeoutStopSec=30
Restart=always
RestartSec=500ms
${HIGHEST_PRIORITY}
${sandbox({
  // It sets the address, says whose it is in packets that it makes itself, and starts its checks without its groups.
  capabilities: ["NET_ADMIN", "NET_RAW", "SETGID", "SETUID"],
  families: ["NETLINK", "PACKET"],
  // It tells systemd that it is ready only after it has seen that process 1 is systemd.
  seesProcesses: true,
  writesToRun: true,
  lines: ["RuntimeDirectory=keepalived"],
})}`;

function peerSocket(host: TopologyHost): string {
  return `[Unit]
Description=What this load balancer tells the other one

[Socket]
ListenStream=${host.address}:${PORTS.loadBalancerPeer}
# The address may not be there yet.
FreeBind=yes
Accept=yes
MaxConnections=16

[Install]
WantedBy=sockets.target
`;
}

/** What makes two load balancers one entrance; empty for a load balancer that is the only one. */
export function pairContent(topology: Topology, host: TopologyHost): RoleContent {
  const peer = hostsOf(topology, "load-balancer").find(({ name }) => name !== host.name);
  const floating = floatingAddress(topology);
  if (peer === undefined || floating === undefined) {
    return { packages: [], units: [], files: [], facts: {} };
  }
  return {
    packages: PAIR_PACKAGES,
    units: [
      "keepalived.service",
      "cluster-visitors-address.service",
      "cluster-load-balancer-peer.socket",
    ],
    files: [
      textFile("/etc/keepalived/keepalived.conf", keepalivedConfiguration(topology, host, peer)),
      textFile("/etc/systemd/system/keepalived.service.d/cluster.conf", KEEPALIVED_DROP_IN),
      textFile("/etc/systemd/system/cluster-load-balancer-peer.socket", peerSocket(host)),
      ...staticFiles("pair"),
      sandboxOf("cluster-visitors-address", { families: ["NETLINK"], writesToRun: true }),
      sandboxOf("cluster-load-balancer-peer@", { families: ["NETLINK"] }),
    ],
    facts: {
      FLOATING_ADDRESS: floating,
      VISITORS_PORTS: visitorsPorts(topology).join(" "),
      VISITORS_ADDRESS: topology.floatingAddresses.get(host.name) as string,
      PEER_NAME: peer.name,
      PEER_ADDRESS: peer.address,
      PEER_PORT: String(PORTS.loadBalancerPeer),
      PAIR_RUN: PAIR.run,
      PAIR_HAND_OVER: PAIR.handOver,
      PAIR_INTERFACE: PAIR.interface,
    },
  };
}
