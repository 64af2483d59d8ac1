import { hostsOf } from "../../topology/topology";
import { cutOff, dropPackets, kill } from "../fault";
import type { ScratchCluster } from "../scratch/scratch-cluster";
import type { Schedulable } from "./schedule";

/** Ends a fault: of what does not recover by itself. */
type Heal = () => void;

/** A fault that the settings promise to survive: what is acknowledged stays, and reads show what they have to. */
export interface HistoryFault extends Schedulable {
  readonly what: string;
  /** Whether it needs automatic failover. */
  readonly automatic?: true;
  /** Whether the cluster is well again within some ten seconds. */
  readonly short?: true;
  /** The hosts that it may happen to. */
  readonly hosts: (cluster: ScratchCluster, primary: string) => readonly string[];
  readonly inject: (cluster: ScratchCluster, host: string) => Heal;
}

const itself = (_: ScratchCluster, primary: string) => [primary];
const replicas = ({ databases }: ScratchCluster, primary: string) =>
  databases.filter((name) => name !== primary);
const voters = ({ topology }: ScratchCluster) => topology.voters.map(({ name }) => name);
const webServers = ({ topology }: ScratchCluster) =>
  hostsOf(topology, "web").map(({ name }) => name);
const loadBalancers = ({ topology }: ScratchCluster) =>
  hostsOf(topology, "load-balancer").map(({ name }) => name);

const nothing = () => undefined;

/** Stops all processes of a unit where they are; a host that was started anew meanwhile has none that wait. */
function freezeUnit(cluster: ScratchCluster, host: string, unit: string): Heal {
  cluster.on(host, `systemctl kill --signal=STOP ${unit}`);
  return () => void cluster.attemptOn(host, `systemctl kill --signal=CONT ${unit}`);
}

function powerOff(cluster: ScratchCluster, host: string): Heal {
  cluster.incus(["stop", "--force", host]);
  return () => void cluster.incus(["start", host]);
}

function freeze(cluster: ScratchCluster, host: string): Heal {
  cluster.incus(["pause", host]);
  return () => void cluster.incus(["resume", host]);
}

function stopEtcd(cluster: ScratchCluster, hosts: readonly string[]): Heal {
  for (const host of hosts) {
    cluster.on(host, "systemctl stop cluster-etcd.service");
  }
  return () => {
    for (const host of hosts) {
      cluster.on(host, "systemctl start --no-block cluster-etcd.service");
    }
  };
}

/** A host that goes away takes its part in etcd with it. */
const DATABASE_HOST = ["database", "etcd"] as const;

/** All faults of the history check. */
export const HISTORY_FAULTS: readonly HistoryFault[] = [
  {
    name: "primary-server-killed",
    what: "the primary's MySQL server is killed",
    takes: ["database"],
    short: true,
    hosts: itself,
    inject: (cluster, host) => {
      kill({ cluster }, host, "mysql.service");
      return nothing;
    },
  },
  {
    name: "primary-server-frozen",
    what: "the primary's MySQL server is stopped where it is, and goes on",
    takes: ["database"],
    hosts: itself,
    inject: (cluster, host) => freezeUnit(cluster, host, "mysql.service"),
  },
  {
    name: "primary-agent-frozen",
    what: "the primary's agent is stopped where it is, and goes on",
    takes: ["database"],
    hosts: itself,
    inject: (cluster, host) => freezeUnit(cluster, host, "cluster-database-agent.service"),
  },
  {
    name: "primary-host-stopped",
    what: "the primary's host is powered off, and on again",
    takes: DATABASE_HOST,
    hosts: itself,
    inject: powerOff,
  },
  {
    name: "primary-host-frozen",
    what: "the primary's host is paused, and resumed",
    takes: DATABASE_HOST,
    short: true,
    hosts: itself,
    inject: freeze,
  },
  {
    name: "primary-cut-off",
    what: "the primary's host is cut off from every other",
    takes: DATABASE_HOST,
    hosts: itself,
    inject: (cluster, host) => cutOff({ cluster }, host),
  },
  {
    name: "primary-cut-off-from-replicas",
    what: "the primary's host is cut off from the other database hosts only",
    takes: DATABASE_HOST,
    hosts: itself,
    inject: (cluster, host) => dropPackets({ cluster }, host, replicas(cluster, host)),
  },
  {
    name: "primary-cut-off-from-web-servers",
    what: "the primary's host is cut off from the web servers only",
    takes: ["database", "web"],
    hosts: itself,
    inject: (cluster, host) => dropPackets({ cluster }, host, webServers(cluster)),
  },
  {
    name: "replica-server-killed",
    what: "a replica's MySQL server is killed",
    takes: ["database"],
    short: true,
    hosts: replicas,
    inject: (cluster, host) => {
      kill({ cluster }, host, "mysql.service");
      return nothing;
    },
  },
  {
    name: "replica-host-stopped",
    what: "a replica's host is powered off, and on again",
    takes: DATABASE_HOST,
    hosts: replicas,
    inject: powerOff,
  },
  {
    name: "replica-host-frozen",
    what: "a replica's host is paused, and resumed",
    takes: DATABASE_HOST,
    short: true,
    hosts: replicas,
    inject: freeze,
  },
  {
    name: "replica-cut-off",
    what: "a replica's host is cut off from every other",
    takes: DATABASE_HOST,
    hosts: replicas,
    inject: (cluster, host) => cutOff({ cluster }, host),
  },
  {
    name: "switchover",
    what: "an operator hands the part of the primary to a replica",
    takes: ["database"],
    short: true,
    hosts: itself,
    inject: (cluster) => {
      cluster.operate("switchover");
      return nothing;
    },
  },
  {
    name: "etcd-member-killed",
    what: "a member of etcd is killed",
    takes: ["etcd"],
    automatic: true,
    short: true,
    hosts: voters,
    inject: (cluster, host) => {
      kill({ cluster }, host, "cluster-etcd.service");
      return nothing;
    },
  },
  {
    name: "etcd-member-stopped",
    what: "a member of etcd is stopped, and started",
    takes: ["etcd"],
    automatic: true,
    hosts: voters,
    inject: (cluster, host) => stopEtcd(cluster, [host]),
  },
  {
    name: "etcd-away",
    what: "all members of etcd are stopped, and started",
    takes: ["etcd", "database"],
    automatic: true,
    hosts: (cluster) => voters(cluster).slice(0, 1),
    inject: (cluster) => stopEtcd(cluster, voters(cluster)),
  },
  {
    name: "app-killed",
    what: "a web server's app is killed",
    takes: ["web"],
    short: true,
    hosts: webServers,
    inject: (cluster, host) => {
      kill({ cluster }, host, "app.service");
      return nothing;
    },
  },
  {
    name: "nginx-killed",
    what: "a web server's Nginx is killed",
    takes: ["web"],
    hosts: webServers,
    inject: (cluster, host) => {
      kill({ cluster }, host, "nginx.service");
      return nothing;
    },
  },
  {
    name: "web-host-stopped",
    what: "a web server's host is powered off, and on again",
    takes: ["web"],
    hosts: webServers,
    inject: powerOff,
  },
  {
    name: "web-host-frozen",
    what: "a web server's host is paused, and resumed",
    takes: ["web"],
    short: true,
    hosts: webServers,
    inject: freeze,
  },
  {
    name: "web-host-cut-off",
    what: "a web server's host is cut off from every other",
    takes: ["web"],
    hosts: webServers,
    inject: (cluster, host) => cutOff({ cluster }, host),
  },
  {
    name: "load-balancer-restarted",
    what: "the load balancer's HAProxy is restarted",
    takes: ["load-balancer"],
    short: true,
    hosts: loadBalancers,
    inject: (cluster, host) => {
      cluster.on(host, "systemctl restart haproxy.service");
      return nothing;
    },
  },
];
