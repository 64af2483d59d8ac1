import { type Comparison, NOT_COMPARED } from "./relation";
import type { Own, Peer } from "./state";

// Decides what a database host does next. Pure: what was seen comes in, a decision goes out. The rules are those of
// docs/invariants.md: every server starts closed, and an uncertain answer to 'are you the primary' is no.

export type Decision =
  | "found"
  | "clone"
  | "apply"
  | "skip"
  | "set-aside"
  | "join"
  | "follow"
  | "serve"
  | "wait-for-space"
  | "reopen"
  | "ready"
  | "retreat"
  | "close"
  | "errant"
  | "behind"
  | "wait-for-server"
  | "wait-for-founder"
  | "wait-for-peers"
  | "wait-for-primary"
  | "wait-for-release"
  | "wait-for-close"
  | "wait-for-replica";

/** This host and its peers, as they were seen in one round. */
export interface View {
  readonly own: Own;
  readonly peers: readonly Peer[];
  /** By the name of each peer how its transactions stand to this host's. */
  readonly comparisons: ReadonlyMap<string, Comparison>;
}

/**
 * The peer to follow: not closed, and primary by the newest term that it knows itself; among several the one with the
 * newest term.
 */
export function leaderOf(peers: readonly Peer[]): Peer | undefined {
  let leader: Peer | undefined;
  for (const peer of peers) {
    const leads =
      peer.state === "member" && peer.writability !== "closed" && peer.primary === peer.name;
    if (leads && peer.term > (leader?.term ?? 0)) {
      leader = peer;
    }
  }
  return leader;
}

/** How the transactions of a peer, by default of the leader, stand to this host's. */
function relation({ peers, comparisons }: View, peer = leaderOf(peers)) {
  return (comparisons.get(peer?.name ?? "") ?? NOT_COMPARED).relation;
}

const leaderTerm = ({ peers }: View) => leaderOf(peers)?.term ?? 0;
const othersThan = (view: View, ...states: Peer["state"][]) =>
  view.peers.filter(({ state }) => !states.includes(state));
const members = (view: View) => view.peers.filter(({ state }) => state === "member");
const isOneOf = <Value>(value: Value, ...values: Value[]) => values.includes(value);

/** A fact that a rule asks for, named as the documentation names it. */
interface Predicate {
  readonly says: string;
  readonly holds: (view: View) => boolean;
}

const predicate = (says: string, holds: (view: View) => boolean): Predicate => ({ says, holds });

// What this host is.
const isUnknown = predicate("its server does not answer", ({ own }) => own.state === "unknown");
const isEmpty = predicate("it holds no data", ({ own }) => own.state === "empty");
const isNoMember = predicate(
  "it holds no data, or half a clone",
  ({ own }) => own.state === "empty" || own.state === "partial",
);
const isOpen = predicate("it is open", ({ own }) => own.writability === "open");
const isReady = predicate("it is ready", ({ own }) => own.writability === "ready");
const isClosed = predicate("it is closed", ({ own }) => own.writability === "closed");
const isNotClosed = predicate("it is open or ready", ({ own }) => own.writability !== "closed");
const isNamed = predicate("its newest term names itself", ({ own }) => own.primary === own.name);
const isNotRightful = predicate(
  "its newest term names another host, or it replicates, or a primary has a newer term",
  (view) =>
    view.own.primary !== view.own.name ||
    view.own.source !== undefined ||
    leaderTerm(view) > view.own.term,
);
const isOutranked = predicate(
  "a primary has a newer term, or is the one that its own term names",
  (view) => {
    const { own, peers } = view;
    const isNamedByUs = own.primary !== own.name && leaderOf(peers)?.name === own.primary;
    return leaderTerm(view) > own.term || (isNamedByUs && leaderTerm(view) === own.term);
  },
);
const isHeld = predicate("an operator closed it", ({ own }) => own.isHeld);
const lacksReplica = predicate(
  "durability is `lossless` and no replica acknowledges",
  ({ own }) => own.lacksReplica,
);
const hasReplica = predicate(
  "a replica acknowledges, or none has to",
  ({ own }) => !own.lacksReplica,
);
const isFull = predicate("the data volume is full", ({ own }) => !own.hasRoom);
const hasUnapplied = predicate(
  "it does not replicate, and has not applied all it received",
  ({ own }) => !own.hasApplied && own.replication === "stopped",
);
const hasFailed = predicate(
  "replication stopped on an error",
  ({ own }) => own.replication === "failed",
);
const followsLeader = predicate(
  "it replicates from that primary",
  ({ own, peers }) => own.replication === "running" && own.source === leaderOf(peers)?.name,
);

// What its transactions are to the primary's.
const isRowless = predicate(
  "it holds transactions which the primary lacks, and none changes a row",
  (view) => relation(view) === "rowless",
);
const hasStrayed = predicate(
  "it wrote transactions itself while the other was primary",
  (view) => relation(view) === "strayed",
);
const lacksNothingOfOurs = predicate("the primary has all that is here", (view) =>
  isOneOf(relation(view), "same", "ahead"),
);
const hasPurged = predicate(
  "the primary no longer has the log of what is missing here",
  (view) => relation(view) === "purged",
);
const hasExtra = predicate("the primary lacks transactions which are here", (view) =>
  isOneOf(relation(view), "behind", "diverged"),
);
const isOlder = predicate("its own term is older", (view) => leaderTerm(view) > view.own.term);

// What the peers are.
const hasLeader = predicate("a peer is primary", ({ peers }) => leaderOf(peers) !== undefined);
const somePeerHasData = predicate(
  "a peer holds data",
  (view) => othersThan(view, "empty", "unknown").length > 0,
);
const somePeerIsUnknown = predicate("a peer does not answer", ({ peers }) =>
  peers.some(({ state }) => state === "unknown"),
);
const somePeerIsLower = predicate("an empty peer has a lower number", ({ own, peers }) =>
  peers.some(({ state, number }) => state === "empty" && number < own.number),
);
const onlyEmptyPeersAreLeft = predicate(
  "every peer answers, and one holds no data",
  (view) =>
    othersThan(view, "empty", "partial", "member").length === 0 &&
    othersThan(view, "member").length > 0,
);
const somePeerIsNewer = predicate("a peer knows a newer term", (view) =>
  members(view).some(({ term }) => term > view.own.term),
);
const somePeerIsOpen = predicate("a peer is open or ready", (view) =>
  members(view).some(({ writability }) => writability !== "closed"),
);
const somePeerIsAhead = predicate("a peer holds transactions which this host lacks", (view) =>
  members(view).some((peer) => !isOneOf(relation(view, peer), "same", "behind", "unknown")),
);
const somethingIsUnknown = predicate(
  "a peer does not answer, or could not be compared",
  (view) =>
    somePeerIsUnknown.holds(view) ||
    members(view).some((peer) => relation(view, peer) === "unknown"),
);
const mustNotStayReady = predicate(
  "a peer is open, newer or ahead, or all answer and an operator closed this host",
  (view) =>
    [somePeerIsNewer, somePeerIsOpen, somePeerIsAhead].some(({ holds }) => holds(view)) ||
    (view.own.isHeld && !somethingIsUnknown.holds(view)),
);

/** One rule: the decision that is made where all of it holds and no rule before it applied. */
export interface Rule {
  readonly when: readonly Predicate[];
  readonly decision: Decision;
}

const rule = (decision: Decision, ...when: Predicate[]): Rule => ({ decision, when });

/** A part of the table, for the hosts that no part before it was for. */
export interface Part {
  readonly title: string;
  readonly rules: readonly Rule[];
}

/** Every rule, the first that applies decides. */
export const PARTS: readonly Part[] = [
  {
    title: "A host without the cluster's data",
    rules: [
      rule("wait-for-server", isUnknown),
      rule("close", isNoMember, isOpen),
      rule("clone", isNoMember, hasLeader),
      rule("wait-for-primary", isNoMember, somePeerHasData),
      // The one that does not answer might hold the data.
      rule("wait-for-peers", isNoMember, somePeerIsUnknown),
      rule("wait-for-founder", isEmpty, somePeerIsLower),
      rule("found", isEmpty),
      rule("wait-for-primary", isNoMember),
    ],
  },
  {
    title: "A primary, or one that was",
    rules: [
      rule("close", isNotClosed, isNotRightful),
      // Where writes wait for a replica, a clone in turn waits for those writes.
      rule("retreat", isOpen, lacksReplica, onlyEmptyPeersAreLeft),
      rule("wait-for-space", isOpen, isFull),
      rule("serve", isOpen),
    ],
  },
  {
    title: "A host that another one outranks",
    rules: [
      rule("apply", isOutranked, hasUnapplied),
      rule("skip", isOutranked, isRowless),
      rule("set-aside", isOutranked, hasStrayed),
      // Its transactions arrive between one answer and the next: comparing them proves nothing.
      rule("follow", isOutranked, followsLeader),
      rule("clone", isOutranked, lacksNothingOfOurs, hasFailed),
      rule("join", isOutranked, lacksNothingOfOurs),
      rule("clone", isOutranked, hasPurged),
      rule("set-aside", isOutranked, hasExtra, isOlder),
      rule("errant", isOutranked, hasExtra),
      rule("wait-for-primary", isOutranked),
    ],
  },
  {
    title: "A primary by its own newest term that is not open",
    rules: [
      rule("close", isNamed, isReady, mustNotStayReady),
      rule("wait-for-primary", isNamed, somePeerIsNewer),
      rule("wait-for-close", isNamed, somePeerIsOpen),
      rule("behind", isNamed, somePeerIsAhead),
      rule("wait-for-space", isNamed, isReady, isFull),
      // It was made ready when every peer was known, or by a person who vouched for the others.
      rule("reopen", isNamed, isReady, somethingIsUnknown, hasReplica),
      rule("wait-for-peers", isNamed, somethingIsUnknown),
      rule("wait-for-release", isNamed, isHeld),
      rule("wait-for-replica", isNamed, isReady, lacksReplica),
      rule("ready", isNamed, isClosed, lacksReplica),
      rule("ready", isNamed, isClosed, isFull),
      rule("reopen", isNamed),
    ],
  },
  {
    title: "A replica without its primary",
    rules: [
      rule("apply", hasUnapplied),
      // What replicates goes on trying by itself; what does not stays as it is.
      rule("wait-for-primary"),
    ],
  },
];

const RULES = PARTS.flatMap(({ rules }) => rules);

/** The first rule that applies. */
export function ruleFor(view: View): Rule {
  return RULES.find(({ when }) => when.every(({ holds }) => holds(view))) as Rule;
}

export function decide(view: View): Decision {
  return ruleFor(view).decision;
}
