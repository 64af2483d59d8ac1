import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { ScratchCluster } from "../../../drill/scratch/scratch-cluster";
import { renderHosts } from "../../../hosts/render";
import { runSync } from "../../../ops/run";
import { backupDirectory } from "../../../topology/names";
import type { Role } from "../../../topology/roles";
import { hostsOf } from "../../../topology/topology";

function everyFile(directory: string): string[] {
  return readdirSync(directory).flatMap((name) => {
    const path = join(directory, name);
    return statSync(path).isDirectory() ? everyFile(path) : [path];
  });
}

/** The files of the hosts, checked by the programs that read them, and searched for what must not be there. */
export function hosts(cluster: ScratchCluster): void {
  const names = () => cluster.topology.hosts.map(({ name }) => name);
  const ofRole = (role: Role) => hostsOf(cluster.topology, role).map(({ name }) => name);

  test.each([...ofRole("load-balancer"), ...ofRole("web")])(
    "%s: HAProxy accepts its configuration",
    (host) => {
      expect(cluster.on(host, "haproxy -c -f /etc/haproxy/haproxy.cfg 2>&1")).not.toMatch(
        /WARNING|ALERT/,
      );
    },
  );

  test.each(ofRole("web"))("%s: Nginx accepts its configuration", (host) => {
    expect(cluster.on(host, "nginx -t 2>&1")).not.toMatch(/warn|emerg/);
  });

  test.each(ofRole("database"))("%s: MySQL accepts its configuration", (host) => {
    const { status, stderr } = cluster.attemptOn(
      host,
      "mysqld --defaults-file=/etc/mysql/cluster/mysqld.cnf --validate-config",
    );
    expect([status, stderr]).toEqual([0, ""]);
  });

  test("systemd accepts every unit of the cluster, and needs no daemon-reload", () => {
    for (const { name, files } of renderHosts(cluster.topology, {
      platform: "local",
      scripts: "",
    })) {
      const own = files.flatMap(
        ({ path }) =>
          /^\/etc\/systemd\/system\/([a-z-]+\.(?:service|timer|socket|slice))/.exec(path)?.[1] ??
          [],
      );
      const units = [...new Set(own)].join(" ");
      expect(units).toContain("cluster-converge.service");
      const faults = cluster.on(
        name,
        `systemd-analyze verify --man=no --recursive-errors=no ${units} 2>&1`,
      );
      expect([name, faults]).toEqual([name, ""]);
      const unread = cluster.on(
        name,
        `systemctl show --property NeedDaemonReload --value ${units} haproxy mysql | sort --unique`,
      );
      expect([name, unread.trim().split(/\s+/)]).toEqual([name, ["no"]]);
    }
  });

  test("nft accepts every firewall, and cloud-init every cloud-config", () => {
    for (const host of names()) {
      cluster.on(host, "nft --check --file /etc/nftables.conf");
      cluster.on(host, "cloud-init schema --config-file /var/lib/cluster/user-data");
    }
  });

  test("no unit failed on any host, and cloud-init finished without errors", () => {
    for (const host of names()) {
      const failed = cluster.on(host, "systemctl list-units --failed --plain --no-legend");
      expect([host, failed]).toEqual([host, ""]);
      const status = JSON.parse(cluster.on(host, "cloud-init status --format json"));
      expect([host, status.extended_status, status.errors]).toEqual([host, "done", []]);
    }
  });

  /** Where a text is found on a host. It is passed on standard input, so that the search does not find itself. */
  const found = (host: string, value: string) =>
    runSync(
      ["incus", "--project", cluster.incusProject, "exec", host, "--", "bash", "-c", SEARCH],
      {
        input: value,
        seconds: 120,
      },
    );

  test("no secret is in the state, the synthesized stack, a process list, a log or a file on disk", () => {
    const { secrets } = cluster.topology;
    const written = everyFile(cluster.workspace.directory)
      .filter((path) => !path.endsWith(".tar.gz"))
      .map((path) => [path, readFileSync(path, "utf8")] as const);
    // The search finds a text that is known to be there.
    expect(found("web-1", "CLUSTER_NAME=")).toContain("/etc/cluster/host.env");
    const values: Record<string, string> = {};
    for (const { name, readers, outlivesCluster = false } of secrets) {
      const [reader = ""] = cluster.topology.hosts
        .filter(({ role }) => readers.includes(role))
        .map((host) => host.name);
      const value = cluster.on(reader, `/opt/cluster/platform.sh secret ${name}`).trim();
      expect(value).toMatch(/^[A-Za-z0-9]{40,}$/);
      // A secret that outlives the cluster is kept beside the backups that it opens, in a file for root.
      const kept = join(backupDirectory(cluster.topology.settings), name);
      expect(existsSync(kept)).toBe(outlivesCluster);
      for (const [path, content] of written.filter(([one]) => one !== kept)) {
        expect([path, content.includes(value)]).toEqual([path, false]);
      }
      values[name] = value;
    }
    for (const host of names()) {
      // All at once: most of the time goes into reading the disk.
      if (found(host, Object.values(values).join("\n")) === "") {
        continue;
      }
      for (const [name, value] of Object.entries(values)) {
        expect([host, name, found(host, value)]).toEqual([host, name, ""]);
      }
      throw new Error(`${host}: a secret was found there a moment ago`);
    }
  });

  test("a host cannot read a secret that is not for its role", () => {
    for (const { name, readers } of cluster.topology.secrets) {
      for (const host of cluster.topology.hosts.filter(({ role }) => !readers.includes(role))) {
        const { status, stdout } = cluster.attemptOn(
          host.name,
          `/opt/cluster/platform.sh secret ${name}`,
        );
        expect([host.name, name, status === 0, stdout]).toEqual([host.name, name, false, ""]);
      }
    }
  });
}

const SEARCH = `
set -o pipefail
pattern=$(mktemp /dev/shm/pattern.XXXXXX)
cat >"$pattern"
cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep --quiet --fixed-strings --file "$pattern" && echo "a process list"
journalctl --no-pager --quiet | grep --quiet --fixed-strings --file "$pattern" && echo "the journal"
grep --recursive --files-with-matches --fixed-strings --file "$pattern" --devices=skip /etc /opt /root /home /srv /tmp /var 2>/dev/null
rm --force "$pattern"
exit 0
`;
