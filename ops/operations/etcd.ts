/** A member of etcd's cluster, as another one lists it. */
interface EtcdMember {
  readonly name: string;
  /** Whether it has no vote yet. */
  readonly learner: boolean;
  /** Whether it has ever started. */
  readonly started: boolean;
  readonly leader: boolean;
}

/** A host's part in etcd (scripts/etcd/status.sh). */
export interface EtcdFacts {
  /** Whether its settings make it a voter. */
  readonly voter: boolean;
  /** Whether it has a member's data. */
  readonly hasData: boolean;
  /** Whether its member answers, with a majority behind it. */
  readonly answers: boolean;
  /** The cluster's id; `null` if its member does not answer. */
  readonly cluster: string | null;
  readonly members: readonly EtcdMember[];
  /** The size of its database, bytes. */
  readonly bytes: number;
  /** What etcd itself complains of, for example `NOSPACE`. */
  readonly alarms: readonly string[];
}

/** A host, as far as etcd is concerned. */
interface EtcdHost {
  readonly host: string;
  /** `undefined` if the host does not answer. */
  readonly facts?: { readonly etcd?: EtcdFacts | null } | undefined;
}

function partsOf(hosts: readonly EtcdHost[]): Array<{ host: string } & EtcdFacts> {
  return hosts.flatMap(({ host, facts }) => (facts?.etcd ? [{ host, ...facts.etcd }] : []));
}

/** The members of etcd, in words; `undefined` where there are no voters. */
export function etcdLine(hosts: readonly EtcdHost[]): string | undefined {
  const parts = partsOf(hosts);
  if (!parts.some(({ voter }) => voter)) {
    return undefined;
  }
  const members = parts.find(({ answers }) => answers)?.members ?? [];
  const isAway = (name: string) => !parts.some(({ host, answers }) => host === name && answers);
  const names = members.map(({ name, leader, learner }) => {
    const notes = [
      ...(leader ? ["leader"] : []),
      ...(learner ? ["without a vote yet"] : []),
      ...(isAway(name) && !learner ? ["does not answer"] : []),
    ];
    return notes.length === 0 ? name : `${name} (${notes.join(", ")})`;
  });
  return `etcd: ${names.sort().join(", ") || "no majority answers"}`;
}

/** What is wrong with etcd, one sentence each. */
export function problemsOfEtcd(hosts: readonly EtcdHost[]): string[] {
  const parts = partsOf(hosts);
  const voters = parts.filter(({ voter }) => voter);
  if (voters.length === 0) {
    return [];
  }
  const answering = voters.filter(({ answers }) => answers);
  const [first] = answering;
  if (first === undefined) {
    return [
      voters.some(({ hasData }) => hasData)
        ? "etcd has no majority of its voters: nobody can become primary; start those that are down, or, if two are lost for good, run /opt/cluster/scripts/etcd/restore-quorum.sh on the one that is left"
        : "etcd's cluster has not been created yet",
    ];
  }
  const problems = [...new Set(parts.flatMap(({ alarms }) => alarms))].map(
    (alarm) => `etcd: ${alarm}`,
  );
  if (new Set(answering.map(({ cluster }) => cluster)).size > 1) {
    problems.push(
      `etcd on ${answering.map(({ host, cluster }) => `${host} is of cluster ${cluster}`).join(", on ")}: there must be one`,
    );
  }
  const isWell = (name: string) => answering.some(({ host }) => host === name);
  const isVoter = (name: string) => voters.some(({ host }) => host === name);
  for (const { host } of voters) {
    const member = first.members.find(({ name }) => name === host);
    if (member === undefined || member.learner) {
      problems.push(`etcd: ${host} has not joined yet`);
    } else if (!isWell(host)) {
      problems.push(`etcd on ${host} does not answer: journalctl -u cluster-etcd`);
    }
  }
  // A host that does not answer may be a voter, and is told of in any case.
  const isSilent = (name: string) =>
    hosts.some(({ host, facts }) => host === name && facts === undefined);
  for (const { name } of first.members) {
    if (!isVoter(name) && !isSilent(name)) {
      problems.push(`etcd: ${name} is still a member, until all voters are`);
    }
  }
  const votes = first.members.filter(({ learner }) => !learner);
  const well = votes.filter(({ name }) => isWell(name)).length;
  if (votes.length > 1 && well === Math.floor(votes.length / 2) + 1 && well < votes.length) {
    problems.push("etcd: without one voter more nobody could become primary");
  }
  return problems;
}

/** Whether a host is a voter whose member is away: a second one must not be then. */
export function lacksEtcd(part: EtcdFacts | null | undefined): boolean {
  return part?.voter === true && part.hasData && !part.answers;
}
