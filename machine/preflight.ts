import { DISTRIBUTIONS, type Distribution } from "../hosts/distributions";
import { overlap } from "../topology/network";
import type { PublishedPort } from "../topology/publication";
import type { ClusterSettings } from "../topology/settings";

/** The properties of a machine that is to run a cluster. */
export interface Machine {
  readonly platform: string;
  /** As Node names it, for example `x64`. */
  readonly architecture: string;
  readonly nodeVersion: string;
  /** `undefined` if Terraform is not installed. */
  readonly terraformVersion: string | undefined;
  /** Root, or sudo without a password. */
  readonly canBecomeRoot: boolean;
  /** ID and VERSION_ID of /etc/os-release. */
  readonly distribution: { readonly id: string; readonly version: string };
  readonly freeDiskGiB: number;
  readonly memoryMiB: number;
  /** Networks that this machine has an address in or a route to. */
  readonly networks: ReadonlyArray<{ readonly cidr: string; readonly device: string }>;
  /** Those of the cluster's local ports that are in use. */
  readonly portsTaken: readonly number[];
  /** Names of the required programs that exist. */
  readonly programs: readonly string[];
  /** The files that exist, among those that local hosts may need. */
  readonly files: readonly string[];
}

/** What a cluster requires of a machine. */
export interface Demand {
  readonly cidr: string;
  readonly bridge: string;
  readonly published: ReadonlyArray<Pick<PublishedPort, "setting" | "localPort">>;
  /** Sum of the memory limits of its hosts. */
  readonly memoryMiB: number;
  /** Whether the cluster is already deployed, and so uses its ports, its disk space and its memory itself. */
  readonly isDeployed: boolean;
}

/** Disk space for the image, packed and unpacked, and the initial data of the databases. */
const DISK_GIB = 6;

/** Memory for the engine, Terraform and the machine itself. */
const OWN_MEMORY_MIB = 512;

const TERRAFORM = [1, 11] as const;

/** The oldest supported release of each distribution. */
const FIRST_RELEASES: Readonly<Record<string, string>> = { debian: "12", ubuntu: "24.04" };

function numbers(version: string): number[] {
  return version.replace(/^v/, "").split(/[.-]/).map(Number);
}

function isAtLeast(version: string, wanted: readonly number[]): boolean {
  const got = numbers(version);
  for (const [index, part] of wanted.entries()) {
    if ((got[index] ?? 0) !== part) {
      return (got[index] ?? 0) > part;
    }
  }
  return true;
}

function nodeProblem(version: string): string | undefined {
  const major = numbers(version)[0] ?? 0;
  return isAtLeast(version, [20, 9]) && major < 23
    ? undefined
    : `Node is ${version}; the cdktf CLI needs 20.9 or newer, and does not work with 23 or newer. Install Node 22.`;
}

function terraformProblem(version: string | undefined): string | undefined {
  const wanted = TERRAFORM.join(".");
  if (version === undefined) {
    return `Terraform is not installed, or not on the PATH. Install ${wanted} or newer: https://developer.hashicorp.com/terraform/install`;
  }
  return isAtLeast(version, TERRAFORM)
    ? undefined
    : `Terraform is ${version}; ${wanted} or newer is needed: https://developer.hashicorp.com/terraform/install`;
}

function distributionProblem({ id, version }: Machine["distribution"]): string | undefined {
  const first = FIRST_RELEASES[id];
  // Debian's testing and unstable have no version.
  return first !== undefined && (version === "" || isAtLeast(version, numbers(first)))
    ? undefined
    : `The distribution is ${id} ${version}; local hosts need Debian 12 or newer, or Ubuntu 24.04 or newer.`;
}

/**
 * Every reason why a machine cannot run a cluster, each with its remedy. Pure.
 */
export function problemsOf(machine: Machine, demand: Demand): string[] {
  if (machine.platform !== "linux") {
    return [
      `The operating system is ${machine.platform}; local hosts are Linux containers. Use a Linux machine, or stack aws.`,
    ];
  }
  const problems: Array<string | undefined> = [
    machine.canBecomeRoot
      ? undefined
      : "Local hosts need root. Run this as root, or allow sudo without a password.",
    ["x64", "arm64"].includes(machine.architecture)
      ? undefined
      : `The processor architecture is ${machine.architecture}; local hosts need x64 or arm64.`,
    distributionProblem(machine.distribution),
    nodeProblem(machine.nodeVersion),
    terraformProblem(machine.terraformVersion),
  ];
  if (!demand.isDeployed) {
    const memory = demand.memoryMiB + OWN_MEMORY_MIB;
    problems.push(
      machine.freeDiskGiB >= DISK_GIB
        ? undefined
        : `Only ${machine.freeDiskGiB.toFixed(1)} GiB are free in /var/lib; ${DISK_GIB} GiB are needed. Free some disk space.`,
      machine.memoryMiB >= memory
        ? undefined
        : `The machine has ${machine.memoryMiB} MiB of memory; the hosts need ${memory} MiB. Reduce the memory or the number of hosts in cluster.config.ts.`,
      ...demand.published
        .filter(({ localPort }) => machine.portsTaken.includes(localPort))
        .map(
          ({ setting, localPort }) =>
            `Port ${localPort} on 127.0.0.1 is already in use. Stop the program that listens on it, or set another ${setting} in cluster.config.ts.`,
        ),
    );
  }
  const other = machine.networks.find(
    ({ cidr, device }) => device !== demand.bridge && overlap(cidr, demand.cidr),
  );
  if (other !== undefined) {
    problems.push(
      `The network ${demand.cidr} overlaps ${other.cidr} of ${other.device}. Set another network.cidr in cluster.config.ts.`,
    );
  }
  return problems.filter((problem) => problem !== undefined);
}

/** A package that the machine needs to run local hosts. */
export interface Part {
  readonly package: string;
  readonly why: string;
}

const PARTS: ReadonlyArray<Part & { readonly program: string }> = [
  { program: "incusd", package: "incus-base", why: "Incus runs the hosts as containers" },
  { program: "dnsmasq", package: "dnsmasq-base", why: "Incus needs it for networks" },
  {
    program: "mkfs.btrfs",
    package: "btrfs-progs",
    why: "allows hosts to be cloned from the image",
  },
  { program: "mmdebstrap", package: "mmdebstrap", why: "builds the host image" },
  { program: "zstd", package: "zstd", why: "compresses the host image" },
  { program: "openssl", package: "openssl", why: "generates the cluster's secrets" },
];

/** The programs that the machine needs. */
export const PROGRAMS: readonly string[] = PARTS.map(({ program }) => program);

/** What a machine of another distribution needs in addition, to build hosts of this one. */
const FOREIGN_PARTS: Readonly<
  Record<Distribution, ReadonlyArray<Part & { readonly file: string }>>
> = {
  debian: [
    {
      file: DISTRIBUTIONS.debian.keyring,
      package: DISTRIBUTIONS.debian.keyringPackage,
      why: "has the keys that Debian signs its packages with",
    },
  ],
  ubuntu: [
    {
      file: DISTRIBUTIONS.ubuntu.keyring,
      package: DISTRIBUTIONS.ubuntu.keyringPackage,
      why: "has the keys that Ubuntu signs its packages with",
    },
    {
      file: "/usr/share/distro-info/ubuntu.csv",
      package: "distro-info-data",
      why: "tells mmdebstrap which releases are Ubuntu's",
    },
  ],
};

/** The files that the machine may need. */
export const FILES: readonly string[] = Object.values(FOREIGN_PARTS).flatMap((parts) =>
  parts.map(({ file }) => file),
);

/**
 * The packages that must be installed before clusters can run.
 *
 * @param distributions the distributions of their hosts, in terms of `local.distribution`
 */
export function missingParts(
  { programs, files, distribution }: Pick<Machine, "programs" | "files" | "distribution">,
  distributions: ReadonlyArray<ClusterSettings["local"]["distribution"]>,
): Part[] {
  const foreign = [...new Set(distributions)].flatMap((one) =>
    one === "machine" || one === distribution.id ? [] : FOREIGN_PARTS[one],
  );
  return [
    ...PARTS.filter(({ program }) => !programs.includes(program)),
    ...foreign.filter(({ file }) => !files.includes(file)),
  ].map(({ package: name, why }) => ({ package: name, why }));
}
