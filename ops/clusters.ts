import { readFileSync } from "node:fs";
import { type LocalNames, localNames, stackNames } from "../topology/names";
import type { Platform } from "../topology/platform";
import {
  type ClusterSettings,
  type ClusterSettingsInput,
  parseClusters,
} from "../topology/settings";
import { buildTopology, type Topology } from "../topology/topology";
import { OperatorError } from "./operator-error";

/** A cluster, as deployed by one of its stacks. */
export interface Cluster {
  /** Name of the stack, for example `local` or `aws-shop`. */
  readonly stack: string;
  readonly settings: ClusterSettings;
  readonly topology: Topology;
}

/** A cluster as the stack `local` or `local-<name>`. */
export interface LocalCluster extends Cluster {
  readonly names: LocalNames;
}

/**
 * The settings of all clusters: from cluster.config.ts, or from the JSON file in the environment variable CLUSTERS, which
 * the drill and the tests use.
 */
export function clusterSettings(): ClusterSettingsInput[] {
  const file = process.env.CLUSTERS;
  return file === undefined
    ? require("../cluster.config").default
    : JSON.parse(readFileSync(file, "utf8"));
}

interface Stack extends Cluster {
  readonly platform: Platform;
}

function stacks(): Stack[] {
  return parseClusters(clusterSettings()).flatMap((settings, index) => {
    const names = stackNames(settings, index);
    return (["local", "aws"] as const).map((platform) => ({
      stack: names[platform],
      platform,
      settings,
      topology: buildTopology(settings, platform),
    }));
  });
}

function stackNamed(name: string, among: readonly Stack[]): Stack {
  const found = among.find(({ stack }) => stack === name);
  if (found === undefined) {
    const known = among.map(({ stack }) => stack).join(", ");
    throw new OperatorError(`There is no stack "${name}"; there are: ${known}.`);
  }
  return found;
}

function asLocal(stack: Stack): LocalCluster {
  return { ...stack, names: localNames(stack.settings.name) };
}

/**
 * The cluster of a stack, and the stack's platform.
 *
 * @throws OperatorError listing the stacks, if there is no such stack
 */
export function clusterOf(stack: string): Stack {
  return stackNamed(stack, stacks());
}

/** All clusters, as local stacks. */
export function localClusters(): LocalCluster[] {
  return stacks()
    .filter(({ platform }) => platform === "local")
    .map(asLocal);
}

/**
 * The cluster of a local stack.
 *
 * @throws OperatorError listing the local stacks, if there is no such stack
 */
export function localCluster(stack: string): LocalCluster {
  return asLocal(
    stackNamed(
      stack,
      stacks().filter(({ platform }) => platform === "local"),
    ),
  );
}
