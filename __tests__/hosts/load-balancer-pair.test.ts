import { PAIR } from "../../hosts/agreed";
import { fileOf, hostOf, topologyOf } from "./rendered";

// Of two load balancers, one holds the visitors' address. One load balancer has nothing of this.

const TWO = { loadBalancer: { count: 2 } } as const;
const NAMES = ["load-balancer-1", "load-balancer-2"] as const;

const keepalived = (name: string) => fileOf(hostOf(name, TWO), "/etc/keepalived/keepalived.conf");

/** The first value in a block of keepalived's configuration. */
const within = (name: string, block: string) =>
  new RegExp(`^  ${block} \\{\\s+(\\S+)\\s+\\}$`, "m").exec(keepalived(name))?.[1];

test("the two load balancers are in different zones", () => {
  const zones = topologyOf(TWO)
    .hosts.filter(({ role }) => role === "load-balancer")
    .map(({ availabilityZone }) => availabilityZone);
  expect(zones).toEqual(["eu-central-1a", "eu-central-1b"]);
});

test("each sends VRRP to the other one from its own address", () => {
  const address = (name: string) => hostOf(name, TWO).address;
  const [one, other] = NAMES;
  expect(keepalived(one)).toContain(`unicast_src_ip ${address(one)}\n`);
  expect(within(one, "unicast_peer")).toBe(address(other));
  expect(keepalived(other)).toContain(`unicast_src_ip ${address(other)}\n`);
  expect(within(other, "unicast_peer")).toBe(address(one));
});

test("both share one floating address, which no host or NAT gateway has", () => {
  const [floating, same] = NAMES.map((name) => within(name, "virtual_ipaddress"));
  expect(floating).toBe("10.90.0.5/32");
  expect(same).toBe(floating);
  const { hosts, network, floatingAddresses } = topologyOf(TWO);
  const taken = [
    ...hosts.map(({ address }) => address),
    ...network.subnets.flatMap(({ natAddress }) => natAddress ?? []),
    network.gateway,
  ];
  for (const address of floatingAddresses.values()) {
    expect(taken).not.toContain(address);
  }
});

test("the load balancer in the other subnet also holds a floating address of its own subnet", () => {
  expect(within("load-balancer-1", "virtual_ipaddress_excluded")).toBeUndefined();
  expect(within("load-balancer-2", "virtual_ipaddress_excluded")).toBe("10.90.1.5/32");
  expect(NAMES.map((name) => hostOf(name, TWO, "aws").facts.VISITORS_ADDRESS)).toEqual([
    "10.90.0.5",
    "10.90.1.5",
  ]);
});

test("neither is preferred: the one that holds the address keeps it", () => {
  for (const name of NAMES) {
    expect(keepalived(name)).toContain("\n  priority 100\n");
    expect(keepalived(name)).toContain("\n  state BACKUP\n");
  }
});

test("the hand-over holds back visitors of every port at which they arrive", () => {
  const portsOf = (mode: "off" | "self-signed") =>
    hostOf("load-balancer-1", { ...TWO, tls: { mode } }).facts.VISITORS_PORTS;
  expect([portsOf("self-signed"), portsOf("off")]).toEqual(["80 443", "80"]);
});

test("the hand-over writes the file that keepalived watches", () => {
  expect(keepalived("load-balancer-1")).toContain(`  file ${PAIR.handOver}\n`);
  expect(hostOf("load-balancer-1", TWO).facts.PAIR_HAND_OVER).toBe(PAIR.handOver);
});

test("keepalived.conf names no network interface", () => {
  expect(keepalived("load-balancer-1")).toContain(`include ${PAIR.interface}\n`);
  for (const name of ["eth0", "ens5"]) {
    expect(keepalived("load-balancer-1")).not.toMatch(new RegExp(`\\b${name}\\b`));
  }
});

test("VRRP and HAProxy's peers are allowed only between the two", () => {
  const rules = (name: string) =>
    fileOf(hostOf(name, TWO), "/etc/nftables.conf")
      .split("\n")
      .filter((line) => /"(visitors-address|load-balancer-peers)"/.test(line))
      .map((line) => line.trim());
  expect(rules("load-balancer-1")).toEqual([
    'ip saddr { 10.90.1.4 } ip protocol 112 accept comment "visitors-address"',
    'ip saddr { 10.90.1.4 } tcp dport 8405 accept comment "load-balancer-peers"',
    'ip daddr { 10.90.1.4 } ip protocol 112 accept comment "visitors-address"',
    'ip daddr { 10.90.1.4 } tcp dport 8405 accept comment "load-balancer-peers"',
  ]);
  expect(rules("web-1")).toEqual([]);
  expect(rules("database-1")).toEqual([]);
});

test("web servers accept the visitor's address from both load balancers", () => {
  const nginx = fileOf(hostOf("web-1", TWO), "/etc/nginx/nginx.conf");
  expect(nginx.match(/set_real_ip_from (\S+);/g)).toEqual([
    "set_real_ip_from 10.90.0.4;",
    "set_real_ip_from 10.90.1.4;",
  ]);
});

test("the first load balancer remains the third voter", () => {
  const { voters } = topologyOf({ ...TWO, database: { failover: "automatic" } });
  expect(voters.map(({ name }) => name)).toEqual(["database-1", "database-2", "load-balancer-1"]);
});

test("a single load balancer has no configuration of a pair", () => {
  const { facts, files } = hostOf("load-balancer-1");
  expect(files.map(({ path }) => path).filter((path) => /keepalived|pair|peer/.test(path))).toEqual(
    [],
  );
  expect(Object.keys(facts).filter((name) => /^(PAIR|PEER|FLOAT|PLATFORM)/.test(name))).toEqual([]);
  expect(facts.PACKAGES).not.toContain("keepalived");
  expect(topologyOf().floatingAddresses.size).toBe(0);
});

test("with two load balancers, a connection to a port without a listener is dropped, so that the client retries", () => {
  const rules = (settings: Parameters<typeof hostOf>[1]) =>
    fileOf(hostOf("load-balancer-1", settings), "/etc/nftables.conf");
  const arriving = (ports: string) =>
    `iif != "lo" meta l4proto { tcp, udp } th dport { ${ports} } ct state new`;
  expect(rules(TWO).match(/iif != .*/g)).toEqual([
    `${arriving("80, 443")} socket wildcard { 0, 1 } accept`,
    `${arriving("80, 443")} drop`,
  ]);
  expect(rules({ ...TWO, tls: { mode: "off" } })).toContain(`${arriving("80")} drop`);
  expect(rules({})).not.toContain("socket wildcard");
});
