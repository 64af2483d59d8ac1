import type { ScratchCluster } from "../../../drill/scratch/scratch-cluster";

/** Offers a version of a package to a host, from an archive on the host itself. */
function offer(cluster: ScratchCluster, host: string, version: string, then = ""): void {
  cluster.on(
    host,
    `set -e
     mkdir -p /srv/archive /tmp/built/DEBIAN
     cd /srv/archive
     printf '#!/bin/sh\\n${then}\\nexit 0\\n' >/tmp/built/DEBIAN/postinst
     chmod 755 /tmp/built/DEBIAN/postinst
     printf 'Package: cluster-trial\\nVersion: ${version}\\nArchitecture: all\\nMaintainer: nobody <nobody@example.com>\\nDescription: a trial\\n' >/tmp/built/DEBIAN/control
     dpkg-deb --build /tmp/built cluster-trial.deb >/dev/null
     { cat /tmp/built/DEBIAN/control; printf 'Filename: ./cluster-trial.deb\\nSize: %s\\nSHA256: %s\\n' "$(stat -c %s cluster-trial.deb)" "$(sha256sum cluster-trial.deb | cut -d' ' -f1)"; } >Packages
     printf 'Date: %s\\nSHA256:\\n %s %s Packages\\n' "$(date -Ru)" "$(sha256sum Packages | cut -d' ' -f1)" "$(stat -c %s Packages)" >Release
     printf 'deb [trusted=yes] file:/srv/archive ./\\n' >/etc/apt/sources.list.d/trial.list
     rm -rf /tmp/built`,
  );
}

const versionOn = (cluster: ScratchCluster, host: string) =>
  cluster.on(host, "dpkg-query --status cluster-trial | sed --quiet 's/^Version: //p'").trim();

const booted = (cluster: ScratchCluster, host: string) => cluster.on(host, "stat -c %Y /proc/1");

/**
 * Upgrades of packages on the hosts of a cluster that serves. The hosts know only an archive of their own meanwhile: what
 * the distribution has to offer differs from day to day.
 */
export function upgrade(cluster: ScratchCluster): void {
  const names = () => cluster.topology.hosts.map(({ name }) => name);
  const boots = () => Object.fromEntries(names().map((name) => [name, booted(cluster, name)]));

  beforeAll(() => {
    for (const host of names()) {
      cluster.on(
        host,
        `mkdir /etc/apt/aside; mv /etc/apt/sources.list* /etc/apt/aside/
         mkdir /etc/apt/sources.list.d; rm -rf /var/lib/apt/lists/*`,
      );
      offer(cluster, host, "1");
      cluster.on(host, "apt-get -qq install /srv/archive/cluster-trial.deb >/dev/null 2>&1");
      // A restart that a package asks for does not happen while the host serves.
      offer(
        cluster,
        host,
        "2",
        "deb-systemd-invoke restart nginx.service haproxy.service mysql.service; touch /tmp/installed",
      );
    }
  });

  afterAll(() => {
    for (const host of names()) {
      cluster.on(
        host,
        `rm -rf /etc/apt/sources.list* /var/lib/apt/lists/*
         mv /etc/apt/aside/* /etc/apt/; rmdir /etc/apt/aside`,
      );
    }
  });

  test("a dry run shows what would be done, and changes nothing", async () => {
    const before = boots();
    const printed = cluster.operate("upgrade", "--dry-run");
    for (const host of names()) {
      expect(printed).toMatch(new RegExp(`^  ${host}; .*gets .*cluster-trial`, "m"));
    }
    expect(printed).toContain("hands the primary role to a replica");
    expect(boots()).toEqual(before);
    expect(cluster.attemptToOperate("status").stdout).toMatch(/^updates: .*web-1 \d+ package/m);
  });

  test("every host is upgraded, and all but the load balancer, which keeps running, are rebooted", async () => {
    const before = boots();
    const primary = await cluster.inSync();
    const haproxy = cluster.on("load-balancer-1", "systemctl show -p MainPID haproxy.service");
    const printed = cluster.operate("upgrade");
    expect(await cluster.inSync()).not.toBe(primary);
    await cluster.serving();
    for (const host of names()) {
      expect(printed).toContain(`${host} is up to date and works`);
      expect([host, versionOn(cluster, host)]).toEqual([host, "2"]);
      expect([host, booted(cluster, host) !== before[host]]).toEqual([
        host,
        host !== "load-balancer-1",
      ]);
      expect(cluster.attemptOn(host, "test -e /usr/sbin/policy-rc.d").status).toBe(1);
    }
    expect(cluster.on("load-balancer-1", "systemctl show -p MainPID haproxy.service")).toBe(
      haproxy,
    );
  }, 600_000);

  test("a second upgrade finds nothing to do", () => {
    const before = boots();
    expect(cluster.operate("upgrade")).toContain("There is nothing to do now.");
    expect(boots()).toEqual(before);
  });

  test("a package that cannot be installed stops the upgrade at its host, and the next upgrade continues there", async () => {
    offer(cluster, "web-1", "3", "test -e /tmp/may-be-installed || exit 1");
    offer(cluster, "web-2", "3");
    const { status, stdout, stderr } = cluster.attemptToOperate("upgrade");
    expect([status, stdout + stderr]).toEqual([
      1,
      expect.stringMatching(/stopped at web-1: [\s\S]*Not started: web-2/),
    ]);
    await cluster.serving();
    expect(versionOn(cluster, "web-2")).toBe("2");
    cluster.on("web-1", "touch /tmp/may-be-installed");
    cluster.operate("upgrade");
    await cluster.serving();
    expect([versionOn(cluster, "web-1"), versionOn(cluster, "web-2")]).toEqual(["3", "3"]);
  }, 600_000);
}
