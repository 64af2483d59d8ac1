import { get } from "node:http";
import { get as getOverTls } from "node:https";
import { secondsToNotice } from "../hosts/load-balancer";
import { LOAD_BALANCER_HEALTH_PATH } from "../hosts/load-balancer-health";
import type { LocalCluster } from "../ops/clusters";
import { checkInWords } from "../ops/operations/checks";
import { factsOf, gatherStatus, heldByLoadBalancers } from "../ops/operations/status";
import { localHostAccess } from "../ops/platform/local";
import { runScript, wasInterrupted } from "../ops/run";
import { PORTS } from "../topology/ports";
import { localUrls } from "../topology/publication";
import { hostsOf } from "../topology/topology";

/** The role that a database host reports. */
export type ObservedRole = "primary" | "replica" | "none";

/** A web server as the load balancer sees it. */
export interface ObservedWebServer {
  readonly name: string;
  readonly held: "up" | "down" | "drained" | "unknown";
  /** The result of the load balancer's last check. */
  readonly check: string;
  /** How long it has been up without a restart of its app, in seconds. */
  readonly steadySeconds: number;
}

/** A cluster's state as observed from outside. */
export interface Observation {
  /** HTTP status of the load balancer's own health check; `undefined` without an answer. */
  readonly status: number | undefined;
  /** The same over TLS; `null` if visitors cannot use it. */
  readonly tlsStatus: number | undefined | null;
  readonly databases: ReadonlyMap<string, ObservedRole>;
  /** Observed only if nothing else is missing. */
  readonly webServers?: readonly ObservedWebServer[];
}

/** Parses the output of scripts/local/observe.sh: a name and a role in each line. */
export function parseRoles(output: string): Map<string, ObservedRole> {
  const roles = new Map<string, ObservedRole>();
  for (const line of output.split("\n")) {
    const [name, role] = line.trim().split(" ");
    if (name && (role === "primary" || role === "replica" || role === "none")) {
      roles.set(name, role);
    }
  }
  return roles;
}

/** What is missing for the cluster to serve, in a few words each; empty if it serves. */
export function missingToServe({
  status,
  tlsStatus,
  databases,
  webServers,
}: Observation): string[] {
  const namesOf = (role: ObservedRole) =>
    [...databases].filter(([, observed]) => observed === role).map(([name]) => name);
  const primaries = namesOf("primary");
  const missing: string[] = [];
  if (primaries.length === 0) {
    missing.push("there is no primary database host");
  }
  if (primaries.length > 1) {
    missing.push(`${primaries.join(" and ")} all report that they are primary`);
  }
  const outOfSync = namesOf("none");
  if (outOfSync.length > 0) {
    missing.push(`${outOfSync.join(", ")}: not in sync`);
  }
  if (status !== 200) {
    missing.push(status === undefined ? "the site does not answer" : `the site answers ${status}`);
  } else if (tlsStatus !== null && tlsStatus !== 200) {
    missing.push(
      tlsStatus === undefined
        ? "the site does not answer over TLS"
        : `the site answers ${tlsStatus} over TLS`,
    );
  }
  return [...missing, ...(webServers === undefined ? [] : missingOfWebServers(webServers))];
}

/** Whether a web server has been up for longer than the load balancer takes to detect a fault. */
export const isSteady = ({ held, steadySeconds }: ObservedWebServer): boolean =>
  held === "up" && steadySeconds >= secondsToNotice();

/**
 * A single successful check is not enough: an app may exit shortly after it, or return 200 only intermittently. So each web
 * server must be up for longer than the load balancer takes to detect a fault.
 */
function missingOfWebServers(webServers: readonly ObservedWebServer[]): string[] {
  const missing = webServers.flatMap((webServer) => {
    const { name, held, check } = webServer;
    switch (held) {
      case "down":
        return [`${name} is down according to the load balancer: ${check}`];
      case "unknown":
        return [`${name} or the load balancer does not report its status`];
      case "up":
        return isSteady(webServer)
          ? []
          : [`${name} has not been up for ${secondsToNotice()} s yet`];
      default:
        // Drained, by an operator's decision.
        return [];
    }
  });
  return webServers.some(({ held }) => held === "up") || missing.length > 0
    ? missing
    : ["the load balancer sends no requests: all web servers are drained"];
}

/**
 * HTTP status of a response; `undefined` without one. Any certificate is accepted. Does not use fetch: its promise never settles if the connection is
 * reset before a response, and Node then exits silently.
 */
function statusOf(url: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const send = url.startsWith("https:") ? getOverTls : get;
    const options = { agent: false, timeout: 5000, rejectUnauthorized: false };
    const request = send(url, options, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(undefined));
    request.on("close", () => resolve(undefined));
  });
}

/** Queries the web servers' status according to the load balancer, and its duration. */
export async function observeWebServers({
  names,
  topology,
}: LocalCluster): Promise<ObservedWebServer[]> {
  const status = await gatherStatus(topology, localHostAccess(names.project), [
    "load-balancer",
    "web",
  ]);
  const seen = factsOf(status, "load-balancer").flatMap(({ facts }) => facts.servers);
  const apps = new Map(factsOf(status, "web").map(({ host, facts }) => [host, facts]));
  return hostsOf(topology, "web").map(({ name }) => {
    const servers = seen.filter((server) => server.name === name);
    const app = apps.get(name);
    return {
      name,
      held: (app && heldByLoadBalancers(status, name)) ?? "unknown",
      check: servers.map(checkInWords).join(", "),
      steadySeconds: Math.min(
        ...servers.map(({ changedSecondsAgo }) => changedSecondsAgo),
        app?.runningSeconds ?? 0,
      ),
    };
  });
}

/** Observes the cluster once. */
async function observe(cluster: LocalCluster): Promise<Observation> {
  const { names, settings, topology } = cluster;
  const databases = hostsOf(topology, "database").map(({ name, address }) => `${name}=${address}`);
  const [healthUrl, tlsHealthUrl] = localUrls(settings, topology.tls).map(
    (url) => new URL(LOAD_BALANCER_HEALTH_PATH, url).href,
  ) as [string, string?];
  const [status, tlsStatus, roles] = await Promise.all([
    statusOf(healthUrl),
    tlsHealthUrl === undefined ? null : statusOf(tlsHealthUrl),
    runScript(
      "observe",
      [],
      {
        DWI_PROJECT: names.project,
        DWI_DATABASES: databases.join(" "),
        DWI_PORT: String(PORTS.databaseHealth),
      },
      { capture: true },
    ),
  ]);
  const seen: Observation = { status, tlsStatus, databases: parseRoles(roles.stdout) };
  return missingToServe(seen).length > 0
    ? seen
    : { ...seen, webServers: await observeWebServers(cluster) };
}

/**
 * Waits until the cluster serves and every replica is in sync, reporting what is missing whenever that changes.
 *
 * @returns the last observation, even if something is still missing
 */
export async function waitUntilServing(
  cluster: LocalCluster,
  seconds: number,
  say: (line: string) => void,
): Promise<Observation> {
  const started = Date.now();
  let said = "";
  for (;;) {
    const observation = await observe(cluster);
    const missing = missingToServe(observation);
    const elapsed = Math.round((Date.now() - started) / 1000);
    if (missing.length === 0 || elapsed >= seconds || wasInterrupted()) {
      return observation;
    }
    if (missing.join("; ") !== said) {
      said = missing.join("; ");
      say(said);
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
