/**
 * Reading one's own writes.
 *
 * Replicas apply a write a moment after the primary has acknowledged it, and a visitor who is sent
 * back to the page in between would not find the entry just written. The server therefore tells
 * each write's global transaction identifier (GTID) along with its acknowledgement, the visitor
 * carries it in a cookie (a program, in the header `x-read-after`), and a read that carries one
 * first waits, shortly, until the replica has executed it. When the replica does not get there in
 * time the read goes to the primary.
 *
 * The other way, sending everything to the primary for some seconds after a write, needs a guess of
 * how far a replica lags and loads the primary with every visitor who writes. It remains the way
 * out where no identifier is known: the marker is then the word `primary`.
 *
 * A marker comes from outside, so nothing but the exact form below is accepted, it is only ever
 * passed as a value of a prepared statement, and a forged one costs its sender a short wait.
 */

declare const marker: unique symbol;

/** A GTID set to wait for, or `primary`. Only this module creates markers. */
export type ReadAfter = string & { readonly [marker]: true };

/** The header in which programs receive a marker, and send it back. */
export const READ_AFTER_HEADER = "x-read-after";

const COOKIE = "guestbook_read_after";
/**
 * A replica that is further behind than this serves no reads at all, so the marker is not needed
 * for longer.
 */
const COOKIE_SECONDS = 60;
const LONGEST = 1_000;

const UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}";
const INTERVAL = "[1-9][0-9]{0,18}(?:-[1-9][0-9]{0,18})?";
const TAG = "[a-z_][a-z0-9_]{0,31}";
const MEMBER = `${UUID}(?::(?:${TAG}|${INTERVAL}))+`;
const GTID_SET = new RegExp(`^${MEMBER}(?:,${MEMBER})*$`);

/** Reads go to the primary. */
export const READ_FROM_PRIMARY = "primary" as ReadAfter;

/**
 * The marker of a write, from the GTID that the server reported. Without one, or if it is too long
 * for a cookie (a set grows with every server that was ever primary), it is `primary`.
 */
export function readAfterWrite(gtidSet: string | undefined): ReadAfter {
  const compact = gtidSet?.replace(/\s+/g, "").toLowerCase();
  return parseReadAfter(compact) ?? READ_FROM_PRIMARY;
}

/** Parses a marker from a request; undefined if it is invalid. */
export function parseReadAfter(value: string | undefined): ReadAfter | undefined {
  if (value === undefined || value.length > LONGEST) return undefined;
  return value === READ_FROM_PRIMARY || GTID_SET.test(value) ? (value as ReadAfter) : undefined;
}

/** The marker of a request: from the header, or else from the cookie. */
export function readAfterOf(headers: {
  cookie?: string | undefined;
  [READ_AFTER_HEADER]?: string | string[] | undefined;
}): ReadAfter | undefined {
  const sent = headers[READ_AFTER_HEADER];
  if (typeof sent === "string") return parseReadAfter(sent);
  const pair = headers.cookie?.split(/; */).find((part) => part.startsWith(`${COOKIE}=`));
  if (pair === undefined) return undefined;
  try {
    return parseReadAfter(decodeURIComponent(pair.slice(COOKIE.length + 1)));
  } catch {
    return undefined;
  }
}

/** The value of a `Set-Cookie` header that makes a browser send the marker for a minute. */
export function readAfterCookie(value: ReadAfter, overTls: boolean): string {
  const attributes = `Max-Age=${COOKIE_SECONDS}; Path=/; HttpOnly; SameSite=Lax`;
  return `${COOKIE}=${encodeURIComponent(value)}; ${attributes}${overTls ? "; Secure" : ""}`;
}
