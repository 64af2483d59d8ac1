import { formatGtidSet } from "./gtid-set";
import type { LeaseAnswer, Own, StateAnswer } from "./state";

// The answers of the health port. Pure; an uncertain answer is no.

/** The longest silence of the source, and the longest lag, at which a replica still counts as fresh, in seconds. */
const FRESH_SECONDS = 5;

/** The last decision, and when it was first made, seconds since 1970. */
export interface Decided {
  readonly decision: string;
  readonly since: number;
}

export interface Answers {
  /** For /primary, /replica and /readable: whether the answer is 200 (otherwise 503). */
  readonly primary: boolean;
  readonly replica: boolean;
  readonly readable: boolean;
  readonly state: StateAnswer;
}

/** The HTTP status of an answer. */
export const statusOf = (yes: boolean) => (yes ? 200 : 503);

/** Decisions of a host whose data differs from the primary's. */
const UNFIT = ["errant", "set-aside"];

/** Whether its newest term makes it the primary, and it takes these writes. */
function isPrimaryThatIs(writability: Own["writability"], own: Own): boolean {
  return (
    own.state === "member" &&
    own.writability === writability &&
    own.primary === own.name &&
    own.source === undefined
  );
}

/** Whether a record of the primary, if there is one, lets this host be the primary. */
const isAllowed = ({ right }: Own) => right === "any" || right === "held";

/** Whether it is the primary, and open. */
export const isPrimary = (own: Own) => isAllowed(own) && isPrimaryThatIs("open", own);

/**
 * A primary that refuses writes because its volume is full is still the primary: clients get the error at once, instead
 * of looking for another primary.
 */
const isFullPrimary = (own: Own, decision: string) =>
  decision === "wait-for-space" && isAllowed(own) && isPrimaryThatIs("ready", own);

/**
 * What counts is when the source was last heard, not whether it is connected now: for a moment after a primary is gone
 * the web servers do not know it yet, and would send reads to it instead.
 */
function isFreshReplica(own: Own, decision: string): boolean {
  return (
    own.state === "member" &&
    own.writability === "closed" &&
    own.primary !== own.name &&
    own.replication === "running" &&
    !UNFIT.includes(decision) &&
    own.silentSeconds <= FRESH_SECONDS &&
    own.lagSeconds <= FRESH_SECONDS
  );
}

/** Possibly stale: the last resort if there is no primary. A host that is open and not primary is not readable. */
function isReadable(own: Own, decision: string): boolean {
  return (
    isPrimary(own) ||
    (own.state === "member" &&
      own.writability !== "open" &&
      own.hasApplied &&
      own.replication !== "failed" &&
      ![...UNFIT, "behind", "clone"].includes(decision))
  );
}

/** Replication lag; `null` if there is no source, or the source was never heard. */
function lagOf({ source, lagSeconds, silentSeconds }: Own): number | null {
  if (source === undefined) {
    return null;
  }
  // Between two heartbeats, a replica that has applied everything is not behind.
  const lag =
    lagSeconds === 0 && silentSeconds <= FRESH_SECONDS ? 0 : Math.max(silentSeconds, lagSeconds);
  return Number.isFinite(lag) ? lag : null;
}

/**
 * @param isRestoring whether a restore is in progress, or was interrupted: the data may be incomplete
 * @param caughtUpWith see `Peer.caughtUpWith`
 * @param lease what automatic failover needs; `undefined` while failover is manual
 */
export function answersOf(
  own: Own,
  { decision, since }: Decided,
  isRestoring: boolean,
  caughtUpWith: string | undefined,
  lease?: LeaseAnswer,
): Answers {
  return {
    primary: !isRestoring && (isPrimary(own) || isFullPrimary(own, decision)),
    replica: !isRestoring && isFreshReplica(own, decision),
    readable: !isRestoring && isReadable(own, decision),
    state: {
      host: own.name,
      state: own.state,
      writability: own.writability,
      term: own.term,
      primary: own.primary ?? "-",
      serverUuid: own.serverUuid,
      source: own.source ?? "-",
      replication: own.replication,
      lagSeconds: lagOf(own),
      semiSync: own.semiSync ? "on" : "off",
      semiSyncReplicas: own.semiSyncReplicas,
      caughtUpWith: caughtUpWith ?? "-",
      decision: isRestoring ? "restoring" : decision,
      since,
      gtidPurged: formatGtidSet(own.purged),
      gtidReceived: formatGtidSet(own.received),
      gtidExecuted: formatGtidSet(own.executed),
      failover: "manual",
      ...lease,
    },
  };
}
