import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { TerraformStack } from "cdktf/lib/terraform-stack";
import type { Archive } from "../../archives/archive";
import type { Host } from "../../hosts/host";
import { SCRIPTS } from "../../hosts/scripts";
import { EMPTY_SERVER } from "./image";
import { type FileSource, StackFiles } from "./stack-files";

/** Declares the files that provisioners read: the scripts for local hosts, each host's user-data, and the archives. */
export function declareFiles(
  stack: TerraformStack,
  { hosts, archives }: { hosts: readonly Host[]; archives: readonly Archive[] },
): void {
  const scripts = readdirSync(join(SCRIPTS, "local"))
    .filter((name) => name.endsWith(".sh"))
    .map((name) => `local/${name}`);
  const files: Array<[string, FileSource]> = [
    ...[...scripts, EMPTY_SERVER].map((name): [string, FileSource] => [
      `scripts/${name}`,
      { copyOf: join(SCRIPTS, name) },
    ]),
    ...hosts.map(({ name, userData }): [string, FileSource] => [
      `user-data/${name}`,
      { content: userData },
    ]),
    ...archives.map(({ name, file }): [string, FileSource] => [
      `archives/${name}`,
      { copyOf: file },
    ]),
  ];
  new StackFiles(stack, "files", Object.fromEntries(files));
}
