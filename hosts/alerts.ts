import { stringify } from "yaml";
import type { ClusterSettings } from "../topology/settings";
import { hostsOf, type Topology } from "../topology/topology";

/** How urgent an alert is: somebody has to act now; soon; or only wants to know. */
export type Severity = "critical" | "warning" | "info";

/** One alert: a rule of Prometheus, and what a person needs who gets it. */
export interface Alert {
  /** Unique, in Prometheus' own style. */
  readonly name: string;
  /** PromQL: true for each series that it returns. */
  readonly expression: string;
  /** How long that must be so before it is raised, as Prometheus writes it. */
  readonly for: string;
  readonly severity: Severity;
  /** One line. Labels of the series by Prometheus' templates. */
  readonly summary: string;
  /** What is the case, in a sentence. */
  readonly means: string;
  /** What visitors notice. */
  readonly visitors: string;
  /** What to do. */
  readonly action: string;
}

/** A value that Prometheus computes at each evaluation and keeps as a series of its own. */
interface Recording {
  readonly record: string;
  readonly expression: string;
}

/**
 * What visitors get: by the load balancers' own counts requests a second, and those of them that are answered with a status of
 * 500 or more, also by HAProxy itself for lack of a web server; and by the app's own counts those that are slow.
 */
const recordings = (latency: number): Recording[] => [
  {
    record: "site:requests:rate1m",
    expression: 'sum(rate(haproxy_frontend_http_responses_total{proxy="site"}[1m]))',
  },
  {
    record: "site:errors:rate1m",
    expression: 'sum(rate(haproxy_frontend_http_responses_total{proxy="site",code="5xx"}[1m]))',
  },
  {
    record: "app:requests:rate1m",
    expression: "sum(rate(http_request_duration_seconds_count[1m]))",
  },
  {
    record: "app:slow:rate1m",
    expression: `app:requests:rate1m - sum(rate(http_request_duration_seconds_bucket{le="${latency}"}[1m]))`,
  },
];

/** Over how long the ratio of failures is taken, and how many times faster than the objective permits it spends. */
interface BurnRate {
  /** The end of the alerts' names. */
  readonly name: string;
  readonly factor: number;
  readonly long: string;
  readonly short: string;
  readonly severity: Severity;
  readonly spends: string;
}

/**
 * "The Site Reliability Workbook", chapter 5, table 5-8: the long window shows that it matters, the short one ends the alert soon
 * after the cause.
 */
const BURN_RATES: readonly BurnRate[] = [
  {
    name: "Fast",
    factor: 14.4,
    long: "1h",
    short: "5m",
    severity: "critical",
    spends: "2 % of what the objective allows in 30 days within an hour",
  },
  {
    name: "Steady",
    factor: 6,
    long: "6h",
    short: "30m",
    severity: "critical",
    spends: "5 % of what the objective allows in 30 days within six hours",
  },
  {
    name: "Slow",
    factor: 1,
    long: "3d",
    short: "6h",
    severity: "warning",
    spends: "10 % of what the objective allows in 30 days within three days",
  },
];

/** An objective: of so many requests, in percent, no more than the rest may fail it. */
interface Objective extends Pick<Alert, "visitors" | "action"> {
  /** The beginning of its alerts' names. */
  readonly name: string;
  readonly percent: number;
  /** The series of all requests, and of those that fail it. */
  readonly all: string;
  readonly failing: string;
  readonly summary: string;
}

const objectives = ({ availability, latency }: ClusterSettings["monitoring"]): Objective[] => [
  {
    name: "Errors",
    percent: availability,
    all: "site:requests:rate1m",
    failing: "site:errors:rate1m",
    summary: "{{ $value | humanizePercentage }} of requests fail",
    visitors: "Some requests are answered with a status of 500 or more.",
    action:
      "`status` says which part is not well. If all are, it is the app: look at its journal on the web servers, and roll back if it began with a release.",
  },
  {
    name: "Latency",
    percent: 99,
    all: "app:requests:rate1m",
    failing: "app:slow:rate1m",
    summary: `{{ $value | humanizePercentage }} of requests take longer than ${latency} s`,
    visitors: "The site is slow.",
    action:
      "Look for what is short: processors and memory of web servers and databases, disks, or a query that became slow with a release.",
  },
];

function burnRateAlerts(monitoring: ClusterSettings["monitoring"]): Alert[] {
  return objectives(monitoring).flatMap(({ name, percent, all, failing, ...rest }) => {
    const ratio = (window: string) =>
      `sum_over_time(${failing}[${window}]) / sum_over_time(${all}[${window}])`;
    return BURN_RATES.map((rate) => {
      const limit = Number(((rate.factor * (100 - percent)) / 100).toFixed(6));
      return {
        ...rest,
        name: name + rate.name,
        expression: `${ratio(rate.long)} > ${limit} and ${ratio(rate.short)} > ${limit}`,
        for: "0s",
        severity: rate.severity,
        means: `Spends ${rate.spends} (burn rate ${rate.factor} over ${rate.long} and ${rate.short}).`,
      };
    });
  });
}

const HOST_ALERTS: readonly Alert[] = [
  {
    name: "HostDown",
    expression: "max by (host, role) (up) == 0",
    for: "15s",
    severity: "critical",
    summary: "{{ $labels.host }} does not answer",
    means:
      "None of the host's programs answers the monitor: the host is stopped, frozen or cut off.",
    visitors:
      "Nothing while the others are well: web servers and databases take over by themselves.",
    action: "See `status`. A host that does not come back is replaced (docs/operations.md).",
  },
  {
    name: "MetricsMissing",
    expression: "up == 0 and on (host) (max by (host) (up) == 1)",
    for: "2m",
    severity: "warning",
    summary: "{{ $labels.host }} gives no metrics of {{ $labels.job }}",
    means: "The host answers, but one of its programs does not, or one that reports on it.",
    visitors: "Nothing by itself; if the program serves them, another alert says so.",
    action: "Look at the program's journal on that host.",
  },
  {
    name: "StatusOutdated",
    expression: "time() - cluster_status_timestamp_seconds > 180",
    for: "1m",
    severity: "warning",
    summary: "{{ $labels.host }} has not looked at itself for {{ $value | humanizeDuration }}",
    means: "What the host says of its own role is old, so alerts that depend on it may be missing.",
    visitors: "Nothing.",
    action: "Look at the journal of cluster-metrics.service on that host.",
  },
  {
    name: "NotConverged",
    expression: "cluster_converged == 0",
    for: "10m",
    severity: "warning",
    summary: "{{ $labels.host }} is not in its declared state",
    means: "The host could not apply its declared state at its last boot or change of settings.",
    visitors: "Nothing while the others are well.",
    action: "Look at the journal of cluster-converge.service and cluster-update.service there.",
  },
  {
    name: "UnitFailed",
    expression: "cluster_failed_units > 0",
    for: "2m",
    severity: "warning",
    summary: "{{ $value }} units have failed on {{ $labels.host }}",
    means: "systemd has given up on a program, for example on a backup.",
    visitors: "Nothing by itself.",
    action: "`status` names the unit; its journal says why.",
  },
  {
    name: "MemoryLow",
    expression: "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes < 0.08",
    for: "5m",
    severity: "warning",
    summary: "{{ $labels.host }} has {{ $value | humanizePercentage }} of its memory left",
    means: "The host is close to the point at which the kernel ends programs.",
    visitors: "Slow responses, and failed ones once a program is ended.",
    action: "Find what grew (the app, most often), or give the role more memory by settings.",
  },
  {
    name: "DiskFullSoon",
    expression:
      "predict_linear(node_filesystem_avail_bytes[6h], 24 * 3600) < 0 and node_filesystem_avail_bytes / node_filesystem_size_bytes < 0.4",
    for: "30m",
    severity: "warning",
    summary: "{{ $labels.mountpoint }} of {{ $labels.host }} is full within a day",
    means: "At the rate of the last six hours the file system has no space left in 24 hours.",
    visitors: "Nothing yet.",
    action: "Find what grows, or enlarge the volume by settings.",
  },
  {
    name: "DiskAlmostFull",
    expression: "node_filesystem_avail_bytes / node_filesystem_size_bytes < 0.1",
    for: "2m",
    severity: "warning",
    summary:
      "{{ $labels.mountpoint }} of {{ $labels.host }} has {{ $value | humanizePercentage }} left",
    means: "The file system is almost full.",
    visitors: "Nothing yet; a primary without space for data closes before it is full.",
    action: "Remove what is not needed, or enlarge the volume by settings.",
  },
  {
    name: "ClockWrong",
    expression: "cluster_clock_synchronized == 0 or abs(cluster_clock_offset_seconds) > 0.5",
    for: "10m",
    severity: "warning",
    summary: "The clock of {{ $labels.host }} is not synchronized",
    means: "chrony has no source, or the clock is more than half a second off.",
    visitors: "Nothing soon; certificates are judged by clocks, and so are backups' times.",
    action: "Look at `chronyc sources` on that host.",
  },
  {
    name: "RebootPending",
    expression: "cluster_reboot_required == 1",
    for: "1d",
    severity: "info",
    summary: "{{ $labels.host }} has to reboot to finish an upgrade",
    means: "A new kernel or library is installed and not in use.",
    visitors: "Nothing.",
    action: "`cluster -- STACK upgrade` reboots the hosts one after the other.",
  },
];

const WEB_ALERTS: readonly Alert[] = [
  {
    name: "WebServerDown",
    expression: 'max by (server) (haproxy_server_status{proxy="web",state="DOWN"}) == 1',
    for: "20s",
    severity: "warning",
    summary: "{{ $labels.server }} is out of rotation",
    means: "A load balancer's health check of the web server fails.",
    visitors: "Nothing while another web server serves; there is less capacity.",
    action: "`status`, then the journal of app.service and of Nginx on that web server.",
  },
  {
    name: "WebServerDrained",
    expression: 'max by (server) (haproxy_server_status{proxy="web",state="DRAIN"}) == 1',
    for: "1h",
    severity: "info",
    summary: "{{ $labels.server }} has been drained for an hour",
    means: "An operator, or an upgrade that was interrupted, has taken it out of rotation.",
    visitors: "Nothing while another web server serves; there is less capacity.",
    action: "`cluster -- STACK undrain` when the work is done.",
  },
  {
    name: "NoWebServer",
    expression:
      'sum by (host) (haproxy_server_status{proxy="web",state="UP"}) == 0 unless on (host) cluster_pair_holds == 0',
    for: "5s",
    severity: "critical",
    summary: "{{ $labels.host }} has no web server in rotation",
    means: "The load balancer that visitors reach has nobody to forward a request to.",
    visitors: "Every request is answered with 503.",
    action:
      "`status`. If all web servers fail their checks at once, it is the app or its database: look at the app's journal, and roll back if it began with a release.",
  },
];

const PAIR_ALERTS: readonly Alert[] = [
  {
    name: "VisitorsAddressNotHeld",
    expression: "sum(cluster_pair_holds) != 1",
    for: "1m",
    severity: "critical",
    summary: "{{ $value }} load balancers hold the visitors' address",
    means: "Not exactly one of the two load balancers holds the address.",
    visitors: "With none, nobody reaches the site.",
    action: "`status` says what stands in the way; see docs/failover.md.",
  },
  {
    name: "NoSecondLoadBalancer",
    expression: "cluster_pair_obstacle == 1",
    for: "2m",
    severity: "warning",
    summary: "{{ $labels.host }} could not take the visitors' address over",
    means: "The second load balancer could not serve if the first one failed.",
    visitors: "Nothing until the other load balancer fails.",
    action: "`status` says why.",
  },
];

const CERTIFICATE_ALERTS: readonly Alert[] = [
  {
    name: "CertificateExpiresSoon",
    expression:
      "(cluster_certificate_valid_until_seconds - time()) / (cluster_certificate_valid_until_seconds - cluster_certificate_valid_from_seconds) < 0.2",
    for: "1m",
    severity: "warning",
    summary: "The certificate of {{ $labels.host }} expires and has not been renewed",
    means: "Four fifths of the certificate's time are over. It is renewed by itself well before.",
    visitors: "Nothing until it expires; then browsers refuse the site.",
    action: "`status` says why it was not renewed. One that you give yourself: `set-certificate`.",
  },
  {
    name: "CertificateExpired",
    expression: "cluster_certificate_valid_until_seconds < time()",
    for: "0s",
    severity: "critical",
    summary: "The certificate of {{ $labels.host }} has expired",
    means: "The load balancer serves a certificate that is not valid any more.",
    visitors: "Browsers refuse the site.",
    action: "As for CertificateExpiresSoon, at once.",
  },
];

const DATABASE_ALERTS: readonly Alert[] = [
  {
    name: "NoPrimary",
    expression: "(count(mysql_global_variables_super_read_only == 0) or vector(0)) == 0",
    for: "15s",
    severity: "critical",
    summary: "No database host takes writes",
    means:
      "There is no primary. With automatic failover one is chosen within seconds where the record proves that it may.",
    visitors: "Reads work; writes wait, then fail.",
    action:
      "`status` says what is waited for. By hand: `cluster -- STACK promote` (docs/failover.md).",
  },
  {
    name: "TwoPrimaries",
    // Longer than a switchover between two looks at the hosts.
    expression: "count(mysql_global_variables_super_read_only == 0) > 1",
    for: "15s",
    severity: "critical",
    summary: "{{ $value }} database hosts take writes",
    means: "More than one server is open. No load goes to either: web servers refuse both.",
    visitors: "Writes fail.",
    action: "`status`, then see docs/failover.md before anything is closed by hand.",
  },
  {
    name: "PrimaryChanged",
    expression:
      "max(cluster_database_term) > min(min_over_time((cluster_database_term > 0)[10m:15s]))",
    for: "0s",
    severity: "info",
    summary: "Another primary serves: term {{ $value }}",
    means: "A failover or a switchover happened within the last ten minutes.",
    visitors: "Writes waited for some seconds.",
    action: "If nobody asked for it: the journals of both database hosts say why.",
  },
  {
    name: "NoRoomForData",
    expression: "cluster_database_has_room == 0",
    for: "5s",
    severity: "critical",
    summary: "{{ $labels.host }} has no room for writes",
    means: "Less space is free on the data volume than the server needs to stay sound.",
    visitors: "If it is the primary and no other host has room, writes fail.",
    action: "Enlarge the volume (`database.dataVolumeSize`), or delete data that is not needed.",
  },
  {
    name: "AgentSilent",
    expression: "cluster_database_agent_answers == 0",
    for: "1m",
    severity: "critical",
    summary: "The agent of {{ $labels.host }} does not answer",
    means:
      "Nothing on this host decides about its role: it loses the primary's role, or cannot take it.",
    visitors: "Nothing while another host is primary.",
    action: "Look at the journal of cluster-database-agent.service there.",
  },
];

const REPLICA_ALERTS: readonly Alert[] = [
  {
    name: "ReplicaStopped",
    expression:
      "cluster_database_replication_running == 0 unless on (host) cluster_database_open == 1",
    for: "2m",
    severity: "warning",
    summary: "{{ $labels.host }} does not replicate",
    means: "The replica has stopped, or is being built anew by a clone.",
    visitors: "Nothing until the primary fails: then nobody, or another replica, takes over.",
    action: "`status` says what it waits for. A clone of much data takes its time.",
  },
  {
    name: "ReplicaLagging",
    expression: "mysql_slave_status_seconds_behind_source > 30",
    for: "1m",
    severity: "warning",
    summary: "{{ $labels.host }} is {{ $value }} s behind the primary",
    means: "The replica applies writes more slowly than the primary takes them.",
    visitors: "Nothing: reads go elsewhere. A failover to it would take as long as it lags.",
    action: "Look for a long transaction or a load of writes; give replicas a larger machine.",
  },
  {
    name: "NoReplicaAcknowledges",
    expression:
      "mysql_global_status_rpl_semi_sync_source_clients == 0 and on (host) mysql_global_variables_super_read_only == 0",
    for: "30s",
    severity: "warning",
    summary: "No replica acknowledges the writes of {{ $labels.host }}",
    means:
      "`sync` is empty: what the primary acknowledges is on one host alone, or, if `lossless`, waits.",
    visitors: "Nothing with `available`; with `lossless` writes wait.",
    action: "See ReplicaStopped.",
  },
];

const ETCD_ALERTS: readonly Alert[] = [
  {
    name: "EtcdMemberMissing",
    expression: 'up{job="etcd"} == 0',
    for: "1m",
    severity: "warning",
    summary: "etcd of {{ $labels.host }} does not answer",
    means: "One of three voters is away. The next one that fails ends automatic failover.",
    visitors: "Nothing.",
    action: "See HostDown; if the host answers, the journal of cluster-etcd.service there.",
  },
  {
    name: "EtcdWithoutLeader",
    expression: "etcd_server_has_leader == 0",
    for: "15s",
    severity: "critical",
    summary: "{{ $labels.host }} knows no leader of etcd",
    means: "The voter does not reach a majority: nothing fails over while that is so.",
    visitors: "Nothing: the primary goes on, unless it fails as well.",
    action: "`status` names the voters that are away. See docs/etcd.md.",
  },
  {
    name: "EtcdDiskSlow",
    expression:
      "histogram_quantile(0.99, rate(etcd_disk_wal_fsync_duration_seconds_bucket[5m])) > 0.5",
    for: "5m",
    severity: "warning",
    summary: "etcd of {{ $labels.host }} waits {{ $value | humanizeDuration }} for its disk",
    means: "Writing to the voter's disk takes long enough to disturb elections.",
    visitors: "Nothing.",
    action: "Look for what uses the disk; on AWS, for an exhausted burst balance.",
  },
];

const BACKUP_ALERTS: readonly Alert[] = [
  {
    name: "BinaryLogsNotArchived",
    expression: "time() - max(cluster_backup_logs_timestamp_seconds) > 1800",
    for: "1m",
    severity: "critical",
    summary: "Binary logs were last archived {{ $value | humanizeDuration }} ago",
    means: "They are archived every five minutes: what came since is lost if all volumes are.",
    visitors: "Nothing.",
    action: "The journal of cluster-database-log-archive.service on the primary says why.",
  },
  {
    name: "DumpTooOld",
    expression: "time() - max(cluster_backup_dump_timestamp_seconds) > 36 * 3600",
    for: "1m",
    severity: "warning",
    summary: "The last dump is {{ $value | humanizeDuration }} old",
    means: "A dump is made every day; a restore starts from it and takes longer the older it is.",
    visitors: "Nothing.",
    action: "The journal of cluster-database-backup.service on the replicas says why.",
  },
];

/** Alerts of the monitor itself. The first one is always raised: who no longer hears of it knows that the monitor is gone. */
export const WATCHDOG = "Watchdog";

const MONITOR_ALERTS: readonly Alert[] = [
  {
    name: WATCHDOG,
    expression: "vector(1)",
    for: "0s",
    severity: "info",
    summary: "The monitor works",
    means: "This alert is always raised. It is only sent to `monitoring.heartbeat`.",
    visitors: "Nothing.",
    action: "Nothing. If it stops arriving, see to the monitor.",
  },
  {
    name: "AlertsNotDelivered",
    expression: "increase(alertmanager_notifications_failed_total[10m]) > 0",
    for: "0s",
    severity: "critical",
    summary: "Alerts cannot be delivered by {{ $labels.integration }}",
    means: "A receiver refused an alert, or could not be reached. Delivery is repeated.",
    visitors: "Nothing.",
    action: "The journal of prometheus-alertmanager.service on the monitor says why.",
  },
  {
    name: "RulesFail",
    expression: "increase(prometheus_rule_evaluation_failures_total[10m]) > 0",
    for: "0s",
    severity: "warning",
    summary: "Prometheus cannot evaluate its rules",
    means: "An alert may be missing.",
    visitors: "Nothing.",
    action: "The journal of prometheus.service on the monitor says which.",
  },
];

/** The alerts of a cluster: those for which it has the parts. */
export function alertsOf(topology: Topology): Alert[] {
  const { settings, voters, floatingAddresses, tls } = topology;
  const isPair = floatingAddresses.size > 0;
  const hasReplicas = hostsOf(topology, "database").length > 1;
  return [
    ...HOST_ALERTS,
    ...WEB_ALERTS,
    ...burnRateAlerts(settings.monitoring),
    ...(isPair ? PAIR_ALERTS : []),
    ...(tls.mode === "off" ? [] : CERTIFICATE_ALERTS),
    ...DATABASE_ALERTS,
    ...(hasReplicas ? REPLICA_ALERTS : []),
    ...(voters.length > 0 ? ETCD_ALERTS : []),
    ...BACKUP_ALERTS,
    ...MONITOR_ALERTS,
  ];
}

/** Where an alert is explained. */
const runbook = (name: string) => `docs/alerts.md#${name.toLowerCase()}`;

/**
 * Prometheus' rules.
 * https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/
 */
export function alertRules(topology: Topology): string {
  const rules = [
    ...recordings(topology.settings.monitoring.latency).map(({ record, expression }) => ({
      record,
      expr: expression,
    })),
    ...alertsOf(topology).map((alert) => ({
      alert: alert.name,
      expr: alert.expression,
      for: alert.for,
      labels: { severity: alert.severity },
      annotations: {
        summary: alert.summary,
        means: alert.means,
        visitors: alert.visitors,
        action: alert.action,
        runbook: runbook(alert.name),
      },
    })),
  ];
  return stringify({ groups: [{ name: "cluster", rules }] }, { lineWidth: 0 });
}
