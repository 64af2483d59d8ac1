import {
  createConnection,
  type QueryOptions,
  type ResultSetHeader,
  type RowDataPacket,
} from "mysql2/promise";
import type { AppAccount } from "../scratch/scratch-cluster";
import { streamTo } from "../scratch/stream-to";
import type { Ending, Invocation, Placed } from "./operations";

// What an app can do to its database, from a web server and at the app's address for writes: it reads a row, and changes
// it if nobody else has changed it since (compare-and-set). The guestbook never changes an entry, so an update could not
// be lost there.

/** The table, in the app's database; a list is a row of it. */
export const LISTS = "history_lists";

/** The name of a list. */
export const listName = (number: number) => `list-${number}`;

/** For a connection, and for an answer, in milliseconds: a commit may wait for a new primary, but not for ever. */
const PATIENCE = { connect: 3_000, answer: 10_000 } as const;

/** Errors of the server after which a statement has changed nothing. */
const REFUSED: readonly (string | undefined)[] = [
  "ER_OPTION_PREVENTS_STATEMENT",
  "ER_READ_ONLY_MODE",
  "ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION",
  "ER_LOCK_DEADLOCK",
  "ER_LOCK_WAIT_TIMEOUT",
];

/** How to get to the app's database from web servers. */
export interface Access extends AppAccount {
  readonly incusProject: string;
  readonly webServers: readonly string[];
  readonly port: number;
}

/** What a session needs of a connection. */
export interface SqlConnection {
  execute(statement: QueryOptions): Promise<[unknown, unknown]>;
  on(event: "error", listener: () => void): unknown;
  destroy(): void;
}

/** Opens a connection through the web server whose turn it is. */
export type Connect = (turn: number) => Promise<SqlConnection>;

/** Opens connections to the app's database; each further one goes through the next web server. */
export function connecting(access: Access): Connect {
  return async (turn) => {
    const webServer = access.webServers[turn % access.webServers.length] as string;
    const { user, password, database } = access;
    return await createConnection({
      stream: () => streamTo(access.incusProject, webServer, `127.0.0.1:${access.port}`),
      user,
      password,
      database,
      connectTimeout: PATIENCE.connect,
      // Whom it talks to is decided by the web server, and tested elsewhere.
      ssl: { rejectUnauthorized: false },
    });
  };
}

/** A session with the database. */
export class ListClient {
  private connection: SqlConnection | undefined;

  /** @param turn the web server that it begins with; after an error it goes on with the next one */
  constructor(
    private readonly connect: Connect,
    private turn: number,
  ) {}

  /**
   * Reads the list, and has `record` record what is then tried: to append an element if the list is still as it was
   * read. Returns `undefined` if it could not be read.
   */
  async append(
    list: string,
    element: string,
    record: (invocation: Invocation, act: () => Promise<Ending>) => Promise<Ending>,
  ): Promise<Ending | undefined> {
    const elements = await this.attempt((connection) => select(connection, list));
    if (elements instanceof Error) {
      return undefined;
    }
    const place = elements.length;
    const base = `${place} elements of ${list}`;
    return await record({ f: "append", list, element, base }, async () => {
      const changed = await this.attempt(async (connection) => {
        const [result] = await connection.execute({
          sql: `UPDATE ${LISTS} SET version = version + 1, elements = CONCAT(elements, ?) WHERE name = ? AND version = ?`,
          values: [`${element} `, list, place],
          timeout: PATIENCE.answer,
        });
        return (result as ResultSetHeader).affectedRows;
      });
      if (changed instanceof Error) {
        const { code, message } = changed as NodeJS.ErrnoException;
        return { type: REFUSED.includes(code) ? "fail" : "info", details: code ?? message };
      }
      return changed === 1
        ? { type: "ok", place }
        : { type: "fail", details: "another session was first" };
    });
  }

  async read(list: string): Promise<Ending> {
    const elements = await this.attempt((connection) => select(connection, list));
    if (elements instanceof Error) {
      return { type: "fail", details: elements.message };
    }
    return {
      type: "ok",
      promised: "linearizable",
      elements: elements.map((element, place): Placed => [element, place]),
    };
  }

  close(): void {
    this.connection?.destroy();
    this.connection = undefined;
  }

  /** Returns the error instead of throwing it, and lets the connection go: its answer may still come. */
  private async attempt<Result>(
    task: (connection: SqlConnection) => Promise<Result>,
  ): Promise<Result | Error> {
    try {
      if (this.connection === undefined) {
        this.connection = await this.connect(this.turn);
        this.connection.on("error", () => this.close());
      }
      return await task(this.connection);
    } catch (error) {
      this.close();
      this.turn++;
      return error as Error;
    }
  }
}

async function select(connection: SqlConnection, list: string): Promise<string[]> {
  const [rows] = await connection.execute({
    sql: `SELECT version, elements FROM ${LISTS} WHERE name = ?`,
    values: [list],
    timeout: PATIENCE.answer,
  });
  const [row] = rows as RowDataPacket[];
  const elements = String(row?.elements ?? "")
    .split(" ")
    .filter(Boolean);
  if (row?.version !== elements.length) {
    throw new Error(`the row of ${list} is ${JSON.stringify(row)}`);
  }
  return elements;
}
