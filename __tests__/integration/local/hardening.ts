import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ScratchCluster } from "../../../drill/scratch/scratch-cluster";
import { ARCHIVED_FILES } from "../../../hosts/static-files";
import type { Role } from "../../../topology/roles";

/**
 * How exposed each unit may be by `systemd-analyze security`, from 0 to 10. What brings a host to its declared state is not
 * among them: it may do everything.
 */
const BOUNDS: Record<Role, Readonly<Record<string, number>>> = {
  "load-balancer": { haproxy: 3, "cluster-silence": 3 },
  web: { haproxy: 3, nginx: 3, app: 3 },
  database: {
    haproxy: 3,
    mysql: 2,
    "cluster-database-agent": 3,
    "cluster-database-backup": 3,
    "cluster-database-certificates": 3,
    "cluster-database-log-archive": 3,
  },
  monitor: { prometheus: 2, "prometheus-alertmanager": 2 },
};

/** The same of voters. */
const VOTER_BOUNDS = { "cluster-etcd": 2, "cluster-etcd-membership": 3 };

/** The same of one of two load balancers. */
const PAIR_BOUNDS = {
  keepalived: 3,
  "cluster-visitors-address": 3,
  "cluster-load-balancer-peer@1": 3,
};

/** The same of hosts that a monitor asks: the exporters by role, and what tells one of them about the host. */
const METRICS_BOUNDS: Record<Role, Readonly<Record<string, number>>> = {
  "load-balancer": {},
  web: { "prometheus-nginx-exporter": 2 },
  database: { "prometheus-mysqld-exporter": 2 },
  monitor: {},
};
const METRICS_BOUNDS_OF_ALL = { "prometheus-node-exporter": 2, "cluster-metrics": 3 };

/** The units of every host, with the bound of each. */
function unitsOf({ topology }: ScratchCluster) {
  const voters = topology.voters.map(({ name }) => name);
  const isPair = topology.settings.loadBalancer.count === 2;
  return topology.hosts.flatMap(({ name, role }) => {
    const bounds: Record<string, number> = {
      ...BOUNDS[role],
      ...(voters.includes(name) ? VOTER_BOUNDS : {}),
      ...(topology.settings.monitor ? { ...METRICS_BOUNDS[role], ...METRICS_BOUNDS_OF_ALL } : {}),
      ...(isPair && role === "load-balancer" ? PAIR_BOUNDS : {}),
    };
    return Object.entries(bounds).map(([unit, bound]) => ({ name, unit, bound }));
  });
}

/** The units that are more exposed than their bound, a sentence each. */
export function overexposed(cluster: ScratchCluster): string[] {
  return unitsOf(cluster).flatMap(({ name, unit, bound }) => {
    const printed = cluster.on(name, `systemd-analyze security --no-pager ${unit}.service`);
    const exposure = Number(/Overall exposure level .*: ([0-9.]+)/.exec(printed)?.[1]);
    return exposure <= bound ? [] : [`${name} ${unit}: ${exposure}, wanted at most ${bound}`];
  });
}

/** A setting of the kernel that hosts declare. */
interface KernelSetting {
  readonly name: string;
  readonly value: string;
  /** Whether a container may not set it: it has that of its machine. */
  readonly isOfMachine: boolean;
}

export function kernelSettings(): KernelSetting[] {
  const file = readFileSync(join(ARCHIVED_FILES, "etc", "sysctl.d", "60-cluster.conf"), "utf8");
  return [...file.matchAll(/^(-?)([a-z]\S*) = (.*)$/gm)].map(([, mark, name = "", value = ""]) => ({
    name,
    value,
    isOfMachine: mark === "-",
  }));
}

/** What an intruder would find on a host: how little each program may do, and what is switched off. */
export function hardening(cluster: ScratchCluster): void {
  const names = () => cluster.topology.hosts.map(({ name }) => name);

  /** The units of a host that run, with what the kernel says of their first process. */
  const processes = (host: string) => {
    const own = unitsOf(cluster).filter(({ name }) => name === host);
    const printed = cluster.on(
      host,
      `for unit in ${own.map(({ unit }) => unit).join(" ")}; do
         # Not a timer's, which may only just begin, or end meanwhile.
         if [[ $(systemctl show --property SubState --value "$unit") != running ]]; then continue; fi
         process=$(systemctl show --property MainPID --value "$unit")
         printf '%s %s %s\\n' "$unit" \\
           "$(awk '$1 == "NoNewPrivs:" || $1 == "Seccomp:" { printf "%s%s ", $1, $2 }' "/proc/$process/status")" \\
           "$(awk '/^Max core file size/ { print "core:" $5 "/" $6 }' "/proc/$process/limits")"
       done`,
    );
    return printed.trim().split("\n");
  };

  const SANDBOXED = /^\S+ NoNewPrivs:1 Seccomp:2 +core:0\/0$/;

  test("no unit is more exposed than its bound", () => {
    expect(overexposed(cluster)).toEqual([]);
  });

  test("what runs has run in its sandbox since the first boot, and cannot dump its memory", () => {
    for (const host of names()) {
      const running = processes(host);
      expect(running.length).toBeGreaterThan(1);
      expect([host, running.filter((line) => !SANDBOXED.test(line))]).toEqual([host, []]);
    }
  });

  test("MySQL cannot write to its own configuration, or read the cluster's secrets", () => {
    const tried = cluster.on(
      "database-1",
      `process=$(systemctl show --property MainPID --value mysql)
       nsenter --mount --target "$process" bash -c '
         touch /var/lib/mysql/tried && rm /var/lib/mysql/tried && echo data
         touch /etc/mysql/cluster/tried && echo configuration
         setpriv --reuid=mysql --regid=mysql --clear-groups cat /run/cluster/secrets/* && echo secrets' 2>/dev/null || true`,
    );
    expect(tried.trim()).toBe("data");
  });

  test("the kernel refuses redirected, source-routed and spoofed packets on every interface", () => {
    const settings = kernelSettings().filter(({ isOfMachine }) => !isOfMachine);
    expect(settings.map(({ name }) => name)).toContain("net.ipv4.conf.*.rp_filter");
    for (const host of names()) {
      const wanted = settings.flatMap(({ name, value }) =>
        (name.includes("*") ? ["all", "default", "eth0"] : [""]).map(
          (one) => `${name.replace("*", one)} ${value}`,
        ),
      );
      const found = cluster.on(
        host,
        `for name in ${wanted.map((line) => line.split(" ")[0]).join(" ")}; do
           printf '%s %s\\n' "$name" "$(cat "/proc/sys/\${name//.//}")"
         done`,
      );
      expect([host, found.trim().split("\n")]).toEqual([host, wanted]);
    }
  });

  test("no account has a password, and no SSH server listens or can be started", () => {
    for (const host of names()) {
      const open = cluster.on(host, "awk -F: '$2 !~ /^[*!]/ { print $1 }' /etc/shadow");
      expect([host, open]).toEqual([host, ""]);
      const { stdout } = cluster.attemptOn(
        host,
        "ss --listening --tcp --numeric --no-header 'sport = :22'; systemctl is-active ssh.service ssh.socket",
      );
      expect([host, [...new Set(stdout.trim().split("\n"))]]).toEqual([host, ["inactive"]]);
    }
  });

  test("the journal is bounded", () => {
    for (const host of names()) {
      const said = cluster.on(
        host,
        "journalctl --no-pager --output cat --unit systemd-journald | grep --only-matching 'max [0-9.]*[A-Z]' | tail --lines=1",
      );
      expect([host, said.trim()]).toEqual([host, "max 256M"]);
    }
  });

  test("a web server that reboots comes back into its sandboxes, and serves", async () => {
    const web = `web-${cluster.topology.settings.webServers.count}`;
    cluster.incus(["restart", web], 90);
    await cluster.serving();
    const running = processes(web);
    expect(running.map((line) => line.split(" ")[0])).toEqual(
      expect.arrayContaining(["haproxy", "nginx", "app"]),
    );
    expect(running.filter((line) => !SANDBOXED.test(line))).toEqual([]);
  });
}
