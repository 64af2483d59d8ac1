import { type Connection, createConnection, type RowDataPacket } from "mysql2/promise";
import { formatGtidSet, type GtidSet, isSubset, parseGtidSet } from "./gtid-set";
import { succeeds } from "./program";
import { type Address, type ServerState, UNKNOWN_SERVER } from "./state";

/** What the agent can ask of this host's MySQL server. Each verb may be interrupted and repeated. */
export interface Server {
  /** What it is; what it is taken for that does not answer within a second. */
  look(): Promise<ServerState>;
  /** Leaves it: a server that ends waits two seconds for whoever is connected. */
  hangUp(): void;
  /** Whether there is a server, be it starting, hanging or well. */
  isRunning(): Promise<boolean>;
  /** `schema.table (engine)` of tables that are not InnoDB's, a hundred at most. */
  otherTables(): Promise<string[]>;
  version(): Promise<string>;
  /**
   * Writes the next term, which names this host. While it does, no replica is waited for: the term is void until it is open.
   *
   * @param then.outrankUnheard whether a lost host may know a newer term than this one does. The new one is then at
   *   least the milliseconds since 1970, and so higher than any that was counted or written so before
   */
  promote(then: {
    readonly waitForReplica: boolean;
    readonly open: boolean;
    readonly outrankUnheard: boolean;
  }): Promise<void>;
  /** Ends being a replica, has writes wait for one, and lets writes in: all, or those of root and replication alone. */
  admit(writability: "open" | "ready"): Promise<void>;
  /** Refuses the app's writes, and no others. */
  refuseWrites(): Promise<void>;
  /** Has commits wait for a replica's acknowledgement, or not. */
  waitForReplica(wait: boolean): Promise<void>;
  /** Receives no more, and applies what is in the relay log. */
  apply(): Promise<void>;
  stopReplicating(): Promise<void>;
  /**
   * Forgets these transactions, as if they had never been received nor executed, and from whom it replicated; where it
   * has written no more by now that the primary, with what that has executed, lacks, nor still has to apply such.
   * Tells whether it did.
   */
  forget(transactions: GtidSet, executedByPrimary: GtidSet): Promise<boolean>;
}

/**
 * What the server says of itself, in one row. The table of terms is asked only where it is, so that an error is never
 * taken for its absence.
 *
 * An applier's lag is counted from the commit on the primary of what is being applied now
 * (https://dev.mysql.com/doc/refman/8.4/en/performance-schema-replication-applier-status-by-worker-table.html);
 * Seconds_Behind_Source says 0 as well when nothing arrives any more. What arrived last, a transaction or a heartbeat,
 * tells whether the source is still heard.
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
  readonly semiSyncReplicas: string | null;
}

/**
 * Errors of an applier that met the end of a relay log which was cut off when its host ended. What is missing is
 * fetched again by whoever joins.
 * https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
 */
const CUT_OFF_RELAY_LOG = [1594, 13121];

function replicationOf(row: LookRow): ServerState["replication"] {
  const receives = row.receiver !== null && row.receiver !== "OFF";
  const applies = row.applier === "ON";
  // A receiver that goes on trying to reach its source runs; one that stopped on an error does not.
  if (receives && applies) {
    return "running";
  }
  const hasFailed = (row.applierError > 0 && !applies) || (row.receiverError > 0 && !receives);
  return hasFailed && !CUT_OFF_RELAY_LOG.includes(row.applierError) ? "failed" : "stopped";
}

/**
 * What a row of the server tells.
 *
 * @param peers whom it may replicate from
 */
export function serverStateOf(row: LookRow, peers: readonly Address[]): ServerState {
  const executed = parseGtidSet(row.executed);
  const received = parseGtidSet(row.received ?? "");
  const hasAllApplied = isSubset(received, executed);
  const replication = replicationOf(row);
  const isCutOff = CUT_OFF_RELAY_LOG.includes(row.applierError) && replication !== "running";
  return {
    state: row.term !== null ? "member" : executed.size === 0 ? "empty" : "partial",
    writability: row.isClosed ? "closed" : row.refusesWrites ? "ready" : "open",
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
    semiSyncReplicas: Number(row.semiSyncReplicas ?? 0),
  };
}

/** The data dictionary holds the engine: no table is opened for it. */
const OTHER_TABLES = `SELECT CONCAT(table_schema, '.', table_name, ' (', engine, ')') AS name
  FROM information_schema.tables
  WHERE table_type = 'BASE TABLE' AND engine <> 'InnoDB'
    AND table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')
  ORDER BY table_schema, table_name LIMIT 100`;

/** All transactions of a server, in an SQL expression that names it. */
const ALL_OF = (serverUuid: string) => `CONCAT(${serverUuid}, ':1-9223372036854775806')`;

/** The server of this host, as root through its socket. */
export class MysqlServer implements Server {
  /** Kept from one look to the next: a login each time is most of what an idle host costs. */
  private looking: Promise<Connection> | undefined;

  /**
   * @param hostName this host
   * @param peers the other database hosts
   * @param socket the server's own
   * @param port where every server listens
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
      // auth_socket sends nothing: the server asks the socket who connects.
      authPlugins: { auth_socket: () => () => Buffer.alloc(0) },
    });
    // It may end while nobody asks; whoever asks next is told.
    connection.on("error", () => undefined);
    return connection;
  }

  /** The rows of the last statement. The connection ends where it fails or takes longer. */
  private async rows(
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
      // Whoever is late may still fail, with nobody listening.
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

  private async ask(seconds: number, sql: string): Promise<RowDataPacket[]> {
    this.looking ??= this.connect();
    const connection = this.looking;
    try {
      return await this.rows(connection, seconds, sql);
    } catch (error) {
      if (this.looking === connection) {
        this.looking = undefined;
      }
      throw error;
    }
  }

  /** Statements on a connection of their own, so that a look never waits for them. */
  private async run(seconds: number, ...statements: string[]): Promise<RowDataPacket[]> {
    const connecting = this.connect();
    const rows = await this.rows(connecting, seconds, statements.join(";\n"));
    (await connecting).destroy();
    return rows;
  }

  async look(): Promise<ServerState> {
    try {
      const [row] = await this.ask(1, LOOK);
      return serverStateOf(row as unknown as LookRow, this.peers);
    } catch {
      return UNKNOWN_SERVER;
    }
  }

  hangUp(): void {
    this.looking?.then(
      (connection) => connection.destroy(),
      () => undefined,
    );
    this.looking = undefined;
  }

  isRunning(): Promise<boolean> {
    return succeeds(["pgrep", "--exact", "mysqld"]);
  }

  async otherTables(): Promise<string[]> {
    return (await this.ask(5, OTHER_TABLES)).map(({ name }) => String(name));
  }

  async version(): Promise<string> {
    return String((await this.ask(1, "SELECT @@version AS version"))[0]?.version);
  }

  /** A primary without a replica declared never waits: no other host could acknowledge anything. */
  private semiSync(wait: boolean): string {
    return `SET GLOBAL rpl_semi_sync_source_enabled = ${wait && this.peers.length > 0 ? "ON" : "OFF"}`;
  }

  async promote({
    waitForReplica,
    open,
    outrankUnheard,
  }: Parameters<Server["promote"]>[0]): Promise<void> {
    const next = "COALESCE(MAX(term), 0) + 1";
    const term = outrankUnheard
      ? `GREATEST(${next}, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS UNSIGNED))`
      : next;
    // STOP REPLICA would wait two seconds for an attempt to connect to a source that is gone; it does where the kernel
    // has no way to end it.
    await succeeds(["ss", "--kill", "--tcp", "state", "syn-sent", "dport", "=", `:${this.port}`]);
    await this.run(
      30,
      "STOP REPLICA",
      "RESET REPLICA ALL",
      this.semiSync(false),
      "SET GLOBAL super_read_only = OFF",
      `INSERT INTO cluster.primary_term (term, host, server_uuid)
         SELECT ${term}, '${this.hostName}', @@server_uuid FROM cluster.primary_term`,
      ...(waitForReplica ? [this.semiSync(true)] : []),
      ...(open ? ["SET GLOBAL read_only = OFF"] : []),
    );
  }

  async admit(writability: "open" | "ready"): Promise<void> {
    // read_only takes super_read_only along.
    const variable = writability === "open" ? "read_only" : "super_read_only";
    await this.run(
      30,
      "STOP REPLICA",
      "RESET REPLICA ALL",
      this.semiSync(true),
      `SET GLOBAL ${variable} = OFF`,
    );
  }

  async refuseWrites(): Promise<void> {
    // Commits in progress may wait for room themselves.
    await this.run(5, "SET SESSION lock_wait_timeout = 2", "SET GLOBAL read_only = ON");
  }

  async waitForReplica(wait: boolean): Promise<void> {
    await this.run(5, this.semiSync(wait));
  }

  async apply(): Promise<void> {
    // skip_replica_start keeps a server from it that is started.
    await this.run(10, "STOP REPLICA IO_THREAD", "START REPLICA SQL_THREAD");
  }

  async stopReplicating(): Promise<void> {
    await this.run(10, "STOP REPLICA");
  }

  /**
   * The server looks and forgets in one go: what it wrote since it was judged would stay without a log to judge it by.
   * With what it forgets it also forgets that it received it, or it would wait for ever to have applied all it received;
   * so it does nothing while something of that is still to be applied which the primary lacks. Interrupted half-way it holds data and no
   * transaction; it then receives all from the start, fails, and clones.
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
