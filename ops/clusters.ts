import clusters from "../cluster.config";
import { checkClusters } from "../stacks/check";
import { type LocalNames, localNames } from "../stacks/local/names";
import { stackNames } from "../stacks/names";
import { type ClusterSettings, SettingsError } from "../topology/settings";
import { buildTopology, type Topology } from "../topology/topology";
import { PROJECT } from "./run";

/** A cluster that is to run, or runs, as stack `local` or `local-<name>`. */
export interface LocalCluster {
  /** Name of the stack. */
  readonly stack: string;
  readonly names: LocalNames;
  readonly settings: ClusterSettings;
  readonly topology: Topology;
}

/** All clusters of cluster.config.ts, as local stacks. */
export function localClusters(): LocalCluster[] {
  return checkClusters(clusters, PROJECT).map((settings, index) => ({
    stack: stackNames(settings, index).local,
    names: localNames(settings.name),
    settings,
    topology: buildTopology(settings),
  }));
}

/**
 * The cluster of a stack.
 *
 * @throws Error naming the stacks there are
 */
export function localCluster(stack: string): LocalCluster {
  const all = localClusters();
  const found = all.find((cluster) => cluster.stack === stack);
  if (found === undefined) {
    const known = all.map((cluster) => cluster.stack).join(", ");
    throw new OperatorError(`There is no local stack "${stack}"; there are: ${known}.`);
  }
  return found;
}

/** Something that only the operator can put right; its message is all he needs. */
export class OperatorError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "OperatorError";
  }
}

/** Whether an error's message alone tells the operator what to do. */
export function isForOperator(error: unknown): error is Error {
  return error instanceof OperatorError || error instanceof SettingsError;
}
