import { formatGtidSet, parseGtidSet } from "../../agent/gtid-set";
import { compare, type Relation } from "../../agent/relation";
import { type Peer, type ServerState, UNKNOWN_SERVER, unknownPeer } from "../../agent/state";

const HERE = "11111111-e9b7-11f1-85da-10666a30aade";
const THERE = "22222222-e9b7-11f1-85da-10666a30aade";
const THIRD = "33333333-e9b7-11f1-85da-10666a30aade";

/** This host is database-1; the peer, database-2, is primary by the term that both know. */
function compared(
  here: { executed: string; received?: string } & Partial<
    Pick<ServerState, "term" | "primary" | "state">
  >,
  there: { executed: string; purged?: string } & Partial<Pick<Peer, "term" | "state">>,
) {
  const own: ServerState = {
    ...UNKNOWN_SERVER,
    state: "member",
    term: 1,
    primary: "database-2",
    serverUuid: HERE,
    ...here,
    executed: parseGtidSet(here.executed),
    received: parseGtidSet(here.received ?? ""),
  };
  const peer: Peer = {
    ...unknownPeer("database-2"),
    state: "member",
    term: 1,
    primary: "database-2",
    serverUuid: THERE,
    ...there,
    executed: parseGtidSet(there.executed),
    purged: parseGtidSet(there.purged ?? ""),
  };
  return compare(own, "database-1", peer);
}

describe("how a peer's transactions relate to this host's", () => {
  test.each<[Relation, string, string, string, string]>([
    ["same", "both hold the same", `${THERE}:1-5`, `${THERE}:1-5`, ""],
    ["same", "both hold nothing", "", "", ""],
    ["ahead", "it has more", `${THERE}:1-5`, `${THERE}:1-6`, ""],
    ["ahead", "it has more, and the log of that", `${THERE}:1-5`, `${THERE}:1-6`, `${THERE}:1-5`],
    ["purged", "it no longer has the log", `${THERE}:1-4`, `${THERE}:1-6`, `${THERE}:1-5`],
    ["behind", "this host has more", `${THERE}:1-6`, `${THERE}:1-5`, ""],
    ["diverged", "each has some", `${THERE}:1-5,${THIRD}:1`, `${THERE}:1-6`, ""],
    ["strayed", "this host wrote itself", `${THERE}:1-5,${HERE}:1`, `${THERE}:1-6`, ""],
  ])("%s: %s", (relation, _, here, there, purged) => {
    expect(compared({ executed: here }, { executed: there, purged }).relation).toBe(relation);
  });

  test("only transactions that this host wrote have strayed", () => {
    const { relation, extra } = compared(
      { executed: `${THERE}:1-7,${HERE}:1-2` },
      { executed: `${THERE}:1-5,${HERE}:1` },
    );
    expect([relation, formatGtidSet(extra)]).toEqual(["strayed", `${HERE}:2`]);
  });

  test("the primary of the newest term does not lack a peer's own transactions", () => {
    const own = { executed: `${HERE}:1-5`, term: 2, primary: "database-1" };
    const there = { executed: `${HERE}:1-5,${THERE}:1` };
    expect(compared(own, { ...there, term: 2 }).relation).toBe("same");
    expect(compared(own, { ...there, term: 1 }).relation).toBe("same");
    // But what one wrote that was primary since.
    expect(compared(own, { ...there, term: 3 }).relation).toBe("ahead");
    expect(compared(own, { executed: `${HERE}:1-5,${THIRD}:1` }).relation).toBe("ahead");
  });

  test.each(["empty", "partial", "unknown"] as const)(
    "nothing is known of one that is %s",
    (state) => {
      expect(compared({ executed: "" }, { executed: "", state }).relation).toBe("unknown");
    },
  );

  test("nothing is known if this host's server does not answer", () => {
    expect(compared({ executed: "", state: "unknown" }, { executed: "" }).relation).toBe("unknown");
  });

  test.each([
    ["has been applied", `${THERE}:1-5`, "", true],
    ["is partly still to be applied", `${THERE}:1-3`, `${THERE}:4-5`, true],
    ["has not all arrived", `${THERE}:1-3`, `${THERE}:4`, false],
  ])("whether all has arrived, where it %s", (_, executed, received, hasReceivedAll) => {
    expect(compared({ executed, received }, { executed: `${THERE}:1-5` })).toMatchObject({
      hasReceivedAll,
    });
  });
});
