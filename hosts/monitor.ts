import { stringify } from "yaml";
import { METRICS, type Metrics } from "../topology/metrics";
import { LOCAL_PORTS } from "../topology/ports";
import { ALERT_SECRETS, hostsAt, type Topology, type TopologyHost } from "../topology/topology";
import { MONITORING } from "./agreed";
import { alertRules, WATCHDOG } from "./alerts";
import { type HostFile, type RoleContent, SCRIPTS_PATH, textFile } from "./host";
import { sandbox } from "./sandbox";

export const MONITOR_PACKAGES = ["prometheus", "prometheus-alertmanager"] as const;

/** Seconds between two looks at a target, and between two evaluations of the rules. */
const SCRAPE_SECONDS = 5;

/** The share of the data volume that metrics may take; what is being written comes on top. */
const VOLUME_SHARE = 0.7;

const PATHS = {
  prometheus: "/etc/prometheus/cluster.yml",
  rules: "/etc/prometheus/cluster-rules.yml",
  alertmanager: "/etc/prometheus/cluster-alerts.yml",
  receivers: `${MONITORING.run}/receivers`,
} as const;

/** The labels of a target: Prometheus' own `instance` would be an address. */
function target({ name, role }: TopologyHost, address: string) {
  return { targets: [address], labels: { instance: name, host: name, role } };
}

/** The targets of a job: every host that gives its metrics, and of the job `host` the monitor, which asks itself. */
function targetsOf(topology: Topology, { job, of, port }: Metrics) {
  const ends = job === "host" ? [...of, "monitor" as const] : of;
  return ends
    .flatMap((end) => hostsAt(topology, end))
    .map((host) => target(host, `${host.address}:${port}`));
}

/**
 * Prometheus' configuration. JSON would do, YAML is what its users know.
 * https://prometheus.io/docs/prometheus/latest/configuration/configuration/
 */
function prometheusConfiguration(topology: Topology, host: TopologyHost): string {
  const { app } = topology.settings;
  const jobs = METRICS.filter(({ job }) => job !== "app" || app.metricsPath !== undefined)
    .map((metrics) => ({
      job_name: metrics.job,
      static_configs: targetsOf(topology, metrics),
    }))
    .filter(({ static_configs }) => static_configs.length > 0);
  const own = [
    { job_name: "prometheus", address: `127.0.0.1:${LOCAL_PORTS.prometheus}` },
    { job_name: "alertmanager", address: `127.0.0.1:${LOCAL_PORTS.alertmanager}` },
  ].map(({ job_name, address }) => ({ job_name, static_configs: [target(host, address)] }));
  return stringify({
    global: {
      scrape_interval: `${SCRAPE_SECONDS}s`,
      scrape_timeout: `${SCRAPE_SECONDS - 1}s`,
      evaluation_interval: `${SCRAPE_SECONDS}s`,
      external_labels: { cluster: topology.clusterName },
    },
    rule_files: [PATHS.rules],
    alerting: {
      alertmanagers: [{ static_configs: [{ targets: [`127.0.0.1:${LOCAL_PORTS.alertmanager}`] }] }],
    },
    scrape_configs: [...jobs, ...own],
  });
}

/** Where a receiver's address or password is: Alertmanager reads the file each time. */
const given = (name: string) => `${PATHS.receivers}/${name}`;

function receivers({ settings }: Topology) {
  const { webhook, email } = settings.monitoring;
  return {
    ...(webhook
      ? { webhook_configs: [{ url_file: given(ALERT_SECRETS.webhook), send_resolved: true }] }
      : {}),
    ...(email === undefined
      ? {}
      : {
          email_configs: [
            {
              to: email.to,
              from: email.from,
              smarthost: email.server,
              send_resolved: true,
              require_tls: !email.server.endsWith(":465"),
              ...(email.user === undefined
                ? {}
                : {
                    auth_username: email.user,
                    auth_password_file: given(ALERT_SECRETS.email),
                  }),
            },
          ],
        }),
  };
}

/**
 * Alertmanager's configuration: alerts of one name are sent together, one that lasts is sent again every four hours.
 * https://prometheus.io/docs/alerting/latest/configuration/
 */
function alertmanagerConfiguration(topology: Topology): string {
  const { heartbeat } = topology.settings.monitoring;
  const silent = { name: "nobody" };
  const beat = {
    name: "heartbeat",
    webhook_configs: [{ url_file: given(ALERT_SECRETS.heartbeat), send_resolved: false }],
  };
  return stringify({
    route: {
      receiver: "operators",
      group_by: ["alertname"],
      group_wait: "5s",
      group_interval: "30s",
      repeat_interval: "4h",
      routes: [
        {
          matchers: [`alertname="${WATCHDOG}"`],
          receiver: heartbeat ? beat.name : silent.name,
          group_wait: "0s",
          group_interval: "1m",
          repeat_interval: "1m",
        },
      ],
    },
    // Of a host that is down, what it no longer says follows from that.
    inhibit_rules: [
      {
        source_matchers: ['alertname="HostDown"'],
        target_matchers: [
          'alertname=~"MetricsMissing|StatusOutdated|EtcdMemberMissing|ReplicaStopped|AgentSilent"',
        ],
        equal: ["host"],
      },
    ],
    receivers: [
      { name: "operators", ...receivers(topology) },
      silent,
      ...(heartbeat ? [beat] : []),
    ],
  });
}

/** How much of the host's memory a program may take, and what its runtime keeps to, in percent. */
interface Share {
  readonly most: number;
  readonly aim: number;
}

/** The unit of a program of Prometheus, in a sandbox, with its data on the volume. */
function program(
  service: (typeof MONITOR_PACKAGES)[number],
  name: "prometheus" | "alertmanager",
  flags: readonly string[],
  { most, aim }: Share,
): HostFile {
  return textFile(
    `/etc/systemd/system/${service}.service.d/cluster.conf`,
    `[Unit]
StartLimitIntervalSec=0

[Service]
EnvironmentFile=-${MONITORING.run}/${name}.env
# As the database's: what is mounted there has to stay.
ExecStartPre=+/usr/bin/nsenter --mount=/proc/1/ns/mnt ${SCRIPTS_PATH}/monitor/prepare.sh ${name} ${aim}
ExecStart=
ExecStart=/usr/bin/${service} ${flags.join(" ")}
Restart=always
RestartSec=2
MemoryMax=${most}%
${sandbox({ writes: [`-${MONITORING.volume}`], families: ["NETLINK"] })}`,
  );
}

function programs(topology: Topology): HostFile[] {
  const { keepDays, dataVolumeSize } = topology.settings.monitoring;
  return [
    program(
      "prometheus",
      "prometheus",
      [
        `--config.file=${PATHS.prometheus}`,
        `--storage.tsdb.path=${MONITORING.volume}/prometheus`,
        `--storage.tsdb.retention.time=${keepDays}d`,
        `--storage.tsdb.retention.size=${Math.floor(dataVolumeSize * VOLUME_SHARE * 1024)}MB`,
        `--web.listen-address=127.0.0.1:${LOCAL_PORTS.prometheus}`,
      ],
      { most: 60, aim: 40 },
    ),
    program(
      "prometheus-alertmanager",
      "alertmanager",
      [
        `--config.file=${PATHS.alertmanager}`,
        `--storage.path=${MONITORING.volume}/alertmanager`,
        `--web.listen-address=127.0.0.1:${LOCAL_PORTS.alertmanager}`,
        // There is one: it has nobody to agree with.
        "--cluster.listen-address=",
      ],
      { most: 20, aim: 10 },
    ),
  ];
}

/** The host that watches the others. */
export function monitorContent(topology: Topology, host: TopologyHost): RoleContent {
  return {
    packages: [...MONITOR_PACKAGES],
    units: ["prometheus.service", "prometheus-alertmanager.service"],
    files: [
      textFile(PATHS.prometheus, prometheusConfiguration(topology, host)),
      textFile(PATHS.rules, alertRules(topology)),
      textFile(PATHS.alertmanager, alertmanagerConfiguration(topology)),
      ...programs(topology),
    ],
    facts: {
      MONITOR_VOLUME: MONITORING.volume,
      MONITOR_RUN: MONITORING.run,
      MONITOR_USER: MONITORING.user,
      MONITOR_SECRETS: topology.secrets
        .filter(({ readers }) => readers.includes("monitor"))
        .map(({ name }) => name)
        .join(" "),
      PROMETHEUS_PORT: String(LOCAL_PORTS.prometheus),
      ALERTMANAGER_PORT: String(LOCAL_PORTS.alertmanager),
    },
  };
}
