import { type Decision, decide, PARTS } from "../../agent/decide";
import type { Relation } from "../../agent/relation";
import type { Own, Peer } from "../../agent/state";
import { own as ownOf, peer as peerOf, viewOf } from "./views";

type SomePeer = Partial<Peer> & { relation?: Relation };

/** Case by case: this host is database-<number>, and its own state and its peers' are given. */
interface Case {
  readonly when: string;
  readonly number?: number;
  readonly own: Partial<Own>;
  readonly peers?: readonly SomePeer[];
  readonly decision: Decision;
}

const decided = ({ number = 1, own, peers = [] }: Omit<Case, "when" | "decision">) =>
  decide(
    viewOf(
      ownOf(number, own),
      peers.map((one) => peerOf(one.number ?? 2, one)),
    ),
  );

const empty = { state: "empty" } as const;
const gone = { state: "unknown", relation: "unknown" } as const;
const primary1 = { number: 1, writability: "open", term: 1, primary: "database-1" } as const;
const replica = { term: 1, primary: "database-1" } as const;
const following = { ...replica, source: "database-1", replication: "running" } as const;

const CASES: readonly Case[] = [
  // The server.
  { when: "the server does not answer", own: { state: "unknown" }, decision: "wait-for-server" },
  {
    when: "the server does not answer and a peer is primary",
    number: 2,
    own: { state: "unknown" },
    peers: [primary1],
    decision: "wait-for-server",
  },

  // Empty.
  { when: "empty and alone", own: empty, decision: "found" },
  {
    when: "empty, as its only peer, with the lower number",
    own: empty,
    peers: [empty],
    decision: "found",
  },
  {
    when: "empty, as its only peer, with the higher number",
    number: 2,
    own: empty,
    peers: [{ ...empty, number: 1 }],
    decision: "wait-for-founder",
  },
  {
    when: "empty, as all peers, with a number compared as a number",
    number: 2,
    own: empty,
    peers: [{ ...empty, number: 10 }],
    decision: "found",
  },
  { when: "empty, a peer unreachable", own: empty, peers: [gone], decision: "wait-for-peers" },
  {
    when: "empty, one peer empty and one unreachable",
    own: empty,
    peers: [empty, { ...gone, number: 3 }],
    decision: "wait-for-peers",
  },
  {
    when: "empty, a peer holds data and is closed",
    own: empty,
    peers: [{ term: 1, primary: "database-1" }],
    decision: "wait-for-primary",
  },
  {
    when: "empty, a peer holds data and another is unreachable",
    own: empty,
    peers: [
      { term: 1, primary: "database-1" },
      { ...gone, number: 3 },
    ],
    decision: "wait-for-primary",
  },
  {
    when: "empty, a peer's clone was interrupted",
    own: empty,
    peers: [{ state: "partial" }],
    decision: "wait-for-primary",
  },
  { when: "empty, a peer is primary", number: 2, own: empty, peers: [primary1], decision: "clone" },
  {
    when: "empty, a peer is primary and another unreachable",
    number: 2,
    own: empty,
    peers: [primary1, { ...gone, number: 3 }],
    decision: "clone",
  },
  {
    when: "empty, a peer is open but another one's term is its newest",
    number: 3,
    own: empty,
    peers: [{ ...primary1, primary: "database-2" }],
    decision: "wait-for-primary",
  },
  { when: "empty and open", own: { ...empty, writability: "open" }, decision: "close" },

  // Interrupted clone.
  {
    when: "partial, a peer is primary",
    number: 2,
    own: { state: "partial" },
    peers: [primary1],
    decision: "clone",
  },
  {
    when: "partial, all peers empty",
    own: { state: "partial" },
    peers: [empty],
    decision: "wait-for-primary",
  },
  { when: "partial and alone", own: { state: "partial" }, decision: "wait-for-primary" },
  {
    when: "partial, a peer unreachable",
    own: { state: "partial" },
    peers: [gone],
    decision: "wait-for-peers",
  },

  // Open.
  {
    when: "open primary, replica closed",
    own: { writability: "open", ...replica },
    peers: [replica],
    decision: "serve",
  },
  { when: "open primary, alone", own: { writability: "open", ...replica }, decision: "serve" },
  {
    when: "open primary, peer unreachable",
    own: { writability: "open", ...replica },
    peers: [gone],
    decision: "serve",
  },
  {
    when: "open primary, a peer open with a newer term",
    own: { writability: "open", ...replica },
    peers: [{ writability: "open", term: 2, primary: "database-2" }],
    decision: "close",
  },
  {
    when: "open primary, a peer open with an equal term",
    own: { writability: "open", ...replica },
    peers: [{ writability: "open", term: 1, primary: "database-2" }],
    decision: "serve",
  },
  {
    when: "open primary, a peer open with an older term",
    own: { writability: "open", term: 3, primary: "database-1" },
    peers: [{ writability: "open", term: 2, primary: "database-2" }],
    decision: "serve",
  },
  {
    when: "open primary, a closed peer knows a newer term",
    own: { writability: "open", ...replica },
    peers: [{ term: 2, primary: "database-2" }],
    decision: "serve",
  },
  {
    when: "open, though another is primary",
    number: 2,
    own: { writability: "open", ...replica },
    peers: [gone],
    decision: "close",
  },
  {
    when: "open, and set to replicate",
    own: { writability: "open", ...replica, source: "database-2" },
    peers: [],
    decision: "close",
  },

  // Closed, primary by its own newest term.
  { when: "closed primary, alone", own: replica, decision: "reopen" },
  { when: "closed primary, replica closed", own: replica, peers: [replica], decision: "reopen" },
  {
    when: "closed primary, replica closed and behind",
    own: replica,
    peers: [{ ...replica, relation: "behind" }],
    decision: "reopen",
  },
  { when: "closed primary, peer empty", own: replica, peers: [empty], decision: "reopen" },
  {
    when: "closed primary, peer's clone interrupted",
    own: replica,
    peers: [{ state: "partial" }],
    decision: "reopen",
  },
  {
    when: "closed primary, peer unreachable",
    own: replica,
    peers: [gone],
    decision: "wait-for-peers",
  },
  {
    when: "closed primary, one of two peers unreachable",
    own: replica,
    peers: [replica, { ...gone, number: 3 }],
    decision: "wait-for-peers",
  },
  {
    when: "closed primary, peer could not be compared",
    own: replica,
    peers: [{ ...replica, relation: "unknown" }],
    decision: "wait-for-peers",
  },
  {
    when: "closed primary, peer has more",
    own: replica,
    peers: [{ ...replica, relation: "ahead" }],
    decision: "behind",
  },
  {
    when: "closed primary, peer diverged",
    own: replica,
    peers: [{ ...replica, relation: "diverged" }],
    decision: "behind",
  },
  {
    when: "closed primary, a closed peer knows a newer term",
    own: replica,
    peers: [{ term: 2, primary: "database-2", relation: "ahead" }],
    decision: "wait-for-primary",
  },
  {
    when: "closed primary, a peer open with an older term",
    own: { term: 2, primary: "database-1" },
    peers: [{ writability: "open", term: 1, primary: "database-2" }],
    decision: "wait-for-close",
  },
  {
    when: "closed primary, held by a person",
    own: { ...replica, isHeld: true },
    peers: [replica],
    decision: "wait-for-release",
  },
  {
    when: "closed primary, a peer open with a newer term which has all of ours",
    own: replica,
    peers: [{ writability: "open", term: 2, primary: "database-2", relation: "ahead" }],
    decision: "join",
  },
  {
    when: "closed primary, a peer open with a newer term, and we hold more",
    own: replica,
    peers: [{ writability: "open", term: 2, primary: "database-2", relation: "diverged" }],
    decision: "set-aside",
  },
  {
    when: "closed primary, a peer open with a newer term, and we hold all it has and more",
    own: replica,
    peers: [{ writability: "open", term: 2, primary: "database-2", relation: "behind" }],
    decision: "set-aside",
  },
  {
    when: "closed primary held by a person, a peer open with a newer term",
    own: { ...replica, isHeld: true },
    peers: [{ writability: "open", term: 2, primary: "database-2", relation: "same" }],
    decision: "join",
  },

  // Lossless: a primary opens when a replica acknowledges.
  {
    when: "closed primary, no replica acknowledges",
    own: { ...replica, lacksReplica: true },
    peers: [empty],
    decision: "ready",
  },
  {
    when: "closed primary, no replica acknowledges, a peer unreachable",
    own: { ...replica, lacksReplica: true },
    peers: [gone],
    decision: "wait-for-peers",
  },
  {
    when: "ready primary, no replica acknowledges",
    own: { ...replica, writability: "ready", lacksReplica: true },
    peers: [empty],
    decision: "wait-for-replica",
  },
  {
    when: "ready primary, its replica restarts",
    own: { ...replica, writability: "ready", lacksReplica: true },
    peers: [gone],
    decision: "wait-for-peers",
  },
  {
    when: "ready primary, a replica acknowledges",
    own: { ...replica, writability: "ready" },
    peers: [replica],
    decision: "reopen",
  },
  {
    when: "ready primary, promoted while another was lost, a replica acknowledges",
    own: { ...replica, writability: "ready" },
    peers: [replica, { ...gone, number: 3 }],
    decision: "reopen",
  },
  {
    when: "ready primary, one peer lost and another has more",
    own: { ...replica, writability: "ready" },
    peers: [
      { ...replica, relation: "ahead" },
      { ...gone, number: 3 },
    ],
    decision: "close",
  },
  {
    when: "ready primary, a peer ready with a newer term",
    own: { ...replica, writability: "ready" },
    peers: [{ writability: "ready", term: 2, primary: "database-2" }],
    decision: "close",
  },
  {
    when: "ready primary, a closed peer has more",
    own: { ...replica, writability: "ready" },
    peers: [{ ...replica, relation: "ahead" }],
    decision: "close",
  },
  {
    when: "open primary, no replica acknowledges, the peer is empty",
    own: { ...replica, writability: "open", lacksReplica: true },
    peers: [empty],
    decision: "retreat",
  },
  {
    when: "open primary, no replica acknowledges, the peer is away",
    own: { ...replica, writability: "open", lacksReplica: true },
    peers: [gone],
    decision: "serve",
  },
  {
    when: "open primary, no replica acknowledges, one peer is empty and one away",
    own: { ...replica, writability: "open", lacksReplica: true },
    peers: [empty, { ...gone, number: 3 }],
    decision: "serve",
  },
  {
    when: "open primary, no replica acknowledges, the replica comes back",
    own: { ...replica, writability: "open", lacksReplica: true },
    peers: [replica],
    decision: "serve",
  },
  {
    when: "empty, the primary is ready",
    number: 2,
    own: empty,
    peers: [{ ...primary1, writability: "ready" }],
    decision: "clone",
  },
  {
    when: "replica after a restart, the primary is ready",
    number: 2,
    own: replica,
    peers: [{ ...primary1, writability: "ready" }],
    decision: "join",
  },
  {
    when: "ready, though another is primary",
    number: 2,
    own: { ...following, writability: "ready" },
    peers: [primary1],
    decision: "close",
  },
  {
    when: "empty and ready: it was interrupted while it founded",
    own: { ...empty, writability: "ready" },
    peers: [empty],
    decision: "found",
  },

  // Closed, another is primary.
  { when: "replica, running", number: 2, own: following, peers: [primary1], decision: "follow" },
  {
    when: "replica, running, its newest transactions not yet in the source's answer",
    number: 2,
    own: following,
    peers: [{ ...primary1, relation: "behind" }],
    decision: "follow",
  },
  {
    when: "replica, stopped",
    number: 2,
    own: { ...following, replication: "stopped" },
    peers: [primary1],
    decision: "join",
  },
  {
    when: "replica, after a restart",
    number: 2,
    own: replica,
    peers: [{ ...primary1, relation: "ahead" }],
    decision: "join",
  },
  {
    when: "replica, away for too long",
    number: 2,
    own: replica,
    peers: [{ ...primary1, relation: "purged" }],
    decision: "clone",
  },
  {
    when: "replica, with more than the primary has",
    number: 2,
    own: replica,
    peers: [{ ...primary1, relation: "behind" }],
    decision: "errant",
  },
  {
    when: "replica, running, written to by itself",
    number: 2,
    own: following,
    peers: [{ ...primary1, relation: "strayed" }],
    decision: "set-aside",
  },
  {
    when: "replica, after a restart, written to by itself",
    number: 2,
    own: replica,
    peers: [{ ...primary1, relation: "strayed" }],
    decision: "set-aside",
  },
  {
    when: "replica, written to by itself, no primary",
    number: 2,
    own: following,
    peers: [{ ...primary1, writability: "closed", relation: "strayed" }],
    decision: "wait-for-primary",
  },
  {
    when: "replica, running, with transactions of its own that change no row",
    number: 2,
    own: following,
    peers: [{ ...primary1, relation: "rowless" }],
    decision: "skip",
  },
  {
    when: "replica, with more than the primary has, none of which changes a row",
    number: 2,
    own: replica,
    peers: [{ ...primary1, relation: "rowless" }],
    decision: "skip",
  },
  {
    when: "the old primary, with more than the new one has, none of which changes a row",
    number: 2,
    own: { term: 1, primary: "database-2" },
    peers: [{ ...primary1, term: 2, relation: "rowless" }],
    decision: "skip",
  },
  {
    when: "replica, after a restart, not all applied that it received",
    number: 2,
    own: { ...following, replication: "stopped", hasApplied: false },
    peers: [{ ...primary1, relation: "ahead" }],
    decision: "apply",
  },
  {
    when: "replica, after a restart, not all applied that it received, and the primary is gone",
    number: 2,
    own: { ...following, replication: "stopped", hasApplied: false },
    peers: [gone],
    decision: "apply",
  },
  {
    when: "replica, after a restart, not all applied, and another was promoted without it",
    number: 2,
    own: { ...following, replication: "stopped", hasApplied: false },
    peers: [
      { writability: "open", term: 2, primary: "database-3", number: 3, relation: "diverged" },
    ],
    decision: "apply",
  },
  {
    when: "replica, running, not all applied that it received",
    number: 2,
    own: { ...following, hasApplied: false },
    peers: [primary1],
    decision: "follow",
  },
  {
    when: "replica, running, not all applied that it received, and the primary is gone",
    number: 2,
    own: { ...following, hasApplied: false },
    peers: [gone],
    decision: "wait-for-primary",
  },
  {
    when: "replica, not all applied that it received, because it does not fit its data",
    number: 2,
    own: { ...following, replication: "failed", hasApplied: false },
    peers: [{ ...primary1, relation: "ahead" }],
    decision: "clone",
  },
  {
    when: "replica, what arrives does not fit its data",
    number: 2,
    own: { ...following, replication: "failed" },
    peers: [{ ...primary1, relation: "ahead" }],
    decision: "clone",
  },
  {
    when: "replica, what arrives does not fit its data, and it holds more than the primary",
    number: 2,
    own: { ...following, replication: "failed" },
    peers: [{ ...primary1, relation: "diverged" }],
    decision: "errant",
  },
  {
    when: "replica, what arrives does not fit its data, no primary",
    number: 2,
    own: { ...following, replication: "failed" },
    peers: [gone],
    decision: "wait-for-primary",
  },
  {
    when: "replica, no room",
    number: 2,
    own: { ...following, hasRoom: false },
    peers: [primary1],
    decision: "follow",
  },

  // No room for more.
  {
    when: "open primary, no room",
    own: { ...replica, writability: "open", hasRoom: false },
    peers: [replica],
    decision: "wait-for-space",
  },
  {
    when: "open primary, no room, its replica away",
    own: { ...replica, writability: "open", hasRoom: false },
    peers: [gone],
    decision: "wait-for-space",
  },
  {
    when: "ready primary, no room",
    own: { ...replica, writability: "ready", hasRoom: false },
    peers: [replica],
    decision: "wait-for-space",
  },
  {
    when: "ready primary, no room, its replica away",
    own: { ...replica, writability: "ready", hasRoom: false },
    peers: [gone],
    decision: "wait-for-space",
  },
  {
    when: "ready primary, room again, its replica away",
    own: { ...replica, writability: "ready" },
    peers: [gone],
    decision: "reopen",
  },
  {
    when: "closed primary, no room",
    own: { ...replica, hasRoom: false },
    peers: [replica],
    decision: "ready",
  },
  {
    when: "closed primary, no room, its replica away",
    own: { ...replica, hasRoom: false },
    peers: [gone],
    decision: "wait-for-peers",
  },
  {
    when: "ready primary, no room, a peer open with a newer term",
    own: { ...replica, writability: "ready", hasRoom: false },
    peers: [{ writability: "open", term: 2, primary: "database-2" }],
    decision: "close",
  },

  {
    when: "replica, not compared",
    number: 2,
    own: replica,
    peers: [{ ...primary1, relation: "unknown" }],
    decision: "wait-for-primary",
  },
  {
    when: "replica, source gone",
    number: 2,
    own: following,
    peers: [gone],
    decision: "wait-for-primary",
  },
  {
    when: "replica, primary closed",
    number: 2,
    own: following,
    peers: [{ ...primary1, writability: "closed" }],
    decision: "wait-for-primary",
  },
  {
    when: "replica, another peer open with a newer term",
    number: 3,
    own: following,
    peers: [
      { ...gone, number: 1 },
      { writability: "open", term: 2, primary: "database-2", relation: "same" },
    ],
    decision: "join",
  },
  {
    when: "replica, two open, the newer term wins",
    number: 3,
    own: following,
    peers: [primary1, { writability: "open", term: 2, primary: "database-2", relation: "ahead" }],
    decision: "join",
  },
  {
    when: "replica, only an older term is open",
    number: 3,
    own: { term: 2, primary: "database-2" },
    peers: [primary1, { ...gone, number: 2 }],
    decision: "wait-for-primary",
  },
  {
    when: "replica, its primary is open by an older term",
    number: 2,
    own: { term: 3, primary: "database-1" },
    peers: [primary1],
    decision: "wait-for-primary",
  },
  {
    when: "replica, an equal term names another host",
    number: 3,
    own: replica,
    peers: [{ writability: "open", term: 1, primary: "database-2" }],
    decision: "wait-for-primary",
  },

  // With a record of the primary.
  {
    when: "empty, as its only peer, and there is a record",
    own: { ...empty, right: "barred" },
    peers: [empty],
    decision: "wait-for-record",
  },
  {
    when: "open, its lease has ended",
    own: { ...replica, writability: "open", right: "barred" },
    peers: [replica],
    decision: "close",
  },
  {
    when: "open, with its lease",
    own: { ...replica, writability: "open", right: "held" },
    peers: [gone],
    decision: "serve",
  },
  {
    when: "open, with its lease, a peer open with a newer term",
    own: { ...replica, writability: "open", right: "held" },
    peers: [{ writability: "open", term: 2, primary: "database-2" }],
    decision: "close",
  },
  {
    when: "closed primary, with its lease, its peer away",
    own: { ...replica, right: "held" },
    peers: [gone],
    decision: "reopen",
  },
  {
    when: "closed primary, with its lease, a peer closed and ahead",
    own: { ...replica, right: "held" },
    peers: [{ ...replica, relation: "ahead" }],
    decision: "reopen",
  },
  {
    when: "closed primary without a lease, its peer closed",
    own: { ...replica, right: "pending" },
    peers: [replica],
    decision: "wait-for-record",
  },
  {
    when: "closed primary, the record names another",
    own: { ...replica, right: "barred" },
    peers: [gone],
    decision: "wait-for-record",
  },
  {
    when: "closed primary, with its lease, held",
    own: { ...replica, right: "held", isHeld: true },
    peers: [replica],
    decision: "wait-for-release",
  },
  {
    when: "closed primary, with its lease, lossless, no replica",
    own: { ...replica, right: "held", lacksReplica: true },
    peers: [gone],
    decision: "ready",
  },
  {
    when: "ready primary, with its lease, lossless, no replica",
    own: { ...replica, writability: "ready", right: "held", lacksReplica: true },
    peers: [gone],
    decision: "wait-for-replica",
  },
  {
    when: "ready primary, with its lease, no room",
    own: { ...replica, writability: "ready", right: "held", hasRoom: false },
    peers: [replica],
    decision: "wait-for-space",
  },
  {
    when: "closed primary, with its lease, no room",
    own: { ...replica, right: "held", hasRoom: false },
    peers: [replica],
    decision: "ready",
  },
  {
    when: "ready primary without a lease, a peer away",
    own: { ...replica, writability: "ready", right: "pending" },
    peers: [gone],
    decision: "wait-for-record",
  },
  {
    when: "replica, the record names another than its source",
    number: 2,
    own: { ...following, right: "barred", holder: "database-3" },
    peers: [gone],
    decision: "part",
  },
  {
    when: "replica, the record names its source",
    number: 2,
    own: { ...following, right: "barred", holder: "database-1" },
    peers: [gone],
    decision: "wait-for-primary",
  },
  {
    when: "replica, stopped, with a transaction that waits at the primary",
    number: 2,
    own: { ...replica, right: "barred", holder: "database-1" },
    peers: [{ ...primary1, relation: "behind" }],
    decision: "join",
  },
];

describe("what a database host decides", () => {
  it.each(CASES)("$when: $decision", ({ decision, ...one }) => {
    expect(decided(one)).toBe(decision);
  });

  it("opens nothing while any peer is unknown", () => {
    const states = ["empty", "partial", "member"] as const;
    const opened = states.flatMap((state) =>
      [true, false].flatMap((isHeld) =>
        states.map((other) =>
          decided({
            own: { state, isHeld, term: 1, primary: "database-1" },
            peers: [gone, { number: 3, state: other, term: 1, primary: "database-1" }],
          }),
        ),
      ),
    );
    expect(opened.filter((decision) => decision === "found" || decision === "reopen")).toEqual([]);
  });

  it("opens nothing without a lease where there is a record", () => {
    const opened = (["pending", "barred"] as const).flatMap((right) =>
      (["empty", "member"] as const).flatMap((state) =>
        (["closed", "ready"] as const).flatMap((writability) =>
          [empty, replica, gone].map((other) =>
            decided({ own: { ...replica, state, writability, right }, peers: [other] }),
          ),
        ),
      ),
    );
    expect(opened.filter((one) => ["found", "reopen", "ready"].includes(one))).toEqual([]);
  });

  it("has a case for every decision of the table, and a rule for every decision", () => {
    const inTable = new Set(PARTS.flatMap(({ rules }) => rules.map(({ outcome }) => outcome)));
    expect([...new Set(CASES.map(({ decision }) => decision))].sort()).toEqual([...inTable].sort());
  });
});
