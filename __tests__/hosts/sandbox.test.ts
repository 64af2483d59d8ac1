import { METRICS_FILES } from "../../hosts/metrics";
import { renderHosts } from "../../hosts/render";
import { sandbox } from "../../hosts/sandbox";
import type { Role } from "../../topology/roles";
import { fileOf, hostOf, SCRIPTS, topologyOf } from "./rendered";

/** They bring a host to its declared state: they install packages, write units and start them. */
const MAY_DO_EVERYTHING = ["cluster-app-setup", "cluster-converge", "cluster-update"];

/** Services of packages that listen, by role. */
const PACKAGED: Readonly<Record<Role, readonly string[]>> = {
  "load-balancer": ["haproxy", "prometheus-node-exporter"],
  web: ["haproxy", "nginx", "prometheus-node-exporter", "prometheus-nginx-exporter"],
  database: ["haproxy", "prometheus-node-exporter", "prometheus-mysqld-exporter"],
  monitor: ["prometheus", "prometheus-alertmanager", "prometheus-node-exporter"],
};

/** Every role, and a load balancer that is one of two. */
const rendered = [{ monitor: true }, { monitor: true, loadBalancer: { count: 2 } }].flatMap(
  (settings) => renderHosts(topologyOf(settings), { platform: "local", scripts: SCRIPTS }),
);

test.each(rendered.map((host) => [host.name, host] as const))(
  "on %s every service is in a sandbox, but for those that change the host",
  (_name, host) => {
    const files = [...host.files, ...METRICS_FILES];
    const own = files.flatMap(
      ({ path }) => /^\/etc\/systemd\/system\/([a-z@-]+)\.service$/.exec(path)?.[1] ?? [],
    );
    expect(own).toContain("cluster-converge");
    const packaged = [
      ...PACKAGED[host.role],
      ...(host.files.some(({ path }) => path.startsWith("/etc/keepalived/")) ? ["keepalived"] : []),
    ];
    const open = [...own, ...packaged].filter((unit) => {
      const texts = files.filter(({ path }) =>
        path.startsWith(`/etc/systemd/system/${unit}.service`),
      );
      return !texts.some(({ content }) => /^ProtectSystem=strict$/m.test(content));
    });
    expect(open.sort()).toEqual(MAY_DO_EVERYTHING.filter((unit) => own.includes(unit)));
  },
);

test("MySQL is in one as well, and writes to its data alone", () => {
  const server = fileOf(hostOf("database-1"), "/etc/cluster/database/mysql.service.conf");
  expect(server).toMatch(/^CapabilityBoundingSet=$/m);
  expect(server).toMatch(/^ReadWritePaths=\/var\/lib\/mysql$/m);
});

test("only a load balancer's HAProxy may listen on a port below 1024", () => {
  const drop = "/etc/systemd/system/haproxy.service.d/sandbox.conf";
  expect(fileOf(hostOf("load-balancer-1"), drop)).toContain("CAP_NET_BIND_SERVICE");
  for (const name of ["web-1", "database-1"]) {
    expect(fileOf(hostOf(name), drop)).not.toContain("CAP_NET_BIND_SERVICE");
  }
});

test("without more a unit has no capability, writes nowhere and makes no code", () => {
  const lines = sandbox().split("\n");
  expect(lines).toEqual(
    expect.arrayContaining([
      "CapabilityBoundingSet=",
      "MemoryDenyWriteExecute=yes",
      "ProtectProc=invisible",
      "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
    ]),
  );
  expect(lines.filter((line) => line.startsWith("ReadWritePaths="))).toEqual([]);
});
