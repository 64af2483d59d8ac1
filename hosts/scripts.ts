import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROLES } from "../topology/roles";
import { BOOT_PATH, type HostFile } from "./host";
import { PROJECT } from "./project";

/** Absolute path of the folder with every script. */
export const SCRIPTS = join(PROJECT, "scripts");

/**
 * The folders of scripts/ that make up the script archive: everything that runs on a host after it has booted. One
 * archive serves every role and both platforms.
 */
export const ARCHIVED_SCRIPTS = ["host", "etcd", ...ROLES] as const;

function script(source: string, path: string): HostFile {
  return {
    path: `${BOOT_PATH}/${path}`,
    content: readFileSync(join(SCRIPTS, source), "utf8"),
    permissions: "0755",
  };
}

/**
 * The scripts that are part of the user-data: enough to fetch the others. The platform interface has one name on every
 * host, and one implementation for each platform.
 */
export function bootScripts(platform: string): HostFile[] {
  return [
    script(`platform/${platform}.sh`, "platform.sh"),
    script("boot/boot.sh", "boot/boot.sh"),
    script("boot/fetch-archive.sh", "boot/fetch-archive.sh"),
  ];
}
