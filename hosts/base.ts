import type { Topology, TopologyHost } from "../topology/topology";
import { firewall } from "./firewall";
import { BOOT_PATH, type RoleContent, textFile } from "./host";

/**
 * Packages of which a newer version would restart what serves, or take the firewall away for a moment: what updates
 * itself leaves them alone. Regular expressions from the beginning of a name, as unattended-upgrades takes them.
 */
const SERVING_PACKAGES = [
  "mysql-",
  "haproxy",
  "nginx",
  "libnginx-",
  "nodejs",
  "libnode",
  "nftables",
];

/** Units that nothing but an operator's upgrade restarts, be it for a library that they use. */
const SERVING_UNITS = ["mysql", "haproxy", "nginx", "app", "nftables", "cluster-"];

/**
 * Keeps the distribution's automatic updates from restarting what serves: they would do so on every host, each when
 * it likes. `npm run cluster -- STACK upgrade` does, one host at a time.
 */
function automaticUpdates() {
  return [
    // https://github.com/mvo5/unattended-upgrades, README: a list is added to, whatever file it is in.
    textFile(
      "/etc/apt/apt.conf.d/52cluster-unattended-upgrades",
      [
        "Unattended-Upgrade::Package-Blacklist {",
        ...SERVING_PACKAGES.map((name) => `  "${name}";`),
        "};",
        'Unattended-Upgrade::Automatic-Reboot "false";',
        "",
      ].join("\n"),
    ),
    // https://github.com/liske/needrestart, ex/needrestart.conf: 0 leaves a unit alone.
    textFile(
      "/etc/needrestart/conf.d/cluster.conf",
      SERVING_UNITS.map((unit) => `$nrconf{override_rc}->{qr(^${unit})} = 0;\n`).join(""),
    ),
  ];
}

/** What every host carries, whatever its role. */
export function baseContent(topology: Topology, host: TopologyHost): RoleContent {
  return {
    packages: ["ca-certificates", "curl", "jq", "nftables", "openssl"],
    files: [
      firewall(topology, host),
      ...automaticUpdates(),
      // Outside of AWS nothing answers there, and chrony goes on with the sources it has.
      textFile(
        "/etc/chrony/sources.d/amazon-time-sync.sources",
        "server 169.254.169.123 prefer iburst minpoll 4 maxpoll 4\n",
      ),
      textFile(
        "/etc/systemd/system/cluster-converge.service",
        `[Unit]
Description=Bring this host to its declared state
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=${BOOT_PATH}/boot/boot.sh
Restart=on-failure
RestartSec=5

[Install]
WantedBy=multi-user.target
`,
      ),
      textFile(
        "/etc/systemd/system/cluster-update.service",
        `[Unit]
Description=Take over a change of what this host carries
After=cluster-converge.service

[Service]
Type=oneshot
ExecStart=${BOOT_PATH}/boot/boot.sh --if-changed
`,
      ),
      textFile(
        "/etc/systemd/system/cluster-update.timer",
        `[Unit]
Description=Look for a change of what this host carries

[Timer]
OnActiveSec=1min
OnUnitInactiveSec=1min
RandomizedDelaySec=10s
# Left to itself, systemd may be a whole minute late.
AccuracySec=1s

[Install]
WantedBy=timers.target
`,
      ),
    ],
    facts: {
      CLUSTER_NAME: topology.clusterName,
      CLUSTER_NETWORK: topology.network.cidr,
      HOST_NAME: host.name,
      HOST_ROLE: host.role,
      HOST_NUMBER: String(host.number),
      HOST_ADDRESS: host.address,
    },
  };
}
