import { isSubset, writtenBy } from "./gtid-set";
import { type Comparison, NOT_COMPARED } from "./relation";
import { firstOutcome, type Part, tableOf } from "./rules";
import type { Own, Peer } from "./state";

// Decides what a database host does next. A pure function from observations to a decision. The rules implement
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
  | "wait-for-replica"
  | "wait-for-record"
  | "part";

/** The action for each decision. */
export const DOES: Readonly<Record<Decision, string>> = {
  found: "makes the first accounts and tables, writes term 1, opens",
  clone: "replaces all data with the primary's; that of a member at most once a minute",
  apply: "applies it: it may be the only copy of an acknowledged write",
  skip: "forgets them",
  "set-aside": "copies them into a file, then clones",
  join: "replicates with auto-position over verified TLS",
  follow: "nothing",
  serve:
    "makes writes wait for a replica as soon as there is one; updates accounts to match the declaration",
  "wait-for-space": "refuses the app's writes until there is space",
  reopen: "opens",
  ready: "lets replicas clone and replicate, and opens once the condition is gone",
  retreat: "closes, so that the one without data can clone",
  close: "refuses writes at once; kills a server that does not comply",
  errant: "stops replicating",
  behind: "stops replicating",
  "wait-for-server": "waits",
  "wait-for-founder": "waits",
  "wait-for-peers": "waits",
  "wait-for-primary": "waits; running replication keeps retrying",
  "wait-for-release": "waits",
  "wait-for-close": "waits",
  "wait-for-replica": "waits",
  "wait-for-record": "waits",
  part: "stops receiving, and applies what it has received",
};

/** This host and its peers, as observed in one round. */
export interface View {
  readonly own: Own;
  readonly peers: readonly Peer[];
  /** How each peer's transactions compare to this host's, by the peer's name. */
  readonly comparisons: ReadonlyMap<string, Comparison>;
}

/**
 * The peer to follow: not closed, and primary by the newest term that it knows itself; if there are several, the one
 * with the newest term.
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

/** How the transactions of a peer, by default the leader, compare to this host's. */
export function comparisonWith({ peers, comparisons }: View, peer = leaderOf(peers)): Comparison {
  return comparisons.get(peer?.name ?? "") ?? NOT_COMPARED;
}

const relation = (view: View, peer?: Peer) => comparisonWith(view, peer).relation;

const leaderTerm = ({ peers }: View) => leaderOf(peers)?.term ?? 0;
const othersThan = (view: View, ...states: Peer["state"][]) =>
  view.peers.filter(({ state }) => !states.includes(state));
const members = (view: View) => view.peers.filter(({ state }) => state === "member");
const isOneOf = <Value>(value: Value, ...values: Value[]) => values.includes(value);

const { predicate, rule } = tableOf<View, Decision>();

// What this host is.
const isUnknown = predicate("its server does not answer", ({ own }) => own.state === "unknown");
const isEmpty = predicate("it holds no data", ({ own }) => own.state === "empty");
const isNoMember = predicate(
  "its server does not answer, or holds no data or an interrupted clone",
  ({ own }) => own.state !== "member",
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
  "the primary has a newer term, or is the one that its own term names",
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
const isBarred = predicate(
  "the record names another host, or this one's lease has ended",
  ({ own }) => own.right === "barred",
);
const isRecorded = predicate(
  "failover is automatic, and there is a record",
  ({ own }) => own.right !== "any",
);
const lacksLease = predicate(
  "the record does not name this host, or its lease has ended",
  ({ own }) => own.right !== "held",
);
const receivesFromAnother = predicate(
  "it receives from another host than the one that the record names",
  ({ own }) =>
    own.holder !== undefined && own.replication === "running" && own.source !== own.holder,
);
const isFull = predicate("the data volume is full", ({ own }) => !own.hasRoom);
const hasUnapplied = predicate(
  "it does not replicate, and has not applied everything it received",
  ({ own }) => !own.hasApplied && own.replication === "stopped",
);
// A replica that switches to another source drops what it received and has not applied.
const hasUnappliedOfAnother = predicate(
  "it does not replicate from that primary, and has not applied everything it received",
  ({ own, peers }) =>
    !own.hasApplied &&
    own.replication !== "failed" &&
    !(own.replication === "running" && own.source === leaderOf(peers)?.name),
);
const hasFailed = predicate(
  "replication stopped on an error",
  ({ own }) => own.replication === "failed",
);
const followsLeader = predicate(
  "it replicates from that primary",
  ({ own, peers }) => own.replication === "running" && own.source === leaderOf(peers)?.name,
);

// How its transactions compare to the primary's.
const isRowless = predicate(
  "it holds transactions that the primary lacks, and none changes a row",
  (view) => relation(view) === "rowless",
);
const hasStrayed = predicate(
  "it wrote transactions itself while the other was primary",
  (view) => relation(view) === "strayed",
);
const lacksNothingOfOurs = predicate("the primary has every transaction of this host", (view) =>
  isOneOf(relation(view), "same", "ahead"),
);
const hasPurged = predicate(
  "the primary has purged logs that this host needs",
  (view) => relation(view) === "purged",
);
const hasExtra = predicate("the primary lacks transactions that this host holds", (view) =>
  isOneOf(relation(view), "behind", "diverged"),
);
// In its binary log, and executed once a replica acknowledges it: the server that owns it lets such a replica connect.
const hasOnlyWaiting = predicate(
  "all of those are the primary's own: there they wait for a replica",
  (view) => {
    const leader = leaderOf(view.peers);
    const { extra } = comparisonWith(view);
    return leader !== undefined && isSubset(extra, writtenBy(extra, leader.serverUuid));
  },
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
// The promotion that wrote the newer term has already judged the transactions of hosts that know only an older one.
const somePeerIsAhead = predicate(
  "a peer whose term is not older holds transactions that this host lacks",
  (view) =>
    members(view).some(
      (peer) =>
        peer.term >= view.own.term && !isOneOf(relation(view, peer), "same", "behind", "unknown"),
    ),
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

/** Every rule; the first that applies decides. */
export const PARTS: readonly Part<View, Decision>[] = [
  {
    title: "A host without the cluster's data",
    when: [isNoMember],
    rules: [
      rule("wait-for-server", isUnknown),
      rule("close", isOpen),
      rule("clone", hasLeader),
      // A clone was interrupted: while this host is not closed, no other is made primary.
      rule("close", isReady, somePeerHasData),
      rule("wait-for-primary", somePeerHasData),
      // The silent one might hold the data.
      rule("wait-for-peers", somePeerIsUnknown),
      rule("wait-for-founder", isEmpty, somePeerIsLower),
      // Where there is a record, there was data.
      rule("wait-for-record", isRecorded),
      rule("found", isEmpty),
      rule("wait-for-primary"),
    ],
  },
  {
    title: "A host that is open, or must close",
    when: [],
    rules: [
      rule("close", isNotClosed, isNotRightful),
      rule("close", isNotClosed, isBarred),
      // Where writes wait for a replica, a clone in turn waits for those writes.
      rule("retreat", isOpen, lacksReplica, onlyEmptyPeersAreLeft),
      rule("wait-for-space", isOpen, isFull),
      rule("serve", isOpen),
    ],
  },
  {
    title: "A host outranked by a primary",
    when: [isOutranked],
    rules: [
      rule("apply", hasUnappliedOfAnother),
      // Changes that do not match are not applied, and the server forgets nothing before they are.
      rule("clone", isRowless, hasFailed),
      rule("skip", isRowless),
      rule("set-aside", hasStrayed),
      // Transactions arrive between the two answers: comparing them proves nothing.
      rule("follow", followsLeader),
      rule("clone", lacksNothingOfOurs, hasFailed),
      rule("join", lacksNothingOfOurs),
      rule("clone", hasPurged),
      rule("set-aside", hasExtra, isOlder),
      rule("join", hasExtra, isRecorded, hasOnlyWaiting),
      rule("errant", hasExtra),
      rule("wait-for-primary"),
    ],
  },
  {
    title: "The primary by its own newest term, where a record decides, not open",
    when: [isNamed, isRecorded],
    rules: [
      // The record proves that no other host is open and that none has more: nobody has to be asked.
      rule("wait-for-release", isHeld),
      rule("wait-for-space", isReady, isFull),
      rule("wait-for-replica", isReady, lacksReplica),
      rule("wait-for-record", lacksLease),
      rule("ready", isClosed, lacksReplica),
      rule("ready", isClosed, isFull),
      rule("reopen"),
    ],
  },
  {
    title: "The primary by its own newest term, not open",
    when: [isNamed],
    rules: [
      rule("close", isReady, mustNotStayReady),
      rule("wait-for-primary", somePeerIsNewer),
      rule("wait-for-close", somePeerIsOpen),
      rule("behind", somePeerIsAhead),
      rule("wait-for-space", isReady, isFull),
      // It became ready when the state of every peer was known, or when an operator vouched for the others.
      rule("reopen", isReady, somethingIsUnknown, hasReplica),
      rule("wait-for-peers", somethingIsUnknown),
      rule("wait-for-release", isHeld),
      rule("wait-for-replica", isReady, lacksReplica),
      rule("ready", isClosed, lacksReplica),
      rule("ready", isClosed, isFull),
      rule("reopen"),
    ],
  },
  {
    title: "A replica without a primary",
    when: [],
    rules: [
      rule("part", receivesFromAnother),
      rule("apply", hasUnapplied),
      // Running replication keeps retrying; stopped replication stays stopped.
      rule("wait-for-primary"),
    ],
  },
];

/** What a database host does next. */
export const decide = firstOutcome(PARTS);
