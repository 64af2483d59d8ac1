import { readFileSync } from "node:fs";
import { hostname } from "node:os";

/** A TCP address. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** An account of the database. */
export interface Account {
  readonly user: string;
  /** A path instead of the password: the file is read again for each login. */
  readonly passwordFile: string;
}

/** The database's addresses and accounts. */
export interface DatabaseSettings extends Account {
  /** Leads to the current primary. */
  readonly writeAddress: Address;
  /** Leads to a replica that is up to date, or to the primary if there is none. */
  readonly readAddress: Address;
  readonly name: string;
  /** An account that can only read; if omitted, reads use the other one. */
  readonly reader?: Account | undefined;
  /** Path of the PEM file with the authority that signed the servers' certificates. */
  readonly authorityFile: string;
  /** The name that every server's certificate has. Without one, only the authority is verified. */
  readonly serverName?: string | undefined;
}

/** The settings of the process. */
export interface Settings {
  readonly host: string;
  readonly port: number;
  /** Name of the machine, shown on every page and sent as `x-served-by`. */
  readonly hostName: string;
  /** How long a stopping process still serves while it reports that it is not ready, in seconds. */
  readonly drainSeconds: number;
  readonly database: DatabaseSettings;
}

/** The environment is invalid. Contains every problem, not only the first. */
export class SettingsError extends Error {
  constructor(readonly problems: readonly string[]) {
    super(`The environment is not usable:\n${problems.map((line) => `  - ${line}`).join("\n")}`);
    this.name = "SettingsError";
  }
}

const ADDRESS = /^(?<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]):(?<port>\d{1,5})$/;
const HOST_NAME = /^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,61}[A-Za-z0-9])?$/;

/**
 * Reads the settings of the process.
 *
 * | Variable                      | Default          | Meaning                                         |
 * | ----------------------------- | ---------------- | ----------------------------------------------- |
 * | `HOST`                        | `127.0.0.1`      | address to listen on                            |
 * | `PORT`                        | `3000`           | TCP port to listen on                           |
 * | `HOST_NAME`                   | the machine's    | name of this web server, such as `web-1`        |
 * | `DRAIN_SECONDS`               | `2`              | 0 to 8; how long to serve on after SIGTERM      |
 * | `DATABASE_WRITE_ADDRESS`      | `127.0.0.1:3306` | follows the primary                             |
 * | `DATABASE_READ_ADDRESS`       | `127.0.0.1:3307` | follows fresh replicas, or else the primary     |
 * | `DATABASE_NAME`               | required         | schema that holds the guestbook's table         |
 * | `DATABASE_USER`               | required         | needs SELECT, INSERT and CREATE on that schema  |
 * | `DATABASE_PASSWORD_FILE`      | required         | file that holds that user's password            |
 * | `DATABASE_READ_USER`          | the same         | reads; needs SELECT on that schema              |
 * | `DATABASE_READ_PASSWORD_FILE` | the same         | file that holds that one's password             |
 * | `DATABASE_CA_FILE`            | required         | PEM file; the servers' certificates must verify |
 * | `DATABASE_SERVER_NAME`        | none             | name in those certificates; none: not verified  |
 *
 * A variable that is set but empty counts as not set.
 *
 * @throws SettingsError with every problem found, none of which quotes a secret.
 */
export function settingsFromEnvironment(environment: NodeJS.ProcessEnv): Settings {
  const problems: string[] = [];

  const text = (name: string): string | undefined => environment[name]?.trim() || undefined;

  const required = (name: string, meaning: string): string => {
    const value = text(name);
    if (value === undefined) problems.push(`${name} is not set: ${meaning}`);
    return value ?? "";
  };

  const integer = (name: string, fallback: number, lowest: number, highest: number): number => {
    const value = text(name);
    if (value === undefined) return fallback;
    const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
    if (!(number >= lowest && number <= highest)) {
      problems.push(`${name} must be a whole number from ${lowest} to ${highest}, not "${value}"`);
    }
    return number;
  };

  const address = (name: string, fallback: string): Address => {
    const value = text(name) ?? fallback;
    const found = ADDRESS.exec(value)?.groups;
    const port = Number(found?.port);
    if (found?.host === undefined || !(port >= 1 && port <= 65_535)) {
      problems.push(`${name} must look like 127.0.0.1:3306, not "${value}"`);
    }
    return { host: (found?.host ?? "").replace(/^\[|\]$/g, ""), port };
  };

  const file = (name: string, meaning: string, mustContain?: string): string => {
    const path = required(name, meaning);
    if (path === "") return path;
    try {
      const content = readFileSync(path, "utf8");
      if (content.trim() === "") problems.push(`${name}: ${path} is empty`);
      else if (mustContain !== undefined && !content.includes(mustContain)) {
        problems.push(`${name}: ${path} holds no "${mustContain}"`);
      }
    } catch (error) {
      problems.push(`${name}: ${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
    }
    return path;
  };

  // The host may have the account's name before its password; then there is no such account yet.
  const readUser = text("DATABASE_READ_USER");
  const readPasswordFile = text("DATABASE_READ_PASSWORD_FILE");
  const reader =
    readUser !== undefined && readPasswordFile !== undefined && hasContent(readPasswordFile)
      ? { user: readUser, passwordFile: readPasswordFile }
      : undefined;

  const hostName = text("HOST_NAME") ?? hostname();
  // The name is sent in a response header and stored in the database.
  if (!HOST_NAME.test(hostName)) {
    problems.push(`HOST_NAME must be a host name of at most 63 characters, not "${hostName}"`);
  }

  const settings: Settings = {
    host: text("HOST") ?? "127.0.0.1",
    port: integer("PORT", 3000, 1, 65_535),
    hostName,
    drainSeconds: integer("DRAIN_SECONDS", 2, 0, 8),
    database: {
      writeAddress: address("DATABASE_WRITE_ADDRESS", "127.0.0.1:3306"),
      readAddress: address("DATABASE_READ_ADDRESS", "127.0.0.1:3307"),
      name: required("DATABASE_NAME", "the schema that holds the guestbook"),
      user: required("DATABASE_USER", "the user to log in as"),
      passwordFile: file("DATABASE_PASSWORD_FILE", "a file that holds the user's password"),
      reader,
      authorityFile: file(
        "DATABASE_CA_FILE",
        "a PEM file to verify the servers' certificates against",
        "-----BEGIN CERTIFICATE-----",
      ),
      serverName: text("DATABASE_SERVER_NAME"),
    },
  };
  if (problems.length > 0) throw new SettingsError(problems);
  return settings;
}

function hasContent(path: string): boolean {
  try {
    return readFileSync(path, "utf8").trim() !== "";
  } catch {
    return false;
  }
}
