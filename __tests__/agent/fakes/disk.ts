import { type GtidSet, NO_GTIDS, subtract, union } from "../../../agent/gtid-set";
import type { Chance } from "../../../drill/chance";

// What a MySQL server has written, and what of it outlives the server's end.

/** A transaction. Two of one identifier may be different ones where a server was made to forget: data, not names, count. */
export interface Transaction {
  readonly source: string;
  readonly number: number;
  /** A promotion, a row that changes, or nothing that changes a row. */
  readonly change: "term" | "row" | "none";
  readonly term?: number;
  readonly host?: string;
}

const setOf = ({ source, number }: Transaction): GtidSet =>
  new Map([[source, [[number, number] as const]]]);

export function contains(set: GtidSet, { source, number }: Transaction): boolean {
  return (set.get(source) ?? []).some(([first, last]) => first <= number && number <= last);
}

export function added(set: GtidSet, transaction: Transaction): GtidSet {
  const intervals = set.get(transaction.source);
  const last = intervals?.at(-1);
  if (intervals === undefined || last === undefined || last[1] + 1 !== transaction.number) {
    return union(set, setOf(transaction));
  }
  const longer = [...intervals.slice(0, -1), [last[0], transaction.number] as const];
  return new Map(set).set(transaction.source, longer);
}

export const gtidsOf = (transactions: readonly Transaction[]): GtidSet =>
  transactions.reduce(added, NO_GTIDS);

/** What is in a server's data directory, and outlives its process. */
export class Disk {
  executed: GtidSet = NO_GTIDS;
  purged: GtidSet = NO_GTIDS;
  /** All that the data is made of. */
  applied: Transaction[] = [];
  /** The binary log; a transaction that waits for a replica is in it, and not yet executed. */
  log: Transaction[] = [];
  /** What was received and is not applied, and when it was received. */
  relay: { readonly transaction: Transaction; readonly at: number }[] = [];
  received: GtidSet = NO_GTIDS;
  /** Whether the relay log ends in the middle of a transaction. */
  isCutOff = false;
  /** The host it is set to replicate from. */
  source: string | undefined;
  /** Whether what arrives next will not fit the data. */
  isDamaged = false;
  /** Whether its data was dropped for a clone that did not end. */
  isBeingCloned = false;
  term = 0;
  primary: string | undefined;

  constructor(readonly uuid: string) {}

  execute(transaction: Transaction): void {
    this.executed = added(this.executed, transaction);
    this.applied.push(transaction);
    if (transaction.term !== undefined && transaction.term > this.term) {
      this.term = transaction.term;
      this.primary = transaction.host;
    }
  }

  forgetRelayLog(): void {
    this.relay = [];
    this.received = NO_GTIDS;
    this.isCutOff = false;
  }

  drop(): void {
    this.applied = [];
    this.log = [];
    this.purged = this.executed;
    this.term = 0;
    this.primary = undefined;
    this.isBeingCloned = true;
  }

  copy(donor: Disk): void {
    this.executed = donor.executed;
    this.purged = donor.executed;
    this.applied = [...donor.applied];
    this.log = [];
    this.term = donor.term;
    this.primary = donor.primary;
    this.isBeingCloned = false;
    this.isDamaged = false;
    this.source = undefined;
    this.forgetRelayLog();
  }

  /** A host that lost its power keeps what was synced: of the relay log some of the end may be missing. */
  losePower(now: number, chance: Chance): void {
    const kept = this.relay.filter(({ at }) => now - at > 10_000 || chance.happens(0.3)).length;
    const lost = this.relay.slice(kept);
    if (lost.length === 0) {
      return;
    }
    this.relay = this.relay.slice(0, kept);
    this.received = subtract(this.received, gtidsOf(lost.map(({ transaction }) => transaction)));
    const half = lost[0];
    if (half !== undefined && chance.happens(0.5)) {
      this.received = union(this.received, setOf(half.transaction));
      this.isCutOff = true;
    }
  }
}
