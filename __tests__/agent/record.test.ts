import {
  hostOf,
  nextForReplicas,
  nextStep,
  type PrimaryRecord,
  parseRecord,
  type RecordView,
  type ReplicasView,
  STEP_PARTS,
  type Step,
  serializeRecord,
  syncName,
  TIMERS,
} from "../../agent/record";

const RECORD: PrimaryRecord = {
  term: 3,
  holder: "database-1",
  state: "open",
  sync: ["database-2@run-2"],
  sequence: 17,
};

describe("the record's text", () => {
  test("is unchanged after serializing and parsing", () => {
    expect(parseRecord(serializeRecord(RECORD))).toEqual(RECORD);
    const named: PrimaryRecord = { ...RECORD, state: "vacant", successor: "database-3" };
    expect(parseRecord(serializeRecord(named))).toEqual(named);
  });

  test.each([
    ["it is not JSON", "open"],
    ["term has to be a whole number above 0", serializeRecord({ ...RECORD, term: 0 })],
    ["term has to be a whole number above 0", '{"term":"3"}'],
    ["holder has to be a host's name", serializeRecord({ ...RECORD, holder: "Data base" })],
    ["state has to be open, taking or vacant", serializeRecord(RECORD).replace("open", "closed")],
    ["sync has to be a list", serializeRecord({ ...RECORD, sync: ["database-2"] })],
    ["sequence has to be a whole number", serializeRecord({ ...RECORD, sequence: -1 })],
    ["successor has to be a host's name", serializeRecord({ ...RECORD, successor: "" })],
    ["term has to be", "null"],
  ])("is refused: %s", (because, text) => {
    expect(() => parseRecord(text)).toThrow(because);
    expect(() => parseRecord(text)).toThrow(text.slice(0, 300));
  });
});

test("timers leave room for clocks that drift 1 % apart and for an etcd election", () => {
  const { close, kill, fence, takeOver, renew, late, request } = TIMERS;
  expect((close + kill) * 1.01).toBeLessThan(takeOver * 0.99);
  expect(fence * 1.01).toBeLessThan(takeOver * 0.99);
  // An election takes 1.6 s; what was sent to the leader before is sent again.
  expect(Math.max(1_600, request) + renew + late).toBeLessThanOrEqual(close);
  // Where each answer is as late as may be, the lease ends after the answer to the next renewal.
  expect(2 * request).toBeLessThan(close);
});

/** A replica in sync, while the primary renews. */
const REPLICA: RecordView = {
  name: "database-2",
  record: RECORD,
  isAnswered: true,
  isRecorded: true,
  hasLease: false,
  isOverdue: true,
  quiet: 300,
  server: "closed",
  isEnding: false,
  arePeersManual: false,
  isStoreless: false,
  isSound: true,
  isWhole: true,
  isHeld: false,
  isLeaving: false,
  hasRoom: true,
  term: 3,
  isNamed: false,
  incarnation: "run-2",
  rivals: "behind",
};

/** The primary, with its lease. */
const HOLDER: RecordView = {
  ...REPLICA,
  name: "database-1",
  hasLease: true,
  isOverdue: false,
  server: "open",
  isNamed: true,
  incarnation: "run-1",
};

const silent = { quiet: TIMERS.takeOver };
const of = (state: PrimaryRecord["state"], more: Partial<PrimaryRecord> = {}) => ({
  record: { ...RECORD, state, ...more },
});

interface Case {
  readonly when: string;
  readonly view: RecordView;
  readonly step: Step;
}

const ENDING = { isEnding: true };

const CASES: readonly Case[] = [
  // Failover has become manual.
  { when: "failover set to manual, primary", view: { ...HOLDER, ...ENDING }, step: "retire" },
  {
    when: "failover set to manual, closed holder",
    view: { ...HOLDER, ...ENDING, ...of("vacant") },
    step: "retire",
  },
  { when: "failover set to manual, replica", view: { ...REPLICA, ...ENDING }, step: "end" },
  {
    when: "failover set to manual, primary, record already removed",
    view: { ...HOLDER, ...ENDING, record: undefined },
    step: "end",
  },
  {
    when: "failover set to manual, primary, etcd does not answer",
    view: { ...HOLDER, ...ENDING, isAnswered: false },
    step: "ask",
  },
  {
    when: "failover set to manual, primary, etcd does not answer, all peers manual too",
    view: { ...HOLDER, ...ENDING, isAnswered: false, arePeersManual: true },
    step: "end",
  },
  {
    when: "failover set to manual, former primary that might open by itself",
    view: { ...REPLICA, ...ENDING, isNamed: true, ...silent },
    step: "wait",
  },
  {
    when: "failover set to manual, takeover already begun",
    view: {
      ...REPLICA,
      ...ENDING,
      ...of("taking", { holder: "database-2", term: 4 }),
    },
    step: "finish",
  },

  // etcd does not answer.
  {
    when: "failover was manual until now, primary, no host has etcd data",
    view: { ...HOLDER, isAnswered: false, isRecorded: false, record: undefined, isStoreless: true },
    step: "create",
  },
  {
    when: "failover was manual until now, etcd does not answer",
    view: { ...HOLDER, isAnswered: false, isRecorded: false, record: undefined },
    step: "wait",
  },
  { when: "holder, etcd does not answer", view: { ...HOLDER, isAnswered: false }, step: "ask" },
  {
    when: "holder, etcd does not answer, lease expired",
    view: { ...HOLDER, isAnswered: false, hasLease: false, isOverdue: true },
    step: "close",
  },
  {
    when: "open holder that just started, etcd does not answer",
    view: { ...HOLDER, isAnswered: false, hasLease: false },
    step: "promise",
  },
  {
    when: "replica, etcd does not answer",
    view: { ...REPLICA, isAnswered: false },
    step: "promise",
  },

  // No record, or an older one.
  {
    when: "primary, no record yet",
    view: { ...HOLDER, isRecorded: false, record: undefined },
    step: "write",
  },
  {
    when: "replica, no record yet",
    view: { ...REPLICA, isRecorded: false, record: undefined },
    step: "wait",
  },
  { when: "open server, record gone", view: { ...HOLDER, record: undefined }, step: "close" },
  { when: "closed server, record gone", view: { ...REPLICA, record: undefined }, step: "wait" },
  {
    when: "primary by a promotion newer than the record",
    view: { ...HOLDER, name: "database-2", term: 4, isRecorded: false },
    step: "write",
  },

  // The record names this host.
  { when: "holder", view: HOLDER, step: "renew" },
  {
    when: "holder closed by an operator",
    view: { ...HOLDER, isHeld: true },
    step: "vacate",
  },
  {
    when: "holder closed by an operator, no replica in sync",
    view: { ...HOLDER, isHeld: true, ...of("open", { sync: [] }) },
    step: "vacate",
  },
  { when: "holder being stopped", view: { ...HOLDER, isLeaving: true }, step: "vacate" },
  { when: "holder, server killed", view: { ...HOLDER, server: "gone" }, step: "vacate" },
  { when: "holder, server hangs", view: { ...HOLDER, server: "silent" }, step: "vacate" },
  {
    when: "holder, server killed, no replica in sync",
    view: { ...HOLDER, server: "gone", ...of("open", { sync: [] }) },
    step: "renew",
  },
  {
    when: "holder that just started, server not seen yet",
    view: { ...HOLDER, server: "unseen", hasLease: false },
    step: "wait",
  },
  {
    when: "holder, server closed and silent",
    view: { ...HOLDER, server: "away" },
    step: "wait",
  },
  {
    when: "closed holder about to reopen",
    view: { ...HOLDER, server: "closed", hasLease: false },
    step: "renew",
  },
  {
    when: "role just given up by this host",
    view: { ...HOLDER, server: "closed", ...of("vacant") },
    step: "wait",
  },
  {
    when: "role given up by this host, nobody took over",
    view: { ...HOLDER, ...silent, server: "closed", ...of("vacant") },
    step: "resume",
  },
  {
    when: "role given up by this host, no replica in sync, released",
    view: { ...HOLDER, server: "closed", ...of("vacant", { sync: [] }) },
    step: "resume",
  },
  {
    when: "role given up by this host, held closed",
    view: { ...HOLDER, ...silent, isHeld: true, server: "closed", ...of("vacant") },
    step: "wait",
  },
  {
    when: "role given up by this host, server open",
    view: { ...HOLDER, ...of("vacant") },
    step: "close",
  },
  {
    when: "takeover by this host, term written",
    view: { ...HOLDER, server: "ready", ...of("taking") },
    step: "finish",
  },
  {
    when: "takeover by this host, same server run",
    view: { ...REPLICA, ...of("taking", { holder: "database-2", term: 4 }) },
    step: "finish",
  },
  {
    when: "takeover by this host, server restarted since",
    view: {
      ...REPLICA,
      incarnation: "run-3",
      ...of("taking", { holder: "database-2", term: 4 }),
    },
    step: "wait",
  },
  {
    when: "takeover by this host, server open",
    view: { ...REPLICA, server: "open", ...of("taking", { holder: "database-2", term: 4 }) },
    step: "close",
  },

  // The record names another.
  { when: "replica, primary renews", view: REPLICA, step: "wait" },
  { when: "replica, primary silent", view: { ...REPLICA, ...silent }, step: "take-over" },
  { when: "replica, role vacant", view: { ...REPLICA, ...of("vacant") }, step: "take-over" },
  {
    when: "replica, role vacant, this host is the successor",
    view: { ...REPLICA, ...of("vacant", { successor: "database-2" }) },
    step: "take-over",
  },
  {
    when: "replica, role vacant, another host is the successor",
    view: { ...REPLICA, ...of("vacant", { successor: "database-3" }) },
    step: "wait",
  },
  {
    when: "replica, role vacant, the other successor does not take over",
    view: { ...REPLICA, ...silent, ...of("vacant", { successor: "database-3" }) },
    step: "take-over",
  },
  {
    when: "replica, primary silent, own server restarted",
    view: { ...REPLICA, ...silent, incarnation: "run-3" },
    step: "wait",
  },
  {
    when: "replica, primary silent, not in sync",
    view: { ...REPLICA, ...silent, ...of("open", { sync: [] }) },
    step: "wait",
  },
  {
    when: "replica, primary silent, another replica is ahead",
    view: { ...REPLICA, ...silent, rivals: "ahead" },
    step: "wait",
  },
  {
    when: "replica, primary silent, another replica in sync does not answer",
    view: { ...REPLICA, ...silent, rivals: "unknown" },
    step: "wait",
  },
  {
    when: "replica, primary silent, held closed",
    view: { ...REPLICA, ...silent, isHeld: true },
    step: "wait",
  },
  {
    when: "replica, primary silent, no disk space",
    view: { ...REPLICA, ...silent, hasRoom: false },
    step: "wait",
  },
  {
    when: "replica, primary silent, cannot apply transactions",
    view: { ...REPLICA, ...silent, isSound: false },
    step: "wait",
  },
  {
    when: "replica, primary silent, may lack rows of non-InnoDB tables",
    view: { ...REPLICA, ...silent, isWhole: false },
    step: "wait",
  },
  {
    when: "replica, role vacant, may lack rows of non-InnoDB tables",
    view: { ...REPLICA, ...of("vacant"), isWhole: false },
    step: "wait",
  },
  {
    when: "open server, record names another host",
    view: { ...HOLDER, name: "database-3" },
    step: "close",
  },
  {
    when: "former primary, successor cannot finish its takeover",
    view: {
      ...HOLDER,
      server: "closed",
      quiet: TIMERS.takeBack,
      ...of("taking", { holder: "database-2", term: 4 }),
    },
    step: "take-back",
  },
  {
    when: "former primary, successor has opened",
    view: {
      ...HOLDER,
      server: "closed",
      quiet: TIMERS.takeBack,
      ...of("open", { holder: "database-2", term: 4, sync: [] }),
    },
    step: "wait",
  },
  {
    when: "primary from two terms ago",
    view: {
      ...HOLDER,
      server: "closed",
      quiet: TIMERS.takeBack,
      ...of("taking", { holder: "database-2", term: 5 }),
    },
    step: "wait",
  },
];

describe("a host's next step", () => {
  test.each(CASES)("$when: $step", ({ view, step }) => {
    expect(nextStep(view)).toBe(step);
  });

  test("the cases cover every step of the table", () => {
    const inTable = new Set(STEP_PARTS.flatMap(({ rules }) => rules.map(({ outcome }) => outcome)));
    expect([...new Set(CASES.map(({ step }) => step))].sort()).toEqual([...inTable].sort());
  });

  /** Every combination of what may matter to who takes over. */
  function everyView(): RecordView[] {
    const booleans = [true, false];
    const views: RecordView[] = [];
    for (const state of ["open", "taking", "vacant"] as const)
      for (const holder of ["database-1", "database-2"])
        for (const sync of [[], ["database-2@run-2"], ["database-2@run-1"], ["database-3@run-2"]])
          for (const server of ["unseen", "silent", "away", "gone", "closed", "open"] as const)
            for (const quiet of [0, TIMERS.takeOver - 1, TIMERS.takeOver, TIMERS.takeBack])
              for (const rivals of ["behind", "ahead", "unknown"] as const)
                for (const isAnswered of booleans)
                  for (const hasLease of booleans)
                    for (const isHeld of booleans)
                      for (const isNamed of booleans)
                        for (const term of [3, 4])
                          views.push({
                            ...REPLICA,
                            record: { ...RECORD, term: 4, state, holder, sync },
                            server,
                            quiet,
                            rivals,
                            isAnswered,
                            hasLease,
                            isOverdue: !hasLease,
                            isHeld,
                            isNamed,
                            term,
                          });
    return views;
  }

  const VIEWS = everyView();
  const when = (...steps: Step[]) => VIEWS.filter((view) => steps.includes(nextStep(view)));

  test("a host takes over only if its running server is in sync, and never too early", () => {
    const taken = when("take-over");
    expect(taken.length).toBeGreaterThan(0);
    for (const { record, quiet, rivals, isAnswered, isHeld, server } of taken) {
      expect(record?.sync).toContain("database-2@run-2");
      expect(record?.state === "vacant" || quiet >= TIMERS.takeOver).toBe(true);
      expect({ rivals, isAnswered, isHeld, server }).toEqual({
        rivals: "behind",
        isAnswered: true,
        isHeld: false,
        server: "closed",
      });
    }
  });

  test("no host writes without an answer from etcd, or renews another host's record", () => {
    const writes = when(
      "renew",
      "vacate",
      "resume",
      "take-over",
      "take-back",
      "finish",
      "write",
      "retire",
    );
    expect(writes.every(({ isAnswered }) => isAnswered)).toBe(true);
    const renewed = when("renew", "vacate", "resume", "finish", "retire");
    expect(renewed.every(({ record }) => record?.holder === "database-2")).toBe(true);
  });

  test("no host begins a takeover once failover is set to manual", () => {
    const steps = new Set(VIEWS.map((view) => nextStep({ ...view, isEnding: true })));
    expect([...steps]).not.toContain("take-over");
    expect([...steps]).not.toContain("take-back");
    expect([...steps]).toContain("retire");
  });

  test("an open server without the right to be open closes", () => {
    const open = VIEWS.filter(
      ({ server, record, isNamed, term }) =>
        server === "open" &&
        record?.holder !== "database-2" &&
        // A promotion while failover was manual, and newer.
        !(isNamed && term > (record?.term ?? 0)),
    );
    const steps = new Set(open.filter(({ isAnswered }) => isAnswered).map(nextStep));
    expect(steps).toEqual(new Set(["close"]));
  });
});

describe("the holder's next step for its replicas", () => {
  const WELL: ReplicasView = {
    durability: "available",
    sync: ["database-2@run-2"],
    isOn: true,
    clients: 1,
    waiting: 0,
    acknowledged: 100,
    stalled: 0,
    following: ["database-2@run-2"],
    hasCaughtUp: true,
  };
  const away = { clients: 0, following: [], hasCaughtUp: false, stalled: TIMERS.gone };
  const alone = { ...WELL, sync: [], isOn: false };

  test.each<[string, ReplicasView, ReturnType<typeof nextForReplicas>]>([
    ["the replica is in sync", WELL, "keep"],
    ["the replica is gone", { ...WELL, ...away }, "degrade"],
    [
      "the replica is gone, but not for long enough",
      { ...WELL, ...away, stalled: TIMERS.gone - 1 },
      "keep",
    ],
    ["the replica is connected and silent", { ...WELL, stalled: TIMERS.degrade }, "degrade"],
    ["it is, but not for long enough", { ...WELL, stalled: TIMERS.degrade - 1 }, "keep"],
    ["the replica is gone, lossless", { ...WELL, ...away, durability: "lossless" }, "keep"],
    ["no replica is recorded, and commits still wait", { ...WELL, ...away, sync: [] }, "degrade"],
    ["no replica", { ...alone, ...away, stalled: 0 }, "keep"],
    ["a replica connects", alone, "await"],
    ["no replica, lossless", { ...alone, clients: 0, durability: "lossless" }, "await"],
    ["semi-synchronous replication was switched off", { ...WELL, isOn: false }, "await"],
    ["a replica has caught up", { ...WELL, sync: [] }, "enter"],
    ["a replica has not caught up", { ...WELL, sync: [], hasCaughtUp: false }, "keep"],
    ["a replica was restarted", { ...WELL, following: ["database-2@run-3"] }, "enter"],
    [
      "another replica may acknowledge",
      { ...WELL, following: [...WELL.following, "database-3@run-1"] },
      "enter",
    ],
    [
      "the same replicas in another order",
      {
        ...WELL,
        sync: ["database-3@run-1", "database-2@run-2"],
        following: ["database-2@run-2", "database-3@run-1"],
      },
      "keep",
    ],
  ])("%s", (_, view, step) => {
    expect(nextForReplicas(view)).toBe(step);
  });

  test("a sync entry names a host and a run", () => {
    expect(hostOf(syncName("database-2", "run-2"))).toBe("database-2");
  });
});
