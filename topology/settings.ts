import type * as z from "zod";
import { findingsBetween, findingsOfRules } from "./settings-rules";
import {
  type ClusterSettings,
  type ClusterSettingsInput,
  clusterSchema,
  clusterShapes,
} from "./settings-schema";

export type { ClusterSettings, ClusterSettingsInput } from "./settings-schema";

/** A problem in the settings. */
export interface Problem {
  /** Path of the setting, for example `clusters[0].network.cidr`. */
  readonly path: string;
  /** The value of the setting, as JSON, or `nothing`. */
  readonly got: string;
  /** What would be valid. */
  readonly wanted: string;
}

/** The settings are invalid; carries all problems at once. */
export class SettingsError extends Error {
  constructor(readonly problems: readonly Problem[]) {
    super(
      [
        `cluster.config.ts has ${problems.length} problem${problems.length === 1 ? "" : "s"}:`,
        ...problems.map(({ path, got, wanted }) => `  ${path}: got ${got}; wanted ${wanted}`),
      ].join("\n"),
    );
    this.name = "SettingsError";
  }
}

function formatPath(keys: readonly PropertyKey[]): string {
  return keys.reduce<string>(
    (path, key) => (typeof key === "number" ? `${path}[${key}]` : `${path}.${String(key)}`),
    "clusters",
  );
}

function valueAt(root: unknown, keys: readonly PropertyKey[]): unknown {
  return keys.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key],
    root,
  );
}

function shown(value: unknown): string {
  return value === undefined ? "nothing" : (JSON.stringify(value) ?? String(value));
}

function problemsOfShape(raw: unknown, index: number, issues: z.core.$ZodIssue[]): Problem[] {
  return issues.flatMap((issue): Problem[] => {
    if (issue.code === "unrecognized_keys") {
      const known = Object.keys((valueAt(clusterShapes, issue.path) as object | undefined) ?? {});
      return issue.keys.map((key) => ({
        path: formatPath([index, ...issue.path, key]),
        got: shown(valueAt(raw, [...issue.path, key])),
        wanted:
          known.length > 0
            ? `nothing: there is no such setting here; there are ${known.join(", ")}`
            : "nothing: there is no such setting here",
      }));
    }
    if (issue.code === "invalid_key") {
      return [
        {
          path: formatPath([index, ...issue.path]),
          got: shown(issue.path.at(-1)),
          wanted: issue.issues[0]?.message ?? issue.message,
        },
      ];
    }
    return [
      {
        path: formatPath([index, ...issue.path]),
        got: shown(valueAt(raw, issue.path)),
        wanted: issue.message,
      },
    ];
  });
}

/**
 * Checks the settings of all clusters and fills in the defaults.
 *
 * @throws SettingsError with every problem found, of every cluster
 */
export function parseClusters(clusters: readonly ClusterSettingsInput[]): ClusterSettings[] {
  if (!Array.isArray(clusters) || clusters.length === 0) {
    throw new SettingsError([
      { path: "clusters", got: shown(clusters), wanted: "a list of at least one cluster" },
    ]);
  }
  const results = clusters.map((raw) => clusterSchema.safeParse(raw));
  const findings = [
    ...clusters.flatMap((raw, index) => findingsOfRules(raw, index)),
    ...findingsBetween(clusters),
  ];
  const problems = [
    ...results.flatMap((result, index) =>
      result.success ? [] : problemsOfShape(clusters[index], index, result.error.issues),
    ),
    ...findings.map(({ keys, wanted }) => ({
      path: formatPath(keys),
      got: shown(valueAt(clusters, keys)),
      wanted,
    })),
  ];
  if (problems.length > 0) {
    throw new SettingsError(problems);
  }
  return results.map((result) => result.data as ClusterSettings);
}
