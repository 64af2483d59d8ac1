import type { TopologyHost } from "../topology/topology";

/** A file that cloud-init writes onto a host. */
export interface HostFile {
  /** Absolute path on the host. */
  readonly path: string;
  /** The whole content, as text. */
  readonly content: string;
  /** Octal permissions, four digits, for example `0644`. */
  readonly permissions: string;
}

/** Scripts get facts through one env file; values are plain words and lists of words. */
export type Facts = Readonly<Record<string, string>>;

/** What one role adds to a host. */
export interface RoleContent {
  /** Debian and Ubuntu package names. */
  readonly packages: readonly string[];
  /** The systemd units that are enabled. */
  readonly units: readonly string[];
  readonly files: readonly HostFile[];
  readonly facts: Facts;
}

/** A host with its whole content, ready to be placed by a stack. */
export interface Host extends TopologyHost {
  readonly files: readonly HostFile[];
  readonly facts: Facts;
  /** The cloud-config document that boots it, starting with `#cloud-config`. */
  readonly userData: string;
}

/** Path of the env file of facts on every host. */
export const FACTS_PATH = "/etc/cluster/host.env";

/** Folder of what user-data itself contains, on every host. */
export const BOOT_PATH = "/opt/cluster";

/** Folder of the scripts from the archive, on every host. */
export const SCRIPTS_PATH = "/opt/cluster/scripts";

export function textFile(path: string, content: string): HostFile {
  return { path, content, permissions: "0644" };
}
