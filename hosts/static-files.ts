import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Role } from "../topology/roles";
import { type HostFile, textFile } from "./host";
import { PROJECT } from "./project";

const FILES = join(PROJECT, "hosts", "files");

/** Absolute path of the files of every host that come with the archive of scripts: no host needs them to boot. */
export const ARCHIVED_FILES = join(FILES, "archive");

function read(who: string): readonly HostFile[] {
  const folder = join(FILES, who);
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((path) => statSync(join(folder, path)).isFile())
    .sort()
    .map((path) => textFile(`/${path}`, readFileSync(join(folder, path), "utf8")));
}

/** What was read: hosts of a role have the same files. */
const known = new Map<string, readonly HostFile[]>();

/**
 * The verbatim files of every host, of every host of a role, of those with etcd, of two load balancers, or
 * of load balancers with TLS: hosts/files/<who>/<path on the host>. Files with parameters are rendered instead. They are read once.
 */
export function staticFiles(who: "every" | "etcd" | "pair" | "tls" | Role): readonly HostFile[] {
  const files = known.get(who) ?? read(who);
  known.set(who, files);
  return files;
}
