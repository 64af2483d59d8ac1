import type { EtcdFacts } from "../../ops/operations/etcd";
import { problemsOf } from "../../ops/operations/status-problems";
import { statusTable } from "../../ops/operations/status-table";
import { clusterWith, database, loadBalancer, primary, silent } from "./statuses";

const MEMBERS = ["database-1", "database-2", "load-balancer-1"].map((name, index) => ({
  name,
  learner: false,
  started: true,
  leader: index === 1,
}));

const well: EtcdFacts = {
  voter: true,
  hasData: true,
  answers: true,
  cluster: "1",
  members: MEMBERS,
  bytes: 1,
  alarms: [],
};
const away = { ...well, answers: false, cluster: null, members: [] };

interface Parts {
  first?: EtcdFacts | null;
  second?: EtcdFacts | null;
  balancer?: EtcdFacts | null;
}

const statusWith = ({ first = well, second = well, balancer = well }: Parts) =>
  clusterWith(
    primary(1, { etcd: first }),
    database(2, { etcd: second }),
    loadBalancer({ etcd: balancer }),
  );
const etcdProblems = (parts: Parts) =>
  problemsOf(statusWith(parts)).filter((problem) => problem.startsWith("etcd"));

test("healthy members are no problem, and are listed with their leader", () => {
  expect(problemsOf(statusWith({}))).toEqual([]);
  expect(statusTable(statusWith({}))).toContain(
    "etcd: database-1, database-2 (leader), load-balancer-1",
  );
});

test("with manual failover there is nothing to report", () => {
  const status = statusWith({ first: null, second: null, balancer: null });
  expect(problemsOf(status)).toEqual([]);
  expect(statusTable(status).filter((line) => line.startsWith("etcd"))).toEqual([]);
});

test("before the cluster is created, and without a majority", () => {
  const none = { ...away, hasData: false };
  expect(etcdProblems({ first: none, second: none, balancer: none })).toEqual([
    "etcd's cluster has not been created yet",
  ]);
  expect(etcdProblems({ first: away, second: away, balancer: none })).toEqual([
    expect.stringMatching(/^etcd has no majority .*restore-quorum\.sh on the one that is left$/),
  ]);
});

test("while one voter is down, no further one may fail", () => {
  const last = "etcd: without one voter more nobody could become primary";
  expect(etcdProblems({ balancer: away })).toEqual([
    "etcd on load-balancer-1 does not answer: journalctl -u cluster-etcd",
    last,
  ]);
  const stopped = clusterWith(
    primary(1, { etcd: well }),
    silent(2, "stopped"),
    loadBalancer({ etcd: well }),
  );
  expect(problemsOf(stopped)).toEqual(expect.arrayContaining(["database-2 is stopped", last]));
});

test("a voter that is not a member yet, or one without a vote", () => {
  const few = { ...well, members: MEMBERS.slice(0, 2) };
  const joining = "etcd: load-balancer-1 has not joined yet";
  expect(etcdProblems({ first: few, second: few, balancer: { ...away, hasData: false } })).toEqual([
    joining,
  ]);
  const learning = {
    ...well,
    members: MEMBERS.map((one) => ({ ...one, learner: one.name === "load-balancer-1" })),
  };
  expect(etcdProblems({ first: learning, second: learning, balancer: away })).toEqual([joining]);
});

test("a member that is no longer a voter", () => {
  expect(etcdProblems({ balancer: { ...well, voter: false } })).toContain(
    "etcd: load-balancer-1 is still a member, until all voters are",
  );
});

test("two clusters, and etcd's own alarms", () => {
  expect(etcdProblems({ second: { ...well, cluster: "2", alarms: ["NOSPACE"] } })).toEqual([
    "etcd: NOSPACE",
    "etcd on load-balancer-1 is of cluster 1, on database-1 is of cluster 1, on database-2 is of cluster 2: there must be one",
  ]);
});
