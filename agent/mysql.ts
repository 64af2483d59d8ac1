import { type Connection, createConnection, type RowDataPacket } from "mysql2/promise";
import { formatGtidSet, type GtidSet, isSubset, parseGtidSet } from "./gtid-set";
import { succeeds } from "./program";
import type { Acknowledgements } from "./record";
import { type Address, type ServerState, UNKNOWN_SERVER, type Writability } from "./state";

/** For how long commits wait for a replica's acknowledgement, until they are done without one. */
export type Wait = "no" | "a-second" | "for-ever";

/** In milliseconds; 49 days is MySQL's maximum, which the server starts with as well (hosts/database.ts). */
const WAIT = { "a-second": 1_000, "for-ever": 4_294_967_295 } as const;

/** A primary's state, as far as it changes within a second. */
export interface PrimaryState extends Acknowledgements {
  readonly writability: Writability;
  readonly executed: GtidSet;
}

/** The agent's interface to this host's MySQL server. Each operation can be interrupted and repeated. */
export interface Server {
  /** The server's state; if it does not answer within a second, the state for an unreachable server. */
  look(): Promise<ServerState>;
  /** Disconnects: a server that shuts down waits two seconds for open connections. */
  hangUp(): void;
  /** Whether a server process exists, whether it is starting, hanging or healthy. */
  isRunning(): Promise<boolean>;
  /** `schema.table (engine)` of tables that are not InnoDB, at most a hundred. */
  otherTables(): Promise<string[]>;
  version(): Promise<string>;
  /**
   * Writes the next term, which names this host. This write waits for no replica: the term has no effect until the host
   * is open.
   *
   * @param then.outrankUnheard whether a lost host may know a newer term than this one does. The new term is then at
   *   least the milliseconds since 1970, and so higher than any that was counted or written this way before
   * @param then.term the term's number, where it comes from the record of the primary; counted by default
   */
  promote(then: {
    readonly wait: Wait;
    readonly open: boolean;
    readonly outrankUnheard: boolean;
    readonly term?: number;
  }): Promise<void>;
  /**
   * Stops being a replica, makes writes wait for one (or not), and allows writes: all, or only those of root and
   * replication.
   */
  admit(writability: "open" | "ready", wait: Wait): Promise<void>;
  /**
   * Refuses all writes within some milliseconds, or is killed. Whether it is certain that it is closed. It waits for
   * nothing else that was asked of the server.
   */
  shut(milliseconds: number): Promise<boolean>;
  /** What a primary's server says about the replicas that acknowledge. @throws Error if it does not answer in time */
  acknowledgements(): Promise<PrimaryState>;
  /** Refuses only the app's writes. */
  refuseWrites(): Promise<void>;
  /** Makes commits wait for a replica's acknowledgement, or not. */
  waitForReplica(wait: Wait): Promise<void>;
  /** Stops receiving, and applies what is in the relay log. */
  apply(): Promise<void>;
  stopReplicating(): Promise<void>;
  /**
   * Forgets these transactions, as if they had been neither received nor executed, and the source it replicated from.
   * It does so only if the server has meanwhile written no others that the primary, with everything it has executed,
   * lacks, and has no such transactions left to apply. Returns whether it did.
   */
  forget(transactions: GtidSet, executedByPrimary: GtidSet): Promise<boolean>;
}

/**
 * The server's state, in one row. The table of terms is only queried if it exists, so that an error is never mistaken
 * for its absence.
 *
 * An applier's lag is measured from the commit on the primary of the transaction being applied now
 * (https://dev.mysql.com/doc/refman/8.4/en/performance-schema-replication-applier-status-by-worker-table.html);
 * Seconds_Behind_Source is also 0 when nothing arrives any more. The last arrival, a transaction or a heartbeat, shows
 * whether the source is still heard.
 */
const LOOK = `
SET SESSION max_execution_time = 1000, @term = NULL, @primary = NULL;
SET @query = IF(
  (SELECT COUNT(*) FROM information_schema.tables
    WHERE table_schema = 'cluster' AND table_name = 'primary_term') = 1,
  'SELECT term, host INTO @term, @primary FROM cluster.primary_term ORDER BY term DESC LIMIT 1',
  'DO 0');
PREPARE query FROM @query;
EXECUTE query;
SELECT
  @term AS term,
  @primary AS \`primary\`,
  @@super_read_only AS isClosed,
  @@read_only AS refusesWrites,
  @@server_uuid AS serverUuid,
  @@gtid_executed AS executed,
  @@gtid_purged AS purged,
  connection.received_transaction_set AS received,
  configuration.host AS source,
  connection.service_state AS receiver,
  applier.service_state AS applier,
  COALESCE(connection.last_error_number, 0) AS receiverError,
  GREATEST(
    COALESCE((SELECT MAX(last_error_number)
      FROM performance_schema.replication_applier_status_by_coordinator), 0),
    COALESCE((SELECT MAX(last_error_number)
      FROM performance_schema.replication_applier_status_by_worker), 0)) AS applierError,
  TIMESTAMPDIFF(SECOND, GREATEST(connection.last_heartbeat_timestamp,
    connection.last_queued_transaction_end_queue_timestamp), NOW(6)) AS silentSeconds,
  COALESCE(
    TIMESTAMPDIFF(SECOND, workers.applying_since, NOW(6)),
    TIMESTAMPDIFF(SECOND, connection.last_queued_transaction_start_queue_timestamp, NOW(6))) AS applyingSeconds,
  (SELECT variable_value FROM performance_schema.global_status
    WHERE variable_name = 'Rpl_semi_sync_source_status') AS semiSync,
  @@rpl_semi_sync_source_timeout AS semiSyncTimeout,
  (SELECT variable_value FROM performance_schema.global_status
    WHERE variable_name = 'Rpl_semi_sync_source_clients') AS semiSyncReplicas
FROM (SELECT '' AS channel_name) AS channel
LEFT JOIN performance_schema.replication_connection_configuration AS configuration USING (channel_name)
LEFT JOIN performance_schema.replication_connection_status AS connection USING (channel_name)
LEFT JOIN performance_schema.replication_applier_status AS applier USING (channel_name)
LEFT JOIN (
  SELECT channel_name, MIN(applying_transaction_original_commit_timestamp) AS applying_since
  FROM performance_schema.replication_applier_status_by_worker
  WHERE applying_transaction <> ''
  GROUP BY channel_name
) AS workers USING (channel_name)`;

/**
 * Counters of the source's half of semi-synchronous replication.
 * https://dev.mysql.com/doc/refman/8.4/en/server-status-variables.html
 */
const ACKNOWLEDGEMENTS = `
SELECT
  @@super_read_only AS isClosed,
  @@read_only AS refusesWrites,
  @@gtid_executed AS executed,
  MAX(IF(variable_name = 'Rpl_semi_sync_source_status', variable_value = 'ON', NULL))
    AND @@rpl_semi_sync_source_timeout = ${WAIT["for-ever"]} AS isOn,
  MAX(IF(variable_name = 'Rpl_semi_sync_source_clients', variable_value + 0, NULL)) AS clients,
  MAX(IF(variable_name = 'Rpl_semi_sync_source_wait_sessions', variable_value + 0, NULL)) AS waiting,
  MAX(IF(variable_name = 'Rpl_semi_sync_source_yes_tx', variable_value + 0, NULL)) AS acknowledged
FROM performance_schema.global_status
WHERE variable_name IN ('Rpl_semi_sync_source_status', 'Rpl_semi_sync_source_clients',
  'Rpl_semi_sync_source_wait_sessions', 'Rpl_semi_sync_source_yes_tx')`;

/** How long the server may take to answer that, in seconds. */
const ACKNOWLEDGEMENTS_SECONDS = 0.9;

/** The row of {@link LOOK}. */
export interface LookRow {
  readonly term: number | null;
  readonly primary: string | null;
  readonly isClosed: number;
  readonly refusesWrites: number;
  readonly serverUuid: string;
  readonly executed: string;
  readonly purged: string;
  readonly received: string | null;
  readonly source: string | null;
  readonly receiver: string | null;
  readonly applier: string | null;
  readonly receiverError: number;
  readonly applierError: number;
  readonly silentSeconds: number | null;
  readonly applyingSeconds: number | null;
  readonly semiSync: string | null;
  readonly semiSyncTimeout: number;
  readonly semiSyncReplicas: string | null;
}

/**
 * Errors of an applier that reached the end of a relay log that was truncated when its host went down. A host that
 * joins fetches the missing part again. https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
 */
const CUT_OFF_RELAY_LOG = [1594, 13121];

function replicationOf(row: LookRow): ServerState["replication"] {
  const receives = row.receiver !== null && row.receiver !== "OFF";
  const applies = row.applier === "ON";
  // A receiver that keeps trying to reach its source counts as running; one that stopped on an error does not.
  if (receives && applies) {
    return "running";
  }
  const hasFailed = (row.applierError > 0 && !applies) || (row.receiverError > 0 && !receives);
  return hasFailed && !CUT_OFF_RELAY_LOG.includes(row.applierError) ? "failed" : "stopped";
}

function writabilityOf(row: { isClosed: number; refusesWrites: number }): Writability {
  return row.isClosed ? "closed" : row.refusesWrites ? "ready" : "open";
}

/**
 * Parses a row of the server's state.
 *
 * @param peers hosts that it may replicate from
 */
export function serverStateOf(row: LookRow, peers: readonly Address[]): ServerState {
  const executed = parseGtidSet(row.executed);
  const received = parseGtidSet(row.received ?? "");
  const hasAllApplied = isSubset(received, executed);
  const replication = replicationOf(row);
  const isCutOff = CUT_OFF_RELAY_LOG.includes(row.applierError) && replication !== "running";
  return {
    state: row.term !== null ? "member" : executed.size === 0 ? "empty" : "partial",
    writability: writabilityOf(row),
    term: row.term ?? 0,
    primary: row.primary ?? undefined,
    serverUuid: row.serverUuid,
    executed,
    purged: parseGtidSet(row.purged),
    received,
    source: row.source
      ? (peers.find(({ address }) => address === row.source)?.name ?? "unknown")
      : undefined,
    replication,
    hasApplied: hasAllApplied || isCutOff,
    silentSeconds: row.silentSeconds ?? Number.POSITIVE_INFINITY,
    lagSeconds: hasAllApplied ? 0 : (row.applyingSeconds ?? Number.POSITIVE_INFINITY),
    semiSync: row.semiSync === "ON",
    waitsForEver: Number(row.semiSyncTimeout) === WAIT["for-ever"],
    semiSyncReplicas: Number(row.semiSyncReplicas ?? 0),
  };
}

/** The data dictionary records the engine: no table is opened for it. */
const OTHER_TABLES = `SELECT CONCAT(table_schema, '.', table_name, ' (', engine, ')') AS name
  FROM information_schema.tables
  WHERE table_type = 'BASE TABLE' AND engine <> 'InnoDB'
    AND table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')
  ORDER BY table_schema, table_name LIMIT 100`;

/** All transactions of a server, in an SQL expression that names it. */
const ALL_OF = (serverUuid: string) => `CONCAT(${serverUuid}, ':1-9223372036854775806')`;

/** The rows of the last statement. The connection is closed if it fails or times out. */
async function rowsOf(
  connecting: Promise<Connection>,
  seconds: number,
  sql: string,
): Promise<RowDataPacket[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`the server gave no answer within ${seconds} s`)),
      seconds * 1000,
    );
  });
  try {
    const asked = connecting.then((connection) => connection.query(sql));
    // A late promise may still reject, with no handler attached.
    asked.catch(() => undefined);
    const [results] = await Promise.race([asked, late]);
    const last = Array.isArray(results) ? results.at(-1) : undefined;
    return Array.isArray(last) ? (last as RowDataPacket[]) : (results as RowDataPacket[]);
  } catch (error) {
    connecting.then(
      (connection) => connection.destroy(),
      () => undefined,
    );
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** A connection that is kept open between queries: a login each time would be most of an idle host's CPU use. */
class KeptConnection {
  private connecting: Promise<Connection> | undefined;

  constructor(private readonly connect: () => Promise<Connection>) {}

  /** The rows of the last statement; the connection is given up if it fails or times out. */
  async rows(seconds: number, sql: string): Promise<RowDataPacket[]> {
    this.connecting ??= this.connect();
    const { connecting } = this;
    try {
      return await rowsOf(connecting, seconds, sql);
    } catch (error) {
      if (this.connecting === connecting) {
        this.connecting = undefined;
      }
      throw error;
    }
  }

  hangUp(): void {
    this.connecting?.then(
      (connection) => connection.destroy(),
      () => undefined,
    );
    this.connecting = undefined;
  }
}

/** This host's server, as root through its socket. */
export class MysqlServer implements Server {
  private readonly looking = new KeptConnection(() => this.connect());
  /** Another one, so that no long query of the first delays it. */
  private readonly counting = new KeptConnection(() => this.connect());

  /**
   * @param hostName this host
   * @param peers the other database hosts
   * @param socket the server's socket
   * @param port the port that every server listens on
   */
  constructor(
    private readonly hostName: string,
    private readonly peers: readonly Address[],
    private readonly socket: string,
    private readonly port: number,
  ) {}

  private async connect(): Promise<Connection> {
    const connection = await createConnection({
      socketPath: this.socket,
      user: "root",
      multipleStatements: true,
      connectTimeout: 2_000,
      // auth_socket sends nothing: the server gets the client's identity from the socket.
      authPlugins: { auth_socket: () => () => Buffer.alloc(0) },
    });
    // The connection may end while idle; the next query gets the error.
    connection.on("error", () => undefined);
    return connection;
  }

  /** Statements on a separate connection, so that a state query never waits for them. */
  private async run(seconds: number, ...statements: string[]): Promise<RowDataPacket[]> {
    const connecting = this.connect();
    const rows = await rowsOf(connecting, seconds, statements.join(";\n"));
    (await connecting).destroy();
    return rows;
  }

  async look(): Promise<ServerState> {
    try {
      const [row] = await this.looking.rows(1, LOOK);
      return serverStateOf(row as unknown as LookRow, this.peers);
    } catch {
      return UNKNOWN_SERVER;
    }
  }

  hangUp(): void {
    this.looking.hangUp();
    this.counting.hangUp();
  }

  async acknowledgements(): Promise<PrimaryState> {
    const [row] = await this.counting.rows(ACKNOWLEDGEMENTS_SECONDS, ACKNOWLEDGEMENTS);
    if (row === undefined) {
      throw new Error("the server gave no row");
    }
    return {
      writability: writabilityOf(row as unknown as LookRow),
      executed: parseGtidSet(String(row.executed)),
      isOn: Number(row.isOn) === 1,
      clients: Number(row.clients),
      waiting: Number(row.waiting),
      acknowledged: Number(row.acknowledged),
    };
  }

  async shut(milliseconds: number): Promise<boolean> {
    try {
      await this.run(milliseconds / 1_000, "SET GLOBAL super_read_only = ON");
      return true;
    } catch {
      await succeeds([
        "systemctl",
        "kill",
        "--kill-whom=main",
        "--signal=SIGKILL",
        "mysql.service",
      ]);
      // A process that waits for a disk ends later, if at all.
      return !(await this.isRunning());
    }
  }

  isRunning(): Promise<boolean> {
    return succeeds(["pgrep", "--exact", "mysqld"]);
  }

  async otherTables(): Promise<string[]> {
    return (await this.looking.rows(5, OTHER_TABLES)).map(({ name }) => String(name));
  }

  async version(): Promise<string> {
    return String((await this.looking.rows(1, "SELECT @@version AS version"))[0]?.version);
  }

  /** A primary without a declared replica never waits: no other host could acknowledge anything. */
  private semiSync(wait: Wait): string {
    return wait === "no" || this.peers.length === 0
      ? "SET GLOBAL rpl_semi_sync_source_enabled = OFF"
      : `SET GLOBAL rpl_semi_sync_source_timeout = ${WAIT[wait]}, GLOBAL rpl_semi_sync_source_enabled = ON`;
  }

  /** STOP REPLICA would wait two seconds for a connection attempt to a lost source, unless the kernel can abort it. */
  private async abortConnecting(): Promise<void> {
    await succeeds(["ss", "--kill", "--tcp", "state", "syn-sent", "dport", "=", `:${this.port}`]);
  }

  async promote({
    wait,
    open,
    outrankUnheard,
    term: given,
  }: Parameters<Server["promote"]>[0]): Promise<void> {
    const next = "COALESCE(MAX(term), 0) + 1";
    const counted = outrankUnheard
      ? `GREATEST(${next}, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS UNSIGNED))`
      : next;
    // Without an aggregate, there would be a row for each term of the table.
    const term = given === undefined ? counted : `MAX(${given})`;
    await this.abortConnecting();
    await this.run(
      30,
      "STOP REPLICA",
      "RESET REPLICA ALL",
      this.semiSync("no"),
      "SET GLOBAL super_read_only = OFF",
      `INSERT INTO cluster.primary_term (term, host, server_uuid)
         SELECT ${term}, '${this.hostName}', @@server_uuid FROM cluster.primary_term`,
      ...(wait === "no" ? [] : [this.semiSync(wait)]),
      ...(open ? ["SET GLOBAL read_only = OFF"] : []),
    );
  }

  async admit(writability: "open" | "ready", wait: Wait): Promise<void> {
    // Disabling read_only also disables super_read_only.
    const variable = writability === "open" ? "read_only" : "super_read_only";
    await this.run(
      30,
      "STOP REPLICA",
      "RESET REPLICA ALL",
      this.semiSync(wait),
      `SET GLOBAL ${variable} = OFF`,
    );
  }

  async refuseWrites(): Promise<void> {
    // Commits in progress may themselves be waiting for space.
    await this.run(5, "SET SESSION lock_wait_timeout = 2", "SET GLOBAL read_only = ON");
  }

  async waitForReplica(wait: Wait): Promise<void> {
    await this.run(5, this.semiSync(wait));
  }

  async apply(): Promise<void> {
    await this.abortConnecting();
    // skip_replica_start prevents this on a server that starts.
    await this.run(10, "STOP REPLICA IO_THREAD", "START REPLICA SQL_THREAD");
  }

  async stopReplicating(): Promise<void> {
    await this.abortConnecting();
    await this.run(10, "STOP REPLICA");
  }

  /**
   * The server checks and forgets atomically: otherwise, no log would be left to judge transactions that it wrote after
   * the check. It also forgets that it received these transactions, because otherwise it would wait for ever to have
   * applied everything it received. So it does nothing while some of them that the primary lacks are still to be
   * applied. If interrupted half-way, it holds data and no transaction; it then receives everything from the start,
   * fails, and clones.
   */
  async forget(transactions: GtidSet, executedByPrimary: GtidSet): Promise<boolean> {
    const [row] = await this.run(
      30,
      "STOP REPLICA",
      `SET @received = COALESCE((SELECT received_transaction_set
        FROM performance_schema.replication_connection_status WHERE channel_name = ''), '')`,
      `SET @rest = REPLACE(GTID_SUBTRACT(@@gtid_executed, '${formatGtidSet(transactions)}'), '\n', '')`,
      `SET @missed = GTID_SUBTRACT(@rest, '${formatGtidSet(executedByPrimary)}')`,
      `SET @own = GTID_SUBTRACT(@missed, GTID_SUBTRACT(@missed, ${ALL_OF("@@server_uuid")}))`,
      `SET @unapplied = GTID_SUBTRACT(GTID_SUBTRACT(@received, @@gtid_executed), '${formatGtidSet(executedByPrimary)}')`,
      "SET @may = @own = '' AND @unapplied = ''",
      "SET @unfollow = IF(@may, 'RESET REPLICA ALL', 'DO 0')",
      "SET @forget = IF(@may, 'RESET BINARY LOGS AND GTIDS', 'DO 0')",
      "SET @keep = IF(@may, 'SET GLOBAL gtid_purged = @rest', 'DO 0')",
      "PREPARE unfollow FROM @unfollow",
      "PREPARE forget_all FROM @forget",
      "PREPARE keep_rest FROM @keep",
      "EXECUTE unfollow",
      "EXECUTE forget_all",
      "EXECUTE keep_rest",
      "SELECT @may AS isForgotten",
    );
    return row?.isForgotten === 1;
  }
}
