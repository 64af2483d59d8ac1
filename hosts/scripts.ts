import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type HostFile, SCRIPTS_PATH } from "./host";

const SCRIPTS = join(__dirname, "..", "scripts");

function script(source: string, path: string): HostFile {
  return {
    path: `${SCRIPTS_PATH}/${path}`,
    content: readFileSync(join(SCRIPTS, source), "utf8"),
    permissions: "0755",
  };
}

/** The scripts of one folder of scripts/, under the same names on the host. */
export function scriptsOf(folder: string): HostFile[] {
  return readdirSync(join(SCRIPTS, folder))
    .filter((name) => name.endsWith(".sh"))
    .sort()
    .map((name) => script(`${folder}/${name}`, `${folder}/${name}`));
}

/** The platform interface: one name on every host, one implementation for each platform. */
export function platformScript(platform: string): HostFile {
  return script(`platform/${platform}.sh`, "platform.sh");
}
