import { gzipSync } from "node:zlib";
import { stringify } from "yaml";
import type { HostFile } from "./host";

/**
 * EC2's limit for user-data, in bytes, before base64.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html
 */
export const USER_DATA_LIMIT = 16 * 1024;

const STARTED_BY_CLOUD_INIT = ["cluster-converge.service", "cluster-update.timer"];

/**
 * The cloud-config document that boots a host: it writes the files and converges the host. The unit that it enables
 * converges the host again at every later boot.
 *
 * YAML 1.1, because cloud-init uses PyYAML, which parses `yes` as a boolean.
 */
export function cloudConfig(hostName: string, files: readonly HostFile[]): string {
  const document = {
    hostname: hostName,
    preserve_hostname: false,
    // No account is created: shell access goes through the platform (incus exec or SSM).
    users: [],
    ssh_pwauth: false,
    write_files: files.map(({ path, content, permissions }) => ({ path, permissions, content })),
    // Without a daemon-reload, which takes time: enabling only matters for later boots.
    runcmd: [
      ["systemctl", "enable", "--no-reload", ...STARTED_BY_CLOUD_INIT],
      ["systemctl", "start", ...STARTED_BY_CLOUD_INIT],
    ],
  };
  return `#cloud-config\n${stringify(document, { version: "1.1", lineWidth: 0, blockQuote: "literal" })}`;
}

/** Compresses user-data for EC2, reproducibly. cloud-init decompresses it. */
export function compressUserData(userData: string): Buffer {
  return gzipSync(userData, { level: 9 });
}
