/** The Ubuntu release that hosts on EC2 boot, and local hosts with `local.distribution: "ubuntu"`. */
export const UBUNTU = { version: "26.04", codeName: "resolute" } as const;

/** A distribution that hosts can run. */
export type Distribution = "debian" | "ubuntu";

interface Packages {
  /** The release's name for apt. On Debian, only MySQL comes from unstable: scripts/local/image.sh. */
  readonly suite: string;
  /** The keys its packages are signed with, once the package `keyringPackage` is installed. */
  readonly keyring: string;
  readonly keyringPackage: string;
}

/** Where the packages of hosts come from. */
export const DISTRIBUTIONS: Readonly<Record<Distribution, Packages>> = {
  debian: {
    suite: "testing",
    keyring: "/usr/share/keyrings/debian-archive-keyring.gpg",
    keyringPackage: "debian-archive-keyring",
  },
  ubuntu: {
    suite: UBUNTU.codeName,
    keyring: "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
    keyringPackage: "ubuntu-keyring",
  },
};
