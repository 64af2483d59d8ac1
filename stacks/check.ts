import { problemsOfApp } from "../archives/pack-release";
import { oversizedUserData, renderHosts } from "../hosts/render";
import { USER_DATA_LIMIT } from "../hosts/user-data";
import {
  type ClusterSettings,
  type ClusterSettingsInput,
  type Problem,
  parseClusters,
  SettingsError,
} from "../topology/settings";
import { buildTopology } from "../topology/topology";

/** An archive's name is as long as any other, so this one measures user-data as well as any. */
const ANY_ARCHIVE = "0".repeat(64);

/** What is wrong with settings that only the project and the rendered hosts can tell. */
function problemsOf(project: string, cluster: ClusterSettings, index: number): Problem[] {
  const hosts = renderHosts(buildTopology(cluster), { platform: "aws", scripts: ANY_ARCHIVE });
  return [
    ...problemsOfApp(project, cluster.app).map(({ setting, ...problem }) => ({
      path: `clusters[${index}].app.${setting}`,
      ...problem,
    })),
    ...oversizedUserData(hosts).map(({ host, bytes }) => ({
      path: `clusters[${index}]`,
      got: `user-data of ${bytes} bytes, compressed, for ${host}`,
      wanted: `at most ${USER_DATA_LIMIT}, which is what EC2 takes: fewer web servers or replicas, or shorter names`,
    })),
  ];
}

function attemptToParse(clusters: readonly ClusterSettingsInput[]) {
  try {
    return { parsed: parseClusters(clusters), problems: [] };
  } catch (error) {
    if (error instanceof SettingsError) {
      return { parsed: undefined, problems: error.problems };
    }
    throw error;
  }
}

/**
 * Checks the settings of all clusters: what they say, what they name in the project, and what
 * becomes of them.
 *
 * @param project absolute path of the project, in which the app's folder is looked for
 * @throws SettingsError with every problem of every cluster
 */
export function checkClusters(
  clusters: readonly ClusterSettingsInput[],
  project: string,
): ClusterSettings[] {
  const { parsed, problems } = attemptToParse(clusters);
  // A cluster that is sound by itself is looked at further, also when another one is not.
  const sound = parsed ?? clusters.map((cluster) => attemptToParse([cluster]).parsed?.[0]);
  const further = sound.flatMap((cluster, index) =>
    cluster === undefined ? [] : problemsOf(project, cluster, index),
  );
  if (parsed === undefined || further.length > 0) {
    throw new SettingsError([...problems, ...further]);
  }
  return parsed;
}
