import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { PROJECT } from "../hosts/project";
import type { ClusterSettingsInput } from "../topology/settings";
import type { Stage } from "./stage";

/** A copy of the app, changed by `line`, in a folder inside the project, where apps have to be. */
export function changedApp(line: (source: string) => string): {
  directory: string;
  remove: () => void;
} {
  const folder = mkdtempSync(join(PROJECT, ".cache", "drill-app-"));
  cpSync(join(PROJECT, "app"), folder, { recursive: true });
  const server = join(folder, "server.ts");
  writeFileSync(server, line(readFileSync(server, "utf8")));
  return {
    directory: relative(PROJECT, folder),
    remove: () => rmSync(folder, { recursive: true }),
  };
}

export const withApp = (directory: string) => ({
  app: { directory, bundle: "server.ts", staticDirectory: "public" },
});

/**
 * Rolls a release out that differs from the one before.
 *
 * @param settings of the cluster, beside the drill's own
 */
export async function rollOut(
  stage: Stage,
  settings: Partial<ClusterSettingsInput> = {},
): Promise<void> {
  const changed = changedApp((source) => `${source}\n// ${Date.now()}\nvoid "drill";\n`);
  try {
    stage.cluster.set({ ...settings, ...withApp(changed.directory) });
    stage.begin();
    stage.command("release");
    await stage.wait(2);
  } finally {
    changed.remove();
    stage.cluster.set(settings);
  }
}
