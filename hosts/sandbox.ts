import { type HostFile, textFile } from "./host";

/** The capabilities of root that files of other users need. */
export const FILES_OF_OTHERS: readonly string[] = ["CHOWN", "DAC_OVERRIDE", "FOWNER"];

/** What a unit may do in spite of its sandbox. */
export interface Allowed {
  /** The capabilities that it needs (capabilities(7)), without `CAP_`. Default none. */
  readonly capabilities?: readonly string[];
  /** Paths that it writes to; one with a hyphen before it need not exist. Default none. */
  readonly writes?: readonly string[];
  /** Address families of its sockets besides IPv4, IPv6 and local ones, without `AF_`. Default none. */
  readonly families?: readonly string[];
  /** Whether it sees processes of other users. Default no. */
  readonly seesProcesses?: boolean;
  /** Whether it asks the platform for secrets: locally through a socket among the devices. Default no. */
  readonly asksPlatform?: boolean;
  /** Whether it writes to /run/cluster, which the scripts of a host share. Default no. */
  readonly writesToRun?: boolean;
  /** Whether it makes code at run time, as Node does. Default no. */
  readonly makesCode?: boolean;
  /** Further lines of the section `[Service]`. */
  readonly lines?: readonly string[];
}

/**
 * Lines of the section `[Service]` of a unit that keeps it from all that it does not need: it reads files and serves, and
 * everything else has to be allowed. A system call that is not allowed fails, and ends no program.
 *
 * All of it works in a container without privileges as well. There a user namespace of its own (PrivateUsers=) may be
 * refused, and a filter of addresses (IPAddressDeny=) has no effect; the host's firewall is one. systemd.exec(5)
 */
export function sandbox({
  capabilities = [],
  writes = [],
  families = [],
  seesProcesses = false,
  asksPlatform = false,
  writesToRun = false,
  makesCode = false,
  lines = [],
}: Allowed = {}): string {
  const prefixed = (prefix: string, names: readonly string[]) =>
    names.map((name) => `${prefix}${name}`).join(" ");
  return [
    "NoNewPrivileges=yes",
    `CapabilityBoundingSet=${prefixed("CAP_", capabilities)}`,
    "ProtectSystem=strict",
    ...(writes.length > 0 ? [`ReadWritePaths=${writes.join(" ")}`] : []),
    ...(writesToRun ? ["RuntimeDirectory=cluster", "RuntimeDirectoryPreserve=yes"] : []),
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    ...(asksPlatform ? ["BindReadOnlyPaths=-/dev/incus"] : []),
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelLogs=yes",
    "ProtectControlGroups=yes",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    ...(seesProcesses ? [] : ["ProtectProc=invisible"]),
    "LockPersonality=yes",
    ...(makesCode ? [] : ["MemoryDenyWriteExecute=yes"]),
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    `RestrictAddressFamilies=${prefixed("AF_", ["INET", "INET6", "UNIX", ...families])}`,
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallErrorNumber=EPERM",
    "LimitCORE=0",
    ...lines,
    "",
  ].join("\n");
}

/** A drop-in that puts a unit into a sandbox. It takes effect when the unit next starts. */
export function sandboxOf(unit: string, allowed: Allowed = {}): HostFile {
  return textFile(
    `/etc/systemd/system/${unit}.service.d/sandbox.conf`,
    `[Service]\n${sandbox(allowed)}`,
  );
}

/**
 * HAProxy: its first process is root's, and tells others, which are of HAProxy's own user, to end. Its files are in a
 * folder of its own instead of /run.
 *
 * @param second a configuration file that it reads after haproxy.cfg; a running HAProxy goes on without until it restarts
 */
export function haproxySandbox(
  { capabilities = [], ...more }: Allowed = {},
  second?: string,
): HostFile {
  const options = [
    "-S /run/haproxy/master.sock",
    ...(second === undefined ? [] : [`-f ${second}`]),
  ];
  return sandboxOf("haproxy", {
    ...more,
    capabilities: ["SETUID", "SETGID", "KILL", ...capabilities],
    lines: [
      "RuntimeDirectory=haproxy",
      `Environment="PIDFILE=/run/haproxy/haproxy.pid" "EXTRAOPTS=${options.join(" ")}"`,
    ],
  });
}
