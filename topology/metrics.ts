import { PORTS } from "./ports";
import type { Group, Role } from "./roles";

/**
 * What hosts tell the monitor, over HTTP: flows, exporters and Prometheus' jobs are derived from this list, so a host that is
 * added by settings is asked without another edit.
 */
export interface Metrics {
  /** Prometheus' job. */
  readonly job: string;
  /** The hosts that are asked. */
  readonly of: ReadonlyArray<Role | Group>;
  readonly port: number;
  /** What is asked for, with a verb in the plural: `the state of machines`. */
  readonly what: string;
}

/** Every kind of metrics. Those of the monitor itself do not leave it. */
export const METRICS: readonly Metrics[] = [
  {
    job: "host",
    of: ["load-balancer", "web", "database"],
    port: PORTS.hostMetrics,
    what: "processors, memory, disks, clocks, and what hosts say of their roles",
  },
  {
    job: "haproxy",
    of: ["load-balancer", "web", "database"],
    port: PORTS.proxyMetrics,
    what: "requests, connections and health checks of HAProxy",
  },
  { job: "nginx", of: ["web"], port: PORTS.nginxMetrics, what: "connections of Nginx" },
  { job: "app", of: ["web"], port: PORTS.appMetrics, what: "metrics of the app" },
  {
    job: "mysql",
    of: ["database"],
    port: PORTS.mysqlMetrics,
    what: "connections, queries and replication of MySQL",
  },
  { job: "etcd", of: ["voters"], port: PORTS.etcdMetrics, what: "members and disks of etcd" },
];
