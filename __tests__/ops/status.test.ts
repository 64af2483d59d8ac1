import { problemsOf } from "../../ops/operations/status-problems";
import { natGatewayLine, statusTable } from "../../ops/operations/status-table";
import { topologyOf } from "../hosts/rendered";
import {
  checked,
  clusterWith,
  database,
  loadBalancer,
  monitor,
  ofPair,
  pairWith,
  primary,
  silent,
  web,
} from "./statuses";

test("a synchronized clock is no problem", () => {
  const clock = { isSynchronized: true, offsetSeconds: 0.0004 };
  expect(problemsOf(clusterWith(web(1, { clock })))).toEqual([]);
});

test("a healthy cluster has no problem, and its table says so", () => {
  expect(problemsOf(clusterWith())).toEqual([]);
  const lines = statusTable(clusterWith());
  expect(lines.at(-1)).toBe("all is well");
  expect(lines[0]).toMatch(/^HOST +ADDRESS +STATE +DETAILS$/);
  expect(lines.slice(1, 6).map((line) => line.split(/ {2,}/).slice(0, 3))).toEqual([
    ["load-balancer-1", "10.90.0.4", "serves"],
    ["web-1", "10.90.2.12", "serves"],
    ["web-2", "10.90.2.13", "serves"],
    ["database-1", "10.90.2.4", "primary"],
    ["database-2", "10.90.2.5", "replica"],
  ]);
});

describe("a monitor", () => {
  const watched = (facts: Parameters<typeof monitor>[0] = {}) => {
    const { cluster, hosts } = clusterWith();
    return { cluster, hosts: [...hosts, monitor(facts)] };
  };

  test("says what it watches", () => {
    expect(statusTable(watched())).toContainEqual(
      expect.stringMatching(/^monitor-1 .* watches .*1 of 1 targets answer; no alert$/),
    );
    expect(problemsOf(watched())).toEqual([]);
  });

  test("its alerts are shown, and are no problems", () => {
    const status = watched({
      alerts: [
        {
          name: "HostDown",
          severity: "critical",
          host: "web-2",
          since: Math.floor(Date.now() / 1000) - 240,
          summary: "web-2 does not answer",
        },
      ],
    });
    expect(statusTable(status)).toContain(
      "alert (critical) since 4 min: web-2 does not answer (HostDown, docs/alerts.md)",
    );
    expect(problemsOf(status)).toEqual([]);
  });

  test("without its programs it does not watch", () => {
    const status = watched({ targets: null, alerts: null, alertmanagerReady: false });
    expect(problemsOf(status)).toEqual([
      expect.stringMatching(/^monitor-1: Prometheus does not answer/),
      expect.stringMatching(/^monitor-1: Alertmanager does not answer/),
    ]);
    expect(statusTable(status)).toContainEqual(expect.stringContaining("does not watch"));
  });
});

describe("a web server serves only when the load balancer sends it requests", () => {
  const stateOf = (...hosts: Parameters<typeof clusterWith>) =>
    statusTable(clusterWith(...hosts))
      .find((line) => line.startsWith("web-1 "))
      ?.split(/ {2,}/)[2];
  const seen = (more: Parameters<typeof checked>[1]) =>
    loadBalancer({ servers: [checked("web-1", more), checked("web-2")] });

  test.each([
    ["up", {}, "serves"],
    ["up, and failing", { status: "UP 1/2", check: "L7TOUT", answer: null }, "serves"],
    ["down", { status: "DOWN", check: "L7STS", answer: 400 }, "down"],
    ["down, and coming back", { status: "DOWN 1/2" }, "down"],
    ["up, but never checked", { check: "INI", answer: null }, "down"],
    ["drained", { status: "DRAIN" }, "drained"],
    ["in maintenance", { status: "MAINT", check: "-", answer: null }, "drained"],
  ])("%s", (_, more, state) => {
    expect(stateOf(seen(more))).toBe(state);
  });

  test("its own report is not enough, and without a load balancer it is only healthy", () => {
    expect(stateOf(seen({}), web(1, { healthy: false }))).toBe("unhealthy");
    expect(stateOf({ ...loadBalancer(), facts: undefined })).toBe("healthy");
    expect(stateOf(loadBalancer({ servers: [checked("web-2")] }))).toBe("healthy");
  });
});

describe("a database host reports which replicas writes wait for, and its lag", () => {
  const detailsOf = (name: string, ...hosts: Parameters<typeof clusterWith>) =>
    statusTable(clusterWith(...hosts)).find((line) => line.startsWith(`${name} `));

  test("one replica, whatever dead connections the server counts", () => {
    expect(detailsOf("database-1", primary(1, { semiSyncReplicas: 2 }))).toContain(
      "writes wait for database-2",
    );
  });

  test("no replica that replicates, and no replica required", () => {
    const stopped = database(2, { replication: "stopped" });
    expect(detailsOf("database-1", primary(), stopped)).toContain("but none replicates");
    expect(detailsOf("database-1", primary(1, { semiSync: "off" }))).toContain(
      "writes do not wait for a replica",
    );
  });

  test("the lag of a source that was never heard is unknown", () => {
    expect(detailsOf("database-2", database(2, { lagSeconds: null }))).toContain(
      "has received nothing from database-1 yet",
    );
    expect(detailsOf("database-2", database(2, { lagSeconds: 3 }))).toContain(
      "3 s behind database-1",
    );
  });
});

describe("problems are reported", () => {
  test.each([
    ["a host that runs and is silent", web(1, {}), { facts: undefined }, "web-1 does not answer"],
    [
      "a failed unit",
      web(1, { failedUnits: ["app.service"] }),
      {},
      "web-1: failed units: app.service",
    ],
    [
      "a clock that nothing sets",
      web(1, { clock: { isSynchronized: false, offsetSeconds: null } }),
      {},
      "web-1: its clock is not synchronized: chronyc tracking",
    ],
    [
      "a clock that is off",
      web(1, { clock: { isSynchronized: true, offsetSeconds: -1.25 } }),
      {},
      "web-1: its clock is 1.3 s off: chronyc tracking",
    ],
    [
      "a host that is not done",
      web(1, { converged: false }),
      {},
      "web-1 has not converged to its declared state",
    ],
    [
      "an agent that does not answer",
      database(2, { agentAnswers: false }),
      {},
      "database-2: its agent does not answer: journalctl -u cluster-database-agent",
    ],
    [
      "an act that failed",
      database(2, { failure: { decision: "clone", message: "no route" } }),
      {},
      "database-2: clone failed and is being retried: no route",
    ],
    ["an app that cannot serve", web(2, { healthy: false }), {}, "web-2: its app is not healthy"],
    ["different releases", web(2, { release: "b" }), {}, "web servers serve different releases"],
    [
      "a web server that gets nothing",
      loadBalancer({ servers: [checked("web-1", { status: "DRAIN" })] }),
      {},
      "load-balancer-1 sends no requests to web-1: drain",
    ],
    [
      "a web server whose checks are answered something else",
      loadBalancer({
        servers: [checked("web-1", { status: "DOWN", check: "L7STS", answer: 400 })],
      }),
      {},
      "load-balancer-1 sends no requests to web-1: down, the check returned 400",
    ],
    [
      "a replica that is not fresh",
      database(2, { decision: "clone", answers: { primary: 503, replica: 503, readable: 503 } }),
      {},
      "database-2 serves neither writes nor fresh reads: clone",
    ],
    [
      "writes without a second copy",
      primary(1, { semiSync: "off" }),
      {},
      "writes to database-1 are acknowledged without a second copy",
    ],
    [
      "two that take writes",
      primary(2),
      {},
      "several database hosts accept writes: database-1, database-2",
    ],
    [
      "a full volume",
      primary(1, { hasRoom: false, freeMebibytes: 3 }),
      {},
      "database-1: its data volume is full; 3 MiB are free",
    ],
    [
      "transactions set aside",
      database(2, { setAside: ["/srv/data/set-aside/x.sql"] }),
      {},
      "database-2 has set aside transactions that never reached the primary: /srv/data/set-aside/x.sql",
    ],
    [
      "tables whose rows a clone does not get, once for all hosts that have them",
      database(2, { otherTables: ["app.b (MyISAM)", "app.a (MEMORY)"] }),
      {},
      "replicas that cloned have no rows of app.a (MEMORY), app.b (MyISAM), which a switchover would lose: ALTER TABLE ... ENGINE=InnoDB on the primary",
    ],
  ])("%s", (_, host, change, sentence) => {
    expect(problemsOf(clusterWith({ ...host, ...change }))).toContain(sentence);
  });

  test("no primary, and a host that its platform says is stopped", () => {
    expect(problemsOf(clusterWith(silent(1, "stopped")))).toEqual([
      "database-1 is stopped",
      "no database host accepts writes",
    ]);
  });
});

test("a primary without replicas may acknowledge alone", () => {
  const { hosts } = clusterWith(primary(1, { semiSync: "off" }));
  const alone = hosts.filter(({ host }) => host !== "database-2");
  expect(problemsOf({ cluster: "demo", hosts: alone })).toEqual([]);
});

describe("what visitors get", () => {
  const now = Math.floor(Date.now() / 1000);
  const day = 24 * 60 * 60;
  const own = "/O=demo/CN=load-balancer-1";
  const withTls = (daysLeft: number, issuer = own) => {
    const validUntil = now + daysLeft * day;
    const validFrom = validUntil - 90 * day;
    return loadBalancer({ tls: { certificate: { subject: own, issuer, validFrom, validUntil } } });
  };
  const detailsOf = (host: ReturnType<typeof loadBalancer>) =>
    statusTable(clusterWith(host)).find((line) => line.startsWith("load-balancer-1 "));

  test("is told: until when the certificate is valid, or that there is only plain HTTP", () => {
    const until = new Date((now + 60 * day) * 1000).toISOString().slice(0, 10);
    expect(detailsOf(withTls(60))).toContain(`; TLS until ${until} (self-signed); `);
    expect(detailsOf(withTls(60, "/CN=an authority"))).toContain(`; TLS until ${until}; `);
    expect(detailsOf(loadBalancer({ tls: null }))).toContain("; plain HTTP only; ");
  });

  test.each<[string, ReturnType<typeof loadBalancer>, RegExp[]]>([
    ["has enough of its time left", withTls(60), []],
    ["is about to be renewed", withTls(29), []],
    ["is off", loadBalancer({ tls: null }), []],
    [
      "should have been renewed a week ago",
      withTls(22),
      [/expires on \S+ and has not been renewed/],
    ],
    ["has expired", withTls(-1), [/the certificate that visitors get expired on /]],
    ["is missing", loadBalancer({ tls: { certificate: null } }), [/load-balancer-1 serves no TLS/]],
  ])("a certificate that %s", (_what, host, problems) => {
    const found = problemsOf(clusterWith(host));
    expect(found).toHaveLength(problems.length);
    for (const [index, problem] of problems.entries()) {
      expect(found[index]).toMatch(problem);
    }
  });
});

describe("of two load balancers", () => {
  const stands = { holds: false, obstacle: null, failure: null };

  test("the table tells who holds the visitors' address", () => {
    expect(problemsOf(pairWith())).toEqual([]);
    const details = statusTable(pairWith())
      .filter((line) => line.startsWith("load-balancer-"))
      .map((line) => line.split("; ")[1]);
    expect(details).toEqual(["holds the visitors' address", "stands by"]);
  });

  test.each<[string, Parameters<typeof pairWith>, string[]]>([
    [
      "none holds it",
      [ofPair(1, { pair: stands })],
      ["no load balancer holds the visitors' address"],
    ],
    [
      "both hold it",
      [ofPair(2, { pair: { ...stands, holds: true } })],
      ["load-balancer-1 and load-balancer-2 both hold the visitors' address"],
    ],
    [
      "one could not take it",
      [ofPair(2, { pair: { ...stands, obstacle: "keepalived does not run" } })],
      ["load-balancer-2 cannot take the visitors' address: keepalived does not run"],
    ],
    [
      "the platform refuses it",
      [ofPair(1, { pair: { ...stands, holds: true, failure: "EC2: no credentials" } })],
      [
        "load-balancer-1 holds the visitors' address, but claiming it from the platform fails and is being retried: EC2: no credentials",
      ],
    ],
    [
      "a web server is drained on one of them",
      [ofPair(2, { servers: [checked("web-1", { status: "DRAIN" }), checked("web-2")] })],
      [
        "load-balancer-2 sends no requests to web-1: drain",
        "web-1 is drained on load-balancer-2 only: drain or undrain it again",
      ],
    ],
    ["one is silent", [{ ...ofPair(2), facts: undefined }], ["load-balancer-2 does not answer"]],
  ])("%s", (_what, hosts, problems) => {
    expect(problemsOf(pairWith(...hosts))).toEqual(problems);
  });
});

test.each([
  ["one", /^NAT gateway: one, in eu-central-1a; if it fails, visitors are served/],
  ["per-zone", /^NAT gateways: one in each zone; if one fails, visitors are served/],
] as const)("what hangs on NAT gateways is told: %s", (natGateways, line) => {
  expect(natGatewayLine(topologyOf({ natGateways }))).toMatch(line);
  expect(statusTable(clusterWith(), [natGatewayLine(topologyOf())]).at(-2)).toMatch(/^NAT gateway/);
});
