import { runScript } from "../run";
import { parseReleases, type ReleaseStore } from "./release-store";

/** The releases of a local cluster: files in a folder that its containers mount. */
export function localReleases(project: string): ReleaseStore {
  const facts = { DWI_PROJECT: project } as const;
  return {
    async put(name, file) {
      await runScript("store", ["put", name, file], facts);
    },

    async list() {
      const { stdout } = await runScript("store", ["releases"], facts, { capture: true });
      return parseReleases(stdout, `the file release of ${project}`);
    },

    async set(releases) {
      await runScript("store", ["set-releases", ...releases], facts);
    },
  };
}
