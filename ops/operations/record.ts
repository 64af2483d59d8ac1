import type { LeaseStatus } from "../../agent/lease";
import { hostOf } from "../../agent/record";

/** A host, as far as the record of the primary is concerned. */
interface RecordHost {
  readonly host: string;
  /** `undefined` if the host does not answer; without a lease if it is no database host, or failover is manual there. */
  readonly facts?: { readonly lease?: LeaseStatus | null } | undefined;
}

function leasesOf(hosts: readonly RecordHost[]): Array<{ host: string } & LeaseStatus> {
  return hosts.flatMap(({ host, facts }) => (facts?.lease ? [{ host, ...facts.lease }] : []));
}

/** The record of the primary, in words, as the holder knows it or whoever read it last; `undefined` with manual failover. */
export function recordLine(hosts: readonly RecordHost[]): string | undefined {
  const leases = leasesOf(hosts);
  const [best] = [...leases].sort(
    (one, other) =>
      Number(other.hasLease) - Number(one.hasLease) ||
      Number(other.isAnswered) - Number(one.isAnswered) ||
      (other.record?.sequence ?? -1) - (one.record?.sequence ?? -1),
  );
  if (best === undefined) {
    return undefined;
  }
  const { record, hasLease, leaseSeconds, quietSeconds, isAnswered } = best;
  if (record === null) {
    return `record of the primary: ${isAnswered ? "none yet" : "not read"}`;
  }
  const { holder, term, state, sync } = record;
  return [
    `record of the primary: ${holder}, ${state}, term ${term}`,
    `in sync: ${sync.map(hostOf).join(", ") || "no replica"}`,
    hasLease
      ? `its lease ends in ${leaseSeconds} s unless it is renewed`
      : `unchanged for ${quietSeconds} s`,
    ...(isAnswered ? [] : ["as read before etcd was lost"]),
  ].join("; ");
}

/** What an operator has to know of it, one sentence each. */
export function problemsOfRecord(hosts: readonly RecordHost[]): string[] {
  const leases = leasesOf(hosts);
  const saidBy = new Map<string, string[]>();
  for (const { host, says } of leases) {
    for (const sentence of says) {
      saidBy.set(sentence, [...(saidBy.get(sentence) ?? []), host]);
    }
  }
  const away = leases.filter(({ isAnswered }) => !isAnswered).map(({ host }) => host);
  return [
    ...[...saidBy].map(([sentence, by]) =>
      by.length === leases.length ? sentence : `${by.join(" and ")}: ${sentence}`,
    ),
    // If none is answered, the members tell.
    ...(away.length === leases.length
      ? []
      : away.map(
          (host) =>
            `${host} does not reach etcd, which others do: it takes over from nobody, and is primary only while all other database hosts promise not to take over`,
        )),
  ];
}
