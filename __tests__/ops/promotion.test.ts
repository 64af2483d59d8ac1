import type { Objection } from "../../agent/objections";
import {
  type Decision,
  decide,
  explain,
  type Found,
  type Request,
} from "../../ops/operations/promotion";
import type { HostStatus } from "../../ops/operations/status";
import { database, primary, silent } from "./statuses";

const PROMOTE: Request = { verb: "promote", lost: [], fence: [], acceptLoss: false };
const SWITCHOVER: Request = { ...PROMOTE, verb: "switchover" };

const objection = (override: Objection["override"], host: string): Objection => ({
  override,
  host,
  sentence: `something of ${host}`,
});

/** The hosts as they are found, with what speaks against some of them. */
function gathered(
  hosts: readonly HostStatus[],
  objections: Record<string, Objection[]> = {},
): Found[] {
  return hosts.map(({ host, power, facts }) => ({
    host,
    power,
    state:
      facts?.role === "database" ? { ...facts, objections: objections[host] ?? [] } : undefined,
  }));
}

/** The flags that a refusal names; `none` where there is nothing to say. */
function flags(decision: Decision): string[] {
  return decision.kind === "refuse"
    ? decision.refusals.map(({ override }) => override?.flag ?? "none")
    : [`not refused: ${decision.kind}`];
}

const act = (change: Partial<Extract<Decision, { kind: "act" }>>): Decision => ({
  kind: "act",
  candidate: "database-2",
  close: undefined,
  fence: [],
  hold: [],
  keepClosed: [],
  lost: [],
  ...change,
});

describe("a switchover", () => {
  const well = [primary(), database(2)];
  const opposes = { "database-2": [objection("nothing", "database-1")] };

  test("closes the primary and promotes its replica", () => {
    expect(decide(gathered(well, opposes), SWITCHOVER)).toEqual(act({ close: "database-1" }));
  });

  test("is refused while rows may be on the primary alone, and no flag helps", () => {
    const tables = { "database-2": [objection("tables", "database-2")] };
    expect(flags(decide(gathered(well, tables), SWITCHOVER))).toEqual(["none"]);
  });

  test("takes the replica that is named, or the one least behind", () => {
    const hosts = [primary(), database(2, { lagSeconds: 3 }), database(3)];
    const objections = {
      "database-2": [objection("nothing", "database-1")],
      "database-3": [objection("nothing", "database-1")],
    };
    expect(decide(gathered(hosts, objections), SWITCHOVER)).toMatchObject({
      candidate: "database-3",
    });
    expect(
      decide(gathered(hosts, objections), { ...SWITCHOVER, candidate: "database-2" }),
    ).toMatchObject({ candidate: "database-2" });
  });

  test("to the primary itself does nothing", () => {
    expect(decide(gathered(well, opposes), { ...SWITCHOVER, candidate: "database-1" }).kind).toBe(
      "nothing",
    );
  });

  test("that was interrupted after the primary was closed goes on", () => {
    const hosts = [
      database(1, { source: "-", held: true, decision: "wait-for-release" }),
      database(2),
    ];
    expect(decide(gathered(hosts), SWITCHOVER)).toEqual(act({ close: "database-1" }));
  });

  test("that was interrupted is undone by naming the old primary", () => {
    const hosts = [database(1, { source: "-", held: true }), database(2)];
    expect(decide(gathered(hosts), { ...SWITCHOVER, candidate: "database-1" })).toEqual({
      kind: "release",
      primary: "database-1",
    });
  });

  test.each<[string, HostStatus[], Request["candidate"]]>([
    ["there is no primary", [silent(1, "stopped"), database(2)], undefined],
    ["there is no replica", [primary()], undefined],
    ["the one named is silent", [primary(), silent(2, "running")], "database-2"],
    ["the replica is behind", [primary(), database(2, { lagSeconds: 60 })], "database-2"],
    [
      "the replica's lag is not known",
      [primary(), database(2, { lagSeconds: null })],
      "database-2",
    ],
    ["it does not replicate", [primary(), database(2, { replication: "failed" })], "database-2"],
    [
      "it replicates from another",
      [primary(), database(2, { source: "database-3" })],
      "database-2",
    ],
  ])("is refused, and no flag helps, where %s", (_, hosts, candidate) => {
    expect(flags(decide(gathered(hosts, opposes), { ...SWITCHOVER, candidate }))).toEqual(["none"]);
  });

  test("a third host that is silent must be known to be closed", () => {
    const objections = { "database-2": [objection("lost", "database-3")] };
    const running = gathered([...well, silent(3, "running")], objections);
    expect(flags(decide(running, SWITCHOVER))).toEqual(["--fence database-3", "--lost database-3"]);
    const stopped = gathered([...well, silent(3, "stopped")], objections);
    expect(decide(stopped, SWITCHOVER)).toEqual(act({ close: "database-1", lost: ["database-3"] }));
  });
});

describe("a promotion", () => {
  const gone = { "database-2": [objection("lost", "database-1")] };

  test.each(["stopped", "absent"] as const)(
    "of the replica, while the primary is %s, needs no flag",
    (power) => {
      expect(decide(gathered([silent(1, power), database(2)], gone), PROMOTE)).toEqual(
        act({ lost: ["database-1"] }),
      );
    },
  );

  test.each(["running", "unknown"] as const)(
    "while the primary is %s and silent is refused, with two flags",
    (power) => {
      expect(flags(decide(gathered([silent(1, power), database(2)], gone), PROMOTE))).toEqual([
        "--fence database-1",
        "--lost database-1",
      ]);
    },
  );

  test("a primary whose host answers while its server does not is held closed, and needs no flag", () => {
    const seen = gathered([database(1, { state: "unknown" }), database(2)], gone);
    const decision = decide(seen, PROMOTE);
    expect(decision).toEqual(act({ hold: ["database-1"], lost: ["database-1"] }));
    expect(explain(decision).join("\n")).toMatch(/database-1, whose server .* stays closed/);
    expect(explain(decision).join("\n")).not.toMatch(/assumed to be closed/);
  });

  test("--fence stops the primary first", () => {
    const seen = gathered([silent(1, "running"), database(2)], gone);
    expect(decide(seen, { ...PROMOTE, fence: ["database-1"] })).toEqual(
      act({ fence: ["database-1"], lost: ["database-1"] }),
    );
  });

  test("--lost trusts the operator, and stops no host", () => {
    const seen = gathered([silent(1, "running"), database(2)], gone);
    expect(decide(seen, { ...PROMOTE, lost: ["database-1"] })).toEqual(
      act({ lost: ["database-1"] }),
    );
  });

  test("a primary that answers the operator and not its peers is not known to be closed", () => {
    const seen = gathered([primary(), database(2)], gone);
    expect(flags(decide(seen, { ...PROMOTE, candidate: "database-2" }))).toEqual([
      "--fence database-1",
      "--lost database-1",
    ]);
  });

  test("where acknowledged writes might be lost is refused, and --accept-loss overrides it", () => {
    const objections = {
      "database-2": [objection("lost", "database-1"), objection("accept-loss", "database-1")],
    };
    const seen = gathered([silent(1, "stopped"), database(2)], objections);
    expect(flags(decide(seen, PROMOTE))).toEqual(["--accept-loss"]);
    expect(decide(seen, { ...PROMOTE, acceptLoss: true })).toEqual(act({ lost: ["database-1"] }));
  });

  test("what passes by itself is the host's to wait for: no flag is offered, that would lose data", () => {
    const objections = {
      "database-2": [objection("lost", "database-1"), objection("time", "database-2")],
    };
    const seen = gathered([silent(1, "stopped"), database(2)], objections);
    expect(decide(seen, PROMOTE)).toEqual(act({ lost: ["database-1"] }));
  });

  test("while the primary is open is refused, and no flag helps", () => {
    const seen = gathered([primary(), database(2)], {
      "database-2": [objection("nothing", "database-1")],
    });
    const all = { ...PROMOTE, lost: ["database-1"], fence: ["database-1"], acceptLoss: true };
    expect(flags(decide(seen, all))).toEqual(["none"]);
  });

  test("while a primary is open by an older promotion closes it, when what it took may go", () => {
    const seen = gathered([primary(), database(2, { term: 2, primary: "database-2" })], {
      "database-2": [objection("nothing", "database-1")],
    });
    expect(flags(decide(seen, PROMOTE))).toEqual(["--accept-loss"]);
    expect(decide(seen, { ...PROMOTE, acceptLoss: true })).toEqual(act({ close: "database-1" }));
  });

  test("while a primary is open by an older promotion is refused for whatever else speaks against it, too", () => {
    const hosts = [
      primary(),
      database(2, { term: 2, primary: "database-2" }),
      silent(3, "running"),
    ];
    const seen = gathered(hosts, {
      "database-2": [objection("nothing", "database-1"), objection("lost", "database-3")],
    });
    expect(flags(decide(seen, PROMOTE))).toEqual([
      "--accept-loss",
      "--fence database-3",
      "--lost database-3",
    ]);
  });

  test("keeps a closed primary closed that would reopen by itself, and one that is held as it is", () => {
    const closed = { source: "-", replication: "stopped", primary: "database-1" } as const;
    const restarting = gathered([database(1, closed), database(2)], {});
    expect(decide(restarting, { ...PROMOTE, candidate: "database-2" })).toEqual(
      act({ keepClosed: ["database-1"] }),
    );
    expect(explain(act({ keepClosed: ["database-1"] })).join()).toContain(
      "database-1, which would otherwise reopen by itself, stays closed",
    );
    const held = gathered([database(1, { ...closed, held: true }), database(2)], {});
    expect(decide(held, { ...PROMOTE, candidate: "database-2" })).toEqual(act({}));
  });

  test("of the primary itself is nothing to do", () => {
    const seen = gathered([primary(), database(2)]);
    expect(decide(seen, { ...PROMOTE, candidate: "database-1" }).kind).toBe("nothing");
  });

  test("takes the host against which least speaks", () => {
    const objections = {
      "database-2": [objection("lost", "database-1"), objection("time", "database-3")],
      "database-3": [objection("lost", "database-1")],
    };
    const seen = gathered([silent(1, "stopped"), database(2), database(3)], objections);
    expect(decide(seen, PROMOTE)).toMatchObject({ kind: "act", candidate: "database-3" });
  });

  test("where nobody has data, or the one named cannot be asked, is refused", () => {
    expect(flags(decide(gathered([silent(1, "stopped"), silent(2, "running")]), PROMOTE))).toEqual([
      "none",
    ]);
    const seen = gathered([silent(1, "stopped"), silent(2, "running"), database(3)]);
    expect(flags(decide(seen, { ...PROMOTE, candidate: "database-2" }))).toEqual(["none"]);
  });

  test("every reason is given at once", () => {
    const objections = {
      "database-2": [
        objection("lost", "database-1"),
        objection("lost", "database-3"),
        objection("accept-loss", "database-1"),
      ],
    };
    const hosts = [silent(1, "running"), database(2), silent(3, "running")];
    expect(flags(decide(gathered(hosts, objections), PROMOTE))).toEqual([
      "--fence database-1",
      "--lost database-1",
      "--fence database-3",
      "--lost database-3",
      "--accept-loss",
    ]);
  });
});

test("a decision is explained before it is done", () => {
  const decision = act({ close: "database-1", fence: ["database-3"], lost: ["database-3"] });
  expect(explain(decision as Decision).join("\n")).toMatch(
    /database-3 is stopped\n.*database-1 is closed.*\n.*database-2 .*becomes the primary/,
  );
});

test("each refusal says its reason, the flag and what that costs", () => {
  const refused = decide(
    gathered([silent(1, "running"), database(2)], {
      "database-2": [objection("lost", "database-1")],
    }),
    PROMOTE,
  );
  const text = explain(refused).join("\n");
  expect(text).toMatch(/^Refused:\n {2}database-1 runs, but does not answer/);
  expect(text).toMatch(/ {4}--fence database-1: stops that host; /);
});

test("rows of tables that no clone copies go with a lost primary by --accept-loss only", () => {
  const hosts = gathered([silent(1, "stopped"), database(2)], {
    "database-2": [objection("tables", "database-2")],
  });
  expect(flags(decide(hosts, PROMOTE))).toEqual(["--accept-loss"]);
  expect(decide(hosts, { ...PROMOTE, acceptLoss: true }).kind).toBe("act");
});
