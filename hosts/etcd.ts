import { PORTS } from "../topology/ports";
import { endsOf, type Topology, type TopologyHost } from "../topology/topology";
import { DATABASE, ETCD } from "./agreed";
import { type Facts, type HostFile, type RoleContent, textFile } from "./host";
import { FILES_OF_OTHERS, sandbox, sandboxOf } from "./sandbox";
import { staticFiles } from "./static-files";
import { HIGHEST_PRIORITY } from "./unit-priority";

/** What voters need. The client is for a person: the scripts ask etcd's JSON gateway. */
export const ETCD_PACKAGES = ["etcd-client", "etcd-server"] as const;

/** What keeps a host's place among the members. */
const MEMBERSHIP_UNITS = ["cluster-etcd-membership.service", "cluster-etcd-membership.timer"];

/** The maximum memory of etcd, MiB. It uses some 40; the rest is room for a snapshot. */
const ETCD_MEBIBYTES = 96;

/**
 * etcd's configuration, but for what the first start of a member needs besides (scripts/etcd/prepare.sh). JSON is YAML,
 * and scripts can add to it. With a file, etcd ignores its flags and its environment variables.
 * https://etcd.io/docs/v3.5/op-guide/configuration/
 */
function configuration({ name, address }: TopologyHost, directory: string): string {
  const clients = `https://${address}:${PORTS.etcdClients}`;
  const peers = `https://${address}:${PORTS.etcdPeers}`;
  const security = {
    "cert-file": `${ETCD.configuration}/host.pem`,
    "key-file": `${ETCD.configuration}/host.key`,
    "trusted-ca-file": `${ETCD.configuration}/authority.pem`,
    "client-cert-auth": true,
  };
  const settings = {
    name,
    "data-dir": `${directory}/data`,
    "listen-client-urls": clients,
    "advertise-client-urls": clients,
    "listen-peer-urls": peers,
    "initial-advertise-peer-urls": peers,
    // Numbers only, and in plain text: only a monitor may reach it.
    "listen-metrics-urls": `http://${address}:${PORTS.etcdMetrics}`,
    "client-transport-security": security,
    "peer-transport-security": security,
    "tls-min-version": "TLS1.3",
    // Milliseconds. A leader that is gone is replaced within some 1.5 s.
    "heartbeat-interval": 100,
    "election-timeout": 1000,
    // The record is one small key that is written twice a second: its former values go soon, and few entries are kept
    // in memory for members that are behind.
    "auto-compaction-mode": "periodic",
    "auto-compaction-retention": "5m",
    "snapshot-count": 5000,
    "max-snapshots": 2,
    "max-wals": 2,
    "quota-backend-bytes": 64 * 1024 * 1024,
    // A member whose data differs from the others' does not start.
    "experimental-initial-corrupt-check": true,
    logger: "zap",
    "log-outputs": ["stderr"],
    "log-level": "warn",
  };
  return `${JSON.stringify(settings, null, 2)}\n`;
}

/**
 * The distribution's own unit is not used: its package enables it and restarts it at upgrades.
 */
const UNIT = `[Unit]
Description=etcd, which keeps the record of who is primary
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
Type=notify
User=etcd
ExecCondition=+/opt/cluster/scripts/etcd/prepare.sh
ExecStart=/usr/bin/etcd --config-file ${ETCD.run}/etcd.json
Restart=always
RestartSec=1
# Without a majority of the voters it is not ready, and goes on waiting for one.
TimeoutStartSec=infinity
TimeoutStopSec=10
LimitNOFILE=65536
# It warns of each request to its gateway that a certificate's name is no user's.
LogFilterPatterns=~ignoring common name in gRPC-gateway
${HIGHEST_PRIORITY}
# The runtime frees memory more eagerly as it nears this, and stays clear of the maximum.
Environment=GOMEMLIMIT=${ETCD_MEBIBYTES / 2}MiB
MemoryMin=${ETCD_MEBIBYTES / 2}M
MemoryMax=${ETCD_MEBIBYTES}M
MemorySwapMax=0
${sandbox({ writes: [`-${DATABASE.volume}/etcd`, `-${ETCD.directory}`], families: ["NETLINK"] })}
[Install]
WantedBy=multi-user.target
`;

/** etcd's data is of its own user, and the data volume may be mounted after the unit has started. */
const membershipSandbox = () =>
  sandboxOf("cluster-etcd-membership", {
    capabilities: FILES_OF_OTHERS,
    writes: ["/etc/cluster", "/var/lib/cluster", `-${DATABASE.volume}`],
    asksPlatform: true,
    writesToRun: true,
  });

/** Where a host keeps its member's data: on the data volume, where there is one. */
function directoryOf({ role }: TopologyHost): string {
  return role === "database" ? `${DATABASE.volume}/etcd` : ETCD.directory;
}

function factsOf(topology: Topology, host: TopologyHost, isVoter: boolean): Facts {
  return {
    ETCD_ENDPOINTS: topology.voters.map(({ name, address }) => `${name}:${address}`).join(" "),
    ETCD_CLIENT_PORT: String(PORTS.etcdClients),
    ETCD_PEER_PORT: String(PORTS.etcdPeers),
    ETCD_CONFIGURATION: ETCD.configuration,
    ETCD_DIRECTORY: directoryOf(host),
    ETCD_RUN: ETCD.run,
    ETCD_MEBIBYTES: String(isVoter ? ETCD_MEBIBYTES : 0),
    ...(host.role === "database" ? { DATABASE_FAILOVER: topology.settings.database.failover } : {}),
  };
}

/**
 * etcd, on the hosts that are voters. Database hosts and load balancers that are none have the scripts' facts: they may
 * have been a voter before, and a database host asks the voters.
 */
export function etcdContent(topology: Topology, host: TopologyHost): RoleContent {
  if (host.role === "web" || host.role === "monitor") {
    return { packages: [], units: [], files: [], facts: {} };
  }
  const isVoter = endsOf(topology, host).includes("voters");
  const files: HostFile[] = [
    textFile("/etc/systemd/system/cluster-etcd.service", UNIT),
    textFile(`${ETCD.configuration}/etcd.json`, configuration(host, directoryOf(host))),
  ];
  return {
    packages: isVoter ? ETCD_PACKAGES : [],
    units: [
      ...(topology.voters.length > 0 ? MEMBERSHIP_UNITS : []),
      ...(isVoter ? ["cluster-etcd.service"] : []),
    ],
    files: [...(isVoter ? files : []), ...staticFiles("etcd"), membershipSandbox()],
    facts: factsOf(topology, host, isVoter),
  };
}
