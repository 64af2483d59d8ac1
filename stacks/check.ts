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

/** A placeholder: all archives' names have the same length, so the size of the user-data is the same. */
const ANY_ARCHIVE = "0".repeat(64);

/** Problems of the settings that depend on the project's files or on the rendered hosts. */
function problemsOf(
  project: string,
  limit: number,
  cluster: ClusterSettings,
  index: number,
): Problem[] {
  const hosts = renderHosts(buildTopology(cluster, "aws"), {
    platform: "aws",
    scripts: ANY_ARCHIVE,
  });
  return [
    ...problemsOfApp(project, cluster.app).map(({ setting, ...problem }) => ({
      path: `clusters[${index}].app.${setting}`,
      ...problem,
    })),
    ...oversizedUserData(hosts, limit).map(({ host, bytes }) => ({
      path: `clusters[${index}]`,
      got: `user-data of ${bytes} bytes, compressed, for ${host}`,
      wanted: `at most ${limit} bytes, EC2's limit: use fewer web servers or replicas, or shorter names`,
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
 * Checks the settings of all clusters: the settings themselves, the files that they refer to, and the rendered hosts.
 *
 * @param project absolute path of the project, which contains the app's folder
 * @param limit of compressed user-data, in bytes; EC2's by default
 * @throws SettingsError with every problem of every cluster
 */
export function checkClusters(
  clusters: readonly ClusterSettingsInput[],
  project: string,
  limit = USER_DATA_LIMIT,
): ClusterSettings[] {
  const { parsed, problems } = attemptToParse(clusters);
  // Clusters with valid settings are checked further, even if others are invalid.
  const sound = parsed ?? clusters.map((cluster) => attemptToParse([cluster]).parsed?.[0]);
  const further = sound.flatMap((cluster, index) =>
    cluster === undefined ? [] : problemsOf(project, limit, cluster, index),
  );
  if (parsed === undefined || further.length > 0) {
    throw new SettingsError([...problems, ...further]);
  }
  return parsed;
}
