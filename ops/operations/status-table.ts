import type { Topology } from "../../topology/topology";
import { age, dateOf } from "./age";
import { type Held, heldFor } from "./checks";
import { etcdLine } from "./etcd";
import { recordLine } from "./record";
import {
  type ClusterStatus,
  type DatabaseFacts,
  factsOf,
  type HostStatus,
  heldByLoadBalancers,
  type LoadBalancerFacts,
  lastBackups,
  type MonitorFacts,
  type PairFacts,
  replicasOf,
  type Updates,
  type WebFacts,
} from "./status";
import { problemsOf } from "./status-problems";

const WEB_STATES: Readonly<Record<Held, string>> = {
  up: "serves",
  down: "down",
  drained: "drained",
};

/** A web server serves if the load balancer sends it requests, whatever it reports itself. */
function webState(facts: WebFacts, held: Held | undefined): string {
  if (!facts.healthy) {
    return "unhealthy";
  }
  return held === undefined ? "healthy" : WEB_STATES[held];
}

/**
 * The replicas that a primary's writes wait for. The server's own count includes dead connections; what counts is which
 * hosts replicate from it.
 */
function writesWaitFor(status: ClusterStatus, host: string, { semiSync }: DatabaseFacts): string {
  if (semiSync !== "on") {
    return "writes do not wait for a replica";
  }
  const replicas = replicasOf(status, host);
  switch (replicas.length) {
    case 0:
      return "writes wait for a replica, but none replicates";
    case 1:
      return `writes wait for ${replicas[0]}`;
    default:
      return `writes wait for one of ${replicas.join(", ")}`;
  }
}

/** What visitors get, in words. */
function tlsInWords({ tls }: LoadBalancerFacts): string {
  if (!tls?.certificate) {
    return "plain HTTP only";
  }
  const { subject, issuer, validUntil } = tls.certificate;
  return `TLS until ${dateOf(validUntil)}${subject === issuer ? " (self-signed)" : ""}`;
}

function pairInWords({ holds, obstacle }: PairFacts): string {
  return holds
    ? "holds the visitors' address"
    : obstacle === null
      ? "stands by"
      : "cannot take the visitors' address";
}

function targetsInWords({ targets }: MonitorFacts): string {
  return targets === null
    ? "Prometheus does not answer"
    : `${targets.filter(({ up }) => up).length} of ${targets.length} targets answer`;
}

function alertsInWords({ alerts }: MonitorFacts): string {
  const raised = alerts?.length ?? 0;
  return raised === 0 ? "no alert" : `${raised} ${raised === 1 ? "alert" : "alerts"}`;
}

/** The alerts that monitors raise, a line each. */
function alertLines(status: ClusterStatus): string[] {
  return factsOf(status, "monitor").flatMap(({ facts: { alerts } }) =>
    (alerts ?? []).map(({ name, severity, since, summary }) => {
      const when = since === null ? "" : ` since ${age(since)}`;
      return `alert (${severity})${when}: ${summary} (${name}, docs/alerts.md)`;
    }),
  );
}

function describe(
  { host, facts, power }: HostStatus,
  status: ClusterStatus,
): { state: string; details: string[] } {
  if (facts === undefined) {
    return { state: power === "running" ? "silent" : power, details: [] };
  }
  switch (facts.role) {
    case "load-balancer":
      return {
        state: facts.servers.some((server) => heldFor(server) === "up") ? "serves" : "no server",
        details: [
          facts.balance,
          ...(facts.pair ? [pairInWords(facts.pair)] : []),
          tlsInWords(facts),
          facts.servers.map(({ name, status }) => `${name} ${status.toLowerCase()}`).join(", "),
        ],
      };
    case "web":
      return {
        state: webState(facts, heldByLoadBalancers(status, host)),
        details: [
          facts.release === "" ? "no release" : `release ${facts.release.slice(0, 12)}`,
          `writes to ${facts.writesTo.join(", ") || "no host"}`,
          `reads from ${facts.readsFrom.join(", ") || "no host"}`,
        ],
      };
    case "monitor":
      return {
        state: facts.targets !== null && facts.alertmanagerReady ? "watches" : "does not watch",
        details: [targetsInWords(facts), alertsInWords(facts)],
      };
    case "database":
      return {
        state:
          facts.answers.primary === 200 && facts.writability === "open"
            ? "primary"
            : facts.answers.replica === 200
              ? "replica"
              : facts.decision,
        details: [
          `term ${facts.term} of ${facts.primary}`,
          ...(facts.writability === "closed" ? [] : [facts.writability]),
          facts.source === "-"
            ? writesWaitFor(status, host, facts)
            : facts.lagSeconds === null
              ? `has received nothing from ${facts.source} yet`
              : `${facts.lagSeconds} s behind ${facts.source}`,
        ],
      };
  }
}

function backupLine(databases: readonly DatabaseFacts[]): string {
  const { dump, logs } = lastBackups(databases);
  return [
    `backups: ${dump === null ? "no dump yet" : `last dump ${age(dump)} ago`}`,
    logs === null ? "no binary logs yet" : `binary logs ${age(logs)} ago`,
  ].join(", ");
}

/** The updates of a host that are still to be done, in words; empty if there are none. */
export function pendingOf({ packages, rebootRequired, outdatedUnits, underWay }: Updates): string {
  return [
    ...(packages.length > 0 ? [`${packages.length} package${packages.length > 1 ? "s" : ""}`] : []),
    ...(rebootRequired ? ["a reboot"] : []),
    ...(outdatedUnits.length > 0 ? [`a restart of ${outdatedUnits.join(", ")}`] : []),
    ...(underWay ? ["the end of an upgrade"] : []),
  ].join(" and ");
}

/** The upgrades due on the hosts, and the age of the package lists that show them. */
function updatesLine({ hosts }: ClusterStatus): string {
  const known = hosts.flatMap(({ host, facts }) =>
    facts?.updates ? [{ host, ...facts.updates }] : [],
  );
  const pending = known.flatMap((one) => {
    const words = pendingOf(one);
    return words === "" ? [] : [`${one.host} ${words}`];
  });
  const listed = known.map(({ listedAt }) => listedAt ?? 0);
  const oldest = listed.length === 0 ? 0 : Math.min(...listed);
  return [
    `updates: ${pending.length === 0 ? "none known" : pending.join("; ")}`,
    oldest === 0 ? "package lists not fetched yet" : `package lists fetched ${age(oldest)} ago`,
  ].join(", ");
}

function failoverLines(status: ClusterStatus): string[] {
  return [recordLine(factsOf(status, "database")), etcdLine(status.hosts)].filter(
    (line) => line !== undefined,
  );
}

/** What hangs on the NAT gateways of a cluster on AWS, in a line; nothing that serves visitors does. */
export function natGatewayLine({ settings, network }: Topology): string {
  const [first] = network.subnets.filter(({ isPublic }) => isPublic);
  return settings.natGateways === "one"
    ? `NAT gateway: one, in ${first?.availabilityZone}; if it fails, visitors are served, but web servers and database hosts cannot be reached, changed, upgraded, backed up or booted`
    : "NAT gateways: one in each zone; if one fails, visitors are served, but hosts of its zone cannot be reached, changed, upgraded, backed up or booted";
}

/**
 * The status as a table for people, with all problems.
 *
 * @param notes further lines, which are not problems
 */
export function statusTable(status: ClusterStatus, notes: readonly string[] = []): string[] {
  const rows = [
    ["HOST", "ADDRESS", "STATE", "DETAILS"],
    ...status.hosts.map((host) => {
      const { state, details } = describe(host, status);
      return [host.host, host.address, state, details.join("; ")];
    }),
  ];
  const widths = [0, 1, 2].map((column) =>
    Math.max(...rows.map((row) => (row[column] as string).length)),
  );
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  const versions = new Map<string, Set<string>>();
  for (const { facts } of status.hosts) {
    for (const [program, version] of Object.entries(facts?.versions ?? {})) {
      versions.set(program, (versions.get(program) ?? new Set()).add(version));
    }
  }
  const programs = [...versions].sort(([one], [other]) => (one < other ? -1 : 1));
  const problems = problemsOf(status);
  return [
    ...lines,
    "",
    backupLine(factsOf(status, "database").map(({ facts }) => facts)),
    ...failoverLines(status),
    updatesLine(status),
    ...alertLines(status),
    `versions: ${programs.map(([program, found]) => `${program} ${[...found].join(" and ")}`).join(", ")}`,
    ...notes,
    ...(problems.length === 0 ? ["all is well"] : problems.map((problem) => `! ${problem}`)),
  ];
}
