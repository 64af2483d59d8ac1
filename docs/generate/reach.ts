import type { Flow } from "../../topology/flows";
import { METRICS } from "../../topology/metrics";
import type { Role } from "../../topology/roles";
import { endsOf, hostsOf, rolesOf, type Secret, type Topology } from "../../topology/topology";
import { portOf } from "./drawing";
import { table } from "./markdown";

const NAMES: Readonly<Record<Role, string>> = {
  "load-balancer": "load balancer",
  web: "web server",
  database: "database host",
  monitor: "monitor",
};

const TITLES: Readonly<Record<Role, string>> = {
  "load-balancer": "An intruder on a load balancer",
  web: "An intruder on a web server",
  database: "An intruder on a database host",
  monitor: "An intruder on a monitor",
};

/** What a role's hosts do for visitors, which whoever controls one can do otherwise. */
const HOLDS: Readonly<Record<Role, string>> = {
  "load-balancer":
    "Every request and every response passes here in plain text: the intruder reads and changes them, visitors' passwords and cookies included.",
  web: "The app runs here, with its code and its requests: the intruder serves visitors anything, and does to the database what the app may do.",
  database:
    "All data is here. The intruder reads and changes everything, on this host and, as it is replicated, on the others, and reads and deletes backups. On AWS, what is deleted of them can be recovered for 30 days, which no host can prevent.",
  monitor:
    "Metrics of every host are here, and who is told of alerts: the intruder sees how busy each host is, and keeps alerts from being sent. It has no way to change anything on another host.",
};

/** What whoever controls a host at one end of a flow can do at the other. */
const FLOW_GIVES: Readonly<Record<string, string>> = {
  requests: "any request to the app, as from any visitor, with any address",
  queries: "with the app's passwords: reading and changing the app's data, nothing else in MySQL",
  "database-roles": "who is primary; it only answers questions",
  replication: "with the replication password: a copy of all data",
  "database-peers": "the state of each database host; it only answers questions",
  "etcd-clients":
    "with the seed of etcd's authority: writing the record of who is primary, or that nobody is",
  "etcd-joining": "with the seed of etcd's authority: writing that record",
  "etcd-peers": "with the seed of etcd's authority: disturbing how the voters agree on it",
  "visitors-address": "taking the visitors' address",
  "load-balancer-peers": "which web servers are drained; it only answers questions",
  certificates:
    "the authority of visitors' certificates, or any server in the internet at its port",
  ...Object.fromEntries(
    METRICS.flatMap(({ job, of, what }) =>
      of.map((to) => [`${job}-metrics-of-${to}`, `${what}; it only answers questions`]),
    ),
  ),
  "alerts-by-mail": "any server in the internet at the mail server's port",
  packages: "any server in the internet; packages are signed",
  apis: "any server in the internet: data can be carried away",
};

/** What whoever knows a secret can do with it. */
const SECRET_GIVES: Readonly<Record<string, string>> = {
  "mysql-app-password": "reading and changing the app's data",
  "mysql-read-password": "reading the app's data",
  "mysql-replication-password": "a copy of all data",
  "certificate-authority-seed": "passing for any database host",
  "etcd-authority-seed": "writing the record of who is primary",
  "visitors-certificate": "passing for the site",
  "acme-account-seed":
    "the account with the authority of visitors' certificates; for a certificate it takes the host names as well",
  "quic-seed": "ending connections of HTTP/3 of which it sees the identifier; reading none of them",
  "alert-webhook": "sending alerts to who gets the cluster's",
  "alert-email-password": "sending e-mail as the cluster does",
  "alert-heartbeat": "pretending that the monitor works",
  "backup-password": "reading and damaging the backups, with access to where they are kept",
};

function said(what: string, known: Readonly<Record<string, string>>, name: string): string {
  const text = known[name];
  if (text === undefined) {
    throw new Error(`docs/generate/reach.ts does not say what the ${what} ${name} gives`);
  }
  return text;
}

const nameOf = (end: Flow["from"]) => (end in NAMES ? NAMES[end as Role] : end);

/** Every end of flows that some host of a role is at. */
export function endsOfRole(topology: Topology, role: Role): ReadonlySet<Flow["from"]> {
  return new Set(hostsOf(topology, role).flatMap((host) => endsOf(topology, host)));
}

/** The flows by which hosts of a role reach others. */
export function reachedBy(topology: Topology, role: Role): Flow[] {
  const ends = endsOfRole(topology, role);
  return topology.flows.filter(({ from }) => ends.has(from));
}

/** The secrets that hosts of a role can read. */
export function readBy({ secrets }: Topology, role: Role): Secret[] {
  return secrets.filter(({ readers }) => readers.includes(role));
}

/**
 * What an intruder with root on a host of each role could reach: ports, after the flows, and secrets, after their readers.
 *
 * @throws Error if a flow or a secret is not described here
 */
export function reachTables(topology: Topology): string {
  return rolesOf(topology)
    .map((role) => {
      const flows = reachedBy(topology, role).map((flow) => [
        `${nameOf(flow.to)}, ${portOf(flow)}`,
        flow.name,
        // Each role's flows to the internet have the role in their name.
        said(
          "flow",
          FLOW_GIVES,
          flow.to === "internet" && flow.name.startsWith(`${role}-`)
            ? flow.name.slice(role.length + 1)
            : flow.name,
        ),
      ]);
      const secrets = readBy(topology, role).map(({ name }) => [
        `\`${name}\``,
        said("secret", SECRET_GIVES, name),
      ]);
      return [
        `### ${TITLES[role]}`,
        HOLDS[role],
        table(["It can reach", "By the flow", "That gives"], flows),
        secrets.length === 0
          ? "It can read no secret."
          : table(["It can read", "That gives"], secrets),
      ].join("\n\n");
    })
    .join("\n\n");
}

/** Everything that is open to anybody. */
export function exposedTable({ flows }: Topology): string {
  return table(
    ["Open to the internet", "On", "For"],
    flows
      .filter(({ from }) => from === "internet")
      .map((flow) => [portOf(flow), `every ${nameOf(flow.to)}`, flow.purpose]),
  );
}
