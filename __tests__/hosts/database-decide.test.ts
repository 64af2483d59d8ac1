import { execFileSync } from "node:child_process";
import { join } from "node:path";

const SCRIPT = join(__dirname, "../../scripts/database/decide.sh");

interface Own {
  state: "unknown" | "empty" | "partial" | "member";
  door: "open" | "ready" | "closed";
  term: number;
  primary: string;
  source: string;
  replication: "running" | "failed" | "stopped";
  held: "held" | "free";
  backing: "backed" | "alone";
  space: "room" | "full";
  receipt: "applied" | "unapplied";
}

interface Peer extends Pick<Own, "state" | "door" | "term" | "primary"> {
  number: number;
  relation: "same" | "ahead" | "behind" | "diverged" | "strayed" | "rowless" | "purged" | "unknown";
}

/** Case by case: this host is database-<number>, and its own state and its peers' are given. */
interface Case {
  readonly when: string;
  readonly number?: number;
  readonly own: Partial<Own>;
  readonly peers?: readonly Partial<Peer>[];
  readonly word: string;
}

function ownLine(number: number, own: Partial<Own>): string {
  return [
    `database-${number}`,
    own.state ?? "member",
    own.door ?? "closed",
    own.term ?? 0,
    own.primary ?? "-",
    own.source ?? "-",
    own.replication ?? "stopped",
    own.held ?? "free",
    own.backing ?? "backed",
    own.space ?? "room",
    own.receipt ?? "applied",
  ].join(",");
}

function peerLine(peer: Partial<Peer>): string {
  return [
    `database-${peer.number ?? 2}`,
    peer.number ?? 2,
    peer.state ?? "member",
    peer.door ?? "closed",
    peer.term ?? 0,
    peer.primary ?? "-",
    peer.relation ?? "same",
  ].join(",");
}

/** Asks the shell function about all cases in one process; a process for each would be slow. */
function decideAll(cases: readonly Case[]): string[] {
  const calls = cases.map(({ number = 1, own, peers = [] }) =>
    ["decide", String(number), ownLine(number, own), ...peers.map(peerLine)]
      .map((word) => `'${word}'`)
      .join(" "),
  );
  const program = `set -euo pipefail\nsource '${SCRIPT}'\n${calls.join("\n")}\n`;
  return execFileSync("bash", { input: program, encoding: "utf8" }).trimEnd().split("\n");
}

const empty = { state: "empty" } as const;
const gone = { state: "unknown", relation: "unknown" } as const;
const primary1 = { number: 1, door: "open", term: 1, primary: "database-1" } as const;
const replica = { term: 1, primary: "database-1" } as const;
const following = { ...replica, source: "database-1", replication: "running" } as const;

const CASES: readonly Case[] = [
  // The server.
  { when: "the server does not answer", own: { state: "unknown" }, word: "wait-for-server" },
  {
    when: "the server does not answer and a peer is primary",
    number: 2,
    own: { state: "unknown" },
    peers: [primary1],
    word: "wait-for-server",
  },

  // Empty.
  { when: "empty and alone", own: empty, word: "found" },
  {
    when: "empty, as its only peer, with the lower number",
    own: empty,
    peers: [empty],
    word: "found",
  },
  {
    when: "empty, as its only peer, with the higher number",
    number: 2,
    own: empty,
    peers: [{ ...empty, number: 1 }],
    word: "wait-for-founder",
  },
  {
    when: "empty, as all peers, with a number compared as a number",
    number: 2,
    own: empty,
    peers: [{ ...empty, number: 10 }],
    word: "found",
  },
  { when: "empty, a peer unreachable", own: empty, peers: [gone], word: "wait-for-peers" },
  {
    when: "empty, one peer empty and one unreachable",
    own: empty,
    peers: [empty, { ...gone, number: 3 }],
    word: "wait-for-peers",
  },
  {
    when: "empty, a peer holds data and is closed",
    own: empty,
    peers: [{ term: 1, primary: "database-1" }],
    word: "wait-for-primary",
  },
  {
    when: "empty, a peer holds data and another is unreachable",
    own: empty,
    peers: [
      { term: 1, primary: "database-1" },
      { ...gone, number: 3 },
    ],
    word: "wait-for-primary",
  },
  {
    when: "empty, a peer's clone was interrupted",
    own: empty,
    peers: [{ state: "partial" }],
    word: "wait-for-primary",
  },
  { when: "empty, a peer is primary", number: 2, own: empty, peers: [primary1], word: "clone" },
  {
    when: "empty, a peer is primary and another unreachable",
    number: 2,
    own: empty,
    peers: [primary1, { ...gone, number: 3 }],
    word: "clone",
  },
  {
    when: "empty, a peer is open but another one's term is its newest",
    number: 3,
    own: empty,
    peers: [{ ...primary1, primary: "database-2" }],
    word: "wait-for-primary",
  },
  { when: "empty and open", own: { ...empty, door: "open" }, word: "close" },

  // Interrupted clone.
  {
    when: "partial, a peer is primary",
    number: 2,
    own: { state: "partial" },
    peers: [primary1],
    word: "clone",
  },
  {
    when: "partial, all peers empty",
    own: { state: "partial" },
    peers: [empty],
    word: "wait-for-primary",
  },
  { when: "partial and alone", own: { state: "partial" }, word: "wait-for-primary" },
  {
    when: "partial, a peer unreachable",
    own: { state: "partial" },
    peers: [gone],
    word: "wait-for-peers",
  },

  // Open.
  {
    when: "open primary, replica closed",
    own: { door: "open", ...replica },
    peers: [replica],
    word: "serve",
  },
  { when: "open primary, alone", own: { door: "open", ...replica }, word: "serve" },
  {
    when: "open primary, peer unreachable",
    own: { door: "open", ...replica },
    peers: [gone],
    word: "serve",
  },
  {
    when: "open primary, a peer open with a newer term",
    own: { door: "open", ...replica },
    peers: [{ door: "open", term: 2, primary: "database-2" }],
    word: "close",
  },
  {
    when: "open primary, a peer open with an equal term",
    own: { door: "open", ...replica },
    peers: [{ door: "open", term: 1, primary: "database-2" }],
    word: "serve",
  },
  {
    when: "open primary, a peer open with an older term",
    own: { door: "open", term: 3, primary: "database-1" },
    peers: [{ door: "open", term: 2, primary: "database-2" }],
    word: "serve",
  },
  {
    when: "open primary, a closed peer knows a newer term",
    own: { door: "open", ...replica },
    peers: [{ term: 2, primary: "database-2" }],
    word: "serve",
  },
  {
    when: "open, though another is primary",
    number: 2,
    own: { door: "open", ...replica },
    peers: [gone],
    word: "close",
  },
  {
    when: "open, and set to replicate",
    own: { door: "open", ...replica, source: "database-2" },
    peers: [],
    word: "close",
  },

  // Closed, primary by its own newest term.
  { when: "closed primary, alone", own: replica, word: "reopen" },
  { when: "closed primary, replica closed", own: replica, peers: [replica], word: "reopen" },
  {
    when: "closed primary, replica closed and behind",
    own: replica,
    peers: [{ ...replica, relation: "behind" }],
    word: "reopen",
  },
  { when: "closed primary, peer empty", own: replica, peers: [empty], word: "reopen" },
  {
    when: "closed primary, peer's clone interrupted",
    own: replica,
    peers: [{ state: "partial" }],
    word: "reopen",
  },
  { when: "closed primary, peer unreachable", own: replica, peers: [gone], word: "wait-for-peers" },
  {
    when: "closed primary, one of two peers unreachable",
    own: replica,
    peers: [replica, { ...gone, number: 3 }],
    word: "wait-for-peers",
  },
  {
    when: "closed primary, peer could not be compared",
    own: replica,
    peers: [{ ...replica, relation: "unknown" }],
    word: "wait-for-peers",
  },
  {
    when: "closed primary, peer has more",
    own: replica,
    peers: [{ ...replica, relation: "ahead" }],
    word: "behind",
  },
  {
    when: "closed primary, peer diverged",
    own: replica,
    peers: [{ ...replica, relation: "diverged" }],
    word: "behind",
  },
  {
    when: "closed primary, a closed peer knows a newer term",
    own: replica,
    peers: [{ term: 2, primary: "database-2", relation: "ahead" }],
    word: "wait-for-primary",
  },
  {
    when: "closed primary, a peer open with an older term",
    own: { term: 2, primary: "database-1" },
    peers: [{ door: "open", term: 1, primary: "database-2" }],
    word: "wait-for-close",
  },
  {
    when: "closed primary, held by a person",
    own: { ...replica, held: "held" },
    peers: [replica],
    word: "wait-for-release",
  },
  {
    when: "closed primary, a peer open with a newer term which has all of ours",
    own: replica,
    peers: [{ door: "open", term: 2, primary: "database-2", relation: "ahead" }],
    word: "join",
  },
  {
    when: "closed primary, a peer open with a newer term, and we hold more",
    own: replica,
    peers: [{ door: "open", term: 2, primary: "database-2", relation: "diverged" }],
    word: "set-aside",
  },
  {
    when: "closed primary, a peer open with a newer term, and we hold all it has and more",
    own: replica,
    peers: [{ door: "open", term: 2, primary: "database-2", relation: "behind" }],
    word: "set-aside",
  },
  {
    when: "closed primary held by a person, a peer open with a newer term",
    own: { ...replica, held: "held" },
    peers: [{ door: "open", term: 2, primary: "database-2", relation: "same" }],
    word: "join",
  },

  // Lossless: a primary opens when a replica acknowledges.
  {
    when: "closed primary, no replica acknowledges",
    own: { ...replica, backing: "alone" },
    peers: [empty],
    word: "ready",
  },
  {
    when: "closed primary, no replica acknowledges, a peer unreachable",
    own: { ...replica, backing: "alone" },
    peers: [gone],
    word: "wait-for-peers",
  },
  {
    when: "ready primary, no replica acknowledges",
    own: { ...replica, door: "ready", backing: "alone" },
    peers: [empty],
    word: "wait-for-replica",
  },
  {
    when: "ready primary, its replica restarts",
    own: { ...replica, door: "ready", backing: "alone" },
    peers: [gone],
    word: "wait-for-peers",
  },
  {
    when: "ready primary, a replica acknowledges",
    own: { ...replica, door: "ready" },
    peers: [replica],
    word: "reopen",
  },
  {
    when: "ready primary, promoted while another was lost, a replica acknowledges",
    own: { ...replica, door: "ready" },
    peers: [replica, { ...gone, number: 3 }],
    word: "reopen",
  },
  {
    when: "ready primary, one peer lost and another has more",
    own: { ...replica, door: "ready" },
    peers: [
      { ...replica, relation: "ahead" },
      { ...gone, number: 3 },
    ],
    word: "close",
  },
  {
    when: "ready primary, a peer ready with a newer term",
    own: { ...replica, door: "ready" },
    peers: [{ door: "ready", term: 2, primary: "database-2" }],
    word: "close",
  },
  {
    when: "ready primary, a closed peer has more",
    own: { ...replica, door: "ready" },
    peers: [{ ...replica, relation: "ahead" }],
    word: "close",
  },
  {
    when: "open primary, no replica acknowledges, the peer is empty",
    own: { ...replica, door: "open", backing: "alone" },
    peers: [empty],
    word: "retreat",
  },
  {
    when: "open primary, no replica acknowledges, the peer is away",
    own: { ...replica, door: "open", backing: "alone" },
    peers: [gone],
    word: "serve",
  },
  {
    when: "open primary, no replica acknowledges, one peer is empty and one away",
    own: { ...replica, door: "open", backing: "alone" },
    peers: [empty, { ...gone, number: 3 }],
    word: "serve",
  },
  {
    when: "open primary, no replica acknowledges, the replica comes back",
    own: { ...replica, door: "open", backing: "alone" },
    peers: [replica],
    word: "serve",
  },
  {
    when: "empty, the primary is ready",
    number: 2,
    own: empty,
    peers: [{ ...primary1, door: "ready" }],
    word: "clone",
  },
  {
    when: "replica after a restart, the primary is ready",
    number: 2,
    own: replica,
    peers: [{ ...primary1, door: "ready" }],
    word: "join",
  },
  {
    when: "ready, though another is primary",
    number: 2,
    own: { ...following, door: "ready" },
    peers: [primary1],
    word: "close",
  },
  {
    when: "empty and ready: it was interrupted while it founded",
    own: { ...empty, door: "ready" },
    peers: [empty],
    word: "found",
  },

  // Closed, another is primary.
  { when: "replica, running", number: 2, own: following, peers: [primary1], word: "follow" },
  {
    when: "replica, running, its newest transactions not yet in the source's answer",
    number: 2,
    own: following,
    peers: [{ ...primary1, relation: "behind" }],
    word: "follow",
  },
  {
    when: "replica, stopped",
    number: 2,
    own: { ...following, replication: "stopped" },
    peers: [primary1],
    word: "join",
  },
  {
    when: "replica, after a restart",
    number: 2,
    own: replica,
    peers: [{ ...primary1, relation: "ahead" }],
    word: "join",
  },
  {
    when: "replica, away for too long",
    number: 2,
    own: replica,
    peers: [{ ...primary1, relation: "purged" }],
    word: "clone",
  },
  {
    when: "replica, with more than the primary has",
    number: 2,
    own: replica,
    peers: [{ ...primary1, relation: "behind" }],
    word: "errant",
  },
  {
    when: "replica, running, written to by itself",
    number: 2,
    own: following,
    peers: [{ ...primary1, relation: "strayed" }],
    word: "set-aside",
  },
  {
    when: "replica, after a restart, written to by itself",
    number: 2,
    own: replica,
    peers: [{ ...primary1, relation: "strayed" }],
    word: "set-aside",
  },
  {
    when: "replica, written to by itself, no primary",
    number: 2,
    own: following,
    peers: [{ ...primary1, door: "closed", relation: "strayed" }],
    word: "wait-for-primary",
  },
  {
    when: "replica, running, with transactions of its own that change no row",
    number: 2,
    own: following,
    peers: [{ ...primary1, relation: "rowless" }],
    word: "skip",
  },
  {
    when: "replica, with more than the primary has, none of which changes a row",
    number: 2,
    own: replica,
    peers: [{ ...primary1, relation: "rowless" }],
    word: "skip",
  },
  {
    when: "the old primary, with more than the new one has, none of which changes a row",
    number: 2,
    own: { term: 1, primary: "database-2" },
    peers: [{ ...primary1, term: 2, relation: "rowless" }],
    word: "skip",
  },
  {
    when: "replica, after a restart, not all applied that it received",
    number: 2,
    own: { ...following, replication: "stopped", receipt: "unapplied" },
    peers: [{ ...primary1, relation: "ahead" }],
    word: "apply",
  },
  {
    when: "replica, after a restart, not all applied that it received, and the primary is gone",
    number: 2,
    own: { ...following, replication: "stopped", receipt: "unapplied" },
    peers: [gone],
    word: "apply",
  },
  {
    when: "replica, after a restart, not all applied, and another was promoted without it",
    number: 2,
    own: { ...following, replication: "stopped", receipt: "unapplied" },
    peers: [{ door: "open", term: 2, primary: "database-3", number: 3, relation: "diverged" }],
    word: "apply",
  },
  {
    when: "replica, running, not all applied that it received",
    number: 2,
    own: { ...following, receipt: "unapplied" },
    peers: [primary1],
    word: "follow",
  },
  {
    when: "replica, running, not all applied that it received, and the primary is gone",
    number: 2,
    own: { ...following, receipt: "unapplied" },
    peers: [gone],
    word: "wait-for-primary",
  },
  {
    when: "replica, not all applied that it received, because it does not fit its data",
    number: 2,
    own: { ...following, replication: "failed", receipt: "unapplied" },
    peers: [{ ...primary1, relation: "ahead" }],
    word: "clone",
  },
  {
    when: "replica, what arrives does not fit its data",
    number: 2,
    own: { ...following, replication: "failed" },
    peers: [{ ...primary1, relation: "ahead" }],
    word: "clone",
  },
  {
    when: "replica, what arrives does not fit its data, and it holds more than the primary",
    number: 2,
    own: { ...following, replication: "failed" },
    peers: [{ ...primary1, relation: "diverged" }],
    word: "errant",
  },
  {
    when: "replica, what arrives does not fit its data, no primary",
    number: 2,
    own: { ...following, replication: "failed" },
    peers: [gone],
    word: "wait-for-primary",
  },
  {
    when: "replica, no room",
    number: 2,
    own: { ...following, space: "full" },
    peers: [primary1],
    word: "follow",
  },

  // No room for more.
  {
    when: "open primary, no room",
    own: { ...replica, door: "open", space: "full" },
    peers: [replica],
    word: "wait-for-space",
  },
  {
    when: "open primary, no room, its replica away",
    own: { ...replica, door: "open", space: "full" },
    peers: [gone],
    word: "wait-for-space",
  },
  {
    when: "ready primary, no room",
    own: { ...replica, door: "ready", space: "full" },
    peers: [replica],
    word: "wait-for-space",
  },
  {
    when: "ready primary, no room, its replica away",
    own: { ...replica, door: "ready", space: "full" },
    peers: [gone],
    word: "wait-for-space",
  },
  {
    when: "ready primary, room again, its replica away",
    own: { ...replica, door: "ready" },
    peers: [gone],
    word: "reopen",
  },
  {
    when: "closed primary, no room",
    own: { ...replica, space: "full" },
    peers: [replica],
    word: "ready",
  },
  {
    when: "closed primary, no room, its replica away",
    own: { ...replica, space: "full" },
    peers: [gone],
    word: "wait-for-peers",
  },
  {
    when: "ready primary, no room, a peer open with a newer term",
    own: { ...replica, door: "ready", space: "full" },
    peers: [{ door: "open", term: 2, primary: "database-2" }],
    word: "close",
  },

  {
    when: "replica, not compared",
    number: 2,
    own: replica,
    peers: [{ ...primary1, relation: "unknown" }],
    word: "wait-for-primary",
  },
  {
    when: "replica, source gone",
    number: 2,
    own: following,
    peers: [gone],
    word: "wait-for-primary",
  },
  {
    when: "replica, primary closed",
    number: 2,
    own: following,
    peers: [{ ...primary1, door: "closed" }],
    word: "wait-for-primary",
  },
  {
    when: "replica, another peer open with a newer term",
    number: 3,
    own: following,
    peers: [
      { ...gone, number: 1 },
      { door: "open", term: 2, primary: "database-2", relation: "same" },
    ],
    word: "join",
  },
  {
    when: "replica, two open, the newer term wins",
    number: 3,
    own: following,
    peers: [primary1, { door: "open", term: 2, primary: "database-2", relation: "ahead" }],
    word: "join",
  },
  {
    when: "replica, only an older term is open",
    number: 3,
    own: { term: 2, primary: "database-2" },
    peers: [primary1, { ...gone, number: 2 }],
    word: "wait-for-primary",
  },
  {
    when: "replica, its primary is open by an older term",
    number: 2,
    own: { term: 3, primary: "database-1" },
    peers: [primary1],
    word: "wait-for-primary",
  },
  {
    when: "replica, an equal term names another host",
    number: 3,
    own: replica,
    peers: [{ door: "open", term: 1, primary: "database-2" }],
    word: "wait-for-primary",
  },
];

describe("what a database host decides", () => {
  const words = decideAll(CASES);

  it.each(CASES.map((one, index) => ({ ...one, decided: words[index] })))(
    "$when: $word",
    ({ word, decided }) => {
      expect(decided).toBe(word);
    },
  );

  it("opens nothing while any peer is unknown", () => {
    const states = ["empty", "partial", "member"] as const;
    const cases = states.flatMap((state) =>
      (["free", "held"] as const).flatMap((held) =>
        states.map((other) => ({
          when: "",
          word: "",
          own: { state, held, term: 1, primary: "database-1" },
          peers: [gone, { number: 3, state: other, term: 1, primary: "database-1" }],
        })),
      ),
    );
    expect(decideAll(cases).filter((word) => word === "found" || word === "reopen")).toEqual([]);
  });
});
