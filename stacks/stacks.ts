import type { App } from "cdktf/lib/app";
import { packRelease } from "../archives/pack-release";
import { packScripts } from "../archives/pack-scripts";
import { stackNames } from "../topology/names";
import { type ClusterSettingsInput, SettingsError } from "../topology/settings";
import { buildTopology } from "../topology/topology";
import { makeApp, withPlainStackTraces } from "./app";
import { AwsStack } from "./aws";
import { checkClusters } from "./check";
import { LocalStack } from "./local";

/**
 * Declares and synthesizes both stacks of every cluster.
 *
 * @param project absolute path of the project, which contains the app's folder
 * @param outdir output folder; if omitted, cdktf's default
 * @throws SettingsError with every problem of every cluster, before anything is written
 */
export function synthesize(
  clusters: readonly ClusterSettingsInput[],
  project: string,
  outdir?: string,
): App {
  const parsed = checkClusters(clusters, project);
  const app = makeApp(outdir);
  const scripts = packScripts(project);
  withPlainStackTraces(() => {
    parsed.forEach((cluster, index) => {
      const names = stackNames(cluster, index);
      const archives = { scripts, release: packRelease(project, cluster.app) };
      new LocalStack(app, names.local, { topology: buildTopology(cluster, "local"), ...archives });
      new AwsStack(app, names.aws, { topology: buildTopology(cluster, "aws"), ...archives });
    });
    app.synth();
  });
  return app;
}

/**
 * The main program: synthesizes, or prints the problems of the settings and exits with 1.
 *
 * @param project absolute path of the project
 */
export function main(clusters: readonly ClusterSettingsInput[], project: string): void {
  try {
    synthesize(clusters, project);
  } catch (error) {
    if (!(error instanceof SettingsError)) {
      throw error;
    }
    console.error(error.message);
    process.exit(1);
  }
}
