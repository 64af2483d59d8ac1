import { PORTS } from "../topology/flows";
import { hostsOf, type Topology, type TopologyHost } from "../topology/topology";
import { type HostFile, type RoleContent, SCRIPTS_PATH, textFile } from "./host";

const CONFIGURATION_PATH = "/etc/mysql/cluster";
const SCRIPTS = `${SCRIPTS_PATH}/database`;

/** How long a write waits for a replica's acknowledgement: 49 days is the longest MySQL takes. */
const ACKNOWLEDGEMENT_TIMEOUT = { available: 1_000, lossless: 4_294_967_295 } as const;

/** A replica that was away for longer is cloned anew. */
const BINARY_LOG_SECONDS = 7 * 24 * 60 * 60;

/**
 * The server's configuration. It is given to mysqld by name (`--defaults-file`), so it is the
 * whole of it: what a distribution's own files say has no part in it.
 *
 * Only words which MySQL 8.4 and 9.7 both know.
 */
function serverConfiguration(topology: Topology, host: TopologyHost): string {
  return `[mysqld]
user = mysql
datadir = /var/lib/mysql
socket = /run/mysqld/mysqld.sock
pid_file = /run/mysqld/mysqld.pid
secure_file_priv = NULL
# Without log_error the server writes to its standard error, which is the journal.
log_error_verbosity = 2
general_log = OFF

# Every server starts closed, and replicates only when told to.
super_read_only = ON
skip_replica_start = ON

bind_address = ${host.address}
port = ${PORTS.mysql}
mysqlx = OFF
skip_name_resolve = ON
local_infile = OFF

require_secure_transport = ON
tls_version = TLSv1.3
ssl_ca = ${CONFIGURATION_PATH}/certificate-authority.pem
ssl_cert = ${CONFIGURATION_PATH}/server.pem
ssl_key = ${CONFIGURATION_PATH}/server.key

character_set_server = utf8mb4
collation_server = utf8mb4_0900_ai_ci
default_time_zone = +00:00

# A commit is on disk before it is acknowledged.
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
# After a crash, what was received and not applied is fetched again.
relay_log_recovery = ON
# The source's heartbeat comes every second; after five it is taken for gone.
replica_net_timeout = 5

plugin_load_add = mysql_clone.so
plugin_load_add = semisync_source.so
plugin_load_add = semisync_replica.so
# With it, a clone verifies the donor's certificate.
clone_ssl_ca = ${CONFIGURATION_PATH}/certificate-authority.pem
# The source's half is enabled when a server is opened, and only where there is a replica.
rpl_semi_sync_source_enabled = OFF
rpl_semi_sync_replica_enabled = ON
# A transaction becomes visible only once a replica has it: nobody reads what may yet be lost.
rpl_semi_sync_source_wait_point = AFTER_SYNC
rpl_semi_sync_source_wait_for_replica_count = 1
# Also when the last replica leaves while a commit waits, it goes on waiting for the timeout.
rpl_semi_sync_source_wait_no_replica = ON
rpl_semi_sync_source_timeout = ${ACKNOWLEDGEMENT_TIMEOUT[topology.settings.database.durability]}

# Sizes that depend on this host's memory, written before each start.
!include ${CONFIGURATION_PATH}/memory.cnf
`;
}

/**
 * The file the distribution's maintainer scripts read. On an upgrade they start the server for a
 * moment and write accounts: what they write must not become a transaction of this host's own.
 */
const MAINTENANCE_CONFIGURATION = `[mysqld]
skip_log_bin
skip_networking
`;

const SERVER_DROP_IN = `[Unit]
# However often it fails, it is tried again.
StartLimitIntervalSec=0

[Service]
ExecStartPre=
ExecStartPre=+${SCRIPTS}/prepare.sh
ExecStart=
ExecStart=/usr/sbin/mysqld --defaults-file=${CONFIGURATION_PATH}/mysqld.cnf
# Tells mysqld that it may restart by itself, at the end of a clone.
Environment=MYSQLD_PARENT_PID=1
Restart=always
RestartSec=100ms
`;

function loop(description: string, script: string): string {
  return `[Unit]
Description=${description}
After=mysql.service
StartLimitIntervalSec=0

[Service]
ExecStart=${SCRIPTS}/${script}
Restart=always
RestartSec=1

[Install]
WantedBy=multi-user.target
`;
}

/**
 * One process for each request, but a short one: a unit for each, by systemd's socket activation,
 * was measured to cost five times as much (19 ms of a core against 4), and some 30 requests come in a second from 50 web
 * servers.
 */
function healthService(host: TopologyHost): string {
  const listen = [
    `TCP4-LISTEN:${PORTS.databaseHealth}`,
    `bind=${host.address}`,
    "ip-freebind",
    "reuseaddr",
    "backlog=512",
    "fork",
    "max-children=128",
  ];
  return `[Unit]
Description=Health port of the database host
StartLimitIntervalSec=0

[Service]
ExecStart=/usr/bin/socat -d0 ${listen.join(",")} EXEC:${SCRIPTS}/health.sh,nofork
User=daemon
NoNewPrivileges=yes
CapabilityBoundingSet=
TasksMax=256
Restart=always
RestartSec=1

[Install]
WantedBy=multi-user.target
`;
}

const CERTIFICATES_SERVICE = `[Unit]
Description=Renewal of the database host's certificate

[Service]
Type=oneshot
ExecStart=${SCRIPTS}/certificates.sh
`;

const CERTIFICATES_TIMER = `[Unit]
Description=Daily look at the database host's certificate

[Timer]
OnCalendar=daily
RandomizedDelaySec=1h

[Install]
WantedBy=timers.target
`;

function unit(name: string, content: string): HostFile {
  return textFile(`/etc/systemd/system/cluster-database-${name}`, content);
}

/** What a database host carries beyond what every host does. */
export function databaseContent(topology: Topology, host: TopologyHost): RoleContent {
  const { name, durability } = topology.settings.database;
  const peers = hostsOf(topology, "database").filter((other) => other.name !== host.name);
  return {
    packages: ["mysql-server", "openssl", "curl", "mount", "socat"],
    files: [
      textFile(`${CONFIGURATION_PATH}/mysqld.cnf`, serverConfiguration(topology, host)),
      textFile("/etc/mysql/mysql.conf.d/zz-cluster-maintenance.cnf", MAINTENANCE_CONFIGURATION),
      textFile("/etc/cluster/database/mysql.service.conf", SERVER_DROP_IN),
      unit("observer.service", loop("Answers of the health port", "observer.sh")),
      unit("join.service", loop("This host's part in the database cluster", "join.sh")),
      unit("health.service", healthService(host)),
      unit("certificates.service", CERTIFICATES_SERVICE),
      unit("certificates.timer", CERTIFICATES_TIMER),
    ],
    facts: {
      DATABASE_PEERS: peers.map((peer) => `${peer.name}:${peer.address}`).join(" "),
      DATABASE_NAME: name,
      DATABASE_DURABILITY: durability,
    },
  };
}
