import type { Topology, TopologyHost } from "../topology/topology";
import { firewall } from "./firewall";
import { BOOT_PATH, type RoleContent, textFile } from "./host";

/** What every host carries, whatever its role. */
export function baseContent(topology: Topology, host: TopologyHost): RoleContent {
  return {
    packages: ["ca-certificates", "curl", "jq", "nftables", "openssl"],
    files: [
      firewall(topology, host),
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
