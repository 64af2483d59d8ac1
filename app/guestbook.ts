import type { ReadAfter } from "./read-after";

/** Entries shown at once, newest first. */
export const ENTRIES_SHOWN = 50;
/** Longest name, in characters (code points, as the database counts them). */
export const LONGEST_NAME = 80;
/** Longest message, in characters. */
export const LONGEST_MESSAGE = 1_000;

/** A valid entry, before it is stored. */
export interface Draft {
  readonly name: string;
  readonly message: string;
  /** Chosen by the client: a second entry with the same key is not stored. */
  readonly requestKey: string;
}

/** A stored entry. */
export interface Entry {
  readonly id: number;
  readonly name: string;
  readonly message: string;
  readonly writtenAt: Date;
  /** The web server that took the request. */
  readonly webServer: string;
  /** The database server that took the write. */
  readonly database: string;
}

/** The result of a read. */
export interface Listing {
  readonly entries: readonly Entry[];
  /** The database server that answered. */
  readonly database: string;
  /**
   * False if the reader's own last write may be missing, because no server could be confirmed to
   * have it.
   */
  readonly upToDate: boolean;
}

/** The result of a write. */
export interface Stored {
  readonly entry: Entry;
  /** True when the key had been stored before, and nothing was written now. */
  readonly replayed: boolean;
  /** The marker with which later reads see this write. */
  readonly readAfter: ReadAfter;
}

/** The names of the database servers that answer now; null if none does. */
export interface DatabasesAnswering {
  readonly read: string | null;
  readonly write: string | null;
}

/** Stores and reads entries. */
export interface Guestbook {
  /**
   * Lists the newest entries.
   * @throws UnavailableError when no database answers.
   */
  list(after?: ReadAfter): Promise<Listing>;
  /**
   * Stores an entry, at most once for each request key.
   * @throws KeyReusedError when the key already stands for another entry.
   * @throws UnavailableError when no database takes writes. Whether the entry was stored may then
   * be unknown; sending it again with the same key is always safe.
   */
  add(draft: Draft): Promise<Stored>;
  /**
   * Reads once, by the way that reads normally take.
   * @throws UnavailableError when that does not work.
   */
  check(): Promise<void>;
  /** Finds out which database servers answer. Never throws. */
  databases(): Promise<DatabasesAnswering>;
  close(): Promise<void>;
}

/** The database is not available. The message can be shown to visitors. */
export class UnavailableError extends Error {
  constructor(message: string, options?: { cause: unknown }) {
    super(message, options);
    this.name = "UnavailableError";
  }
}

/** A request key was sent again with another name or message. */
export class KeyReusedError extends Error {
  constructor() {
    super("This request key was already used for an entry with different content.");
    this.name = "KeyReusedError";
  }
}

const REQUEST_KEY = /^[A-Za-z0-9_-]{16,64}$/;
// Control characters, halves of surrogate pairs, and marks that reorder the text around them.
const UNWANTED_IN_NAME = /[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;
const UNWANTED_IN_MESSAGE = /[^\P{Cc}\n\t]|[\p{Cs}\u202a-\u202e\u2066-\u2069]/u;

/** The problem with a request key, or undefined if it is valid. */
export function problemWithRequestKey(key: unknown): string | undefined {
  if (typeof key === "string" && REQUEST_KEY.test(key)) return undefined;
  return "the request key must be 16 to 64 letters, digits, hyphens or underscores";
}

/**
 * Validates a submission. Both texts are normalised (Unicode NFC, line ends as `\n`, no surrounding
 * white space) before their length is checked.
 *
 * @returns the texts, which are valid if there is no problem, and every problem
 */
export function checkTexts(sent: { name?: unknown; message?: unknown }): {
  name: string;
  message: string;
  problems: string[];
} {
  const problems: string[] = [];
  const check = (label: string, value: unknown, longest: number, unwanted: RegExp): string => {
    if (value !== undefined && typeof value !== "string") {
      problems.push(`the ${label} must be text`);
      return "";
    }
    const text = (value ?? "").replace(/\r\n?/g, "\n").normalize("NFC").trim();
    const length = [...text].length;
    if (length === 0) problems.push(`the ${label} is missing`);
    if (length > longest) {
      problems.push(`the ${label} has ${length} characters; at most ${longest} are allowed`);
    }
    if (unwanted.test(text)) problems.push(`the ${label} holds control characters`);
    return text;
  };
  const name = check("name", sent.name, LONGEST_NAME, UNWANTED_IN_NAME);
  const message = check("message", sent.message, LONGEST_MESSAGE, UNWANTED_IN_MESSAGE);
  return { name, message, problems };
}
