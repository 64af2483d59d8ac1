import { type GtidSet, isSubset, NO_GTIDS, subtract, union, writtenBy } from "./gtid-set";
import type { Peer, ServerState } from "./state";

/**
 * How a peer's transactions compare to this host's:
 *
 * - `same`, `ahead`: it has all of ours
 * - `behind`: we have all of its
 * - `diverged`: each has some that the other lacks
 * - `strayed`: some were written here while the peer was primary
 * - `rowless`: some here are missing on the peer, and none changes a row
 * - `purged`: it has all of ours, but no longer the binary log of those we lack
 * - `unknown`: they could not be compared
 */
export type Relation =
  | "same"
  | "ahead"
  | "behind"
  | "diverged"
  | "strayed"
  | "rowless"
  | "purged"
  | "unknown";

export interface Comparison {
  readonly relation: Relation;
  /** Transactions that are here and not there. */
  readonly extra: GtidSet;
  /** Whether this host has received all that the peer has executed. */
  readonly hasReceivedAll: boolean;
}

export const NOT_COMPARED: Comparison = {
  relation: "unknown",
  extra: NO_GTIDS,
  hasReceivedAll: false,
};

function relationOf(own: ServerState, executed: GtidSet, purged: GtidSet): Relation {
  if (isSubset(own.executed, executed)) {
    if (isSubset(executed, own.executed)) {
      return "same";
    }
    return isSubset(purged, own.executed) ? "ahead" : "purged";
  }
  return isSubset(executed, own.executed) ? "behind" : "diverged";
}

/**
 * Compares a host with a peer. GTIDs of transactions that a host writes itself begin with its own server UUID: while
 * another host is primary none of them arrives there any more, and the primary of the newest term ignores them.
 *
 * The peer must have been queried first: its transactions are then never newer than our own.
 *
 * @param name this host's
 */
export function compare(own: ServerState, name: string, peer: Peer): Comparison {
  if (own.state === "unknown" || peer.state !== "member") {
    return NOT_COMPARED;
  }
  const executed =
    own.primary === name && own.term >= peer.term
      ? subtract(peer.executed, writtenBy(peer.executed, peer.serverUuid))
      : peer.executed;
  const extra = subtract(own.executed, executed);
  const strayed =
    own.primary !== undefined && own.primary !== name ? writtenBy(extra, own.serverUuid) : NO_GTIDS;
  return {
    relation: strayed.size > 0 ? "strayed" : relationOf(own, executed, peer.purged),
    extra: strayed.size > 0 ? strayed : extra,
    hasReceivedAll: isSubset(executed, union(own.executed, own.received)),
  };
}
