import { packagesOf } from "../../hosts/image";
import { renderHosts } from "../../hosts/render";
import { compressUserData, USER_DATA_LIMIT } from "../../hosts/user-data";
import { fileOf, hostOf, SCRIPTS, topologyOf } from "./rendered";

const AUTOMATIC = { database: { failover: "automatic" } } as const;
const MANUAL = { database: { failover: "manual" } } as const;
const VOTERS = ["database-1", "database-2", "load-balancer-1"];
const UNIT = "/etc/systemd/system/cluster-etcd.service";

const configurationOf = (name: string) =>
  JSON.parse(fileOf(hostOf(name, AUTOMATIC), "/etc/cluster/etcd/etcd.json"));

test.each(VOTERS)(
  "on %s both etcd ports require a certificate and listen only on the host's address",
  (name) => {
    const configuration = configurationOf(name);
    const { address } = hostOf(name, AUTOMATIC);
    for (const port of ["client", "peer"]) {
      expect(configuration[`${port}-transport-security`]).toMatchObject({
        "client-cert-auth": true,
        "trusted-ca-file": "/etc/cluster/etcd/authority.pem",
      });
    }
    expect(configuration["listen-client-urls"]).toBe(`https://${address}:2379`);
    expect(configuration["listen-peer-urls"]).toBe(`https://${address}:2380`);
  },
);

test.each([
  ["database-1", "/srv/data/etcd/data"],
  ["load-balancer-1", "/var/lib/cluster/etcd/data"],
])("etcd's data on %s is in %s, which its unit may write to", (name, directory) => {
  const configuration = configurationOf(name);
  expect(configuration["data-dir"]).toBe(directory);
  expect(fileOf(hostOf(name, AUTOMATIC), UNIT)).toMatch(
    new RegExp(`^ReadWritePaths=.*-${directory.slice(0, -"/data".length)}( |$)`, "m"),
  );
});

test("etcd syncs acknowledged writes to disk", () => {
  for (const name of VOTERS) {
    expect(JSON.stringify(configurationOf(name))).not.toContain("fsync");
  }
});

test("a non-voter has no etcd unit, and a web server no etcd files or facts", () => {
  const paths = (name: string, settings = {}) =>
    hostOf(name, settings).files.map(({ path }) => path);
  expect(paths("database-1", MANUAL)).not.toContain(UNIT);
  expect(hostOf("database-1", MANUAL).facts).toMatchObject({
    DATABASE_FAILOVER: "manual",
    ETCD_ENDPOINTS: "",
    ETCD_MEBIBYTES: "0",
  });
  expect(
    paths("load-balancer-1", { database: { failover: "automatic", replicas: 2 } }),
  ).not.toContain(UNIT);
  const web = hostOf("web-1", AUTOMATIC);
  expect(web.files.filter(({ path }) => path.includes("etcd"))).toEqual([]);
  expect(Object.keys(web.facts).filter((fact) => fact.includes("ETCD"))).toEqual([]);
});

test("every voter and every database host has the voters' addresses", () => {
  const settings = { database: { failover: "automatic", replicas: 3 } } as const;
  const endpoints = "database-1:10.90.2.4 database-2:10.90.3.4 database-3:10.90.2.5";
  for (const name of ["database-1", "database-4"]) {
    expect(hostOf(name, settings).facts.ETCD_ENDPOINTS).toBe(endpoints);
  }
});

test("etcd's memory is limited, and reserved in addition to MySQL's", () => {
  const host = hostOf("database-1", AUTOMATIC);
  expect(fileOf(host, UNIT)).toContain(`MemoryMax=${host.facts.ETCD_MEBIBYTES}M`);
  // What the settings ask for besides what a database host needs in any case.
  expect(Number(host.facts.ETCD_MEBIBYTES)).toBe(864 - 768);
});

test("the local image always has etcd, so that a change of settings can make a host a voter", () => {
  const hosts = renderHosts(topologyOf(MANUAL), { platform: "local", scripts: SCRIPTS });
  expect(packagesOf(hosts).split(" ")).toEqual(
    expect.arrayContaining(["etcd-client", "etcd-server"]),
  );
  expect(hosts.flatMap(({ facts }) => facts.PACKAGES?.split(" "))).not.toContain("etcd-server");
});

test("user-data of voters stays below 90 % of the limit", () => {
  for (const name of VOTERS) {
    const { userData } = hostOf(name, AUTOMATIC, "aws");
    expect(compressUserData(userData).length).toBeLessThan(USER_DATA_LIMIT * 0.9);
  }
});
