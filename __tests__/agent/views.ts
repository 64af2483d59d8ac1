import type { View } from "../../agent/decide";
import { NO_GTIDS } from "../../agent/gtid-set";
import type { Relation } from "../../agent/relation";
import { type Own, type Peer, UNKNOWN_SERVER, unknownPeer } from "../../agent/state";

// What a host may have seen, in a word each.

export interface ComparedPeer {
  readonly peer: Peer;
  readonly relation: Relation;
}

/** A host, by default a closed member that is well, replicates from nobody and knows no primary. */
export function own(number: number, facts: Partial<Own> = {}): Own {
  return {
    ...UNKNOWN_SERVER,
    name: `database-${number}`,
    number,
    state: "member",
    hasApplied: true,
    isHeld: false,
    lacksReplica: false,
    hasRoom: true,
    right: "any",
    holder: undefined,
    incarnation: undefined,
    ...facts,
  };
}

/** A peer, by default a closed member that holds the same transactions. */
export function peer(
  number: number,
  { relation = "same", ...facts }: Partial<Peer> & { relation?: Relation } = {},
): ComparedPeer {
  return {
    peer: { ...unknownPeer(`database-${number}`), state: "member", ...facts },
    relation,
  };
}

export function viewOf(host: Own, peers: readonly ComparedPeer[]): View {
  return {
    own: host,
    peers: peers.map((one) => one.peer),
    comparisons: new Map(
      peers.map(({ peer: { name }, relation }) => [
        name,
        { relation, extra: NO_GTIDS, hasReceivedAll: false },
      ]),
    ),
  };
}
