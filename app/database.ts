import { readFileSync } from "node:fs";
import { connect } from "node:net";
import {
  createPool,
  type ExecuteValues,
  type Pool,
  type PoolConnection,
  type ResultSetHeader,
  type RowDataPacket,
} from "mysql2/promise";
import type { Account, Address, DatabaseSettings } from "./settings-from-environment";

/** Maximum number of connections to one address. */
const CONNECTIONS = 10;
/** Timeout of one write, which may itself wait for a replica's acknowledgement. */
const WRITE_MILLISECONDS = 4_000;

/** How long a task waits for its database, and how often it is attempted. Times in milliseconds. */
export interface Patience {
  /** For a connection: TCP, TLS and login. */
  readonly connect: number;
  /** For a connection from the pool, including the time to open a new one. */
  readonly acquire: number;
  /** For the answer to one read. */
  readonly read: number;
  /** How often a task is attempted if its connection fails. */
  readonly attempts: 1 | 2;
}

/** For a server without an alternative. */
const PATIENT: Patience = { connect: 2_000, acquire: 2_500, read: 2_000, attempts: 2 };
/** For a server with an alternative. */
export const IMPATIENT: Patience = { connect: 600, acquire: 700, read: 600, attempts: 1 };
/**
 * Age at which a connection is closed instead of kept. A connection stays with the server to which
 * it was opened, so without a limit reads would never return to a replica that has come back.
 */
const CONNECTION_LIFETIME_MILLISECONDS = 30_000;

/** The result of a write. */
export interface Written {
  readonly affectedRows: number;
  /** The transaction's GTID, or undefined if the server did not report it. */
  readonly gtid: string | undefined;
}

/** A connection reserved for one task: all statements go to the same server. */
export interface Session {
  /** Name of the database server at the other end: its `report_host`, or else its `hostname`. */
  readonly databaseHost: string;
  /** Runs a prepared SELECT. */
  select<Row>(statement: string, values?: ExecuteValues): Promise<Row[]>;
  /** Runs any other prepared statement. */
  write(statement: string, values?: ExecuteValues): Promise<Written>;
}

/** Why a database operation failed. */
export type FailureKind =
  | "access-denied"
  | "busy"
  | "connection"
  /** The server's files are damaged. */
  | "damaged"
  | "disk-full"
  | "no-table"
  /** It is not the primary, or no longer. */
  | "read-only"
  /** It is the primary, but accepts no writes at the moment. */
  | "refusing"
  | "timeout";

const FAILURE_KINDS: Readonly<Record<string, FailureKind>> = {
  ER_ACCESS_DENIED_ERROR: "access-denied",
  ER_ACCOUNT_HAS_BEEN_LOCKED: "access-denied",
  ER_DBACCESS_DENIED_ERROR: "access-denied",
  ER_HOST_IS_BLOCKED: "access-denied",
  ER_HOST_NOT_PRIVILEGED: "access-denied",
  ER_TABLEACCESS_DENIED_ERROR: "access-denied",
  ER_CON_COUNT_ERROR: "busy",
  ER_LOCK_DEADLOCK: "busy",
  ER_LOCK_WAIT_TIMEOUT: "busy",
  NO_FREE_CONNECTION: "busy",
  ER_USER_LIMIT_REACHED: "busy",
  ER_QUERY_TIMEOUT: "timeout",
  PROTOCOL_SEQUENCE_TIMEOUT: "timeout",
  ER_SERVER_SHUTDOWN: "connection",
  ER_QUERY_INTERRUPTED: "connection",
  ER_SECURE_TRANSPORT_REQUIRED: "connection",
  ER_CANT_OPEN_FILE: "damaged",
  ER_CRASHED_ON_USAGE: "damaged",
  ER_GET_ERRNO: "damaged",
  ER_INDEX_CORRUPT: "damaged",
  ER_INNODB_INDEX_CORRUPT: "damaged",
  ER_NOT_KEYFILE: "damaged",
  ER_TABLE_CORRUPT: "damaged",
  ER_TABLESPACE_DISCARDED: "damaged",
  ER_TABLESPACE_MISSING: "damaged",
  ER_DISK_FULL: "disk-full",
  ER_RECORD_FILE_FULL: "disk-full",
  ER_ERROR_ON_WRITE: "disk-full",
  ER_BAD_DB_ERROR: "no-table",
  ER_NO_SUCH_TABLE: "no-table",
  ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION: "read-only",
  ER_OPTION_PREVENTS_STATEMENT: "read-only",
  ER_READ_ONLY_MODE: "read-only",
  PRIMARY_REFUSES: "refusing",
};

/**
 * Classifies an error of this module; undefined if the database is not the cause, for example a
 * mistake in a statement.
 */
export function failureKind(error: unknown): FailureKind | undefined {
  const { code, errno, sqlState } = error as { code?: string; errno?: number; sqlState?: string };
  const known = code === undefined ? undefined : FAILURE_KINDS[code];
  if (known !== undefined) return known;
  // An error without a server's error number comes from the connection: refused, reset, closed, not
  // verified, timed out. System errors have negative numbers.
  const numberedByServer = sqlState !== undefined || (errno !== undefined && errno > 0);
  const fatal = (error as { fatal?: boolean }).fatal === true;
  return fatal || (code !== undefined && !numberedByServer) ? "connection" : undefined;
}

/** Whether the failure may be due to the connection, so that another one may succeed. */
function isWorthAnotherConnection(error: unknown): boolean {
  const kind = failureKind(error);
  return kind === "connection" || kind === "read-only" || kind === "access-denied";
}

/**
 * A primary that accepts no writes at the moment: its volume is full, or it has no replica to wait
 * for.
 */
class PrimaryRefusesError extends Error {
  readonly code = "PRIMARY_REFUSES";
}

class NoFreeConnectionError extends Error {
  readonly code = "NO_FREE_CONNECTION";
}

/** What is read from files. */
interface Secrets {
  readonly password: string;
  /** The certificate authorities, PEM. */
  readonly authority: string;
}

/**
 * A pool that is replaced, with all its connections, as soon as one of them turns out to be stale, or the password or
 * the authority has changed.
 */
interface Generation {
  readonly pool: Pool;
  readonly secrets: Secrets;
  inUse: number;
  retired: boolean;
}

interface Opened {
  readonly databaseHost: string;
  readonly at: number;
}

/**
 * Connections to one address, behind which the server may change at any time.
 *
 * A connection that breaks, or that leads to a server which no longer takes writes, is a sign that
 * the others lead there too. They are then all let go, and the task is given one more try on a new
 * connection. The password and the authority are read again from their files for each task: when
 * they have changed, it gets a new connection, and those that are idle are let go. So a task may run
 * twice, the first time with an unknown outcome, and has to be safe to repeat.
 *
 * Nothing is opened before it is needed: an absent database is an error of a task, never of the
 * constructor.
 */
export class Database {
  private generation: Generation | undefined;
  private readonly opened = new WeakMap<object, Opened>();
  private closed = false;

  constructor(
    private readonly address: Address,
    private readonly settings: DatabaseSettings,
    private readonly patience: Patience = PATIENT,
    private readonly account: Account = settings,
  ) {}

  /**
   * Runs a task on one connection and, with the patience for it, once more on a new one when the
   * first fails in a way that another connection may cure. A statement that timed out is not repeated.
   *
   * @throws what the task or the connection threw; `failureKind` tells the kinds apart.
   */
  async use<Result>(task: (session: Session) => Promise<Result>): Promise<Result> {
    try {
      return await this.useOnce(task);
    } catch (error) {
      if (this.closed || this.patience.attempts === 1 || !isWorthAnotherConnection(error)) {
        throw error;
      }
      return await this.useOnce(task);
    }
  }

  /** Closes every connection. Tasks that are running may finish on theirs. */
  async close(): Promise<void> {
    this.closed = true;
    if (this.generation !== undefined) await this.retire(this.generation);
  }

  private async useOnce<Result>(task: (session: Session) => Promise<Result>): Promise<Result> {
    const generation = this.current();
    generation.inUse += 1;
    let connection: PoolConnection | undefined;
    try {
      connection = await this.acquire(generation.pool);
      const opened = await this.opening(connection);
      const result = await task(sessionOn(connection, opened.databaseHost, this.patience));
      if (generation.retired || Date.now() - opened.at > CONNECTION_LIFETIME_MILLISECONDS) {
        connection.destroy();
      } else {
        connection.release();
      }
      return result;
    } catch (error) {
      // After a timeout the answer may still arrive, and would be taken for the next statement's.
      const kind = failureKind(error);
      if (kind === "connection" || kind === "timeout" || generation.retired) connection?.destroy();
      else connection?.release();
      // That a new connection took too long does not mean that existing ones are stale.
      const tookTooLong =
        connection === undefined && (error as { code?: string }).code === "ETIMEDOUT";
      if (isWorthAnotherConnection(error) && !tookTooLong) void this.retire(generation);
      throw error;
    } finally {
      generation.inUse -= 1;
      if (generation.retired && generation.inUse === 0) void endPool(generation.pool);
    }
  }

  /**
   * The pool for what the files hold now.
   *
   * @throws Error if a file cannot be read and there is no pool yet
   */
  private current(): Generation {
    const known = this.generation;
    let secrets: Secrets;
    try {
      secrets = this.readSecrets();
    } catch (error) {
      if (known === undefined) throw error;
      return known;
    }
    if (
      known?.secrets.password === secrets.password &&
      known.secrets.authority === secrets.authority
    ) {
      return known;
    }
    this.generation = { pool: this.openPool(secrets), secrets, inUse: 0, retired: false };
    if (known !== undefined) void this.retire(known);
    return this.generation;
  }

  private readSecrets(): Secrets {
    return {
      password: readFileSync(this.account.passwordFile, "utf8").trim(),
      authority: readFileSync(this.settings.authorityFile, "utf8"),
    };
  }

  private openPool({ password, authority }: Secrets): Pool {
    const { host, port } = this.address;
    const { serverName } = this.settings;
    const pool = createPool({
      // The connection goes to a local proxy, whose address is in no certificate: the name is that of the servers behind it.
      host: serverName ?? host,
      stream: () => connect({ host, port, noDelay: true, keepAlive: true }),
      user: this.account.user,
      password,
      database: this.settings.name,
      ssl: {
        ca: authority,
        minVersion: "TLSv1.2",
        rejectUnauthorized: true,
        verifyIdentity: serverName !== undefined,
      },
      charset: "utf8mb4",
      timezone: "Z",
      connectionLimit: CONNECTIONS,
      connectTimeout: this.patience.connect,
      queueLimit: 200,
    });
    // Errors of idle connections are emitted here; the pool removes such a connection by itself.
    pool.on("connection", (connection) => connection.on("error", () => undefined));
    return pool;
  }

  /**
   * Takes a connection from the pool.
   *
   * @throws NoFreeConnectionError if none becomes free in time
   */
  private async acquire(pool: Pool): Promise<PoolConnection> {
    const pending = pool.getConnection().catch((error: Error & { code?: string }) => {
      // The pool's own refusals (its queue is full) carry no code.
      throw error.code === undefined ? new NoFreeConnectionError(error.message) : error;
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        reject(new NoFreeConnectionError("no connection became free in time"));
        // The caller has given up: a connection that arrives later is returned to the pool.
        pending.then(
          (connection) => connection.release(),
          () => undefined,
        );
      }, this.patience.acquire);
    });
    try {
      return await Promise.race([pending, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Prepares a connection at its first use, and records to which server it leads. */
  private async opening(connection: PoolConnection): Promise<Opened> {
    const key = connection.connection;
    const known = this.opened.get(key);
    if (known !== undefined) return known;
    const timeout = this.patience.read;
    await connection.query({
      sql: `SET SESSION session_track_gtids = OWN_GTID, innodb_lock_wait_timeout = 2,
            max_execution_time = ${timeout}`,
      timeout,
    });
    const [rows] = await connection.query<RowDataPacket[]>({
      sql: "SELECT COALESCE(NULLIF(@@global.report_host, ''), @@global.hostname) AS name",
      timeout,
    });
    const opened = { databaseHost: String(rows[0]?.name), at: Date.now() };
    this.opened.set(key, opened);
    return opened;
  }

  private async retire(generation: Generation): Promise<void> {
    if (generation.retired) return;
    generation.retired = true;
    if (this.generation === generation) this.generation = undefined;
    if (generation.inUse === 0) await endPool(generation.pool);
  }
}

/**
 * Closes a pool that no task uses. Errors of its connections are ignored: they may be broken
 * already.
 */
async function endPool(pool: Pool): Promise<void> {
  await pool.end().catch(() => undefined);
}

/**
 * Distinguishes a primary that refuses writes from a server that is not a primary, as the error is
 * the same: only the latter is `super_read_only`.
 */
async function whyRefused(
  connection: PoolConnection,
  error: Error & { code?: string },
  { read: timeout }: Patience,
): Promise<never> {
  if (error.code === "ER_OPTION_PREVENTS_STATEMENT") {
    const [rows] = await connection.query<RowDataPacket[]>({
      sql: "SELECT @@global.super_read_only AS closed",
      timeout,
    });
    if (rows[0]?.closed === 0) throw new PrimaryRefusesError(error.message);
  }
  throw error;
}

function sessionOn(connection: PoolConnection, databaseHost: string, patience: Patience): Session {
  return {
    databaseHost,
    async select<Row>(statement: string, values: ExecuteValues = []) {
      const read = { sql: statement, timeout: patience.read };
      const [rows] = await connection.execute<RowDataPacket[]>(read, values);
      return rows as Row[];
    },
    async write(statement, values = []) {
      const write = { sql: statement, timeout: WRITE_MILLISECONDS };
      const [header] = await connection
        .execute<ResultSetHeader>(write, values)
        .catch((error) => whyRefused(connection, error, patience));
      // The driver reads the server's session tracking, but its types do not mention it.
      const { stateChanges } = header as { stateChanges?: { gtids: string[] } };
      return {
        affectedRows: header.affectedRows,
        gtid: stateChanges?.gtids.join(",") || undefined,
      };
    },
  };
}
