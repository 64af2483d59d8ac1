import { type LookRow, serverStateOf } from "../../agent/mysql";

const UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
const PEERS = [{ name: "database-1", address: "10.0.0.4" }];

/** A replica that runs, as its server's row tells it. */
const ROW: LookRow = {
  term: 1,
  primary: "database-1",
  isClosed: 1,
  refusesWrites: 1,
  serverUuid: UUID,
  executed: `${UUID}:1-9`,
  purged: "",
  received: `${UUID}:5-9`,
  source: "10.0.0.4",
  receiver: "ON",
  applier: "ON",
  receiverError: 0,
  applierError: 0,
  silentSeconds: 0,
  applyingSeconds: 3,
  semiSync: "OFF",
  semiSyncTimeout: 1_000,
  semiSyncReplicas: "0",
};

const stateOf = (row: Partial<LookRow>) => serverStateOf({ ...ROW, ...row }, PEERS);

describe("what a server's row tells", () => {
  test("a replica that has applied all is not behind, whatever it applied last", () => {
    expect(stateOf({})).toMatchObject({
      state: "member",
      writability: "closed",
      source: "database-1",
      replication: "running",
      hasApplied: true,
      lagSeconds: 0,
    });
  });

  test.each<[Partial<LookRow>, object]>([
    [{ term: null, executed: "" }, { state: "empty" }],
    [{ term: null }, { state: "partial" }],
    [{ isClosed: 0 }, { writability: "ready" }],
    [{ isClosed: 0, refusesWrites: 0 }, { writability: "open" }],
    [{ source: null }, { source: undefined }],
    [{ source: "10.0.0.99" }, { source: "unknown" }],
    [{ received: `${UUID}:5-10` }, { hasApplied: false, lagSeconds: 3 }],
    [{ received: null }, { hasApplied: true }],
    [{ silentSeconds: null }, { silentSeconds: Number.POSITIVE_INFINITY }],
    [
      { semiSync: "ON", semiSyncReplicas: "2" },
      { semiSync: true, semiSyncReplicas: 2, waitsForEver: false },
    ],
    [{ semiSyncTimeout: 4_294_967_295 }, { waitsForEver: true }],
  ])("%j: %j", (row, expected) => {
    expect(stateOf(row)).toMatchObject(expected);
  });

  test.each<[string, Partial<LookRow>, string]>([
    ["a receiver that goes on trying", { receiver: "CONNECTING", receiverError: 2003 }, "running"],
    ["a receiver that stopped on an error", { receiver: "OFF", receiverError: 1045 }, "failed"],
    ["an applier that stopped on an error", { applier: "OFF", applierError: 1062 }, "failed"],
    ["neither runs, without an error", { applier: "OFF", receiver: "OFF" }, "stopped"],
  ])("replication: %s", (_, row, replication) => {
    expect(stateOf(row).replication).toBe(replication);
  });

  test.each([1594, 13121])(
    "a relay log that was cut off (error %i) is no fault of the data, and what is missing is fetched again",
    (applierError) => {
      expect(stateOf({ applier: "OFF", applierError, received: `${UUID}:5-12` })).toMatchObject({
        replication: "stopped",
        hasApplied: true,
      });
    },
  );
});
