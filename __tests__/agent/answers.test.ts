import { answersOf } from "../../agent/answers";
import type { Own } from "../../agent/state";
import { Chance } from "../../drill/chance";
import { own } from "./views";

/** What is answered at /primary, /replica and /readable. */
function answered(facts: Partial<Own>, decision = "serve", isRestoring = false): string {
  const { primary, replica, readable } = answersOf(
    own(1, facts),
    { decision, since: 0 },
    isRestoring,
    undefined,
  );
  return Object.entries({ primary, replica, readable })
    .flatMap(([role, yes]) => (yes ? [role] : []))
    .join(" ");
}

const PRIMARY: Partial<Own> = { writability: "open", term: 1, primary: "database-1" };
const REPLICA: Partial<Own> = {
  term: 1,
  primary: "database-2",
  source: "database-2",
  replication: "running",
  silentSeconds: 1,
  lagSeconds: 0,
};

describe("which paths of the health port return 200", () => {
  test.each<[string, Partial<Own>, string, string]>([
    ["the primary", PRIMARY, "serve", "primary readable"],
    [
      "a primary that is open and another is named",
      { ...PRIMARY, primary: "database-2" },
      "close",
      "",
    ],
    ["a primary that replicates", { ...PRIMARY, source: "database-2" }, "close", ""],
    ["a primary that is closed", { ...PRIMARY, writability: "closed" }, "reopen", "readable"],
    [
      "a primary that is ready",
      { ...PRIMARY, writability: "ready" },
      "wait-for-replica",
      "readable",
    ],
    [
      "a primary that is ready for want of room",
      { ...PRIMARY, writability: "ready" },
      "wait-for-space",
      "primary readable",
    ],
    ["a host without data", { state: "empty" }, "clone", ""],
    ["half a clone", { state: "partial", writability: "open" }, "clone", ""],
    ["a server that does not answer", { state: "unknown" }, "wait-for-server", ""],
    ["a fresh replica", REPLICA, "follow", "replica readable"],
    ["a replica that lags", { ...REPLICA, lagSeconds: 6 }, "follow", "readable"],
    ["a replica that hears nothing", { ...REPLICA, silentSeconds: 6 }, "follow", "readable"],
    [
      "a replica that never heard its source",
      { ...REPLICA, silentSeconds: Number.POSITIVE_INFINITY },
      "follow",
      "readable",
    ],
    ["a replica whose data is not the primary's", REPLICA, "errant", ""],
    ["a replica that sets something aside", REPLICA, "set-aside", ""],
    ["a replica on which nothing fits", { ...REPLICA, replication: "failed" }, "clone", ""],
    ["a replica that has not applied all", { ...REPLICA, hasApplied: false }, "follow", "replica"],
    ["a host that is behind", { ...PRIMARY, writability: "closed" }, "behind", ""],
  ])("%s", (_, facts, decision, yes) => {
    expect(answered(facts, decision)).toBe(yes);
  });

  test("none while a restore is in progress", () => {
    for (const facts of [PRIMARY, REPLICA]) {
      expect(answered(facts, "serve", true)).toBe("");
    }
  });
});

test("the lag of a replica", () => {
  const lag = (facts: Partial<Own>) =>
    answersOf(own(1, facts), { decision: "follow", since: 0 }, false, undefined).state.lagSeconds;
  expect(lag(REPLICA)).toBe(0);
  expect(lag({ ...REPLICA, lagSeconds: 3 })).toBe(3);
  expect(lag({ ...REPLICA, silentSeconds: 60 })).toBe(60);
  expect(lag({ ...REPLICA, silentSeconds: Number.POSITIVE_INFINITY })).toBeNull();
  expect(lag(PRIMARY)).toBeNull();
});

test("a host is never both primary and replica, and neither without data", () => {
  const chance = new Chance(3);
  for (let round = 0; round < 5_000; round++) {
    const facts: Partial<Own> = {
      state: chance.oneOf(["unknown", "empty", "partial", "member"]),
      writability: chance.oneOf(["open", "ready", "closed"]),
      primary: chance.oneOf(["database-1", "database-2", undefined]),
      source: chance.oneOf(["database-2", "unknown", undefined]),
      replication: chance.oneOf(["running", "failed", "stopped"]),
      hasApplied: chance.happens(0.5),
      silentSeconds: chance.between(0, 10),
      lagSeconds: chance.between(0, 10),
    };
    const decision = chance.oneOf(["serve", "follow", "errant", "wait-for-space", "clone"]);
    const yes = answered(facts, decision);
    expect(yes).not.toMatch(/primary replica/);
    if (facts.state !== "member") {
      expect(yes).toBe("");
    }
    if (yes.includes("primary")) {
      expect([facts.primary, facts.source]).toEqual(["database-1", undefined]);
    }
    if (facts.writability === "open" && facts.primary !== "database-1") {
      expect(yes).toBe("");
    }
  }
});
