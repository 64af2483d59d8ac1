import type { CheckedServer } from "../../ops/operations/checks";
import type {
  ClusterStatus,
  DatabaseFacts,
  HostStatus,
  LoadBalancerFacts,
  MonitorFacts,
  Updates,
  WebFacts,
} from "../../ops/operations/status";

const NOW = Math.floor(Date.now() / 1000);

/** The updates of a host that has none. */
export const upToDate: Updates = {
  packages: [],
  listedAt: NOW,
  rebootRequired: false,
  outdatedUnits: [],
  underWay: false,
};

const every = {
  uptimeSeconds: 100,
  converged: true,
  failedUnits: [],
  versions: {},
  updates: upToDate,
  rebooting: false,
};

/** What database-<number> says of itself; without more, a fresh replica of database-1. */
export function database(number: number, facts: Partial<DatabaseFacts> = {}): HostStatus {
  return {
    host: `database-${number}`,
    address: `10.90.2.${3 + number}`,
    role: "database",
    power: "running",
    facts: {
      ...every,
      role: "database",
      state: "member",
      writability: "closed",
      term: 1,
      primary: "database-1",
      source: "database-1",
      replication: "running",
      lagSeconds: 0,
      semiSync: "off",
      semiSyncReplicas: 0,
      decision: "follow",
      agentAnswers: true,
      failure: null,
      since: 1_795_711_000,
      caughtUpWith: "database-1:1",
      serverUuid: "3e11fa47-71ca-11e1-9e33-c80aa9429562",
      gtidExecuted: "-",
      gtidPurged: "-",
      gtidReceived: "-",
      held: false,
      hasRoom: true,
      freeMebibytes: 1000,
      durability: "available",
      answers: { primary: 503, replica: 200, readable: 200 },
      setAside: [],
      backups: { dump: NOW, logs: NOW },
      ...facts,
    },
  };
}

/** What the open primary says of itself. */
export function primary(number = 1, facts: Partial<DatabaseFacts> = {}): HostStatus {
  return database(number, {
    writability: "open",
    primary: `database-${number}`,
    source: "-",
    replication: "stopped",
    lagSeconds: null,
    semiSync: "on",
    semiSyncReplicas: 1,
    decision: "serve",
    answers: { primary: 200, replica: 503, readable: 200 },
    ...facts,
  });
}

/** A host that says nothing. */
export function silent(number: number, power: HostStatus["power"]): HostStatus {
  return { ...database(number), power, facts: undefined };
}

export function web(number: number, facts: Partial<WebFacts> = {}): HostStatus {
  return {
    host: `web-${number}`,
    address: `10.90.2.${11 + number}`,
    role: "web",
    power: "running",
    facts: {
      ...every,
      role: "web",
      release: "a".repeat(64),
      releaseBefore: "",
      healthy: true,
      run: "1",
      runningSeconds: 100,
      writesTo: ["database-1"],
      readsFrom: ["database-2"],
      ...facts,
    },
  };
}

/** A web server as the load balancer sees it; without more, one that is up. */
export function checked(name: string, more: Partial<CheckedServer> = {}): CheckedServer {
  return {
    name,
    status: "UP",
    underWay: 0,
    changedSecondsAgo: 100,
    check: "L7OK",
    answer: 200,
    ...more,
  };
}

export function loadBalancer(facts: Partial<LoadBalancerFacts> = {}, number = 1): HostStatus {
  return {
    host: `load-balancer-${number}`,
    address: `10.90.${number - 1}.4`,
    role: "load-balancer",
    power: "running",
    facts: {
      ...every,
      role: "load-balancer",
      balance: "roundrobin",
      servers: [checked("web-1"), checked("web-2")],
      ...facts,
    },
  };
}

/** A monitor that watches, and raises no alert. */
export function monitor(facts: Partial<MonitorFacts> = {}): HostStatus {
  return {
    host: "monitor-1",
    address: "10.90.2.11",
    role: "monitor",
    power: "running",
    facts: {
      ...every,
      role: "monitor",
      alertmanagerReady: true,
      targets: [{ host: "web-1", job: "nginx", up: true }],
      alerts: [],
      ...facts,
    },
  };
}

/** One of two load balancers: the first holds the visitors' address, the second stands by. */
export function ofPair(number: 1 | 2, facts: Partial<LoadBalancerFacts> = {}): HostStatus {
  const pair = { holds: number === 1, obstacle: null, failure: null };
  return loadBalancer({ pair, ...facts }, number);
}

/** A cluster with two load balancers and all well, with some hosts in the place of those of their names. */
export function pairWith(...others: HostStatus[]): ClusterStatus {
  const hosts = [ofPair(1), ofPair(2), ...clusterWith().hosts.slice(1)];
  return {
    cluster: "demo",
    hosts: hosts.map((host) => others.find((other) => other.host === host.host) ?? host),
  };
}

/** The default cluster with all well, with some hosts in the place of those of their names. */
export function clusterWith(...others: HostStatus[]): ClusterStatus {
  const hosts = [loadBalancer(), web(1), web(2), primary(), database(2)];
  return {
    cluster: "demo",
    hosts: hosts.map((host) => others.find((other) => other.host === host.host) ?? host),
  };
}
