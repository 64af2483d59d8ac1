import { comparisonWith, type View } from "./decide";
import { type GtidSet, isSubset, subtract, union, writtenBy } from "./gtid-set";
import { caughtUpName, type Peer } from "./state";

/**
 * What overrides an objection:
 *
 * - `nothing`: nothing, until the situation changes
 * - `lost`: an operator's statement that the host is closed
 * - `accept-loss`: an operator's consent to lose acknowledged writes
 * - `tables`: an operator's consent to lose rows that only the last primary has
 * - `time`: nothing; it resolves by itself
 */
export type Override = "nothing" | "lost" | "accept-loss" | "tables" | "time";

/** A reason against promoting this host. */
export interface Objection {
  readonly override: Override;
  /** The host that the objection is about. */
  readonly host: string;
  readonly sentence: string;
}

export interface Promotion {
  /** Hosts that an operator declares to be closed. */
  readonly lost: readonly string[];
  readonly durability: "available" | "lossless";
  /**
   * What the primary last reported about its writes, before it fell silent: whether they waited for a replica.
   * `undefined` if that is not known here.
   */
  readonly lastSeenSemiSync: boolean | undefined;
  /**
   * Whether this server has run without a restart since it last had received everything that the primary had executed.
   * A restarted server may lack something that it acknowledged before.
   */
  readonly hasRunOn: boolean;
}

/** About a peer that answers. */
function aboutPeer(view: View, followed: string | undefined, peer: Peer): Objection | undefined {
  const { own } = view;
  const { name, state, writability, term, primary } = peer;
  const objection = (override: Override, sentence: string) => ({ override, host: name, sentence });
  if (writability !== "closed") {
    return primary === name
      ? objection("nothing", `${name} is the primary, and open: switch over instead`)
      : objection(
          "nothing",
          `${name} is open, though not the primary: it closes itself within seconds`,
        );
  }
  if (state !== "member") {
    return undefined;
  }
  const source = view.peers.find((one) => one.name === followed && one.state === "member");
  // What it wrote itself since its answer, which may be a second older than that of the peer, comes from it as well.
  const comesFromSource = (transactions: GtidSet) =>
    source !== undefined &&
    isSubset(transactions, union(source.executed, writtenBy(transactions, source.serverUuid)));
  // This host has acknowledged them, and may be the only one that has them.
  const unapplied = subtract(peer.received, peer.executed);
  if (!isSubset(unapplied, union(own.executed, own.received))) {
    return objection(
      comesFromSource(unapplied) ? "time" : "accept-loss",
      `${name} has received transactions that this host lacks, and has not applied them`,
    );
  }
  if (term < own.term) {
    return undefined;
  }
  if (term > own.term) {
    return followed === name
      ? objection(
          "time",
          `this host has not applied the promotion of ${primary} yet, which it gets from ${name}`,
        )
      : objection("nothing", `${name} knows a newer promotion than this host does`);
  }
  const { relation } = comparisonWith(view, peer);
  if (relation === "same" || relation === "behind") {
    return undefined;
  }
  if (relation === "unknown") {
    return objection("time", `what ${name} holds could not be compared`);
  }
  const lacking = subtract(peer.executed, own.executed);
  const isToCome = followed === name || (lacking.size > 0 && comesFromSource(lacking));
  return isToCome && relation === "ahead"
    ? objection("time", `this host has not received all that ${name} holds`)
    : objection(
        "accept-loss",
        `${name} holds transactions that this host lacks: promote ${name} instead`,
      );
}

/** Hosts as a list in a sentence. */
const listed = (names: readonly string[]) => names.join(" and ");

/**
 * Objections about acknowledged writes, if the primary itself cannot be asked.
 *
 * No acknowledged write is lost if R + W > N:
 *
 * - N: the number of database hosts, each of which may hold a copy of a write
 * - W: the number of them that have a write before it is acknowledged: 2 if writes wait for a replica, which they
 *   always do with `lossless`; otherwise 1, the primary itself
 * - R: the number of them, including this host, that answer and still hold everything they have acknowledged. A host
 *   that lost its data, or whose server was restarted since it had caught up with the primary, does not count.
 */
function aboutLoss(view: View, primary: string, promotion: Promotion): Objection[] {
  const { own, peers } = view;
  const objection = (sentence: string): Objection => ({
    override: "accept-loss",
    host: primary,
    sentence,
  });
  const keptUp = caughtUpName(primary, own.term);
  const others = peers.filter(({ name }) => name !== primary);
  const silent = others.filter(({ state }) => state === "unknown").map(({ name }) => name);
  const anew = others
    .filter(({ state, caughtUpWith }) => state !== "unknown" && caughtUpWith !== keptUp)
    .map(({ name }) => name);

  const N = peers.length + 1;
  const W = promotion.durability === "lossless" || promotion.lastSeenSemiSync ? 2 : 1;
  const R = N - 1 - silent.length - anew.length - (promotion.hasRunOn ? 0 : 1);
  if (R + W > N) {
    return [];
  }
  const found: Objection[] = [];
  if (!promotion.hasRunOn) {
    found.push(
      objection(
        `this host's server was started anew since it last had all that ${primary} had executed: of what it acknowledged before, something may be missing`,
      ),
    );
  }
  if (silent.length > 0) {
    found.push(
      objection(
        `${primary} does not answer, nor does ${listed(silent)}: a write that was acknowledged may be there alone`,
      ),
    );
  }
  if (anew.length > 0) {
    found.push(
      objection(
        `${primary} does not answer, and ${listed(anew)} may have lost some of what it had acknowledged: such a write may be on ${primary} alone`,
      ),
    );
  }
  if (W === 1 && silent.length === 0 && anew.length === 0) {
    found.push(
      objection(
        promotion.lastSeenSemiSync === false
          ? `${primary} last said that its writes no longer waited for a replica: acknowledged ones may be there alone`
          : `this host did not hear from ${primary} until it fell silent: acknowledged writes may be there alone`,
      ),
    );
  }
  return found;
}

/** All objections to promoting this host, except those about its tables. */
export function objections(view: View, promotion: Promotion): Objection[] {
  const { own, peers } = view;
  if (own.state !== "member") {
    return [
      {
        override: "nothing",
        host: own.name,
        sentence: `this host is ${own.state}: it has no data to serve`,
      },
    ];
  }
  const followed = own.replication === "running" ? own.source : undefined;
  const found: Objection[] = [];
  if (!own.hasApplied) {
    found.push(
      own.replication === "failed"
        ? {
            override: "accept-loss",
            host: own.name,
            sentence: "replication stopped on an error: this host cannot apply all it received",
          }
        : {
            override: "time",
            host: own.name,
            sentence: "this host has not applied all it received",
          },
    );
  }
  for (const peer of peers) {
    if (peer.state !== "unknown") {
      found.push(...[aboutPeer(view, followed, peer)].filter((one) => one !== undefined));
    } else if (!promotion.lost.includes(peer.name)) {
      found.push({
        override: "lost",
        host: peer.name,
        sentence: `${peer.name} does not answer: whether it is closed cannot be known`,
      });
    }
  }
  const silent = peers.filter(({ state }) => state === "unknown").map(({ name }) => name);
  if (silent.includes(own.primary ?? "")) {
    return [...found, ...aboutLoss(view, own.primary ?? "", promotion)];
  }
  // Two hosts are enough to promote one of them and acknowledge its writes; a host that answers would know of it.
  const [first] = silent.length > 1 ? silent : [];
  return first === undefined
    ? found
    : [
        ...found,
        {
          override: "accept-loss",
          host: first,
          sentence: `${listed(silent)} do not answer: one of them may have been promoted since, and have writes that were acknowledged`,
        },
      ];
}

/** The first of the tables, in a sentence. */
export function nameTables(tables: readonly string[]): string {
  const more = tables.length > 5 ? ` and ${tables.length - 5} more` : "";
  return `${tables.slice(0, 5).join(", ")}${more}`;
}

/** The objection about tables that are not InnoDB; `undefined` if they could not be looked up. */
export function tableObjections(view: View, tables: readonly string[] | undefined): Objection[] {
  const { own } = view;
  if (own.state !== "member" || tables?.length === 0) {
    return [];
  }
  if (tables === undefined) {
    return [
      {
        override: "time",
        host: own.name,
        sentence: `whether ${own.name} has tables that are not InnoDB's could not be looked up`,
      },
    ];
  }
  return [
    {
      override: "tables",
      host: own.name,
      sentence: `rows of ${nameTables(tables)} may be on the primary alone, since no clone copies them: ALTER TABLE ... ENGINE=InnoDB on the primary`,
    },
  ];
}

/** Whether all objections may resolve by themselves. */
export function isPassing(found: readonly Objection[]): boolean {
  return found.every(({ override }) => override === "time" || override === "lost");
}
