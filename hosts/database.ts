import { PORTS } from "../topology/ports";
import { hostsOf, type Topology, type TopologyHost } from "../topology/topology";
import { DATABASE, DATABASE_ACCOUNTS, databaseServerName, HAPROXY_SOCKET, MYSQL } from "./agreed";
import { metricsFrontend } from "./haproxy-metrics";
import { type RoleContent, SCRIPTS_PATH, textFile } from "./host";
import { FILES_OF_OTHERS, haproxySandbox, sandbox, sandboxOf } from "./sandbox";
import { staticFiles } from "./static-files";
import { HIGHEST_PRIORITY } from "./unit-priority";

/** The agent's path among the scripts. */
export const AGENT_PROGRAM = "database/agent.js";

/**
 * Engines with which no table can be created: a clone copies only InnoDB tables
 * (https://dev.mysql.com/doc/refman/8.4/en/clone-plugin-limitations.html), the contents of MEMORY are lost when the
 * server ends, and no other engine survives a crash or takes part in a transaction. The system's own tables already
 * exist, and stay usable. A name that a server does not know has no effect there.
 * https://dev.mysql.com/doc/refman/8.4/en/server-system-variables.html#sysvar_disabled_storage_engines
 */
const DISABLED_ENGINES = [
  "MyISAM",
  "MRG_MYISAM",
  "MEMORY",
  "CSV",
  "ARCHIVE",
  "BLACKHOLE",
  "FEDERATED",
  "EXAMPLE",
  "ndbcluster",
  "ndbinfo",
];

/** A replica that was away for longer clones again. */
const BINARY_LOG_SECONDS = 7 * 24 * 60 * 60;

/**
 * The server's configuration. mysqld gets it by name (`--defaults-file`), so it is complete: a distribution's own files
 * have no effect.
 *
 * Only options that MySQL 8.4 and 9.7 both support.
 */
function serverConfiguration(host: TopologyHost): string {
  return `[mysqld]
user = mysql
datadir = ${MYSQL.dataDirectory}
socket = ${MYSQL.socket}
pid_file = /run/mysqld/mysqld.pid
secure_file_priv = NULL
# log_error is not set, so errors go to standard error and from there to the journal.
log_error_verbosity = 2
general_log = OFF

# Every server starts read-only, and starts replication only on command.
super_read_only = ON
skip_replica_start = ON

bind_address = ${host.address}
port = ${PORTS.mysql}
mysqlx = OFF
skip_name_resolve = ON
local_infile = OFF

# Prevents tables whose rows a clone or a restart would lose.
disabled_storage_engines = ${DISABLED_ENGINES.join(",")}
# Lets the app create triggers and functions without SUPER. The restriction exists for statement-based binary logs; these
# are row-based.
log_bin_trust_function_creators = ON
# Events are disabled on replicas, and would stay disabled after a switchover.
event_scheduler = OFF

require_secure_transport = ON
tls_version = TLSv1.3
ssl_ca = ${MYSQL.configuration}/certificate-authority.pem
ssl_cert = ${MYSQL.configuration}/server.pem
ssl_key = ${MYSQL.configuration}/server.key

character_set_server = utf8mb4
collation_server = utf8mb4_0900_ai_ci
default_time_zone = +00:00

# Commits are flushed to disk before they are acknowledged.
sync_binlog = 1
innodb_flush_log_at_trx_commit = 1

server_id = ${host.number}
report_host = ${host.name}
log_bin = binlog
relay_log = relay-bin
binlog_expire_logs_seconds = ${BINARY_LOG_SECONDS}
gtid_mode = ON
enforce_gtid_consistency = ON
log_replica_updates = ON
replica_preserve_commit_order = ON
# The relay log may hold the only copy of an acknowledged write, so it must still be applied after a crash.
relay_log_recovery = OFF
# Heartbeats arrive every second; after five seconds without data the replica reconnects.
replica_net_timeout = 5

plugin_load_add = mysql_clone.so
plugin_load_add = semisync_source.so
plugin_load_add = semisync_replica.so
# Makes a clone verify the donor's certificate.
clone_ssl_ca = ${MYSQL.configuration}/certificate-authority.pem
# The source side is enabled when a server is opened for writes, and only if there is a replica.
rpl_semi_sync_source_enabled = OFF
rpl_semi_sync_replica_enabled = ON
# A transaction becomes visible only once a replica has it, so that no client reads data that may still be lost.
rpl_semi_sync_source_wait_point = AFTER_SYNC
rpl_semi_sync_source_wait_for_replica_count = 1
# If the last replica disconnects while a commit waits, the commit keeps waiting until the timeout.
rpl_semi_sync_source_wait_no_replica = ON
# 49 days, the maximum, in milliseconds. The agent sets what follows from the settings, which so restart no server.
rpl_semi_sync_source_timeout = 4294967295

# Sizes that depend on this host's memory; written before each start.
!include ${MYSQL.configuration}/memory.cnf
`;
}

/**
 * The maximum memory of the agent and the scripts it runs. The server gets the rest of the host's memory
 * (scripts/database/prepare.sh).
 */
const AGENT_MEBIBYTES = 128;

/**
 * With automatic failover the agent outlives the server when the host is stopped: it gives the role away first
 * (scripts/database/stop.sh). It does not wait for etcd, which is ready only with a majority; where this host's member is
 * stopped sooner, the agent asks another.
 */
const agentUnit = (isAutomatic: boolean) => `[Unit]
Description=Agent of the database cluster
${isAutomatic ? "Before=mysql.service\nAfter=haproxy.service" : "After=mysql.service"}
StartLimitIntervalSec=0

[Service]
EnvironmentFile=/etc/cluster/host.env
ExecStart=/usr/bin/node --max-old-space-size=48 --max-semi-space-size=1 ${SCRIPTS_PATH}/${AGENT_PROGRAM}
MemoryMin=${AGENT_MEBIBYTES / 2}M
MemoryMax=${AGENT_MEBIBYTES}M
# Before all else on a busy host: where the agent is late, web servers take the host for one that is gone.
${HIGHEST_PRIORITY}
Restart=always
RestartSec=1
${sandbox({
  // For the kernel's fence, for connections that it ends, and for files of MySQL and etcd.
  capabilities: ["NET_ADMIN", ...FILES_OF_OTHERS],
  families: ["NETLINK"],
  writes: [`-${DATABASE.volume}`, "/etc/cluster", "/var/lib/cluster"],
  // It looks whether the server runs.
  seesProcesses: true,
  asksPlatform: true,
  writesToRun: true,
  makesCode: true,
})}
[Install]
WantedBy=multi-user.target
`;

/**
 * Installed by scripts/database/converge.sh. The scripts prepare and end the server as root, outside of its sandbox.
 * Even so systemd gives them mounts of their own: what prepare.sh mounts would be gone when it ends, and the server would
 * start without its data. So it goes to the mounts of the host.
 */
const SERVER_DROP_IN = `[Unit]
# No limit on restarts.
StartLimitIntervalSec=0

[Service]
ExecStartPre=
ExecStartPre=+/usr/bin/nsenter --mount=/proc/1/ns/mnt /opt/cluster/scripts/database/prepare.sh
ExecStart=
ExecStart=/usr/sbin/mysqld --defaults-file=${MYSQL.configuration}/mysqld.cnf
ExecStop=+/opt/cluster/scripts/database/stop.sh
ExecStopPost=+/opt/cluster/scripts/database/stopped.sh
# stop.sh kills a server that it cannot close.
SuccessExitStatus=SIGKILL
# Tells mysqld that a supervisor will restart it, which a clone requires.
Environment=MYSQLD_PARENT_PID=1
Restart=always
RestartSec=0
${sandbox({ writes: [MYSQL.dataDirectory] })}`;

/** Maximum age of an answer, in seconds; an older one means that the agent hangs. */
const LONGEST_AGE = 3;

/**
 * The health port. HAProxy answers from memory, where the agent writes one line every second: `time|status of
 * /primary|of /replica|of /readable|state as JSON`. Without a fresh line the answer is no.
 */
function healthPort(host: TopologyHost): string {
  const state = `content-type application/json lf-string "%[var(txn.now),field(5,|)]\\n"`;
  const authority = `str(certificate-authority),map(${DATABASE.answers})`;
  return `# HAProxy 3 (https://docs.haproxy.org/3.2/configuration.html): the health port. Tells peers and web servers this host's
# state, as last reported by the agent.
global
  log stdout format raw daemon notice
  user haproxy
  group haproxy
  stats socket ${HAPROXY_SOCKET} mode 600 level admin
  fd-hard-limit 2000
  # The state includes the host's GTID sets, which can be long.
  tune.bufsize 65536

defaults
  mode http
  timeout client 5s
  timeout http-request 2s
  timeout http-keep-alive 2s

frontend health
  bind ${host.address}:${PORTS.databaseHealth}
  http-request return status 405 content-type text/plain string "method not allowed\\n" hdr Allow "GET, HEAD, OPTIONS" unless { method GET HEAD OPTIONS }
  http-request set-var(txn.now) str(now),map(${DATABASE.answers})
  http-request set-var(txn.at) var(txn.now),field(1,|)
  # Plus a second, to tolerate a clock that was set back.
  http-request set-var(txn.age) date,sub(txn.at),add(1)
  acl is_fresh var(txn.age) -m int 0:${LONGEST_AGE + 1}
  # The primary's lease, in milliseconds since 1970: whoever is frozen stops being the primary by HAProxy's clock.
  http-request set-var(txn.lease) str(primary-until),map(${DATABASE.answers},0)
  acl has_lease date(0,ms),sub(txn.lease) -m int lt 0
  http-request set-var(txn.status) var(txn.now),field(2,|) if is_fresh has_lease { path /primary }
  http-request set-var(txn.status) var(txn.now),field(3,|) if is_fresh { path /replica }
  http-request set-var(txn.status) var(txn.now),field(4,|) if is_fresh { path /readable }
  http-request set-var(txn.status) str(200) if is_fresh { path /state }
  http-request return status 200 ${state} if { var(txn.status) -m str 200 }
  acl is_role path /primary /replica /readable /state
  http-request return status 503 ${state} if is_role is_fresh
  http-request return status 503 content-type application/json string "{\\"state\\":\\"unknown\\"}\\n" if is_role
  acl is_authority path /certificate-authority
  http-request return status 200 content-type text/plain lf-string "%[${authority}]\\n" if is_authority { ${authority} -m len gt 64 }
  http-request return status 503 content-type text/plain string "not yet\\n" if is_authority
  http-request return status 404 content-type text/plain string "not found\\n"

${metricsFrontend(host)}`;
}

/** The content of a database host beyond that of every host. */
export function databaseContent(topology: Topology, host: TopologyHost): RoleContent {
  const { name, durability, failover } = topology.settings.database;
  const isAutomatic = failover === "automatic";
  const peers = hostsOf(topology, "database").filter((other) => other.name !== host.name);
  return {
    packages: ["haproxy", "mysql-server", "openssl", "curl", "mount", "restic", "nodejs"],
    units: [
      "haproxy.service",
      "mysql.service",
      "cluster-database-agent.service",
      ...["certificates", "backup", "log-archive"].map((name) => `cluster-database-${name}.timer`),
    ],
    files: [
      textFile(`${MYSQL.configuration}/mysqld.cnf`, serverConfiguration(host)),
      textFile("/etc/haproxy/haproxy.cfg", healthPort(host)),
      textFile("/etc/systemd/system/cluster-database-agent.service", agentUnit(isAutomatic)),
      textFile("/etc/cluster/database/mysql.service.conf", SERVER_DROP_IN),
      ...staticFiles("database"),
      haproxySandbox(),
      ...["backup", "log-archive", "certificates"].map((name) =>
        sandboxOf(`cluster-database-${name}`, {
          capabilities: FILES_OF_OTHERS,
          writes: [DATABASE.volume, MYSQL.configuration, "/var/lib/cluster", "-/srv/backups"],
          asksPlatform: true,
          writesToRun: true,
          lines: ["CacheDirectory=cluster"],
        }),
      ),
    ],
    facts: {
      DATABASE_PEERS: peers.map((peer) => `${peer.name}:${peer.address}`).join(" "),
      DATABASE_NAME: name,
      DATABASE_SERVER_NAME: databaseServerName(topology.clusterName),
      DATABASE_DURABILITY: durability,
      DATABASE_AGENT_MEBIBYTES: String(AGENT_MEBIBYTES),
      DATABASE_USER: DATABASE_ACCOUNTS.app,
      DATABASE_READ_USER: DATABASE_ACCOUNTS.reads,
      DATABASE_HEALTH_PORT: String(PORTS.databaseHealth),
      DATABASE_VOLUME: DATABASE.volume,
      DATABASE_RUN: DATABASE.run,
      DATABASE_RESERVE: DATABASE.reserve,
      DATABASE_ANSWERS: DATABASE.answers,
      MYSQL_PORT: String(PORTS.mysql),
      MYSQL_CONFIGURATION: MYSQL.configuration,
      MYSQL_DATA_DIRECTORY: MYSQL.dataDirectory,
      MYSQL_SOCKET: MYSQL.socket,
      HAPROXY_SOCKET,
      BACKUP_KEEP_DAYS: String(topology.settings.backup.keepDays),
    },
  };
}
