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
 * The cloud-config document that boots a host: it writes the files and converges the host once;
 * the unit it enables does so again at every later boot.
 *
 * YAML 1.1, because cloud-init reads with PyYAML, to which `yes` is a boolean.
 */
export function cloudConfig(hostName: string, files: readonly HostFile[]): string {
  const document = {
    hostname: hostName,
    preserve_hostname: false,
    // No account is created: sessions come in through the platform, as root or through SSM.
    users: [],
    ssh_pwauth: false,
    write_files: files.map(({ path, content, permissions }) => ({ path, permissions, content })),
    // Enabled for later boots, without a reload of systemd now: reading every unit again takes time.
    runcmd: [
      ["systemctl", "enable", "--no-reload", ...STARTED_BY_CLOUD_INIT],
      ["systemctl", "start", ...STARTED_BY_CLOUD_INIT],
    ],
  };
  return `#cloud-config\n${stringify(document, { version: "1.1", lineWidth: 0, blockQuote: "literal" })}`;
}

/** User-data in EC2's format: compressed, reproducibly. cloud-init unpacks it. */
export function compressUserData(userData: string): Buffer {
  return gzipSync(userData, { level: 9 });
}
