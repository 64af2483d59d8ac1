import { mostRequests, mostUploads } from "../../hosts/client-limits";
import type { ClusterSettingsInput } from "../../topology/settings";
import { fileOf, hostOf, topologyOf } from "./rendered";

const configuration = (loadBalancer: ClusterSettingsInput["loadBalancer"] = {}) =>
  fileOf(hostOf("load-balancer-1", { loadBalancer }), "/etc/haproxy/haproxy.cfg");

/** A section's rules, in their order. */
function rules(text: string): string[] {
  const [, site = ""] = /^frontend site\n((?:.+\n)+)/m.exec(text) ?? [];
  return site.split("\n").map((line) => line.trim());
}

test("all clients together have the connections that the memory bears, and half as many requests in progress", () => {
  expect(configuration({ connections: 1200 })).toContain("\n  maxconn 1200\n");
  expect(mostRequests(topologyOf({ loadBalancer: { connections: 1200 } }))).toBe(600);
  expect(configuration({ connections: 1200 })).toContain("if { sc_conn_cur(2) gt 600 }");
});

test("no more requests are passed on than web servers take", () => {
  const one = { loadBalancer: { connections: 10_000, memory: 1024 }, webServers: { count: 1 } };
  expect(mostRequests(topologyOf(one))).toBe(2000);
  expect(configuration()).toMatch(/^ {2}default-server .* maxconn 2000$/m);
});

test("large bodies leave three quarters of all requests to others", () => {
  const topology = topologyOf({ loadBalancer: { connections: 1200 } });
  expect(mostUploads(topology)).toBe(150);
});

test.each<[string, ClusterSettingsInput["loadBalancer"], string]>([
  [
    "connections",
    { connectionsPerClient: 700 },
    "tcp-request connection reject if { sc_conn_cur(0) gt 700 }",
  ],
  [
    "connections, a tenth when half of all are taken",
    { connectionsPerClient: 700, connections: 3000 },
    "tcp-request connection reject if { sc_conn_cur(0) gt 70 } { fe_conn gt 1500 }",
  ],
  [
    "new connections in ten seconds",
    { connectionRatePerClient: 7 },
    "tcp-request connection reject if { sc_conn_rate(0) gt 70 }",
  ],
  [
    "connections, none after twice as many requests as it may make",
    { requestRatePerClient: 7 },
    "tcp-request connection reject if { sc_http_req_rate(0) gt 140 }",
  ],
])("a client has only so many %s", (_, settings, rule) => {
  expect(rules(configuration(settings))).toContain(rule);
});

test.each<[string, ClusterSettingsInput["loadBalancer"], RegExp]>([
  [
    "in ten seconds",
    { requestRatePerClient: 7 },
    /429 .* Retry-After 10 if \{ sc_http_req_rate\(0\) gt 70 \}$/,
  ],
  ["at a time", { requestsPerClient: 77 }, /429 .* Retry-After 1 if \{ sc_conn_cur\(1\) gt 77 \}$/],
  [
    "at a time, a tenth when half of all are in progress",
    { requestsPerClient: 70, connections: 1000 },
    /429 .* Retry-After 1 if \{ sc_conn_cur\(1\) gt 7 \} \{ sc_conn_cur\(2\) gt 250 \}$/,
  ],
  [
    "with large bodies",
    { uploadsPerClient: 7 },
    /429 .* Retry-After 1 if \{ sc_conn_cur\(3\) gt 7 \}$/,
  ],
])("a client is refused more requests %s, and told when to come again", (_, settings, rule) => {
  expect(rules(configuration(settings)).filter((line) => rule.test(line))).toHaveLength(1);
});

test("limits are for visitors: not for this machine's ports, and not for networks that are named", () => {
  const unlimited = (loadBalancer: ClusterSettingsInput["loadBalancer"]) =>
    rules(configuration(loadBalancer)).find((line) => line.startsWith("acl is_unlimited "));
  expect(unlimited({})).toBe("acl is_unlimited src 127.0.0.0/8");
  expect(unlimited({ unlimitedClients: ["203.0.113.0/24"] })).toBe(
    "acl is_unlimited src 127.0.0.0/8 203.0.113.0/24",
  );
  // Two load balancers are reached through a container, whose address is all that they see.
  expect(unlimited({ count: 2 })).toBe("acl is_unlimited src 127.0.0.0/8 10.90.0.254");
});

test("a body is taken in before a web server is chosen, and counts as an upload only then", () => {
  const lines = rules(configuration());
  const at = (start: string) => lines.findIndex((line) => line.startsWith(start));
  expect(at("http-request wait-for-body")).toBeGreaterThan(at("http-request track-sc1"));
  expect(at("http-request track-sc3")).toBeGreaterThan(at("http-request wait-for-body"));
  expect(at("default_backend")).toBeGreaterThan(at("http-request track-sc3"));
});
