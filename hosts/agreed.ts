// Values that a host's program configuration, scripts and agent share: defined here, and passed to scripts and agent as
// facts.

/** HAProxy's runtime socket, on every host that runs one. */
export const HAPROXY_SOCKET = "/run/haproxy/admin.sock";

/** The app's accounts, on every database host: one for the write address, and one for the read address. */
export const DATABASE_ACCOUNTS = { app: "app", reads: "app_read" } as const;

/** MySQL's paths. AppArmor on Ubuntu lets mysqld read and write only in a few places, including these. */
export const MYSQL = {
  configuration: "/etc/mysql/cluster",
  dataDirectory: "/var/lib/mysql",
  socket: "/run/mysqld/mysqld.sock",
} as const;

/** etcd's paths, on hosts that are voters or have been. */
export const ETCD = {
  /** Its configuration, and this host's key, certificate and certificate authority. */
  configuration: "/etc/cluster/etcd",
  /** Where its data is on a host without a data volume. */
  directory: "/var/lib/cluster/etcd",
  /** A folder that a reboot empties. */
  run: "/run/cluster/etcd",
} as const;

/** Paths on a load balancer that is one of two. */
export const PAIR = {
  /** A folder that a reboot empties. */
  run: "/run/cluster/pair",
  /** 0, or -254 while this load balancer has handed the visitors' address over. */
  handOver: "/run/cluster/pair/hand-over",
  /** The line of keepalived's configuration that names the network interface; the host writes it. */
  interface: "/etc/keepalived/interface.conf",
} as const;

/** The key and the certificate that visitors get, in one file, on every load balancer with TLS. */
export const VISITORS_CERTIFICATE = "/etc/cluster/visitors/certificate.pem";

/** What a load balancer finds out about its certificate and tells its HAProxy: a map, see hosts/visitors-tls.ts. */
export const VISITORS_MAP = "/etc/cluster/visitors/certificate.map";

/** HAProxy's second configuration file on a load balancer, which the host writes: it has a secret. */
export const QUIC_CONFIGURATION = "/etc/haproxy/quic.cfg";

/** Where a load balancer that gets its certificate from an authority keeps what it needs for that. */
export const ACME = {
  configuration: "/etc/cluster/acme",
  directory: "/var/lib/cluster/acme",
} as const;

/** A name in the certificate of every database host, for clients that dial a proxy: who they reach is verified by it. */
export const databaseServerName = (clusterName: string) => `database.${clusterName}.internal`;

/** Where a data volume is mounted, which outlives its host. */
const DATA_VOLUME = "/srv/data";

/** Other paths on a database host. */
export const DATABASE = {
  /** The data volume. */
  volume: DATA_VOLUME,
  /** A folder that a reboot empties. */
  run: "/run/cluster/database",
  /** How much of the volume must be free for writes to be accepted: the server itself needs space. */
  reserve: "64MiB",
  /** The map from which the health port answers. */
  answers: "/etc/haproxy/answers.map",
} as const;

/** Paths of metrics and alerts. */
export const MONITORING = {
  /** A monitor's data volume. */
  volume: DATA_VOLUME,
  /** A folder of a monitor that a reboot empties: what operators gave it, for Alertmanager only. */
  run: "/run/cluster/monitor",
  /** What scripts of a host tell its node exporter, on every host. */
  textfiles: "/var/lib/prometheus/node-exporter",
  /** The user of Debian's and Ubuntu's packages of Prometheus and its exporters. */
  user: "prometheus",
} as const;
