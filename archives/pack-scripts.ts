import { chmodSync, cpSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { ARCHIVED_SCRIPTS, SCRIPTS } from "../hosts/scripts";
import { type Archive, pack } from "./archive";

/**
 * Packs the scripts that hosts run. All can be executed, whatever a checkout made of their modes.
 *
 * @param project absolute path of the project
 */
export function packScripts(project: string): Archive {
  return pack(project, "scripts", (folder) => {
    for (const part of ARCHIVED_SCRIPTS) {
      cpSync(join(SCRIPTS, part), join(folder, part), { recursive: true });
      for (const name of readdirSync(join(folder, part))) {
        chmodSync(join(folder, part, name), 0o755);
      }
    }
  });
}
