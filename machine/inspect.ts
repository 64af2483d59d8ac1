import { accessSync, constants, existsSync, readFileSync, statfsSync } from "node:fs";
import { createServer } from "node:net";
import { networkInterfaces, totalmem } from "node:os";
import { join } from "node:path";
import { attemptSync } from "../ops/run";
import { firstAddress } from "../topology/network";
import { FILES, type Machine, PROGRAMS } from "./preflight";

/** Folders to search for programs in addition to the user's PATH. */
const FURTHER_FOLDERS = [
  "/usr/local/sbin",
  "/usr/sbin",
  "/sbin",
  "/usr/libexec/incus",
  "/usr/lib/incus",
  "/opt/incus/bin",
];

function outputOf(...command: string[]): string | undefined {
  const { status, stdout } = attemptSync(command);
  return status === 0 ? stdout : undefined;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function has(program: string): boolean {
  const folders = [...(process.env.PATH ?? "").split(":"), ...FURTHER_FOLDERS];
  return folders.some((folder) => isExecutable(join(folder, program)));
}

function distribution(): Machine["distribution"] {
  const text = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  const field = (name: string) => new RegExp(`^${name}="?([^"\n]*)`, "m").exec(text)?.[1] ?? "";
  return { id: field("ID") || "unknown", version: field("VERSION_ID") };
}

/** Parses an address in the format of /proc/net/route: hexadecimal, in little-endian byte order. */
function routeAddress(hexadecimal: string): string {
  return (hexadecimal.match(/../g) ?? [])
    .reverse()
    .map((octet) => Number.parseInt(octet, 16))
    .join(".");
}

/** Networks in a routing table in the format of /proc/net/route, without default routes. */
export function networksOfRoutes(table: string): Machine["networks"] {
  return table
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields.length > 7 && fields[7] !== "00000000")
    .map((fields) => {
      const mask = Number.parseInt(fields[7] as string, 16);
      const prefixLength = mask.toString(2).replace(/0/g, "").length;
      return {
        cidr: `${routeAddress(fields[1] as string)}/${prefixLength}`,
        device: fields[0] as string,
      };
    });
}

function networks(): Machine["networks"] {
  const addresses = Object.entries(networkInterfaces()).flatMap(([device, entries]) =>
    (entries ?? []).flatMap(({ family, cidr }) =>
      family === "IPv4" && cidr
        ? [{ cidr: `${firstAddress(cidr)}/${cidr.split("/")[1]}`, device }]
        : [],
    ),
  );
  const table = "/proc/net/route";
  return [
    ...addresses,
    ...(existsSync(table) ? networksOfRoutes(readFileSync(table, "utf8")) : []),
  ];
}

function isPortTaken(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(true));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(false)));
  });
}

function freeDiskGiB(): number {
  const path =
    ["/var/lib/incus", "/var/lib", "/"].find((candidate) => existsSync(candidate)) ?? "/";
  const { bavail, bsize } = statfsSync(path);
  return (bavail * bsize) / 2 ** 30;
}

async function portsTaken(ports: readonly number[]): Promise<number[]> {
  const taken = await Promise.all(ports.map(isPortTaken));
  return ports.filter((_, index) => taken[index]);
}

/**
 * Inspects this machine, without changing anything.
 *
 * @param ports of its 127.0.0.1, of which to find out whether they are in use
 */
export async function lookAtMachine(ports: readonly number[]): Promise<Machine> {
  const terraform = outputOf("terraform", "version", "-json");
  return {
    platform: process.platform,
    architecture: process.arch,
    nodeVersion: process.versions.node,
    terraformVersion: /"terraform_version":\s*"([^"]+)"/.exec(terraform ?? "")?.[1],
    canBecomeRoot: process.getuid?.() === 0 || outputOf("sudo", "-n", "true") !== undefined,
    freeDiskGiB: freeDiskGiB(),
    memoryMiB: Math.floor(totalmem() / 2 ** 20),
    networks: networks(),
    portsTaken: await portsTaken(ports),
    ...partsPresent(),
  };
}

/** The programs and files needed for local hosts that this machine has. */
export function partsPresent(): Pick<Machine, "distribution" | "files" | "programs"> {
  return {
    distribution: distribution(),
    files: FILES.filter((file) => existsSync(file)),
    programs: PROGRAMS.filter(has),
  };
}

/** Whether a network interface exists. A cluster's bridge is created first and removed last. */
export function hasInterface(name: string): boolean {
  return existsSync(`/sys/class/net/${name}`);
}
