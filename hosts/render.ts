import type { Platform } from "../topology/platform";
import type { Role } from "../topology/roles";
import type { Topology, TopologyHost } from "../topology/topology";
import { baseContent } from "./base";
import { databaseContent } from "./database";
import { envFile } from "./env-file";
import { etcdContent } from "./etcd";
import { FACTS_PATH, type Facts, type Host, type RoleContent, textFile } from "./host";
import { loadBalancerContent } from "./load-balancer";
import { metricsContent } from "./metrics";
import { monitorContent } from "./monitor";
import { bootScripts } from "./scripts";
import { cloudConfig, compressUserData, USER_DATA_LIMIT } from "./user-data";
import { webContent } from "./web";

/** What is rendered into hosts besides the topology. */
export interface Placement {
  readonly platform: Platform;
  /** SHA-256 of the archive of scripts, hexadecimal. */
  readonly scripts: string;
}

/** The content of a host of each role beyond that of every host. */
const CONTENT: Readonly<Record<Role, (topology: Topology, host: TopologyHost) => RoleContent>> = {
  "load-balancer": loadBalancerContent,
  web: webContent,
  database: databaseContent,
  monitor: monitorContent,
};

function platformFacts(topology: Topology, host: TopologyHost, platform: Platform): Facts {
  return {
    ...(platform === "aws" ? { PLATFORM_REGION: topology.settings.region } : {}),
    // How the visitors' address is claimed differs: scripts/load-balancer/address/<platform>.sh.
    ...(topology.floatingAddresses.has(host.name) ? { PLATFORM: platform } : {}),
  };
}

function renderHost(topology: Topology, host: TopologyHost, placement: Placement): Host {
  const parts = [
    baseContent(topology, host),
    CONTENT[host.role](topology, host),
    etcdContent(topology, host),
    metricsContent(topology, host),
  ];
  const packages = [...new Set(parts.flatMap((part) => part.packages))].sort();
  const facts: Facts = {
    ...Object.assign({}, ...parts.map((part) => part.facts)),
    ...platformFacts(topology, host, placement.platform),
    PACKAGES: packages.join(" "),
    UNITS: parts.flatMap(({ units }) => units).join(" "),
    SCRIPTS: placement.scripts,
  };
  const files = [
    textFile(FACTS_PATH, envFile(facts)),
    ...bootScripts(placement.platform),
    ...parts.flatMap((part) => part.files),
  ];
  return { ...host, files, facts, userData: cloudConfig(host.name, files) };
}

/** Renders every host of a cluster: its files and the user-data that boots it. */
export function renderHosts(topology: Topology, placement: Placement): Host[] {
  return topology.hosts.map((host) => renderHost(topology, host, placement));
}

/** A host whose user-data exceeds EC2's limit. */
export interface OversizedUserData {
  readonly host: string;
  /** Its compressed size. */
  readonly bytes: number;
}

/** The hosts whose compressed user-data exceeds the limit, in bytes. */
export function oversizedUserData(
  hosts: readonly Host[],
  limit = USER_DATA_LIMIT,
): OversizedUserData[] {
  return hosts
    .map(({ name, userData }) => ({ host: name, bytes: compressUserData(userData).length }))
    .filter(({ bytes }) => bytes > limit);
}
