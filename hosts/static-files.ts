import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Role } from "../topology/roles";
import { type HostFile, textFile } from "./host";
import { PROJECT } from "./project";

const FILES = join(PROJECT, "hosts", "files");

/**
 * The files that every host, or every host of a role, carries as they are: hosts/files/<who>/<path on the host>. What has
 * parameters is rendered instead.
 */
export function staticFiles(who: "every" | Role): HostFile[] {
  const folder = join(FILES, who);
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((path) => statSync(join(folder, path)).isFile())
    .sort()
    .map((path) => textFile(`/${path}`, readFileSync(join(folder, path), "utf8")));
}
