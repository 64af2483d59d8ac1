import { setTimeout as pause } from "node:timers/promises";
import { Database, type FailureKind, failureKind, IMPATIENT, type Session } from "./database";
import {
  type DatabasesAnswering,
  type Draft,
  ENTRIES_SHOWN,
  type Entry,
  type Guestbook,
  KeyReusedError,
  type Listing,
  LONGEST_MESSAGE,
  LONGEST_NAME,
  type Stored,
  UnavailableError,
} from "./guestbook";
import { READ_FROM_PRIMARY, type ReadAfter, readAfterWrite } from "./read-after";
import type { DatabaseSettings } from "./settings-from-environment";
import { YoungOutage } from "./young-outage";

/** The log for details that visitors are not shown. */
export interface Log {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
}

/** How long a read waits for a replica to execute the reader's own last write, in seconds. */
const CATCH_UP_SECONDS = 0.5;
/**
 * Maximum number of reads that wait for that at a time: more would use up the connections of the
 * others.
 */
const WAITING_AT_MOST = 5;
/** How long a replica that did not answer in time is not used, in milliseconds. */
const REPLICA_LEFT_ALONE = 1_000;
/**
 * How long a write waits for a primary, in milliseconds: longer than a switchover or a failover
 * takes, also on a busy machine. The load balancer waits ten seconds for an answer.
 */
const WRITES_WAIT = 8_000;
/** The same for a read that no server answered; a server for reads is missing for moments only. */
const READS_WAIT = 3_000;
/** Pause between two attempts, in milliseconds. */
const PAUSE = 100;
/**
 * Failures of a write that may be temporary. A primary that refuses writes may be closing or
 * opening; only if it goes on refusing is its volume full, or its replica missing. One that does not
 * answer may be about to be replaced by another, and a write has a key: it is safe to repeat.
 */
const PASSING: ReadonlySet<FailureKind | undefined> = new Set([
  "busy",
  "connection",
  "read-only",
  "refusing",
  "timeout",
]);
/** Pauses between attempts to create the table, in milliseconds: it doubles up to the longest. */
const PREPARE_PAUSE = { first: 500, longest: 10_000 };

const TABLE = `CREATE TABLE IF NOT EXISTS guestbook_entries (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  request_key VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name VARCHAR(${LONGEST_NAME}) NOT NULL,
  message VARCHAR(${LONGEST_MESSAGE}) NOT NULL,
  written_at DATETIME(3) NOT NULL,
  web_server VARCHAR(63) NOT NULL,
  database_host VARCHAR(255) NOT NULL,
  UNIQUE KEY request_key (request_key)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci`;

const COLUMNS = "id, name, message, written_at, web_server, database_host";
const NEWEST = `SELECT ${COLUMNS} FROM guestbook_entries ORDER BY id DESC LIMIT ${ENTRIES_SHOWN}`;
const BY_KEY = `SELECT ${COLUMNS} FROM guestbook_entries WHERE request_key = ?`;
const INSERT = `INSERT INTO guestbook_entries
  (request_key, name, message, written_at, web_server, database_host)
  VALUES (?, ?, ?, UTC_TIMESTAMP(3), ?, ?)`;

interface Row {
  id: number;
  name: string;
  message: string;
  written_at: Date;
  web_server: string;
  database_host: string;
}

class NotCaughtUpError extends Error {
  constructor() {
    super("the replica has not executed the reader's last write yet");
  }
}

/**
 * The guestbook in a replicated MySQL, read through one address and written through another.
 *
 * The table is created through the write address, in the background from the start on and again
 * whenever a write finds it missing.
 */
export class GuestbookInMysql implements Guestbook {
  private readonly writing: Database;
  private readonly reading: Database;
  /** The same server, if the account for reads does not exist there yet. */
  private readonly readingAsWriter: Database;
  private waiting = 0;
  private replicaLeftAloneUntil = 0;
  /** For reads: connections may have been closed because of a switchover. */
  private readonly reads = new YoungOutage(READS_WAIT, (until) => this.pauses(until));
  /** For writes: a switchover or a failover may be in progress. */
  private readonly writes = new YoungOutage(WRITES_WAIT, (until) => this.writesAreBack(until));
  /** The one check on behalf of all waiting writes, while it runs. */
  private askingForWrites: Promise<boolean> | undefined;
  private prepareTimer: NodeJS.Timeout | undefined;
  private closed = false;

  /** @param webServer name of the machine that takes the requests, stored with each entry. */
  constructor(
    settings: DatabaseSettings,
    private readonly webServer: string,
    private readonly log: Log,
  ) {
    this.writing = new Database(settings.writeAddress, settings);
    this.reading = new Database(settings.readAddress, settings, IMPATIENT, settings.reader);
    this.readingAsWriter = new Database(settings.readAddress, settings, IMPATIENT);
    void this.prepare(PREPARE_PAUSE.first);
  }

  async list(after?: ReadAfter): Promise<Listing> {
    const newest = async (session: Session) => ({
      entries: (await session.select<Row>(NEWEST)).map(entryOf),
      database: session.databaseHost,
    });
    const fromPrimary = async () => ({ ...(await this.writing.use(newest)), upToDate: true });
    const fromReplica = async () => ({
      ...(await this.fromReplica(newest)),
      upToDate: after === undefined,
    });
    const fromCaughtUpReplica = async (marker: ReadAfter) => ({
      ...(await this.fromReplica(async (session) => {
        if (!(await this.hasCaughtUp(session, marker))) throw new NotCaughtUpError();
        return await newest(session);
      })),
      upToDate: true,
    });

    const noneAnswers = (error: unknown) => error instanceof UnavailableError;
    return await this.reads.wait(noneAnswers, async () => {
      if (after === undefined) {
        return this.isReplicaLeftAlone
          ? await this.firstThatWorks("read", fromPrimary, fromReplica)
          : // Again, since its connections may have been cut because another server takes its place.
            await this.firstThatWorks("read", fromReplica, fromPrimary, fromReplica);
      }
      const ways = [fromPrimary, fromReplica, fromReplica];
      if (
        after !== READ_FROM_PRIMARY &&
        this.waiting < WAITING_AT_MOST &&
        !this.isReplicaLeftAlone
      ) {
        ways.unshift(() => fromCaughtUpReplica(after));
      }
      // The last resort is a replica without waiting: if the primary is down, a page that may lack
      // the reader's own last entry is better than none.
      return await this.firstThatWorks("read", ...ways);
    });
  }

  async add(draft: Draft): Promise<Stored> {
    const store = () => this.writing.use((session) => this.store(session, draft));
    const mayPass = (error: unknown) => PASSING.has(failureKind(error));
    return await this.firstThatWorks("write", () =>
      this.writes.wait(mayPass, async () => {
        try {
          return await store();
        } catch (error) {
          if (failureKind(error) !== "no-table") throw error;
          await this.createTable();
          return await store();
        }
      }),
    );
  }

  async check(): Promise<void> {
    const read = (session: Session) => session.select("SELECT 1 FROM guestbook_entries LIMIT 1");
    const fromReplica = () => this.fromReplica(read);
    const fromPrimary = () => this.writing.use(read);
    const ways = this.isReplicaLeftAlone
      ? [fromPrimary, fromReplica]
      : [fromReplica, fromPrimary, fromReplica];
    await this.firstThatWorks("check", ...ways);
  }

  async databases(): Promise<DatabasesAnswering> {
    const answering = async (session: Session) => {
      await session.select("SELECT 1");
      return session.databaseHost;
    };
    const [read, write] = await Promise.allSettled([
      this.read(answering),
      this.writing.use(answering),
    ]);
    return {
      read: read.status === "fulfilled" ? read.value : null,
      write: write.status === "fulfilled" ? write.value : null,
    };
  }

  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.prepareTimer);
    const databases = [this.reading, this.readingAsWriter, this.writing];
    await Promise.all(databases.map((database) => database.close()));
  }

  private get isReplicaLeftAlone(): boolean {
    return Date.now() < this.replicaLeftAloneUntil;
  }

  /** Reads from a replica; one that does not answer in time is not used again for a moment. */
  private async fromReplica<Result>(task: (session: Session) => Promise<Result>): Promise<Result> {
    try {
      return await this.read(task);
    } catch (error) {
      const kind = failureKind(error);
      if (kind === "timeout" || kind === "busy") {
        this.replicaLeftAloneUntil = Date.now() + REPLICA_LEFT_ALONE;
      }
      throw error;
    }
  }

  /** Reads from the read address, with the account that can only read, once it exists. */
  private async read<Result>(task: (session: Session) => Promise<Result>): Promise<Result> {
    try {
      return await this.reading.use(task);
    } catch (error) {
      if (failureKind(error) !== "access-denied") throw error;
      return await this.readingAsWriter.use(task);
    }
  }

  /** Pauses; returns whether to try again. */
  private async pauses(until: number): Promise<boolean> {
    if (this.closed || Date.now() + PAUSE > until) return false;
    await pause(PAUSE);
    return true;
  }

  /**
   * Waits until a server accepts writes; returns whether one does. One check serves all waiting
   * writes, so that a server that has just come up is not flooded.
   */
  private async writesAreBack(until: number): Promise<boolean> {
    while (!this.closed && Date.now() + PAUSE < until) {
      this.askingForWrites ??= this.takesWrites().finally(() => {
        this.askingForWrites = undefined;
      });
      if (await this.askingForWrites) return true;
    }
    return false;
  }

  /** Checks, after a pause, whether a server accepts writes. Never throws. */
  private async takesWrites(): Promise<boolean> {
    await pause(PAUSE);
    try {
      const open = (session: Session) =>
        session.select<{ open: number }>("SELECT NOT @@global.read_only AS open");
      return (await this.writing.use(open))[0]?.open === 1;
    } catch {
      return false;
    }
  }

  /**
   * Inserts the entry, or reads the one that its key has stored before. Both use one connection, so
   * the key is looked up on the server that reported the duplicate.
   */
  private async store(session: Session, draft: Draft): Promise<Stored> {
    let gtid: string | undefined;
    let replayed = false;
    try {
      const values = [draft.requestKey, draft.name, draft.message];
      const written = await session.write(INSERT, [
        ...values,
        this.webServer,
        session.databaseHost,
      ]);
      gtid = written.gtid;
    } catch (error) {
      if ((error as { code?: string }).code !== "ER_DUP_ENTRY") throw error;
      replayed = true;
      // The transaction that stored it is no longer known, but it is among those that are executed.
      const [row] = await session.select<{ executed: string }>(
        "SELECT @@global.gtid_executed AS executed",
      );
      gtid = row?.executed;
    }
    const [row] = await session.select<Row>(BY_KEY, [draft.requestKey]);
    if (row === undefined) throw new Error("the entry just written is not there");
    if (row.name !== draft.name || row.message !== draft.message) throw new KeyReusedError();
    return { entry: entryOf(row), replayed, readAfter: readAfterWrite(gtid) };
  }

  /** Waits until the server has executed the marker's transactions. An error counts as no. */
  private async hasCaughtUp(session: Session, marker: ReadAfter): Promise<boolean> {
    this.waiting += 1;
    try {
      const [row] = await session.select<{ late: number }>(
        "SELECT WAIT_FOR_EXECUTED_GTID_SET(?, ?) AS late",
        [marker, CATCH_UP_SECONDS],
      );
      return row?.late === 0;
    } catch (error) {
      if (failureKind(error) === "connection") throw error;
      return false;
    } finally {
      this.waiting -= 1;
    }
  }

  /** Tries the alternatives in order, and converts the last one's error to one for visitors. */
  private async firstThatWorks<Result>(
    purpose: "check" | "read" | "write",
    ...ways: (() => Promise<Result>)[]
  ): Promise<Result> {
    let last: unknown;
    for (const way of ways) {
      try {
        return await way();
      } catch (error) {
        if (failureKind(error) === undefined && !(error instanceof NotCaughtUpError)) throw error;
        this.log.warn(describe(error), `a way to ${purpose} failed`);
        last = error;
      }
    }
    throw new UnavailableError(explanation(purpose, last), { cause: last });
  }

  /** Creates the table unless it exists, and tries again later if that fails. */
  private async prepare(pause: number): Promise<void> {
    try {
      await this.createTable();
      this.log.info({}, "the guestbook's table exists");
    } catch (error) {
      if (this.closed) return;
      this.log.warn(
        describe(error),
        "the guestbook's table could not be created yet; trying again",
      );
      this.prepareTimer = setTimeout(() => {
        void this.prepare(Math.min(pause * 2, PREPARE_PAUSE.longest));
      }, pause);
    }
  }

  /** Checks first: even a `CREATE TABLE IF NOT EXISTS` without effect is a transaction. */
  private async createTable(): Promise<void> {
    await this.writing.use(async (session) => {
      try {
        await session.select("SELECT 1 FROM guestbook_entries LIMIT 1");
      } catch (error) {
        if (failureKind(error) !== "no-table") throw error;
        await session.write(TABLE);
      }
    });
  }
}

function entryOf(row: Row): Entry {
  return {
    id: row.id,
    name: row.name,
    message: row.message,
    writtenAt: row.written_at,
    webServer: row.web_server,
    database: row.database_host,
  };
}

/** The loggable part of an error: the error itself contains the statement. */
function describe(error: unknown): object {
  const { code, errno, message } = error as { code?: string; errno?: number; message?: string };
  return { kind: failureKind(error), code, errno, reason: message };
}

function explanation(purpose: "check" | "read" | "write", error: unknown): string {
  const kind = failureKind(error);
  if (purpose !== "write") {
    return kind === "no-table"
      ? "The guestbook has no table yet."
      : "No database answers reads at the moment.";
  }
  switch (kind) {
    case "read-only":
      return "The database takes no writes at the moment; a new primary is being chosen.";
    case "refusing":
      return "The database takes no writes at the moment: it has no room for new entries, or no replica that would keep a copy.";
    case "disk-full":
      return "The database has no room for new entries at the moment.";
    case "timeout":
    case "busy":
      return "The database did not confirm the entry in time.";
    default:
      return "The database cannot be reached for writing at the moment.";
  }
}
