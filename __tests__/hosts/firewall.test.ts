import { endsOf } from "../../topology/topology";
import { fileOf, hostOf, topologyOf } from "./rendered";

/** The rules of one chain that came from a flow, by its name. */
function flowsIn(host: string, chain: string): string[] {
  const text = fileOf(hostOf(host), "/etc/nftables.conf");
  const body = (text.split(`chain ${chain} {`)[1] ?? "").split("\n  }")[0] ?? "";
  return [...body.matchAll(/comment "([^"]+)"/g)].map((match) => match[1] as string);
}

const NAMES = topologyOf().hosts.map((host) => host.name);

test.each(NAMES)("%s drops everything that no rule allows, in both directions", (name) => {
  const text = fileOf(hostOf(name), "/etc/nftables.conf");
  expect(text.match(/hook (input|forward|output) priority filter; policy drop;/g)).toHaveLength(3);
});

test.each(topologyOf().hosts.map((host) => [host.name, host]))(
  "%s allows exactly the flows that start or end at it",
  (name, host) => {
    const topology = topologyOf();
    const ends = endsOf(topology, host);
    const { flows } = topology;
    expect(flowsIn(name, "input")).toEqual(
      flows.filter((flow) => (ends as string[]).includes(flow.to)).map((flow) => flow.name),
    );
    expect(flowsIn(name, "output")).toEqual(
      flows.filter((flow) => (ends as string[]).includes(flow.from)).map((flow) => flow.name),
    );
  },
);

test("a rule names the addresses of the flow's other end", () => {
  const text = fileOf(hostOf("database-1"), "/etc/nftables.conf");
  expect(text).toContain(
    'ip saddr { 10.90.2.12, 10.90.3.12 } tcp dport 3306 accept comment "queries"',
  );
  expect(text).toContain('ip saddr { 10.90.3.4 } tcp dport 3306 accept comment "replication"');
});

describe("etcd's ports", () => {
  const settings = (replicas: number) =>
    ({
      database: { failover: "automatic", replicas },
    }) satisfies Parameters<typeof hostOf>[1];
  const rulesOf = (name: string, replicas: number) =>
    (
      fileOf(hostOf(name, settings(replicas)), "/etc/nftables.conf").match(/.*"etcd-.*"/g) ?? []
    ).map((rule) => rule.trim());

  test("are open between voters, and the client port to database hosts", () => {
    expect(rulesOf("load-balancer-1", 1)).toEqual([
      'ip saddr { 10.90.2.4, 10.90.3.4 } tcp dport 2379 accept comment "etcd-clients"',
      'ip saddr { 10.90.2.4, 10.90.3.4 } tcp dport 2379 accept comment "etcd-joining"',
      'ip saddr { 10.90.2.4, 10.90.3.4 } tcp dport 2380 accept comment "etcd-peers"',
      'ip daddr { 10.90.2.4, 10.90.3.4 } tcp dport 2379 accept comment "etcd-joining"',
      'ip daddr { 10.90.2.4, 10.90.3.4 } tcp dport 2380 accept comment "etcd-peers"',
    ]);
  });

  test("are closed on non-voters: a fourth database host is only a client", () => {
    expect(rulesOf("database-4", 3)).toEqual([
      'ip daddr { 10.90.2.4, 10.90.3.4, 10.90.2.5 } tcp dport 2379 accept comment "etcd-clients"',
    ]);
    for (const name of ["load-balancer-1", "web-1"]) {
      expect(rulesOf(name, 2)).toEqual([]);
    }
    expect(rulesOf("web-1", 1)).toEqual([]);
  });
});

test("a database host without a peer has no rule for replication", () => {
  const text = fileOf(hostOf("database-1", { database: { replicas: 0 } }), "/etc/nftables.conf");
  expect(text).not.toContain('"replication"');
});

test("only root can reach the instance metadata", () => {
  for (const name of NAMES) {
    const text = fileOf(hostOf(name), "/etc/nftables.conf");
    expect(text).toContain("ip daddr 169.254.169.254 tcp dport 80 meta skuid 0 accept");
    expect(text).toContain("ip daddr 169.254.0.0/16 reject");
  }
});

test("rules for the internet exclude the cluster's own network", () => {
  for (const name of NAMES) {
    const rules = fileOf(hostOf(name), "/etc/nftables.conf").match(/.*-(packages|apis)"/g) ?? [];
    expect(rules).toHaveLength(2);
    for (const rule of rules) {
      expect(rule).toContain("ip daddr != 10.90.0.0/22 ");
    }
  }
});

describe("the fence of a database host", () => {
  const textOf = (failover: "automatic" | "manual", name = "database-1") =>
    fileOf(hostOf(name, { database: { failover } }), "/etc/nftables.conf");

  test("lets web servers in, and answers out, only while the agent allows it", () => {
    const text = textOf("automatic");
    expect(text).toContain(
      "ip saddr { 10.90.2.12, 10.90.3.12 } tcp dport 3306 tcp dport @fenced tcp dport != @served reject with tcp reset",
    );
    expect(text).toContain(
      "ip daddr { 10.90.2.12, 10.90.3.12 } tcp sport 3306 tcp sport @fenced tcp sport != @served drop",
    );
  });

  test("also applies to open connections, and keeps the agent's state when it is reloaded", () => {
    const table = textOf("automatic").split("table inet lease").slice(1).join("");
    expect(table.match(/priority filter - 1;/g)).toHaveLength(2);
    expect(table).not.toContain("delete");
  });

  test("is not declared while failover is manual, where the agent removes it, nor on other hosts", () => {
    expect(textOf("manual")).not.toContain("lease");
    expect(textOf("automatic", "web-1")).not.toContain("lease");
  });
});
