import { chmodSync, cpSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { AGENT_PROGRAM } from "../hosts/database";
import { METRICS_FILES } from "../hosts/metrics";
import { ARCHIVED_SCRIPTS, SCRIPTS } from "../hosts/scripts";
import { ARCHIVED_FILES } from "../hosts/static-files";
import { type Archive, pack } from "./archive";
import { bundle } from "./bundle";

/**
 * Packs the scripts for hosts, the files that come with them, and the agent of database hosts. All scripts are executable, whatever their mode in the
 * checkout.
 *
 * @param project absolute path of the project
 */
export function packScripts(project: string): Archive {
  return pack(project, "scripts", (folder) => {
    for (const part of ARCHIVED_SCRIPTS) {
      cpSync(join(SCRIPTS, part), join(folder, part), { recursive: true });
      for (const name of readdirSync(join(folder, part), { recursive: true, encoding: "utf8" })) {
        chmodSync(join(folder, part, name), 0o755);
      }
    }
    cpSync(ARCHIVED_FILES, join(folder, "files"), { recursive: true });
    for (const { path, content } of METRICS_FILES) {
      mkdirSync(join(folder, "files", dirname(path)), { recursive: true });
      writeFileSync(join(folder, "files", path), content);
    }
    writeFileSync(join(folder, AGENT_PROGRAM), bundle(dirname(SCRIPTS), "agent/agent.ts"));
  });
}
