/** Port numbers that several hosts share. */
export const PORTS = {
  http: 80,
  https: 443,
  mysql: 3306,
  /** The health port of each database host: `/primary`, `/replica` and so on, over HTTP. */
  databaseHealth: 8008,
  etcdClients: 2379,
  etcdPeers: 2380,
  /** On each of two load balancers: what it tells the other one, in lines of text. */
  loadBalancerPeer: 8405,
  /** What Prometheus asks hosts for: see metrics.ts. */
  hostMetrics: 9100,
  proxyMetrics: 8406,
  nginxMetrics: 9113,
  appMetrics: 9464,
  mysqlMetrics: 9104,
  etcdMetrics: 2381,
} as const;

/** Ports on 127.0.0.1 that hosts use themselves. */
export const LOCAL_PORTS = {
  /** HAProxy on a web server: the way to the primary. */
  databaseWrites: 3306,
  /** HAProxy on a web server: the way to fresh replicas. */
  databaseReads: 3307,
  /** HAProxy's statistics on a load balancer. */
  statistics: 8404,
  /** Nginx's own numbers, on a web server. */
  nginxStatus: 8407,
  /** On a monitor. */
  prometheus: 9090,
  alertmanager: 9093,
} as const;
