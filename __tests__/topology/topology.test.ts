import ipaddr from "ipaddr.js";
import { overlap } from "../../topology/network";
import { type ClusterSettingsInput, parseClusters } from "../../topology/settings";
import { buildTopology, hostsOf, ROLES } from "../../topology/topology";

function topologyOf(settings: Partial<ClusterSettingsInput> = {}) {
  return parseClusters([{ name: "demo", ...settings }]).map(buildTopology)[0] as ReturnType<
    typeof buildTopology
  >;
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

  test("each stands in its own subnet at an address of its own that AWS does not keep for itself", () => {
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

  test("another host more never moves one that is there", () => {
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
  test("is cut into subnets that do not overlap and lie inside it", () => {
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

describe("flows", () => {
  const { flows } = topologyOf();

  test("only visitors come in from the internet, and only to the load balancer", () => {
    expect(flows.filter((flow) => flow.from === "internet")).toMatchObject([
      { to: "load-balancer", port: 80 },
    ]);
  });

  test("nobody but web servers and database hosts reaches a database", () => {
    const sources = flows.filter((flow) => flow.to === "database").map((flow) => flow.from);
    expect(new Set(sources)).toEqual(new Set(["web", "database"]));
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
