import { get } from "node:http";
import { LOAD_BALANCER_HEALTH_PATH } from "../hosts/load-balancer";
import { PORTS } from "../topology/flows";
import { hostsOf } from "../topology/topology";
import type { LocalCluster } from "./clusters";
import { runScript, wasInterrupted } from "./run";

/** What a database host says it is. */
export type ObservedRole = "primary" | "replica" | "none";

/** What can be seen of a cluster from outside. */
export interface Observation {
  /** Status of the load balancer's own health; `undefined` without an answer. */
  readonly status: number | undefined;
  readonly databases: ReadonlyMap<string, ObservedRole>;
}

/** Reads the lines of scripts/local/observe.sh: a name and a role each. */
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

/** What is missing until the cluster serves, a few words each; nothing when it does. */
export function missingToServe({ status, databases }: Observation): string[] {
  const namesOf = (role: ObservedRole) =>
    [...databases].filter(([, observed]) => observed === role).map(([name]) => name);
  const primaries = namesOf("primary");
  const missing: string[] = [];
  if (primaries.length === 0) {
    missing.push("no database is primary");
  }
  if (primaries.length > 1) {
    missing.push(`${primaries.join(" and ")} both say they are primary`);
  }
  const outOfSync = namesOf("none");
  if (outOfSync.length > 0) {
    missing.push(`${outOfSync.join(", ")}: not in sync`);
  }
  if (status !== 200) {
    missing.push(status === undefined ? "the site does not answer" : `the site answers ${status}`);
  }
  return missing;
}

/**
 * Status of an HTTP answer; `undefined` without one. Not by fetch: its promise stays open for ever
 * when the connection is reset before an answer, and Node then ends without a word.
 */
function statusOf(url: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const request = get(url, { agent: false, timeout: 5000 }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(undefined));
    request.on("close", () => resolve(undefined));
  });
}

/** Looks once. */
async function observe({ names, settings, topology }: LocalCluster): Promise<Observation> {
  const databases = hostsOf(topology, "database").map(({ name, address }) => `${name}=${address}`);
  const [status, roles] = await Promise.all([
    statusOf(`http://127.0.0.1:${settings.localPort}${LOAD_BALANCER_HEALTH_PATH}`),
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
  return { status, databases: parseRoles(roles.stdout) };
}

/**
 * Waits until the cluster serves and every replica is in sync, saying what is missing whenever that
 * changes. Returns the last observation, whether or not it does.
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
      say(`  ${elapsed} s: ${said}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
