import { hostOf, type RecordView, TIMERS } from "./record";

/**
 * What an operator has to know of the record of the primary, as one host sees it. Pure.
 *
 * @param hasPeers whether there are other database hosts
 */
export function sentencesOfRecord(
  { record, name, isAnswered, isRecorded, isEnding, quiet }: RecordView,
  hasPeers: boolean,
): string[] {
  const said: string[] = [];
  if (isEnding) {
    said.push(
      "failover is to be manual, and stays automatic until the record is removed or every other database host is manual",
    );
  } else if (!isAnswered) {
    said.push(
      "etcd does not answer: no host opens or takes over until two of its members are back; then whoever may does so by itself",
    );
  }
  if (!isRecorded) {
    return [...said, "there is no record of the primary yet: no host takes over"];
  }
  if (record === undefined) {
    const isLost = isAnswered && !isEnding;
    return isLost ? [...said, "the record of the primary is gone: promote a host"] : said;
  }
  const isGone = record.holder !== name && quiet > TIMERS.takeOver * 2;
  if (isAnswered && record.state === "open" && isGone) {
    said.push(
      record.sync.length === 0
        ? `${record.holder} is gone, and no replica has every acknowledged write: bring it back, or promote another host`
        : `${record.holder} is gone, and ${record.sync.map(hostOf).join(" and ")}, which had every acknowledged write, ${record.sync.length === 1 ? "has" : "have"} to answer and not to have been started anew since: bring ${record.holder} back, or promote another host`,
    );
  } else if (record.state === "open" && record.sync.length === 0 && hasPeers) {
    said.push(
      `no replica has every acknowledged write: should ${record.holder} fail, no host takes over`,
    );
  }
  if (record.state !== "open" && quiet > TIMERS.takeBack) {
    const waits = record.state === "taking" ? "began to take over and cannot go on" : "closed";
    said.push(
      `${record.holder} ${waits}, and no other host may take over by itself: promote one, or bring ${record.sync.map(hostOf).join(" or ") || record.holder} back`,
    );
  }
  return said;
}
