import type { HostStatus, Updates } from "../../ops/operations/status";
import { statusTable } from "../../ops/operations/status-table";
import { explainUpgrade, planUpgrade, standing } from "../../ops/operations/upgrade";
import {
  checked,
  clusterWith,
  database,
  loadBalancer,
  ofPair,
  pairWith,
  primary,
  silent,
  upToDate,
  web,
} from "./statuses";

const packages = ["openssl 3.5.1 3.5.2", "libssl3 3.5.1 3.5.2"];
const due: Updates = { ...upToDate, packages };
const all = { interrupt: false };

const everywhere = clusterWith(
  loadBalancer({ updates: due }),
  web(1, { updates: due }),
  web(2, { updates: due }),
  primary(1, { updates: due }),
  database(2, { updates: due }),
);

describe("what is done, and in which order", () => {
  test("replicas, web servers, the primary after it has handed over, the load balancer without a reboot", () => {
    const plan = planUpgrade(everywhere, all);
    expect(plan.turns.map(({ host, isPrimary, reboots }) => [host, isPrimary, reboots])).toEqual([
      ["database-2", false, true],
      ["web-1", false, true],
      ["web-2", false, true],
      ["database-1", true, true],
      ["load-balancer-1", false, false],
    ]);
    expect(plan.left).toEqual([
      "load-balancer-1 does not reboot: it is the only load-balancer. To reboot it: --interrupt",
    ]);
  });

  test("with --interrupt the load balancer reboots as well, last", () => {
    const { turns, left } = planUpgrade(everywhere, { interrupt: true });
    expect(turns.at(-1)).toMatchObject({ host: "load-balancer-1", reboots: true });
    expect(left).toEqual([]);
  });

  test("one host alone where it is named", () => {
    const { turns } = planUpgrade(everywhere, { host: "web-2", interrupt: false });
    expect(turns.map(({ host }) => host)).toEqual(["web-2"]);
  });

  test.each<[string, Partial<Updates>]>([
    ["a reboot", { rebootRequired: true }],
    ["a restart of app.service", { outdatedUnits: ["app.service"] }],
    ["an upgrade that was interrupted", { underWay: true }],
  ])("%s is due without a package, too", (_, updates) => {
    const { turns } = planUpgrade(
      clusterWith(web(1, { updates: { ...upToDate, ...updates } })),
      all,
    );
    expect(turns.map(({ host, reboots }) => [host, reboots])).toEqual([["web-1", true]]);
  });

  test("hosts that are alone in their role are left, and it is said, unless visitors may notice", () => {
    const status = {
      ...everywhere,
      hosts: everywhere.hosts.filter(({ host }) => !/-2$/.test(host)),
    };
    const { turns, left } = planUpgrade(status, all);
    expect(turns.map(({ host }) => host)).toEqual(["load-balancer-1"]);
    expect(left).toEqual([
      expect.stringMatching(/^load-balancer-1 does not reboot/),
      expect.stringMatching(
        /^web-1 is skipped \(due: 2 packages\): it is the only web, .*--interrupt/,
      ),
      expect.stringMatching(/^database-1 is skipped \(due: 2 packages\): .*--interrupt/),
    ]);
    expect(planUpgrade(status, { interrupt: true }).turns.map(({ host }) => host)).toEqual([
      "web-1",
      "database-1",
      "load-balancer-1",
    ]);
  });

  test("writes that wait for the only replica are not kept waiting for its reboot", () => {
    const lossless = { updates: due, durability: "lossless" } as const;
    const status = clusterWith(primary(1, lossless), database(2, lossless));
    expect(planUpgrade(status, all)).toEqual({
      turns: [],
      left: ["database-1", "database-2"].map((host) =>
        expect.stringMatching(
          `^${host} is skipped \\(due: 2 packages\\): with durability lossless, .*--interrupt`,
        ),
      ),
    });
    const three = { ...status, hosts: [...status.hosts, database(3, lossless)] };
    expect(planUpgrade(three, all).turns.map(({ host }) => host)).toEqual([
      "database-2",
      "database-3",
      "database-1",
    ]);
  });

  test("nothing where nothing is due", () => {
    expect(explainUpgrade(planUpgrade(clusterWith(), all))).toEqual([
      "There is nothing to do now.",
    ]);
  });

  test("a plan names what each host gets", () => {
    expect(explainUpgrade(planUpgrade(everywhere, all)).slice(1, 5)).toEqual([
      "  database-2; gets openssl, libssl3; reboots",
      "  web-1; gets openssl, libssl3; reboots",
      "  web-2; gets openssl, libssl3; reboots",
      "  database-1; hands the primary role to a replica; gets openssl, libssl3; reboots",
    ]);
  });
});

describe("no host is taken away", () => {
  test.each<[string, HostStatus, string]>([
    ["while one is silent", silent(2, "running"), "database-2 does not answer"],
    [
      "whose scripts are older",
      web(1, { updates: undefined }),
      "web-1 has scripts that do not support upgrades",
    ],
    ["whose package manager is broken", web(1, { updates: null }), "web-1: its package manager"],
    ["while an app is unwell", web(2, { healthy: false }), "web-2 does not serve"],
    [
      "while one is drained",
      loadBalancer({ servers: [checked("web-1", { status: "DRAIN" }), checked("web-2")] }),
      "web-1 does not serve",
    ],
    [
      "while a replica is stale",
      database(2, { answers: { primary: 503, replica: 503, readable: 200 } }),
      "database-2 serves neither writes nor fresh reads",
    ],
    ["while there is no primary", database(1), "0 database hosts accept writes"],
    [
      "while a member of etcd is away",
      loadBalancer({
        etcd: {
          ...{ voter: true, hasData: true, answers: false, cluster: null },
          ...{ members: [], bytes: 0, alarms: [] },
        },
      }),
      "etcd on load-balancer-1 does not answer",
    ],
    [
      "while it converges",
      web(1, { converged: false }),
      "web-1 has not converged to its declared state",
    ],
  ])("%s", (_, host, sentence) => {
    expect(standing(clusterWith(host))).toEqual([expect.stringContaining(sentence)]);
  });

  test("but the one that an interrupted upgrade left does not count", () => {
    const left = { ...upToDate, underWay: true };
    const drained = [checked("web-1", { status: "DRAIN" }), checked("web-2")];
    expect(
      standing(
        clusterWith(
          loadBalancer({ servers: drained }),
          web(1, { healthy: false, converged: false, updates: left }),
        ),
      ),
    ).toEqual([]);
  });
});

describe("status tells what is due", () => {
  const lineOf = (...hosts: HostStatus[]) =>
    statusTable(clusterWith(...hosts)).find((line) => line.startsWith("updates: "));

  test("by host", () => {
    expect(
      lineOf(
        web(1, { updates: due }),
        database(2, {
          updates: {
            ...due,
            packages: ["a 1 2"],
            rebootRequired: true,
            outdatedUnits: ["mysql.service"],
          },
        }),
      ),
    ).toMatch(
      /^updates: web-1 2 packages; database-2 1 package and a reboot and a restart of mysql\.service, package lists fetched \d+ min ago$/,
    );
  });

  test("or that nothing is known, and why", () => {
    expect(lineOf()).toMatch(/^updates: none known, package lists fetched 0 min ago$/);
    expect(lineOf(web(1, { updates: { ...upToDate, listedAt: null } }))).toBe(
      "updates: none known, package lists not fetched yet",
    );
  });
});

describe("of two load balancers", () => {
  test("both reboot, the one that holds the visitors' address last", () => {
    const pair = { holds: false, obstacle: null, failure: null };
    const { turns, left } = planUpgrade(
      pairWith(ofPair(1, { updates: due }), ofPair(2, { updates: due, pair: { ...pair } })),
      all,
    );
    expect(turns.map(({ host, reboots }) => [host, reboots])).toEqual([
      ["load-balancer-2", true],
      ["load-balancer-1", true],
    ]);
    expect(left).toEqual([]);
  });

  test("none is taken away while the other one could not take the address", () => {
    const obstacle = "HAProxy does not answer";
    const pair = { holds: false, obstacle, failure: null };
    expect(standing(pairWith(ofPair(2, { pair })))).toEqual([
      `load-balancer-2 cannot take the visitors' address: ${obstacle}`,
    ]);
  });
});
