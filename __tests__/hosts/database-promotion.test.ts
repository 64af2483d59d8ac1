import { execFileSync } from "node:child_process";
import { join } from "node:path";

const SCRIPT = join(__dirname, "../../scripts/database/promotion.sh");

/** This host is database-2; by the newest term it knows, database-1 is primary. */
interface State {
  state?: string;
  term?: number;
  primary?: string;
  source?: string;
  replication?: "running" | "failed" | "stopped";
  receipt?: "applied" | "unapplied";
  run?: "same" | "anew";
  sight?: "on" | "off" | "none";
  durability?: "available" | "lossless";
  lost?: string;
}

interface Peer {
  name?: string;
  state?: "unknown" | "empty" | "partial" | "member";
  door?: "open" | "ready" | "closed";
  term?: number;
  primary?: string;
  relation?: string;
}

function line({ name = "database-1", ...peer }: Peer): string {
  const { state = "member", door = "closed", term = 1 } = peer;
  const { primary = "database-1", relation = "same" } = peer;
  return [name, name.slice(-1), state, door, term, primary, relation].join(",");
}

/** What speaks against promoting it: what overrides it, the host it is about, and the sentence. */
function objections(own: State, peers: readonly Peer[]): string[][] {
  const { state = "member", term = 1, primary = "database-1" } = own;
  const { source = "database-1", replication = "running", receipt = "applied" } = own;
  const replica = [source, replication, "free", "backed", "room", receipt];
  const args = [
    ["database-2", state, "closed", term, primary, ...replica].join(","),
    own.run ?? "same",
    own.sight ?? "on",
    own.durability ?? "available",
    own.lost ?? "-",
    ...peers.map(line),
  ];
  const program = `set -euo pipefail\nsource '${SCRIPT}'\nobjections ${args.map((word) => `'${word}'`).join(" ")}`;
  const printed = execFileSync("bash", { input: program, encoding: "utf8" });
  return printed
    .split("\n")
    .filter(Boolean)
    .map((one) => one.split("\t"));
}

/** The same, without the sentences. */
const overrides = (own: State, peers: readonly Peer[]) =>
  objections(own, peers).map(([kind, host]) => `${kind} ${host}`);

const gone = { state: "unknown", relation: "unknown" } as const;
const third = { name: "database-3" } as const;

describe("nothing speaks against it", () => {
  test.each<[string, State, Peer[]]>([
    ["the primary is closed, and has nothing more", {}, [{}]],
    ["the primary is closed, and has less", {}, [{ relation: "behind" }]],
    ["the primary has lost its data", {}, [{ state: "empty", relation: "unknown" }]],
    ["somebody vouches for the primary, whose writes waited", { lost: "database-1" }, [gone]],
    [
      "somebody vouches for the primary, and durability is lossless",
      { lost: "database-1", durability: "lossless", sight: "none" },
      [gone],
    ],
    [
      "the old primary, of an older term, holds more",
      { term: 2, primary: "database-3" },
      [{ relation: "diverged" }, { ...third, term: 2, primary: "database-3" }],
    ],
    [
      "this host is primary by its own term",
      { primary: "database-2", lost: "database-1", sight: "none" },
      [gone],
    ],
    [
      "another replica is closed, and has less",
      { lost: "database-1" },
      [gone, { ...third, relation: "behind" }],
    ],
  ])("%s", (_, own, peers) => {
    expect(objections(own, peers)).toEqual([]);
  });
});

describe("what nobody can override", () => {
  test.each<[string, State, Peer[], string]>([
    ["this host has no data", { state: "empty" }, [{}], "database-2"],
    ["a clone was interrupted here", { state: "partial" }, [{}], "database-2"],
    ["its server does not answer", { state: "unknown" }, [{}], "database-2"],
    ["the primary is open", {}, [{ door: "open" }], "database-1"],
    ["the primary is ready", {}, [{ door: "ready" }], "database-1"],
    ["a host is open that is not primary", {}, [{}, { ...third, door: "open" }], "database-3"],
    [
      "a peer knows a newer promotion",
      { replication: "stopped" },
      [{ term: 2, primary: "database-3" }],
      "database-1",
    ],
  ])("%s", (_, own, peers, host) => {
    expect(overrides(own, peers)).toEqual([`nothing ${host}`]);
  });

  test("an open primary is switched over instead", () => {
    expect(objections({}, [{ door: "open" }])[0]?.[2]).toContain("switch over");
  });
});

describe("what somebody's word overrides", () => {
  test("the primary does not answer: whether it is closed, and whether a write is lost", () => {
    expect(overrides({}, [gone])).toEqual(["lost database-1"]);
    expect(overrides({ sight: "off" }, [gone])).toEqual([
      "lost database-1",
      "accept-loss database-1",
    ]);
  });

  test("another replica does not answer", () => {
    expect(overrides({}, [{}, { ...gone, ...third }])).toEqual(["lost database-3"]);
  });

  test.each<[string, State]>([
    ["its writes no longer waited for a replica", { sight: "off" }],
    ["nobody knows whether its writes waited", { sight: "none" }],
    ["this server was started anew since it last had all of them (available)", { run: "anew" }],
    [
      "this server was started anew since it last had all of them (lossless)",
      { run: "anew", durability: "lossless" },
    ],
  ])("the primary is gone, and %s", (_, own) => {
    expect(overrides({ ...own, lost: "database-1" }, [gone])).toEqual(["accept-loss database-1"]);
  });

  test.each(["available", "lossless"] as const)(
    "the primary is gone and so is another replica, which may have been the one that acknowledged (%s)",
    (durability) => {
      const found = objections({ durability, lost: "database-1,database-3" }, [
        gone,
        { ...gone, ...third },
      ]);
      expect(found).toHaveLength(1);
      expect(found[0]?.slice(0, 2)).toEqual(["accept-loss", "database-1"]);
      expect(found[0]?.[2]).toContain("nor does database-3");
    },
  );
});

describe("what passes by itself", () => {
  const restarted = { receipt: "unapplied", replication: "stopped" } as const;
  test.each<[string, State, Peer[], string]>([
    ["this host has not applied all it received", { receipt: "unapplied" }, [{}], "database-2"],
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

describe("what does not pass by itself, and costs writes that another host has", () => {
  const failed = { receipt: "unapplied", replication: "failed" } as const;
  const stopped = { replication: "stopped" } as const;
  test.each<[string, State, Peer[], string]>([
    ["replication stopped on an error", failed, [{}], "database-2"],
    ["the primary holds more, and is not followed", stopped, [{ relation: "ahead" }], "database-1"],
    ["another replica holds more", {}, [{}, { ...third, relation: "ahead" }], "database-3"],
    ["both hold what the other lacks", {}, [{ relation: "diverged" }], "database-1"],
    ["the log of what is lacking is gone", {}, [{ relation: "purged" }], "database-1"],
  ])("%s", (_, own, peers, host) => {
    expect(overrides(own, peers)).toEqual([`accept-loss ${host}`]);
  });
});
