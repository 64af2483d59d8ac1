import { parseGtidSet } from "../../agent/gtid-set";
import { objections as objectionsOf, tableObjections } from "../../agent/objections";
import type { Relation } from "../../agent/relation";
import type { Own, Peer } from "../../agent/state";
import { own as ownOf, peer as peerOf, viewOf } from "./views";

/** This host is database-2; by the newest term it knows, database-1 is primary. */
interface State extends Partial<Own> {
  /** Whether this server has run on since it last had received all that the primary had executed. */
  run?: "same" | "anew";
  /** What the primary last said of its writes: whether they waited for a replica. */
  lastSeen?: "on" | "off" | "never";
  durability?: "available" | "lossless";
  lost?: string[];
}

type SomePeer = Partial<Peer> & { relation?: Relation };

const CAUGHT_UP = { caughtUpWith: "database-1:1" };

/** What speaks against promoting it: what overrides it, the host it is about, and the sentence. */
function objections(state: State, peers: readonly SomePeer[]): string[][] {
  const { run = "same", lastSeen = "on", durability = "available", lost = [], ...own } = state;
  const view = viewOf(
    ownOf(2, {
      term: 1,
      primary: "database-1",
      source: "database-1",
      replication: "running",
      ...own,
    }),
    peers.map(({ name = "database-1", ...peer }) =>
      peerOf(Number(name.slice(-1)), { term: 1, primary: "database-1", ...CAUGHT_UP, ...peer }),
    ),
  );
  return objectionsOf(view, {
    lost,
    durability,
    lastSeenSemiSync: lastSeen === "never" ? undefined : lastSeen === "on",
    hasRunOn: run === "same",
  }).map(({ override, host, sentence }) => [override, host, sentence]);
}

/** The same, without the sentences. */
const overrides = (own: State, peers: readonly SomePeer[]) =>
  objections(own, peers).map(([kind, host]) => `${kind} ${host}`);

const gone = { state: "unknown", relation: "unknown" } as const;
const third = { name: "database-3" } as const;

describe("no objection", () => {
  test.each<[string, State, SomePeer[]]>([
    ["the primary is closed, and has nothing more", {}, [{}]],
    ["the primary is closed, and has less", {}, [{ relation: "behind" }]],
    ["the primary has lost its data", {}, [{ state: "empty", relation: "unknown" }]],
    ["somebody vouches for the primary, whose writes waited", { lost: ["database-1"] }, [gone]],
    [
      "somebody vouches for the primary, and durability is lossless",
      { lost: ["database-1"], durability: "lossless", lastSeen: "never" },
      [gone],
    ],
    [
      "the old primary, of an older term, holds more",
      { term: 2, primary: "database-3" },
      [{ relation: "diverged" }, { ...third, term: 2, primary: "database-3" }],
    ],
    [
      "this host is primary by its own term",
      { primary: "database-2", lost: ["database-1"], lastSeen: "never" },
      [gone],
    ],
    [
      "another replica is closed, and has less",
      { lost: ["database-1"] },
      [gone, { ...third, relation: "behind" }],
    ],
  ])("%s", (_, own, peers) => {
    expect(objections(own, peers)).toEqual([]);
  });
});

describe("objections that cannot be overridden", () => {
  test.each<[string, State, SomePeer[], string]>([
    ["this host has no data", { state: "empty" }, [{}], "database-2"],
    ["a clone was interrupted here", { state: "partial" }, [{}], "database-2"],
    ["its server does not answer", { state: "unknown" }, [{}], "database-2"],
    ["the primary is open", {}, [{ writability: "open" }], "database-1"],
    ["the primary is ready", {}, [{ writability: "ready" }], "database-1"],
    [
      "a host is open that is not primary",
      {},
      [{}, { ...third, writability: "open" }],
      "database-3",
    ],
    [
      "a peer knows a newer promotion",
      { replication: "stopped" },
      [{ term: 2, primary: "database-3" }],
      "database-1",
    ],
  ])("%s", (_, own, peers, host) => {
    expect(overrides(own, peers)).toEqual([`nothing ${host}`]);
  });

  test("an open primary: a switchover is needed instead", () => {
    expect(objections({}, [{ writability: "open" }])[0]?.[2]).toContain("switch over");
  });
});

test("what another replica has applied a moment earlier comes from the primary to this one as well", () => {
  const uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
  const [executed, newer] = [parseGtidSet(`${uuid}:1-9`), parseGtidSet(`${uuid}:1-10`)];
  const primary = { executed, serverUuid: uuid };
  const replica = { ...third, executed: newer, relation: "ahead" } as const;
  expect(overrides({ executed }, [primary, replica])).toEqual(["time database-3"]);
  // What the primary has not written, or where it does not answer: it may be there alone.
  const other = { ...replica, executed: parseGtidSet(`${uuid.replace("3e", "4e")}:1`) };
  expect(overrides({ executed }, [primary, other])).toEqual(["accept-loss database-3"]);
  expect(overrides({ executed, lost: ["database-1"] }, [gone, replica])).toEqual([
    "accept-loss database-3",
  ]);
});

describe("objections that a flag overrides", () => {
  test("the primary does not answer: whether it is closed, and whether a write is lost", () => {
    expect(overrides({}, [gone])).toEqual(["lost database-1"]);
    expect(overrides({ lastSeen: "off" }, [gone])).toEqual([
      "lost database-1",
      "accept-loss database-1",
    ]);
  });

  test("another replica does not answer", () => {
    expect(overrides({}, [{}, { ...gone, ...third }])).toEqual(["lost database-3"]);
  });

  test.each<[string, State]>([
    ["its writes no longer waited for a replica", { lastSeen: "off" }],
    ["nobody knows whether its writes waited", { lastSeen: "never" }],
    ["this server was started anew since it last had all of them (available)", { run: "anew" }],
    [
      "this server was started anew since it last had all of them (lossless)",
      { run: "anew", durability: "lossless" },
    ],
  ])("the primary is gone, and %s", (_, own) => {
    expect(overrides({ ...own, lost: ["database-1"] }, [gone])).toEqual(["accept-loss database-1"]);
  });

  test.each(["available", "lossless"] as const)(
    "the primary is gone and so is another replica, which may have been the one that acknowledged (%s)",
    (durability) => {
      const found = objections({ durability, lost: ["database-1", "database-3"] }, [
        gone,
        { ...gone, ...third },
      ]);
      expect(found).toHaveLength(1);
      expect(found[0]?.slice(0, 2)).toEqual(["accept-loss", "database-1"]);
      expect(found[0]?.[2]).toContain("nor does database-3");
    },
  );
});

describe("temporary objections", () => {
  const restarted = { hasApplied: false, replication: "stopped" } as const;
  test.each<[string, State, SomePeer[], string]>([
    ["this host has not applied all it received", { hasApplied: false }, [{}], "database-2"],
    ["nor begun to, since its server was started", restarted, [{}], "database-2"],
    ["the closed primary, which it follows, holds more", {}, [{ relation: "ahead" }], "database-1"],
    ["they could not be compared", {}, [{ relation: "unknown" }], "database-1"],
    [
      "the primary's own promotion is on its way from it",
      {},
      [{ term: 2, relation: "ahead" }],
      "database-1",
    ],
  ])("%s", (_, own, peers, host) => {
    expect(overrides(own, peers)).toEqual([`time ${host}`]);
  });
});

describe("permanent objections, whose override loses writes that another host has", () => {
  const failed = { hasApplied: false, replication: "failed" } as const;
  const stopped = { replication: "stopped" } as const;
  test.each<[string, State, SomePeer[], string]>([
    ["replication stopped on an error", failed, [{}], "database-2"],
    ["the primary holds more, and is not followed", stopped, [{ relation: "ahead" }], "database-1"],
    ["another replica holds more", {}, [{}, { ...third, relation: "ahead" }], "database-3"],
    ["both hold what the other lacks", {}, [{ relation: "diverged" }], "database-1"],
    ["the log of what is lacking is gone", {}, [{ relation: "purged" }], "database-1"],
  ])("%s", (_, own, peers, host) => {
    expect(overrides(own, peers)).toEqual([`accept-loss ${host}`]);
  });
});

describe("a third host counts if it still holds what it acknowledged", () => {
  const lost = { lost: ["database-1"] };
  test.each<[string, SomePeer, string[]]>([
    ["its server has run on since it had caught up", {}, []],
    ["its server was started anew since", { caughtUpWith: undefined }, ["accept-loss database-1"]],
    [
      "it had caught up with an earlier primary",
      { caughtUpWith: "database-2:0" },
      ["accept-loss database-1"],
    ],
    [
      "it lost its data",
      { state: "empty", relation: "unknown", caughtUpWith: undefined },
      ["accept-loss database-1"],
    ],
  ])("%s", (_, peer, expected) => {
    expect(overrides(lost, [gone, { ...third, ...peer }])).toEqual(expected);
  });
});

describe("tables that are not InnoDB", () => {
  const view = viewOf(ownOf(2), []);
  const tables = [..."abcdefg"].map((name) => `app.${name} (MyISAM)`);

  test("none is no objection, and those of a host without data do not count", () => {
    expect(tableObjections(view, [])).toEqual([]);
    expect(tableObjections(viewOf(ownOf(2, { state: "empty" }), []), tables)).toEqual([]);
  });

  test("each is named, at most five, with the remedy", () => {
    const [found] = tableObjections(view, tables);
    expect(found).toMatchObject({ override: "tables", host: "database-2" });
    expect(found?.sentence).toContain("app.e (MyISAM) and 2 more may be on the primary alone");
    expect(found?.sentence).toContain("ALTER TABLE ... ENGINE=InnoDB");
  });

  test("if they could not be queried, the objection is temporary", () => {
    expect(tableObjections(view, undefined)).toMatchObject([{ override: "time" }]);
  });
});
