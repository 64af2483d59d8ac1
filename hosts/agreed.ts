// What the configuration of programs, the scripts and the agent of a host have to agree on: said here, and told to
// scripts and agent as facts.

/** HAProxy's runtime socket, on every host that runs one. */
export const HAPROXY_SOCKET = "/run/haproxy/admin.sock";

/** The accounts of the app, on every database host: for its own address of writes, and for that of reads. */
export const DATABASE_ACCOUNTS = { app: "app", reads: "app_read" } as const;

/** Where MySQL finds things. AppArmor on Ubuntu lets mysqld read and write at few places: these are among them. */
export const MYSQL = {
  configuration: "/etc/mysql/cluster",
  dataDirectory: "/var/lib/mysql",
  socket: "/run/mysqld/mysqld.sock",
} as const;

/** What a database host keeps besides. */
export const DATABASE = {
  /** The data volume, which outlives its host. */
  volume: "/srv/data",
  /** A folder that a reboot empties. */
  run: "/run/cluster/database",
  /** As much of the volume must be free for writes to be taken: the server needs room of its own. */
  reserve: "64MiB",
  /** The map from which the health port answers. */
  answers: "/etc/haproxy/answers.map",
} as const;
