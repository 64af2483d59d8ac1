// The record of who is primary, which etcd keeps (docs/failover.md). Pure; times are milliseconds of a monotonic clock.

/**
 * What became of the primary: `open`, it takes writes while it renews the record; `taking`, a replica is becoming
 * primary; `vacant`, it closed itself, and a replica may take over at once.
 */
export type RecordState = "open" | "taking" | "vacant";

/** Who is primary. Changed by compare-and-swap only. */
export interface PrimaryRecord {
  /** Of the holder's promotion, the number that is also in the table of terms. */
  readonly term: number;
  /** The name of the host that is primary, is becoming it, or (`vacant`) was it last. */
  readonly holder: string;
  readonly state: RecordState;
  /**
   * `NAME@INCARNATION` of the replicas that had received everything when they were entered, and one of which has
   * received every write since before it was acknowledged. Empty if writes are acknowledged without a replica.
   */
  readonly sync: readonly string[];
  /** One higher with each renewal. */
  readonly sequence: number;
}

/** A record as the store returned it. */
export interface Stored {
  readonly record: PrimaryRecord;
  /** Of the record in the store: changes with each write. */
  readonly revision: string;
}

/** A voter of the store, for an operator. */
export interface StoreMember {
  /** The host; the member's address if it is no known host's. */
  readonly name: string;
  readonly isLearner: boolean;
  readonly isLeader: boolean;
  /** Whether it answered within the timeout. */
  readonly isWell: boolean;
}

/** The revision to write with if there is no record yet. */
export const NO_REVISION = "0";

/** The key that the record is stored under. */
export const RECORD_KEY = "/cluster/primary";

/** Where the record is kept. */
export interface RecordStore {
  /**
   * A linearizable read; `undefined` if there is no record yet.
   *
   * @throws Error if no quorum answers within the timeout, or the stored text is no record
   */
  read(): Promise<Stored | undefined>;
  /**
   * Writes the record if the stored one still has this revision ({@link NO_REVISION}: if there is none).
   *
   * @returns the new revision; `undefined` if it was refused, because another write came first
   * @throws Error if it is not known whether it was written
   */
  write(record: PrimaryRecord, revision: string): Promise<string | undefined>;
  /** Makes another voter the store's leader, if the leader is on this host. Does nothing otherwise. @throws Error */
  yieldLeadership(): Promise<void>;
  /** The voters and learners, and which of them answer. @throws Error if no member answers */
  members(): Promise<readonly StoreMember[]>;
  /** Whether this host holds a member's data: `member` also if that member is not running. */
  voter(): Promise<"none" | "member">;
}

const HOST = /^[a-z0-9-]{1,63}$/;
const SYNCED = /^[a-z0-9-]{1,63}@[A-Za-z0-9.-]{1,64}$/;

const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0;

/** The record as it is stored. */
export function serializeRecord({ term, holder, state, sync, sequence }: PrimaryRecord): string {
  return JSON.stringify({ term, holder, state, sync, sequence });
}

/**
 * Parses a stored record.
 *
 * @throws Error if the text is not such a record: nobody may then open, or take over
 */
export function parseRecord(text: string): PrimaryRecord {
  const wrong = (what: string) =>
    new Error(
      `${RECORD_KEY} in etcd is no record of the primary: ${what}, in ${text.slice(0, 300)}`,
    );
  let said: Partial<Record<keyof PrimaryRecord, unknown>>;
  try {
    said = Object(JSON.parse(text));
  } catch {
    throw wrong("it is not JSON");
  }
  const { term, holder, state, sync, sequence } = said;
  if (!isCount(term) || term === 0) {
    throw wrong("term has to be a whole number above 0");
  }
  if (typeof holder !== "string" || !HOST.test(holder)) {
    throw wrong("holder has to be a host's name");
  }
  if (state !== "open" && state !== "taking" && state !== "vacant") {
    throw wrong("state has to be open, taking or vacant");
  }
  if (!Array.isArray(sync) || !sync.every((one) => typeof one === "string" && SYNCED.test(one))) {
    throw wrong("sync has to be a list of NAME@INCARNATION");
  }
  if (!isCount(sequence)) {
    throw wrong("sequence has to be a whole number");
  }
  return { term, holder, state, sync, sequence };
}
