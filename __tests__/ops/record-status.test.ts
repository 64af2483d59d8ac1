import type { LeaseStatus } from "../../agent/lease";
import { problemsOf } from "../../ops/operations/status-problems";
import { statusTable } from "../../ops/operations/status-table";
import { clusterWith, database, loadBalancer, primary, silent, web } from "./statuses";

// What `status` says of automatic failover, and of writes that wait although there is a primary.

const record = {
  term: 3,
  holder: "database-1",
  state: "open",
  sync: ["database-2@run-2"],
  sequence: 17,
} as const;

const replica: LeaseStatus = {
  record,
  isAnswered: true,
  isRecorded: true,
  hasLease: false,
  leaseSeconds: 0,
  step: "wait",
  quietSeconds: 0,
  says: [],
};
const holder: LeaseStatus = { ...replica, hasLease: true, leaseSeconds: 2.4, step: "renew" };

const recordIn = (...hosts: Parameters<typeof clusterWith>) =>
  statusTable(clusterWith(...hosts)).find((line) => line.startsWith("record"));

describe("the record of the primary", () => {
  test("is told as its holder knows it, and is no problem", () => {
    const hosts = [primary(1, { lease: holder }), database(2, { lease: replica })];
    expect(recordIn(...hosts)).toBe(
      "record of the primary: database-1, open, term 3; in sync: database-2; its lease ends in 2.4 s unless it is renewed",
    );
    expect(problemsOf(clusterWith(...hosts))).toEqual([]);
  });

  test("is told as a replica read it where the holder is gone", () => {
    const gone = { ...replica, quietSeconds: 30, record: { ...record, sync: [] } };
    expect(recordIn(silent(1, "stopped"), database(2, { lease: gone }))).toBe(
      "record of the primary: database-1, open, term 3; in sync: no replica; unchanged for 30 s",
    );
    const away = { ...gone, isAnswered: false };
    expect(recordIn(silent(1, "stopped"), database(2, { lease: away }))).toMatch(
      /unchanged for 30 s; as read before etcd was lost$/,
    );
  });

  test("is none before it is written, and nothing is told of it while failover is manual", () => {
    const none = { ...replica, record: null, isRecorded: false };
    expect(recordIn(primary(1, { lease: none }), database(2, { lease: none }))).toBe(
      "record of the primary: none yet",
    );
    expect(recordIn(primary(1, { lease: null }))).toBeUndefined();
  });

  test("what all hosts say is told once, and what one says with its name", () => {
    const says = ["nobody takes over"];
    const all = clusterWith(
      primary(1, { lease: { ...holder, says } }),
      database(2, { lease: { ...replica, says } }),
    );
    expect(problemsOf(all)).toEqual(says);
    const one = clusterWith(
      primary(1, { lease: holder }),
      database(2, { lease: { ...replica, says } }),
    );
    expect(problemsOf(one)).toEqual(["database-2: nobody takes over"]);
  });

  test("a host that does not reach etcd while others do", () => {
    const cut = clusterWith(
      primary(1, { lease: holder }),
      database(2, { lease: { ...replica, isAnswered: false } }),
    );
    expect(problemsOf(cut)).toEqual([
      expect.stringMatching(/^database-2 does not reach etcd, which others do/),
    ]);
  });
});

describe("there is a primary, and writes wait or fail", () => {
  test("web servers that alone do not reach it: nobody takes over for that", () => {
    expect(problemsOf(clusterWith(web(1, { writesTo: [] }), web(2, { writesTo: [] })))).toEqual([
      expect.stringMatching(
        /^web-1 and web-2 do not reach database-1, the primary: .* no replica takes over/,
      ),
    ]);
    expect(problemsOf(clusterWith(web(2, { writesTo: [] })))).toEqual([
      expect.stringMatching(/^web-2 does not reach database-1/),
    ]);
  });

  test("while no host is primary, or several are, it is not the web servers", () => {
    const none = clusterWith(
      primary(1, { answers: { primary: 503, replica: 503, readable: 200 } }),
      web(1, { writesTo: [] }),
    );
    expect(problemsOf(none).join()).not.toContain("web-1");
  });

  test("lossless, and no replica is there", () => {
    const alone = clusterWith(primary(1, { durability: "lossless" }), silent(2, "stopped"));
    expect(problemsOf(alone)).toContain(
      "writes to database-1 wait: durability is lossless, and no replica has them; start a replica",
    );
    const well = clusterWith(
      primary(1, { durability: "lossless" }),
      database(2, { durability: "lossless" }),
    );
    expect(problemsOf(well)).toEqual([]);
  });
});

test("a voter that does not answer is told of with the members", () => {
  const members = ["database-1", "database-2", "load-balancer-1"].map((name, index) => ({
    name,
    learner: false,
    started: true,
    leader: index === 1,
  }));
  const well = {
    voter: true,
    hasData: true,
    answers: true,
    cluster: "1",
    members,
    bytes: 1,
    alarms: [],
  };
  const status = clusterWith(
    primary(1, { etcd: well }),
    database(2, { etcd: well }),
    loadBalancer({ etcd: { ...well, answers: false, cluster: null, members: [] } }),
  );
  expect(statusTable(status)).toContain(
    "etcd: database-1, database-2 (leader), load-balancer-1 (does not answer)",
  );
});
