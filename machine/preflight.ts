import { DISTRIBUTIONS, type Distribution } from "../hosts/distributions";
import { overlap } from "../topology/network";
import type { ClusterSettings } from "../topology/settings";

/** What was found out about a machine that is to run a cluster; nothing in it was changed. */
export interface Machine {
  readonly platform: string;
  /** As Node names it, for example `x64`. */
  readonly architecture: string;
  readonly nodeVersion: string;
  /** `undefined` where there is no Terraform. */
  readonly terraformVersion: string | undefined;
  /** Root, or sudo without a password. */
  readonly canBecomeRoot: boolean;
  /** ID and VERSION_ID of /etc/os-release. */
  readonly distribution: { readonly id: string; readonly version: string };
  readonly freeDiskGiB: number;
  readonly memoryMiB: number;
  /** Networks that this machine has an address in or a route to. */
  readonly networks: ReadonlyArray<{ readonly cidr: string; readonly device: string }>;
  /** Whether something listens on the port that is to lead to the cluster. */
  readonly isPortTaken: boolean;
  /** Programs that were found, by name. */
  readonly programs: readonly string[];
  /** Files that were found, of those that local hosts may need. */
  readonly files: readonly string[];
}

/** What a cluster asks of a machine. */
export interface Demand {
  readonly cidr: string;
  readonly bridge: string;
  readonly localPort: number;
  /** Sum of the memory limits of its hosts. */
  readonly memoryMiB: number;
  /** Whether the cluster is there already, with its port, its disk space and its memory. */
  readonly isDeployed: boolean;
}

/** Room for the image, its unpacked form and the databases' first data. */
const DISK_GIB = 6;

/** What the engine, Terraform and the machine itself need beside the hosts. */
const OWN_MEMORY_MIB = 512;

const TERRAFORM = [1, 11] as const;

/** The first release of each distribution that has what local hosts need. */
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
    : `Node is ${version}; the cdktf command line needs 20.9 or newer and fails from 23 on. Install Node 22.`;
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
 * Everything that keeps a machine from running a cluster, a sentence with its remedy each.
 *
 * Pure: whether a machine is fit depends on nothing but what is given.
 */
export function problemsOf(machine: Machine, demand: Demand): string[] {
  if (machine.platform !== "linux") {
    return [
      `This is ${machine.platform}; local hosts are Linux containers. Use a Linux machine, or stack aws.`,
    ];
  }
  const problems: Array<string | undefined> = [
    machine.canBecomeRoot
      ? undefined
      : "Local hosts need root. Run this as root, or allow sudo without a password.",
    ["x64", "arm64"].includes(machine.architecture)
      ? undefined
      : `The processor is ${machine.architecture}; the hosts' packages are made for x64 and arm64.`,
    distributionProblem(machine.distribution),
    nodeProblem(machine.nodeVersion),
    terraformProblem(machine.terraformVersion),
  ];
  if (!demand.isDeployed) {
    const memory = demand.memoryMiB + OWN_MEMORY_MIB;
    problems.push(
      machine.freeDiskGiB >= DISK_GIB
        ? undefined
        : `Only ${machine.freeDiskGiB.toFixed(1)} GiB are free at /var/lib; ${DISK_GIB} GiB are needed. Free some.`,
      machine.memoryMiB >= memory
        ? undefined
        : `The machine has ${machine.memoryMiB} MiB of memory; the hosts need ${memory} MiB. Lower the memory settings or the numbers of hosts in cluster.config.ts.`,
      machine.isPortTaken
        ? `Port ${demand.localPort} of 127.0.0.1 is taken. Stop what listens there, or set another localPort in cluster.config.ts.`
        : undefined,
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

/** A package that local hosts need on the machine. */
export interface Part {
  readonly package: string;
  readonly why: string;
}

const PARTS: ReadonlyArray<Part & { readonly program: string }> = [
  { program: "incusd", package: "incus-base", why: "Incus runs the hosts as containers" },
  { program: "dnsmasq", package: "dnsmasq-base", why: "Incus needs it for a network" },
  { program: "mkfs.btrfs", package: "btrfs-progs", why: "hosts are cloned from the image at once" },
  { program: "mmdebstrap", package: "mmdebstrap", why: "builds the host image" },
  { program: "zstd", package: "zstd", why: "packs the host image" },
  { program: "openssl", package: "openssl", why: "generates the cluster's secrets" },
];

/** The programs to look for on the machine. */
export const PROGRAMS: readonly string[] = PARTS.map(({ program }) => program);

/** What a machine of another distribution needs to build hosts of this one. */
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
      why: "tells mmdebstrap which releases are Ubuntu's, and so where they are",
    },
  ],
};

/** The files to look for on the machine. */
export const FILES: readonly string[] = Object.values(FOREIGN_PARTS).flatMap((parts) =>
  parts.map(({ file }) => file),
);

/**
 * What has to be installed before clusters can run.
 *
 * @param distributions what their hosts are, as `local.distribution` has it
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
