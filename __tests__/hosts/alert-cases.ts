import { hostsOf, type Topology } from "../../topology/topology";

// Series as Prometheus gets them, in promtool's notation: `1x40` is 1 and forty times more, `0+15x40` counts up.

/** Seconds between two values. */
const INTERVAL = 15;

/** How many values there are: the whole time that is looked at. */
const VALUES = 3 * 240;

/** How many values are as of a healthy cluster before the fault comes: ten minutes. */
const HEALTHY = 40;

const always = (value: number) => `${value}x${VALUES}`;
const counting = (perSecond: number) => `0+${perSecond * INTERVAL}x${VALUES}`;

/** Healthy until the fault, and then as given. */
const turning = (before: number, after: number) =>
  `${before}x${HEALTHY - 1} ${after}x${VALUES - HEALTHY}`;

type Series = Readonly<Record<string, string>>;

/** What a healthy cluster tells, as far as alerts look at it. */
export function healthySeries(topology: Topology): Series {
  const series: Record<string, string> = {};
  for (const { name, role } of topology.hosts) {
    const labels = `host="${name}",role="${role}"`;
    const jobs = ["host", ...(role === "monitor" ? [] : ["haproxy"])];
    for (const job of jobs) {
      series[`up{job="${job}",${labels}}`] = always(1);
    }
    series[`cluster_status_timestamp_seconds{${labels}}`] = counting(1);
    series[`cluster_converged{${labels}}`] = always(1);
    series[`cluster_failed_units{${labels}}`] = always(0);
    series[`cluster_reboot_required{${labels}}`] = always(0);
    series[`cluster_clock_synchronized{${labels}}`] = always(1);
    series[`cluster_clock_offset_seconds{${labels}}`] = always(0.001);
    series[`node_memory_MemTotal_bytes{${labels}}`] = always(1000);
    series[`node_memory_MemAvailable_bytes{${labels}}`] = always(500);
    series[`node_filesystem_size_bytes{mountpoint="/",${labels}}`] = always(1000);
    series[`node_filesystem_avail_bytes{mountpoint="/",${labels}}`] = always(800);
  }
  for (const { name } of hostsOf(topology, "load-balancer")) {
    const labels = `host="${name}",role="load-balancer"`;
    for (const { name: server } of hostsOf(topology, "web")) {
      const proxy = `haproxy_server_status{proxy="web",server="${server}",${labels}`;
      series[`${proxy},state="UP"}`] = always(1);
      series[`${proxy},state="DOWN"}`] = always(0);
      series[`${proxy},state="DRAIN"}`] = always(0);
    }
    const responses = `haproxy_frontend_http_responses_total{proxy="site",${labels}`;
    series[`${responses},code="2xx"}`] = counting(10);
    series[`${responses},code="5xx"}`] = counting(0);
    series[`cluster_certificate_valid_from_seconds{${labels}}`] = always(0);
    series[`cluster_certificate_valid_until_seconds{${labels}}`] = always(1_000_000);
    if (topology.floatingAddresses.size > 0) {
      series[`cluster_pair_holds{${labels}}`] = always(name === "load-balancer-1" ? 1 : 0);
      series[`cluster_pair_obstacle{${labels}}`] = always(0);
    }
  }
  for (const { name } of hostsOf(topology, "web")) {
    const labels = `host="${name}",role="web",route="/"`;
    series[`http_request_duration_seconds_count{${labels}}`] = counting(10);
    series[`http_request_duration_seconds_bucket{${labels},le="0.5"}`] = counting(10);
  }
  for (const { name } of hostsOf(topology, "database")) {
    const labels = `host="${name}",role="database"`;
    const isPrimary = name === "database-1";
    series[`mysql_global_variables_super_read_only{${labels}}`] = always(isPrimary ? 0 : 1);
    series[`mysql_global_status_rpl_semi_sync_source_clients{${labels}}`] = always(
      isPrimary ? 1 : 0,
    );
    series[`cluster_database_open{${labels}}`] = always(isPrimary ? 1 : 0);
    series[`cluster_database_replication_running{${labels}}`] = always(isPrimary ? 0 : 1);
    series[`cluster_database_term{${labels}}`] = always(1);
    series[`cluster_database_has_room{${labels}}`] = always(1);
    series[`cluster_database_agent_answers{${labels}}`] = always(1);
    if (!isPrimary) {
      series[`mysql_slave_status_seconds_behind_source{${labels}}`] = always(0);
    }
  }
  for (const { name, role } of topology.voters) {
    const labels = `host="${name}",role="${role}"`;
    series[`up{job="etcd",${labels}}`] = always(1);
    series[`etcd_server_has_leader{${labels}}`] = always(1);
    const fsync = `etcd_disk_wal_fsync_duration_seconds_bucket{${labels}`;
    series[`${fsync},le="0.008"}`] = counting(2);
    series[`${fsync},le="0.512"}`] = counting(2);
    series[`${fsync},le="1.024"}`] = counting(2);
    series[`${fsync},le="+Inf"}`] = counting(2);
  }
  const primary = 'host="database-1",role="database"';
  series[`cluster_backup_logs_timestamp_seconds{${primary}}`] = counting(1);
  series[`cluster_backup_dump_timestamp_seconds{${primary}}`] = counting(1);
  series[`alertmanager_notifications_failed_total{integration="webhook",${monitor}}`] = counting(0);
  series[`prometheus_rule_evaluation_failures_total{${monitor}}`] = counting(0);
  return series;
}

/** A fault as Prometheus sees it. */
export interface AlertCase {
  /** The alert that it raises. */
  readonly alert: string;
  /** What becomes of series; those that are not named stay healthy. */
  readonly series: Series;
  /** After how many seconds it must have been raised. */
  readonly within: number;
}

const database = (number: number) => `host="database-${number}",role="database"`;
const balancer = (number: number) => `host="load-balancer-${number}",role="load-balancer"`;
const monitor = 'host="monitor-1",role="monitor"';
const webOne = 'host="web-1",role="web"';
const SERVER = "haproxy_server_status";
const minutes = (count: number) => count * 60;
const hours = (count: number) => count * 3600;

/** Stops counting at the fault. */
const stopping = `0+${INTERVAL}x${HEALTHY - 1} ${INTERVAL * HEALTHY}x${VALUES - HEALTHY}`;
const counted = (perSecond: number) =>
  `0x${HEALTHY - 1} 0+${perSecond * INTERVAL}x${VALUES - HEALTHY}`;

/** One fault for each alert. */
export const ALERT_CASES: readonly AlertCase[] = [
  {
    alert: "HostDown",
    series: {
      [`up{job="host",${webOne}}`]: turning(1, 0),
      [`up{job="haproxy",${webOne}}`]: turning(1, 0),
    },
    within: 45,
  },
  {
    alert: "MetricsMissing",
    series: { [`up{job="haproxy",${webOne}}`]: turning(1, 0) },
    within: minutes(3),
  },
  {
    alert: "StatusOutdated",
    series: { [`cluster_status_timestamp_seconds{${webOne}}`]: stopping },
    within: minutes(5),
  },
  {
    alert: "NotConverged",
    series: { [`cluster_converged{${webOne}}`]: turning(1, 0) },
    within: minutes(11),
  },
  {
    alert: "UnitFailed",
    series: { [`cluster_failed_units{${webOne}}`]: turning(0, 2) },
    within: minutes(3),
  },
  {
    alert: "MemoryLow",
    series: { [`node_memory_MemAvailable_bytes{${webOne}}`]: turning(500, 40) },
    within: minutes(6),
  },
  {
    alert: "DiskFullSoon",
    series: {
      [`node_filesystem_avail_bytes{mountpoint="/",${webOne}}`]: `800x${HEALTHY - 1} 390-0.2x${VALUES - HEALTHY}`,
    },
    within: minutes(45),
  },
  {
    alert: "DiskAlmostFull",
    series: { [`node_filesystem_avail_bytes{mountpoint="/",${webOne}}`]: turning(800, 90) },
    within: minutes(3),
  },
  {
    alert: "ClockWrong",
    series: { [`cluster_clock_synchronized{${webOne}}`]: turning(1, 0) },
    within: minutes(11),
  },
  {
    alert: "WebServerDown",
    series: {
      [`${SERVER}{proxy="web",server="web-1",${balancer(1)},state="UP"}`]: turning(1, 0),
      [`${SERVER}{proxy="web",server="web-1",${balancer(1)},state="DOWN"}`]: turning(0, 1),
    },
    within: 45,
  },
  {
    alert: "WebServerDrained",
    series: {
      [`${SERVER}{proxy="web",server="web-1",${balancer(1)},state="DRAIN"}`]: turning(0, 1),
    },
    within: minutes(61),
  },
  {
    alert: "NoWebServer",
    series: {
      [`${SERVER}{proxy="web",server="web-1",${balancer(1)},state="UP"}`]: turning(1, 0),
      [`${SERVER}{proxy="web",server="web-2",${balancer(1)},state="UP"}`]: turning(1, 0),
    },
    within: 30,
  },
  ...(["Fast", "Steady", "Slow"] as const).flatMap((rate): AlertCase[] => {
    const [perSecond, within] = {
      Fast: [0.5, minutes(30)] as const,
      Steady: [0.2, minutes(60)] as const,
      Slow: [0.1, minutes(60)] as const,
    }[rate];
    return [
      {
        alert: `Errors${rate}`,
        series: {
          [`haproxy_frontend_http_responses_total{proxy="site",${balancer(1)},code="5xx"}`]:
            counted(perSecond),
        },
        within,
      },
      {
        alert: `Latency${rate}`,
        series: {
          [`http_request_duration_seconds_count{${webOne},route="/"}`]: `0+150x${HEALTHY - 1} ${150 * HEALTHY}+${(10 + 20 * perSecond) * INTERVAL}x${VALUES - HEALTHY}`,
        },
        within,
      },
    ];
  }),
  {
    alert: "VisitorsAddressNotHeld",
    series: { [`cluster_pair_holds{${balancer(1)}}`]: turning(1, 0) },
    within: minutes(2),
  },
  {
    alert: "NoSecondLoadBalancer",
    series: { [`cluster_pair_obstacle{${balancer(2)}}`]: turning(0, 1) },
    within: minutes(3),
  },
  {
    alert: "CertificateExpiresSoon",
    series: {
      [`cluster_certificate_valid_until_seconds{${balancer(1)}}`]: turning(1_000_000, 1500),
    },
    within: minutes(15),
  },
  {
    alert: "CertificateExpired",
    series: {
      [`cluster_certificate_valid_until_seconds{${balancer(1)}}`]: turning(1_000_000, 600),
    },
    within: 60,
  },
  {
    alert: "NoPrimary",
    series: { [`mysql_global_variables_super_read_only{${database(1)}}`]: turning(0, 1) },
    within: 45,
  },
  {
    alert: "TwoPrimaries",
    series: { [`mysql_global_variables_super_read_only{${database(2)}}`]: turning(1, 0) },
    within: 45,
  },
  {
    alert: "PrimaryChanged",
    series: { [`cluster_database_term{${database(2)}}`]: turning(1, 2) },
    within: 30,
  },
  {
    alert: "NoRoomForData",
    series: { [`cluster_database_has_room{${database(1)}}`]: turning(1, 0) },
    within: 30,
  },
  {
    alert: "AgentSilent",
    series: { [`cluster_database_agent_answers{${database(1)}}`]: turning(1, 0) },
    within: minutes(2),
  },
  {
    alert: "ReplicaStopped",
    series: { [`cluster_database_replication_running{${database(2)}}`]: turning(1, 0) },
    within: minutes(3),
  },
  {
    alert: "ReplicaLagging",
    series: { [`mysql_slave_status_seconds_behind_source{${database(2)}}`]: turning(0, 90) },
    within: minutes(2),
  },
  {
    alert: "NoReplicaAcknowledges",
    series: { [`mysql_global_status_rpl_semi_sync_source_clients{${database(1)}}`]: turning(1, 0) },
    within: minutes(1),
  },
  {
    alert: "EtcdMemberMissing",
    series: { [`up{job="etcd",${database(2)}}`]: turning(1, 0) },
    within: minutes(2),
  },
  {
    alert: "EtcdWithoutLeader",
    series: { [`etcd_server_has_leader{${database(2)}}`]: turning(1, 0) },
    within: 45,
  },
  {
    alert: "EtcdDiskSlow",
    series: Object.fromEntries(
      ["0.008", "0.512"].map((le) => [
        `etcd_disk_wal_fsync_duration_seconds_bucket{${database(1)},le="${le}"}`,
        `0+30x${HEALTHY - 1} ${30 * HEALTHY}x${VALUES - HEALTHY}`,
      ]),
    ),
    within: minutes(11),
  },
  {
    alert: "BinaryLogsNotArchived",
    series: { [`cluster_backup_logs_timestamp_seconds{${database(1)}}`]: stopping },
    within: minutes(32),
  },
  {
    alert: "AlertsNotDelivered",
    series: {
      [`alertmanager_notifications_failed_total{integration="webhook",${monitor}}`]: counted(1),
    },
    within: minutes(1),
  },
  {
    alert: "RulesFail",
    series: {
      [`prometheus_rule_evaluation_failures_total{${monitor}}`]: counted(1),
    },
    within: minutes(1),
  },
];

/** Alerts whose time is longer than what is looked at: they are tested by what their expressions say. */
export const NOT_SHOWN: readonly string[] = ["RebootPending", "DumpTooOld"];

/** Alerts that need not be alone: a fault that raises one of these raises others as well. */
const firing = (alert: string) => `count(ALERTS{alertname="${alert}",alertstate="firing"})`;

function sample(expr: string, evalTime: number, value: number | undefined) {
  return {
    expr,
    eval_time: `${evalTime}s`,
    exp_samples: value === undefined ? [] : [{ labels: "{}", value }],
  };
}

/**
 * What promtool runs: a healthy cluster raises no alert in three hours, and each fault raises its own in time, not before the
 * fault, and never a second one of the same name.
 *
 * @param rules the path of the rules
 */
export function promtoolTests(topology: Topology, rules: string): string {
  const healthy = healthySeries(topology);
  const test = (series: Series, samples: unknown[]) => ({
    interval: `${INTERVAL}s`,
    input_series: Object.entries({ ...healthy, ...series }).map(([name, values]) => ({
      series: name,
      values,
    })),
    promql_expr_test: samples,
  });
  const quiet = 'count by (alertname) (ALERTS{alertname!="Watchdog",alertstate="firing"})';
  const tests = [
    test(
      {},
      [0, 600, hours(1), hours(2), hours(3) - 60].map((at) => sample(quiet, at, undefined)),
    ),
    test({}, [sample(firing("Watchdog"), 600, 1)]),
    ...ALERT_CASES.map(({ alert, series, within }) =>
      test(series, [
        sample(quiet, (HEALTHY - 1) * INTERVAL, undefined),
        sample(firing(alert), HEALTHY * INTERVAL + within, 1),
      ]),
    ),
  ];
  return JSON.stringify({ rule_files: [rules], evaluation_interval: `${INTERVAL}s`, tests });
}
