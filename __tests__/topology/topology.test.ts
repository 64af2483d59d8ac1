import ipaddr from "ipaddr.js";
import { METRICS } from "../../topology/metrics";
import { addressesPerSubnet, overlap } from "../../topology/network";
import { addressesNeeded } from "../../topology/placement";
import { ROLES } from "../../topology/roles";
import { type ClusterSettingsInput, parseClusters } from "../../topology/settings";
import { buildTopology, hostsOf } from "../../topology/topology";

function topologyOf(settings: Partial<ClusterSettingsInput> = {}) {
  return buildTopology(parseClusters([{ name: "demo", ...settings }])[0] as never, "local");
}

const addressOf = (topology: ReturnType<typeof topologyOf>, name: string) =>
  topology.hosts.find((host) => host.name === name)?.address;

describe("hosts", () => {
  test("the classic cluster has five", () => {
    expect(topologyOf().hosts.map((host) => host.name)).toEqual([
      "load-balancer-1",
      "web-1",
      "web-2",
      "database-1",
      "database-2",
    ]);
  });

  test("each is in its own subnet, at an address that AWS does not reserve", () => {
    const topology = topologyOf({ webServers: { count: 40 }, database: { replicas: 5 } });
    const addresses = topology.hosts.map((host) => host.address);
    expect(new Set(addresses).size).toBe(addresses.length);
    for (const host of topology.hosts) {
      const subnet = topology.network.subnets.find(({ name }) => name === host.subnet);
      const range = ipaddr.IPv4.parseCIDR(subnet?.cidr ?? "");
      expect(ipaddr.IPv4.parse(host.address).match(range)).toBe(true);
      expect(ipaddr.IPv4.parse(host.address).octets[3]).toBeGreaterThanOrEqual(4);
      expect(subnet?.availabilityZone).toBe(host.availabilityZone);
      expect(subnet?.isPublic).toBe(host.role === "load-balancer");
    }
  });

  test("web servers and database hosts alternate over the zones", () => {
    const topology = topologyOf();
    for (const role of ["web", "database"] as const) {
      expect(hostsOf(topology, role).map((host) => host.availabilityZone)).toEqual([
        "eu-central-1a",
        "eu-central-1b",
      ]);
    }
  });

  test("adding a host never moves another", () => {
    const few = topologyOf();
    const many = topologyOf({ webServers: { count: 30 }, database: { replicas: 5 } });
    for (const host of few.hosts) {
      expect(addressOf(many, host.name)).toBe(host.address);
    }
  });

  test("the smallest network accepted has room for the classic cluster", () => {
    const topology = topologyOf({ network: { cidr: "10.90.0.0/26" } });
    expect(addressOf(topology, "web-2")).toBe("10.90.0.60");
  });
});

describe("network", () => {
  test("is divided into subnets inside it that do not overlap", () => {
    const topology = topologyOf({
      availabilityZones: ["eu-central-1a", "eu-central-1b", "eu-central-1c"],
    });
    const cidrs = topology.network.subnets.map((subnet) => subnet.cidr);
    expect(cidrs).toHaveLength(6);
    cidrs.forEach((one, index) => {
      expect(overlap(one, topology.network.cidr)).toBe(true);
      for (const other of cidrs.slice(index + 1)) {
        expect(overlap(one, other)).toBe(false);
      }
    });
  });

  test.each([
    ["10.0.0.0/16", "10.0.255.0/24", true],
    ["10.0.0.0/24", "10.0.1.0/24", false],
    ["10.0.0.0/24", "10.0.0.0/24", true],
    ["192.168.0.0/17", "192.168.128.0/17", false],
  ])("%s and %s overlap: %s", (one, other, expected) => {
    expect(overlap(one, other)).toBe(expected);
    expect(overlap(other, one)).toBe(expected);
  });
});

describe("the address of a NAT gateway", () => {
  const smallest = (zones: number) => ({
    // The smallest network that is accepted for so many zones: 16 addresses a subnet.
    network: { cidr: zones === 2 ? "10.90.0.0/26" : "10.90.0.0/25" },
    availabilityZones: ["a", "b", "c", "d"].slice(0, zones).map((zone) => `eu-central-1${zone}`),
  });

  test.each([
    ["the default", {}],
    ["two zones", smallest(2)],
    ["three zones", smallest(3)],
    ["four zones", smallest(4)],
    ["many hosts", { webServers: { count: 100 }, database: { replicas: 5 } }],
  ])("is one of its subnet that AWS leaves free and no host has: %s", (_, settings) => {
    const { network, hosts } = topologyOf(settings);
    for (const { cidr, isPublic, natAddress } of network.subnets) {
      expect(natAddress === undefined).toBe(!isPublic);
      if (natAddress !== undefined) {
        expect(ipaddr.IPv4.parse(natAddress).match(ipaddr.IPv4.parseCIDR(cidr))).toBe(true);
        const last = ipaddr.IPv4.broadcastAddressFromCIDR(cidr).octets;
        expect(ipaddr.IPv4.parse(natAddress).octets).toEqual([
          ...last.slice(0, 3),
          (last[3] as number) - 1,
        ]);
        expect(hosts.map(({ address }) => address)).not.toContain(natAddress);
      }
    }
  });

  test("is counted, whichever role fills a subnet", () => {
    // AWS's five, the gateway's, a load balancer's floating one, and the hosts.
    expect(addressesNeeded({ "load-balancer": 9, web: 0, database: 0, monitor: 0 }, 1)).toBe(16);
    expect(addressesPerSubnet("10.90.0.0/26", 2)).toBe(16);
    expect(addressesNeeded({ "load-balancer": 18, web: 0, database: 0, monitor: 0 }, 2)).toBe(16);
  });

  test("moves no host: the addresses are those that clusters have had before", () => {
    const { hosts } = topologyOf();
    expect(Object.fromEntries(hosts.map(({ name, address }) => [name, address]))).toEqual({
      "load-balancer-1": "10.90.0.4",
      "web-1": "10.90.2.12",
      "web-2": "10.90.3.12",
      "database-1": "10.90.2.4",
      "database-2": "10.90.3.4",
    });
  });
});

describe("voters", () => {
  const votersOf = (database: ClusterSettingsInput["database"]) =>
    topologyOf({ database }).voters.map(({ name }) => name);

  test.each([
    [1, ["database-1", "database-2", "load-balancer-1"]],
    [2, ["database-1", "database-2", "database-3"]],
    [5, ["database-1", "database-2", "database-3"]],
  ])("with %d replicas a majority survives the loss of any host", (replicas, names) => {
    expect(votersOf({ failover: "automatic", replicas })).toEqual(names);
  });

  test("with manual failover there are none, and nothing of etcd", () => {
    const topology = topologyOf({ database: { failover: "manual" } });
    expect(topology.voters).toEqual([]);
    expect(topology.flows.filter(({ name }) => name.startsWith("etcd"))).toEqual([]);
    expect(topology.secrets.map(({ name }) => name)).not.toContain("etcd-authority-seed");
  });

  test("whoever has a load balancer that is a voter can read etcd's secret, and none of the databases' or the app's", () => {
    const readable = (replicas: number) =>
      topologyOf({ database: { failover: "automatic", replicas } })
        .secrets.filter(({ readers }) => readers.includes("load-balancer"))
        .map(({ name }) => name);
    expect(readable(1)).toEqual(["etcd-authority-seed", "quic-seed"]);
    expect(readable(2)).toEqual(["quic-seed"]);
  });
});

describe("flows", () => {
  const { flows } = topologyOf({ monitor: true });

  test("only visitors connect from the internet, and only to the load balancer", () => {
    expect(flows.filter((flow) => flow.from === "internet")).toMatchObject([
      { to: "load-balancer", protocol: "tcp", port: 80 },
      { to: "load-balancer", protocol: "tcp", port: 443 },
      { to: "load-balancer", protocol: "udp", port: 443 },
    ]);
  });

  test("only web servers and database hosts reach a database", () => {
    const sources = flows
      .filter(({ to, port }) => to === "database" && !METRICS.some((one) => one.port === port))
      .map((flow) => flow.from);
    expect(new Set(sources)).toEqual(new Set(["web", "database"]));
  });

  test("only a monitor asks for metrics, and nobody connects to it", () => {
    for (const { port } of METRICS) {
      const sources = flows.filter((flow) => flow.port === port).map(({ from }) => from);
      expect(new Set(sources)).toEqual(new Set(["monitor"]));
    }
    expect(flows.filter(({ to }) => to === "monitor")).toEqual([]);
    const manual = topologyOf({ monitor: true, database: { failover: "manual" } }).flows;
    expect(manual.filter(({ to }) => to === "voters")).toEqual([]);
    const without = topologyOf({ monitor: false }).flows;
    expect(without.filter(({ from }) => from === "monitor")).toEqual([]);
  });

  test("every flow has a name of its own", () => {
    expect(new Set(flows.map((flow) => flow.name)).size).toBe(flows.length);
  });

  test.each(ROLES)("%s hosts can fetch packages", (role) => {
    expect(flows.filter((flow) => flow.from === role && flow.to === "internet")).toHaveLength(2);
  });
});

test("web servers cannot read what only database hosts need", () => {
  const readable = topologyOf().secrets.filter((secret) => secret.readers.includes("web"));
  expect(readable.map((secret) => secret.name)).toEqual([
    "mysql-app-password",
    "mysql-read-password",
  ]);
});
