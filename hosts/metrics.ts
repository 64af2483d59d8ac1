import { LOCAL_PORTS, PORTS } from "../topology/ports";
import type { Role } from "../topology/roles";
import type { Topology, TopologyHost } from "../topology/topology";
import { MONITORING, MYSQL } from "./agreed";
import { FACTS_PATH, type HostFile, type RoleContent, textFile } from "./host";
import { type Allowed, FILES_OF_OTHERS, sandbox, sandboxOf } from "./sandbox";

/** Every package that gives metrics, whatever the host. */
export const METRICS_PACKAGES = [
  "prometheus-node-exporter",
  "prometheus-nginx-exporter",
  "prometheus-mysqld-exporter",
] as const;

type Exporter = (typeof METRICS_PACKAGES)[number];

/** The maximum memory of an exporter, MiB: they use 10 to 20. */
const EXPORTER_MEBIBYTES = 48;

/** How a packaged exporter runs: it gives way to all that serves visitors. */
function exporter(
  name: Exporter,
  port: number,
  flags: readonly string[],
  allowed: Allowed = {},
): HostFile {
  return textFile(
    `/etc/systemd/system/${name}.service.d/cluster.conf`,
    `[Unit]
StartLimitIntervalSec=0

[Service]
EnvironmentFile=${FACTS_PATH}
ExecStart=
ExecStart=/usr/bin/${name} --web.listen-address=\${HOST_ADDRESS}:${port} ${flags.join(" ")}
User=${MONITORING.user}
Restart=always
RestartSec=5
CPUWeight=20
Environment=GOMAXPROCS=1 GOMEMLIMIT=${EXPORTER_MEBIBYTES / 2}MiB
MemoryMax=${EXPORTER_MEBIBYTES}M
${sandbox(allowed)}`,
  );
}

/** What the alerts and the dashboard look at, and no more: each collector costs time at each scrape. */
const COLLECTORS = [
  "cpu",
  "diskstats",
  "filesystem",
  "loadavg",
  "meminfo",
  "netdev",
  "stat",
  "textfile",
  "time",
];

/**
 * The exporter logs in by its system user, with no password (scripts/database/declared.sh).
 * https://dev.mysql.com/doc/refman/8.4/en/socket-pluggable-authentication.html
 */
const MYSQL_LOGIN = textFile(
  "/etc/prometheus/mysqld-exporter.cnf",
  `[client]\nuser = ${MONITORING.user}\nsocket = ${MYSQL.socket}\n`,
);

/**
 * How the exporters run. Every host has these files, whether it has the programs or not: they come with the archive of
 * scripts, and so take no room in user-data.
 */
export const METRICS_FILES: readonly HostFile[] = [
  exporter("prometheus-node-exporter", PORTS.hostMetrics, [
    "--web.disable-exporter-metrics",
    "--collector.disable-defaults",
    ...COLLECTORS.map((name) => `--collector.${name}`),
    `--collector.textfile.directory=${MONITORING.textfiles}`,
    // Others are views of these two, or in memory. A dollar is doubled for systemd.
    `--collector.filesystem.mount-points-include=^(/|${MONITORING.volume})$$`,
    "--collector.netdev.device-exclude=^lo$$",
  ]),
  exporter("prometheus-nginx-exporter", PORTS.nginxMetrics, [
    `--nginx.scrape-uri=http://127.0.0.1:${LOCAL_PORTS.nginxStatus}/`,
  ]),
  MYSQL_LOGIN,
  exporter("prometheus-mysqld-exporter", PORTS.mysqlMetrics, [
    `--config.my-cnf=${MYSQL_LOGIN.path}`,
    // Its default collectors read tables of statistics, which takes longer than all else.
    "--no-collect.info_schema.innodb_cmp",
    "--no-collect.info_schema.innodb_cmpmem",
    "--no-collect.info_schema.query_response_time",
  ]),
  // It looks at everything, and changes nothing but folders that scripts make where they are missing.
  sandboxOf("cluster-metrics", {
    capabilities: [...FILES_OF_OTHERS, "DAC_READ_SEARCH", "SYS_PTRACE"],
    families: ["NETLINK"],
    writes: [`-${MONITORING.textfiles}`, "/var/lib/cluster", "-/var/cache/apt", "-/var/lib/apt"],
    seesProcesses: true,
    writesToRun: true,
    makesCode: true,
  }),
];

/** The exporters of a role's hosts besides that of every host. */
const EXPORTERS: Partial<Record<Role, Exporter>> = {
  web: "prometheus-nginx-exporter",
  database: "prometheus-mysqld-exporter",
};

/** What a host with a monitor tells it, beyond what HAProxy, etcd and the app tell themselves. */
export function metricsContent({ settings }: Topology, { role }: TopologyHost): RoleContent {
  const own = EXPORTERS[role];
  const exporters: Exporter[] = settings.monitor
    ? ["prometheus-node-exporter", ...(own === undefined ? [] : [own])]
    : [];
  return {
    packages: exporters,
    units: settings.monitor
      ? [...exporters.map((name) => `${name}.service`), "cluster-metrics.timer"]
      : [],
    files: [],
    facts: { EXPORTERS: exporters.join(" "), METRICS_TEXTFILES: MONITORING.textfiles },
  };
}
