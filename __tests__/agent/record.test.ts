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
  test("says the same when it is read again", () => {
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

test("timers leave room for clocks that run 1 % apart, and for an election", () => {
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
  { when: "the primary", view: { ...HOLDER, ...ENDING }, step: "retire" },
  { when: "its holder, closed", view: { ...HOLDER, ...ENDING, ...of("vacant") }, step: "retire" },
  { when: "a replica", view: { ...REPLICA, ...ENDING }, step: "end" },
  {
    when: "the primary, once the record is removed",
    view: { ...HOLDER, ...ENDING, record: undefined },
    step: "end",
  },
  {
    when: "the primary, etcd away",
    view: { ...HOLDER, ...ENDING, isAnswered: false },
    step: "ask",
  },
  {
    when: "the primary, etcd away, and no other host fails over by itself",
    view: { ...HOLDER, ...ENDING, isAnswered: false, arePeersManual: true },
    step: "end",
  },
  {
    when: "the primary before, which might open by itself",
    view: { ...REPLICA, ...ENDING, isNamed: true, ...silent },
    step: "wait",
  },
  {
    when: "it had begun to take over",
    view: {
      ...REPLICA,
      ...ENDING,
      ...of("taking", { holder: "database-2", term: 4 }),
    },
    step: "finish",
  },

  // etcd does not answer.
  {
    when: "manual until now, the primary, no host has etcd's data",
    view: { ...HOLDER, isAnswered: false, isRecorded: false, record: undefined, isStoreless: true },
    step: "create",
  },
  {
    when: "manual until now, etcd does not answer",
    view: { ...HOLDER, isAnswered: false, isRecorded: false, record: undefined },
    step: "wait",
  },
  { when: "the holder, etcd away", view: { ...HOLDER, isAnswered: false }, step: "ask" },
  {
    when: "the holder, etcd away, its lease over",
    view: { ...HOLDER, isAnswered: false, hasLease: false, isOverdue: true },
    step: "close",
  },
  {
    when: "the holder, just started and open, etcd away",
    view: { ...HOLDER, isAnswered: false, hasLease: false },
    step: "promise",
  },
  { when: "a replica, etcd away", view: { ...REPLICA, isAnswered: false }, step: "promise" },

  // No record, or an older one.
  {
    when: "the primary, and no record yet",
    view: { ...HOLDER, isRecorded: false, record: undefined },
    step: "write",
  },
  {
    when: "a replica, and no record yet",
    view: { ...REPLICA, isRecorded: false, record: undefined },
    step: "wait",
  },
  { when: "open, and the record is gone", view: { ...HOLDER, record: undefined }, step: "close" },
  { when: "closed, and the record is gone", view: { ...REPLICA, record: undefined }, step: "wait" },
  {
    when: "primary by a promotion that is newer than the record",
    view: { ...HOLDER, name: "database-2", term: 4, isRecorded: false },
    step: "write",
  },

  // The record names this host.
  { when: "the holder", view: HOLDER, step: "renew" },
  {
    when: "the holder, closed by an operator",
    view: { ...HOLDER, isHeld: true },
    step: "vacate",
  },
  { when: "the holder, being stopped", view: { ...HOLDER, isLeaving: true }, step: "vacate" },
  { when: "the holder, its server killed", view: { ...HOLDER, server: "gone" }, step: "vacate" },
  { when: "the holder, its server hangs", view: { ...HOLDER, server: "silent" }, step: "vacate" },
  {
    when: "the holder, its server killed, no replica in sync",
    view: { ...HOLDER, server: "gone", ...of("open", { sync: [] }) },
    step: "renew",
  },
  {
    when: "the holder, just started, its server not seen yet",
    view: { ...HOLDER, server: "unseen", hasLease: false },
    step: "wait",
  },
  {
    when: "the holder, its server closed and silent",
    view: { ...HOLDER, server: "away" },
    step: "wait",
  },
  {
    when: "the holder, closed, about to reopen",
    view: { ...HOLDER, server: "closed", hasLease: false },
    step: "renew",
  },
  {
    when: "vacant, by this host, just now",
    view: { ...HOLDER, server: "closed", ...of("vacant") },
    step: "wait",
  },
  {
    when: "vacant, by this host, and nobody took over",
    view: { ...HOLDER, ...silent, server: "closed", ...of("vacant") },
    step: "resume",
  },
  {
    when: "vacant, by this host, held",
    view: { ...HOLDER, ...silent, isHeld: true, server: "closed", ...of("vacant") },
    step: "wait",
  },
  { when: "vacant, by this host, open", view: { ...HOLDER, ...of("vacant") }, step: "close" },
  {
    when: "taking, by this host, its term written",
    view: { ...HOLDER, server: "ready", ...of("taking") },
    step: "finish",
  },
  {
    when: "taking, by this host, the same run",
    view: { ...REPLICA, ...of("taking", { holder: "database-2", term: 4 }) },
    step: "finish",
  },
  {
    when: "taking, by this host, started anew",
    view: {
      ...REPLICA,
      incarnation: "run-3",
      ...of("taking", { holder: "database-2", term: 4 }),
    },
    step: "wait",
  },
  {
    when: "taking, by this host, open",
    view: { ...REPLICA, server: "open", ...of("taking", { holder: "database-2", term: 4 }) },
    step: "close",
  },

  // The record names another.
  { when: "a replica, the primary renews", view: REPLICA, step: "wait" },
  { when: "a replica, silence", view: { ...REPLICA, ...silent }, step: "take-over" },
  { when: "a replica, vacant", view: { ...REPLICA, ...of("vacant") }, step: "take-over" },
  {
    when: "a replica, vacant for it",
    view: { ...REPLICA, ...of("vacant", { successor: "database-2" }) },
    step: "take-over",
  },
  {
    when: "a replica, vacant for another",
    view: { ...REPLICA, ...of("vacant", { successor: "database-3" }) },
    step: "wait",
  },
  {
    when: "a replica, vacant for another, which does not take over",
    view: { ...REPLICA, ...silent, ...of("vacant", { successor: "database-3" }) },
    step: "take-over",
  },
  {
    when: "a replica, silence, its server started anew",
    view: { ...REPLICA, ...silent, incarnation: "run-3" },
    step: "wait",
  },
  {
    when: "a replica, silence, not in sync",
    view: { ...REPLICA, ...silent, ...of("open", { sync: [] }) },
    step: "wait",
  },
  {
    when: "a replica, silence, another has more",
    view: { ...REPLICA, ...silent, rivals: "ahead" },
    step: "wait",
  },
  {
    when: "a replica, silence, another in sync does not answer",
    view: { ...REPLICA, ...silent, rivals: "unknown" },
    step: "wait",
  },
  {
    when: "a replica, silence, held",
    view: { ...REPLICA, ...silent, isHeld: true },
    step: "wait",
  },
  {
    when: "a replica, silence, no space",
    view: { ...REPLICA, ...silent, hasRoom: false },
    step: "wait",
  },
  {
    when: "a replica, silence, cannot apply",
    view: { ...REPLICA, ...silent, isSound: false },
    step: "wait",
  },
  {
    when: "a replica, silence, may lack rows of tables that are not InnoDB",
    view: { ...REPLICA, ...silent, isWhole: false },
    step: "wait",
  },
  {
    when: "a replica, the role given away, may lack rows of tables that are not InnoDB",
    view: { ...REPLICA, ...of("vacant"), isWhole: false },
    step: "wait",
  },
  {
    when: "open, the record names another",
    view: { ...HOLDER, name: "database-3" },
    step: "close",
  },
  {
    when: "the primary before, its successor cannot finish",
    view: {
      ...HOLDER,
      server: "closed",
      quiet: TIMERS.takeBack,
      ...of("taking", { holder: "database-2", term: 4 }),
    },
    step: "take-back",
  },
  {
    when: "the primary before, its successor has opened",
    view: {
      ...HOLDER,
      server: "closed",
      quiet: TIMERS.takeBack,
      ...of("open", { holder: "database-2", term: 4, sync: [] }),
    },
    step: "wait",
  },
  {
    when: "the primary two terms before",
    view: {
      ...HOLDER,
      server: "closed",
      quiet: TIMERS.takeBack,
      ...of("taking", { holder: "database-2", term: 5 }),
    },
    step: "wait",
  },
];

describe("what a host does about the record", () => {
  test.each(CASES)("$when: $step", ({ view, step }) => {
    expect(nextStep(view)).toBe(step);
  });

  test("there is a case for every step of the table", () => {
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

  test("nobody takes over who is not in sync as it runs, or before the time", () => {
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

  test("nothing is written without an answer, nor into another's open record", () => {
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

  test("where failover has become manual nobody begins to take over", () => {
    const steps = new Set(VIEWS.map((view) => nextStep({ ...view, isEnding: true })));
    expect([...steps]).not.toContain("take-over");
    expect([...steps]).not.toContain("take-back");
    expect([...steps]).toContain("retire");
  });

  test("whoever may be open and has no right to it closes", () => {
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

describe("what the holder does about its replicas", () => {
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
  const away = { clients: 0, following: [], hasCaughtUp: false, stalled: TIMERS.degrade };
  const alone = { ...WELL, sync: [], isOn: false };

  test.each<[string, ReplicasView, ReturnType<typeof nextForReplicas>]>([
    ["all is well", WELL, "keep"],
    ["the replica is away", { ...WELL, ...away }, "degrade"],
    ["the replica is away for less", { ...WELL, ...away, stalled: TIMERS.degrade - 1 }, "keep"],
    ["the replica is away, lossless", { ...WELL, ...away, durability: "lossless" }, "keep"],
    ["recorded alone, and commits still wait", { ...WELL, ...away, sync: [] }, "degrade"],
    ["alone", { ...alone, ...away, stalled: 0 }, "keep"],
    ["a replica comes", alone, "await"],
    ["alone, lossless", { ...alone, clients: 0, durability: "lossless" }, "await"],
    ["somebody switched it off", { ...WELL, isOn: false }, "await"],
    ["a replica has caught up", { ...WELL, sync: [] }, "enter"],
    ["a replica has not caught up", { ...WELL, sync: [], hasCaughtUp: false }, "keep"],
    ["a replica was started anew", { ...WELL, following: ["database-2@run-3"] }, "enter"],
    [
      "another replica may acknowledge",
      { ...WELL, following: [...WELL.following, "database-3@run-1"] },
      "enter",
    ],
    [
      "the same, in another order",
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

  test("an entry names a host and a run", () => {
    expect(hostOf(syncName("database-2", "run-2"))).toBe("database-2");
  });
});
