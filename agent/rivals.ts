import { isSubset, NO_GTIDS, subtract, union, writtenBy } from "./gtid-set";
import { hostOf, type PrimaryRecord, type Rivals, syncName } from "./record";
import type { Own, Peer } from "./state";

// Whether another replica has received more than this host, which may take over. Pure.

const isHolderNow = (record: PrimaryRecord | undefined, host: string) =>
  host === record?.holder && record.state !== "taking";

/** The other replicas in sync, as `NAME@INCARNATION`; the holder is one only while it takes over. */
export function rivalsIn(record: PrimaryRecord | undefined, name: string): readonly string[] {
  return (record?.sync ?? []).filter(
    (entry) => hostOf(entry) !== name && !isHolderNow(record, hostOf(entry)),
  );
}

/**
 * What the replicas in sync hold, by their answers. Others count as well, if they answer: one that has just come back may
 * have acknowledged a write before it was entered. What a host wrote itself was never acknowledged there.
 *
 * @param own this host; `undefined` if it has not been observed yet
 */
export function compareRivals(
  own: Own | undefined,
  rivals: readonly string[],
  record: PrimaryRecord | undefined,
  seen: readonly Peer[],
): Rivals {
  const here = own === undefined ? NO_GTIDS : union(own.executed, own.received);
  const hosts = rivals.map(hostOf);
  const others = seen.filter(
    ({ name, state }) => state === "member" && !hosts.includes(name) && !isHolderNow(record, name),
  );
  const hasMore = others.some((peer) => {
    const there = union(peer.executed, peer.received);
    return !isSubset(subtract(there, writtenBy(there, peer.serverUuid)), here);
  });
  let worst: Rivals = hasMore ? "ahead" : "behind";
  for (const entry of rivals) {
    const peer = seen.find(({ name }) => name === hostOf(entry));
    if (
      own === undefined ||
      peer?.state !== "member" ||
      peer.incarnation === undefined ||
      syncName(peer.name, peer.incarnation) !== entry
    ) {
      return "unknown";
    }
    if (!isSubset(union(peer.executed, peer.received), here)) {
      worst = "ahead";
    }
  }
  return worst;
}
