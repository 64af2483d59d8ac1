import { nameTables } from "../../agent/objections";
import { age, dateOf, secondsSince, secondsUntil } from "./age";
import { checkInWords, heldFor } from "./checks";
import { problemsOfEtcd } from "./etcd";
import { problemsOfRecord } from "./record";
import {
  type ClusterStatus,
  factsOf,
  type HostFacts,
  type HostStatus,
  type LoadBalancerFacts,
  lastBackups,
  type MonitorFacts,
  otherTablesOf,
  replicasOf,
} from "./status";

/** Two nights, in seconds. */
const BACKUP_OVERDUE = 50 * 60 * 60;

/** The rest of a certificate's validity, as a share of it, from which on it should have been renewed: a third, and a week. */
const RENEWAL_OVERDUE = 1 / 4;

/** What is wrong with what visitors get, where TLS is declared. */
function problemsOfTls(host: string, { tls }: LoadBalancerFacts): string[] {
  if (!tls) {
    return [];
  }
  if (tls.certificate === null) {
    return [`${host} serves no TLS: HAProxy does not answer, or has no certificate`];
  }
  const { subject, issuer, validFrom, validUntil } = tls.certificate;
  const reason = tls.failure ? ` (${tls.failure})` : "";
  if (tls.isToBeTrusted && subject === issuer) {
    return [`${host} has only a certificate of its own, of which browsers warn${reason}`];
  }
  const rest = secondsUntil(validUntil);
  if (rest > (validUntil - validFrom) * RENEWAL_OVERDUE) {
    return [];
  }
  const journal = `journalctl -u cluster-visitors-certificate${reason}`;
  return [
    rest > 0
      ? `${host}: the certificate that visitors get expires on ${dateOf(validUntil)} and has not been renewed: ${journal}`
      : `${host}: the certificate that visitors get expired on ${dateOf(validUntil)}: ${journal}`,
  ];
}

/** How far a clock may be off, in seconds: backups are named after it, and certificates hold by it. */
const CLOCK_OFF = 1;

function problemOfClock({ clock }: HostFacts): string | undefined {
  if (clock && !clock.isSynchronized) {
    return "its clock is not synchronized: chronyc tracking";
  }
  const off = Math.abs(clock?.offsetSeconds ?? 0);
  return off > CLOCK_OFF ? `its clock is ${off.toFixed(1)} s off: chronyc tracking` : undefined;
}

function problemsOfHost({ host, facts, power, silence }: HostStatus): string[] {
  if (facts === undefined) {
    switch (power) {
      case "running":
        return [silence ?? `${host} does not answer`];
      case "unknown":
        return [`${silence ?? `${host} does not answer`}; it is not known whether it runs`];
      default:
        return [`${host} is ${power}`];
    }
  }
  const problems: string[] = [];
  if (!facts.converged) {
    problems.push(`${host} has not converged to its declared state`);
  }
  if (facts.failedUnits.length > 0) {
    problems.push(`${host}: failed units: ${facts.failedUnits.join(", ")}`);
  }
  const clock = problemOfClock(facts);
  if (clock !== undefined) {
    problems.push(`${host}: ${clock}`);
  }
  if (facts.role === "load-balancer") {
    problems.push(...problemsOfTls(host, facts));
    if (facts.pair?.obstacle && !facts.pair.holds) {
      problems.push(`${host} cannot take the visitors' address: ${facts.pair.obstacle}`);
    }
    if (facts.pair?.failure) {
      problems.push(
        `${host} holds the visitors' address, but claiming it from the platform fails and is being retried: ${facts.pair.failure}`,
      );
    }
    for (const server of facts.servers) {
      const held = heldFor(server);
      if (held !== "up") {
        const why = held === "down" ? `, ${checkInWords(server)}` : "";
        problems.push(
          `${host} sends no requests to ${server.name}: ${server.status.toLowerCase()}${why}`,
        );
      }
    }
  }
  if (facts.role === "web" && !facts.healthy) {
    problems.push(`${host}: its app is not healthy`);
  }
  if (facts.role === "monitor") {
    problems.push(...problemsOfMonitor(host, facts));
  }
  if (facts.role === "database") {
    if (facts.answers.primary !== 200 && facts.answers.replica !== 200) {
      problems.push(`${host} serves neither writes nor fresh reads: ${facts.decision}`);
    }
    if (!facts.agentAnswers) {
      problems.push(`${host}: its agent does not answer: journalctl -u cluster-database-agent`);
    }
    if (facts.failure !== null) {
      problems.push(
        `${host}: ${facts.failure.decision} failed and is being retried: ${facts.failure.message}`,
      );
    }
    if (!facts.hasRoom) {
      problems.push(`${host}: its data volume is full; ${facts.freeMebibytes} MiB are free`);
    }
    if (facts.setAside.length > 0) {
      problems.push(
        `${host} has set aside transactions that never reached the primary: ${facts.setAside.join(", ")}`,
      );
    }
  }
  return problems;
}

/** Alerts are none of these: they look back over a time, and problems are what is wrong now. */
function problemsOfMonitor(host: string, { targets, alertmanagerReady }: MonitorFacts): string[] {
  return [
    ...(targets === null ? [`${host}: Prometheus does not answer: journalctl -u prometheus`] : []),
    ...(alertmanagerReady
      ? []
      : [`${host}: Alertmanager does not answer: journalctl -u prometheus-alertmanager`]),
  ];
}

/** Why writes wait although there is a primary, one sentence each. */
function problemsOfWrites(status: ClusterStatus): string[] {
  const databases = factsOf(status, "database");
  const hasReplicas = status.hosts.filter(({ role }) => role === "database").length > 1;
  const waiting = databases
    .filter(
      ({ host, facts }) =>
        facts.primary === host &&
        facts.writability !== "closed" &&
        facts.durability === "lossless" &&
        hasReplicas &&
        replicasOf(status, host).length === 0,
    )
    .map(
      ({ host }) =>
        `writes to ${host} wait: durability is lossless, and no replica has them; start a replica`,
    );
  const [primary, ...more] = databases.filter(({ facts }) => facts.answers.primary === 200);
  const cutOff = factsOf(status, "web")
    .filter(({ facts }) => !facts.writesTo.includes(primary?.host ?? ""))
    .map(({ host }) => host);
  return primary === undefined || more.length > 0 || cutOff.length === 0
    ? waiting
    : [
        ...waiting,
        `${cutOff.join(" and ")} ${cutOff.length > 1 ? "do" : "does"} not reach ${primary.host}, the primary: writes fail there, and no replica takes over, as the primary is well; repair the network between them, or switch over`,
      ];
}

/** What is wrong with two load balancers that no host of them knows by itself. */
function problemsOfPair(status: ClusterStatus): string[] {
  const pair = factsOf(status, "load-balancer").filter(({ facts }) => facts.pair);
  const isKnown =
    pair.length === status.hosts.filter(({ role }) => role === "load-balancer").length;
  const holders = pair.filter(({ facts }) => facts.pair?.holds).map(({ host }) => host);
  const drainedOn = (server: string) =>
    pair.filter(({ facts }) =>
      facts.servers.some((one) => one.name === server && heldFor(one) === "drained"),
    );
  const names = new Set(pair.flatMap(({ facts }) => facts.servers.map(({ name }) => name)));
  return [
    ...(pair.length > 0 && isKnown && holders.length === 0
      ? ["no load balancer holds the visitors' address"]
      : []),
    ...(holders.length > 1 ? [`${holders.join(" and ")} both hold the visitors' address`] : []),
    ...[...names]
      .filter((name) => pair.length > 1 && drainedOn(name).length === 1)
      .map(
        (name) =>
          `${name} is drained on ${drainedOn(name)[0]?.host} only: drain or undrain it again`,
      ),
  ];
}

/** All problems, one sentence each; empty if all is well. */
export function problemsOf(status: ClusterStatus): string[] {
  const problems = [
    ...status.hosts.flatMap(problemsOfHost),
    ...problemsOfEtcd(status.hosts),
    ...problemsOfRecord(factsOf(status, "database")),
    ...problemsOfWrites(status),
    ...problemsOfPair(status),
  ];
  const databases = factsOf(status, "database");
  const primaries = databases.filter(({ facts }) => facts.writability === "open");
  if (primaries.length !== 1) {
    problems.push(
      primaries.length === 0
        ? "no database host accepts writes"
        : `several database hosts accept writes: ${primaries.map(({ host }) => host).join(", ")}`,
    );
  }
  const hasReplicas = status.hosts.filter(({ role }) => role === "database").length > 1;
  for (const { host, facts } of primaries) {
    if (hasReplicas && facts.semiSync !== "on") {
      problems.push(`writes to ${host} are acknowledged without a second copy`);
    }
  }
  const tables = otherTablesOf(databases.map(({ facts }) => facts));
  if (tables.length > 0) {
    problems.push(
      `replicas that cloned have no rows of ${nameTables(tables)}, which a switchover would lose: ALTER TABLE ... ENGINE=InnoDB on the primary`,
    );
  }
  const { dump } = lastBackups(databases.map(({ facts }) => facts));
  const upFor = Math.max(0, ...databases.map(({ facts }) => facts.uptimeSeconds));
  if (databases.length > 0 && Math.min(upFor, secondsSince(dump ?? 0)) > BACKUP_OVERDUE) {
    problems.push(
      dump === null
        ? "there is no backup"
        : `the last backup is ${age(dump)} old; one is due every night`,
    );
  }
  const releases = new Set(factsOf(status, "web").map(({ facts }) => facts.release));
  if (releases.size > 1) {
    problems.push("web servers serve different releases");
  }
  return problems;
}
