import type { ScratchCluster } from "../../../drill/scratch/scratch-cluster";
import { renderHosts } from "../../../hosts/render";
import type { Role } from "../../../topology/roles";
import { hostsOf } from "../../../topology/topology";

/** The files of the hosts, checked by the programs that read them. */
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
}
