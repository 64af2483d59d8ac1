import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runSync } from "../../../ops/run";

/** The tests' own seed, from which cloud-init reads what EC2's metadata would give it. */
const SEED = "/var/lib/cloud/seed/ec2";

/** The storage pool of local hosts. */
const POOL = "dwi";

/**
 * Programs that are replaced on a database host by those in disk/, because it has no disk of EC2's: its disk is a file
 * of the machine, and a separate volume is mounted.
 */
export const REPLACED = ["lsblk", "findmnt"] as const;

const AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt";

/**
 * Restores Ubuntu's own configuration of cloud-init, instead of the host image's shorter one, except for the source of
 * the user-data: cloud-init asks EC2's metadata only on a machine whose firmware identifies itself as EC2's. The engine
 * sets up the network, packages come from the image's own sources, and what this image lacks compared with Ubuntu's
 * (locales, OpenSSH) is not set up.
 */
const CLOUD_INIT = `datasource_list: [NoCloud]
datasource: { NoCloud: { fs_label: null, seedfrom: ${SEED}/ } }
network: { config: disabled }
apt: { preserve_sources_list: true }
locale: false
ssh_genkeytypes: []
`;

/** What a container is made of. */
export interface ContainerProps {
  readonly project: string;
  readonly image: string;
  readonly bridge: string;
  readonly host: string;
  /** MiB. */
  readonly memory: number;
  /** With its network's prefix length. */
  readonly address: string;
  readonly gateway: string;
  /** A block device of the machine, which becomes its second disk. */
  readonly disk?: string | undefined;
  readonly userData: Buffer;
  /** Lines of /etc/hosts. */
  readonly names: readonly string[];
  /** An additional certificate that it trusts, as PEM. */
  readonly authority: string;
  /** A folder for files that are copied into the container. */
  readonly directory: string;
}

/** Creates a container from the image of Ubuntu's hosts, without starting it. */
export function makeContainer(props: ContainerProps): void {
  const { project, host, disk, names } = props;
  const incus = (args: readonly string[], input?: string) =>
    runSync(["incus", "--project", project, ...args], input === undefined ? {} : { input });

  const config = {
    "limits.memory": `${props.memory}MiB`,
    "security.nesting": "true",
    "user.address": props.address,
    "user.gateway": props.gateway,
  };
  const devices = {
    root: { type: "disk", path: "/", pool: POOL },
    eth0: { type: "nic", name: "eth0", network: props.bridge },
    ...(disk === undefined
      ? {}
      : {
          disk: { type: "unix-block", source: disk, path: "/dev/nvme1n1" },
          data: { type: "disk", pool: POOL, source: host, path: "/srv/data" },
        }),
  };
  if (disk !== undefined) {
    incus(["storage", "volume", "create", "--quiet", POOL, host]);
  }
  incus(
    ["init", "--quiet", "--no-profiles", props.image, host],
    JSON.stringify({ config, devices }),
  );
  incus(
    ["config", "template", "edit", host, "hosts"],
    ["127.0.0.1 localhost", ...names, ""].join("\n"),
  );

  const directory = join(props.directory, host);
  mkdirSync(directory, { recursive: true });
  const put = (path: string, content: string | Buffer, mode = "0644") => {
    const file = join(directory, "file");
    writeFileSync(file, content);
    incus(["file", "push", "--quiet", "--create-dirs", "--mode", mode, file, `${host}${path}`]);
  };
  put("/etc/cloud/cloud.cfg.d/99-container.cfg", CLOUD_INIT);
  put(`${SEED}/user-data`, props.userData, "0600");
  put(`${SEED}/meta-data`, "{}\n");
  put(AUTHORITIES, incus(["file", "pull", `${host}${AUTHORITIES}`, "-"]) + props.authority);
  for (const program of disk === undefined ? [] : REPLACED) {
    put(
      `/usr/local/sbin/${program}`,
      readFileSync(join(__dirname, "disk", `${program}.sh`)),
      "0755",
    );
  }
}
