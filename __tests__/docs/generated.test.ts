import { readFileSync } from "node:fs";
import { join } from "node:path";
import { embed, generatedFiles } from "../../docs/generate";
import { monthlyCost, sumOf } from "../../docs/generate/cost";
import { drillTable, type RecordedDrill } from "../../docs/generate/drill-table";
import { FRANKFURT } from "../../docs/generate/prices";
import { reachTables } from "../../docs/generate/reach";
import { reachPicture } from "../../docs/generate/reach-picture";
import { settingsPage } from "../../docs/generate/settings-page";
import { topologyPicture } from "../../docs/generate/topology-picture";
import { FAULTS } from "../../drill/faults";
import type { Row } from "../../drill/measure";
import { PROJECT } from "../../hosts/project";
import type { Flow } from "../../topology/flows";
import { type ClusterSettingsInput, parseClusters } from "../../topology/settings";
import { clusterSchema } from "../../topology/settings-schema";
import { buildTopology, rolesOf, type Topology } from "../../topology/topology";

const read = (path: string) => readFileSync(join(PROJECT, path), "utf8");

function topologyOf(settings: Partial<ClusterSettingsInput> = {}): Topology {
  const [parsed] = parseClusters([{ name: "demo", ...settings }]);
  if (parsed === undefined) {
    throw new Error("no cluster");
  }
  return buildTopology(parsed, "local");
}

describe("what is generated is up to date; npm run docs writes it", () => {
  test.each(generatedFiles(read).map(({ path, content }) => [path, content]))(
    "%s",
    (path, content) => {
      expect(read(path)).toBe(content);
    },
  );
});

describe("the picture", () => {
  test.each(["manual", "automatic"] as const)(
    "shows every host with its address, every subnet, and every flow with its port: %s failover",
    (failover) => {
      const topology = topologyOf({ database: { failover } });
      const picture = topologyPicture(topology);
      for (const host of topology.hosts) {
        expect(picture).toContain(`>${host.name}</text>`);
        expect(picture).toContain(`>${host.address}</text>`);
      }
      for (const subnet of topology.network.subnets) {
        expect(picture).toContain(`>${subnet.cidr}</text>`);
      }
      for (const { name, from, to, protocol, port } of topology.flows) {
        const shown = to === "internet" ? name.replace(`${from}-`, "") : name;
        expect(picture).toMatch(
          new RegExp(`>${shown}( of every host)? <tspan class="faint mono">${protocol} ${port}<`),
        );
      }
    },
  );

  test("has an arrow for each pair of hosts that talk", () => {
    const arrows = (settings: Partial<ClusterSettingsInput>) =>
      topologyPicture(topologyOf(settings)).match(/marker-end/g)?.length;
    // Visitors, out, 2 requests, 4 queries, 1 replication.
    expect(arrows({})).toBe(9);
    expect(arrows({ database: { replicas: 0 } })).toBe(6);
  });

  test.each([
    { webServers: { count: 5 }, database: { replicas: 3 } },
    {
      availabilityZones: ["eu-central-1a", "eu-central-1b", "eu-central-1c"],
      webServers: { count: 1 },
    },
  ])("can be drawn of another cluster: %j", (settings) => {
    const topology = topologyOf(settings);
    for (const { name } of topology.hosts) {
      expect(topologyPicture(topology)).toContain(`>${name}</text>`);
    }
  });

  test("needs nothing from elsewhere", () => {
    const picture = topologyPicture(topologyOf());
    expect(picture.replace("http://www.w3.org/2000/svg", "")).not.toMatch(/https?:|@import|@font/);
    expect(topologyPicture(topologyOf())).toBe(picture);
  });
});

describe("what an intruder could reach", () => {
  const large = topologyOf({ loadBalancer: { count: 2 }, database: { replicas: 2 } });

  test.each([
    ["by default", topologyOf()],
    ["with two load balancers, none a voter", large],
    ["without voters", topologyOf({ database: { replicas: 0 } })],
    [
      "with a monitor that sends e-mail",
      topologyOf({
        monitor: true,
        monitoring: {
          webhook: true,
          heartbeat: true,
          email: {
            to: "a@example.org",
            from: "b@example.org",
            server: "smtp.example.org:587",
            user: "a",
          },
        },
      }),
    ],
  ])("is every flow that starts at a role, and every secret that it reads: %s", (_, topology) => {
    const sections = reachTables(topology).split("### ").slice(1);
    const rows = (section: string | undefined) =>
      [...(section ?? "").matchAll(/^\| (?!It can|-)(.+?) *\| (.+?) *\|/gm)].map(
        ([, first, second]) => (first?.startsWith("`") ? first.slice(1, -1) : second),
      );
    const roles = rolesOf(topology);
    expect(sections).toHaveLength(roles.length);
    roles.forEach((role, index) => {
      const isVoter = topology.voters.some((voter) => voter.role === role);
      const flows = topology.flows.filter(
        ({ from }) => from === role || (from === "voters" && isVoter),
      );
      const secrets = topology.secrets.filter(({ readers }) => readers.includes(role));
      expect(rows(sections[index])).toEqual([...flows, ...secrets].map(({ name }) => name));
    });
  });

  test("is drawn with every secret, and every flow that leads to another role", () => {
    for (const topology of [topologyOf(), large, topologyOf({ database: { replicas: 0 } })]) {
      const picture = reachPicture(topology);
      for (const { name } of topology.secrets) {
        expect(picture).toContain(`>${name}</text>`);
      }
      for (const name of ["visitors", "requests", "queries", "database-roles"]) {
        expect(picture).toContain(`>${name} <tspan`);
      }
      const leadsOn = topology.voters.some(({ role }) => role === "load-balancer");
      expect(picture.includes(">etcd-peers <tspan")).toBe(leadsOn);
    }
  });

  test("is not made up for a secret or a flow that nothing is known about", () => {
    const topology = topologyOf();
    const secrets = [...topology.secrets, { name: "new-secret", readers: ["web"] as const }];
    expect(() => reachTables({ ...topology, secrets })).toThrow(/new-secret/);
    const [flow] = topology.flows.filter(({ from }) => from === "web");
    const flows = [...topology.flows, { ...(flow as Flow), name: "new-flow" }];
    expect(() => reachTables({ ...topology, flows })).toThrow(/new-flow/);
  });
});

describe("the cost", () => {
  test("of the default cluster is the sum of its lines", () => {
    const lines = monthlyCost(topologyOf(), FRANKFURT);
    // 3 t3.micro, 2 t3.small, 60 + 40 GB, one NAT gateway, two addresses.
    const expected =
      730 * (3 * 0.012 + 2 * 0.024 + 0.052 + 2 * 0.005) + Number((100 * 0.0952).toFixed(2));
    expect(sumOf(lines)).toBe(`$${expected.toFixed(2)}`);
  });

  test("follows the settings", () => {
    const lines = monthlyCost(
      topologyOf({
        natGateways: "per-zone",
        webServers: { count: 3 },
        database: { replicas: 0, dataVolumeSize: 100 },
      }),
      FRANKFURT,
    );
    expect(lines.map(({ item, amount }) => [item, amount])).toEqual([
      ["EC2 t3.micro: load-balancer-1, web-1, web-2, web-3", "4 × 730 h"],
      ["EC2 t3.small: database-1", "1 × 730 h"],
      ["EBS gp3: 5 root volumes", "60 GB"],
      ["EBS gp3: 1 data volumes", "100 GB"],
      ["NAT gateway", "2 × 730 h"],
      ["Public IPv4: visitors, NAT gateway", "3 × 730 h"],
    ]);
  });

  test("includes a key in each region that has data under one", () => {
    const keys = (settings: Partial<ClusterSettingsInput>) =>
      monthlyCost(topologyOf(settings), FRANKFURT).filter(({ item }) => item.startsWith("KMS"));
    const aws = { encryptionKey: "customer-managed" } as const;
    const backup = { copyRegion: "eu-west-1" };
    expect(keys({ backup })).toEqual([]);
    expect(keys({ aws }).map(({ cents }) => cents)).toEqual([100]);
    expect(keys({ aws, backup }).map(({ cents }) => cents)).toEqual([200]);
  });

  test("is not made up where there is no price", () => {
    expect(() =>
      monthlyCost(topologyOf({ webServers: { instanceType: "x9.huge" } }), FRANKFURT),
    ).toThrow("x9.huge");
    const elsewhere = topologyOf({
      region: "eu-west-1",
      availabilityZones: ["eu-west-1a", "eu-west-1b"],
    });
    expect(() => monthlyCost(elsewhere, FRANKFURT)).toThrow("eu-west-1");
  });
});

test("the page of settings has every setting", () => {
  const page = settingsPage();
  const { name: _name, ...defaults } = clusterSchema.parse({ name: "demo" });
  const paths = Object.entries(defaults).flatMap(([key, value]) =>
    typeof value === "object" && !Array.isArray(value) && key !== "tags" && key !== "backend"
      ? Object.keys(value).map((inner) => `${key}.${inner}`)
      : [key],
  );
  for (const path of ["name", "app.bundle", "app.staticDirectory", "backend.bucket", ...paths]) {
    expect(page).toContain(`| \`${path}\` `);
  }
});

test("text is embedded between its markers alone", () => {
  expect(embed("a <!-- x -->old<!-- /x --> b", "x", "new")).toBe("a <!-- x -->new<!-- /x --> b");
  expect(() => embed("a", "x", "new")).toThrow("<!-- x -->");
});

describe("the table of faults", () => {
  const row: Row = {
    fault: "replica-killed",
    requests: 100,
    failed: 1,
    failedReads: 1,
    readGap: 0.25,
    writeGap: 1.5,
    commandToWrite: undefined,
    acknowledged: 20,
    missing: 0,
    inSync: true,
    inSyncAfter: 7.2,
    failures: {},
    broken: [],
  };
  const rows = FAULTS.map(({ name }) => ({ ...row, fault: name }));
  const drill = (distribution: string, more: Partial<RecordedDrill["results"]> = {}) => ({
    path: `docs/drill/${distribution.toLowerCase()}.json`,
    results: { distribution, date: "2026-01-02", rows, stopped: [], ...more },
  });

  test("says what happened, and what it cost on each distribution", () => {
    const slower = rows.map((one) => ({ ...one, requests: 90, readGap: 0.4 }));
    const page = drillTable([drill("Debian"), drill("Ubuntu", { rows: slower })]);
    expect(page).toContain("- hosts of Debian, recorded on 2026-01-02");
    const cells = page
      .split("\n")
      .find((line) => line.includes("The replica's MySQL server is killed"))
      ?.split("|")
      .map((cell) => cell.trim());
    expect(cells?.slice(1, -1)).toEqual([
      "The replica's MySQL server is killed",
      "100<br>90",
      "1<br>1",
      "0.3 s<br>0.4 s",
      "1.5 s<br>1.5 s",
      "",
      "0 of 20<br>0 of 20",
      "7.2 s<br>7.2 s",
    ]);
  });

  test("is not made of a drill in which a bound broke, a fault could not be injected, or one is missing", () => {
    const broken = rows
      .filter(({ fault }) => fault !== "upgrade" && fault !== "disk-full")
      .map((one) =>
        one.fault === "replica-killed" ? { ...one, broken: ["failed reads: 1, at most 0"] } : one,
      );
    const stopped = [{ fault: "upgrade", reason: "no answer" }];
    expect(() => drillTable([drill("Debian"), drill("Ubuntu", { rows: broken, stopped })])).toThrow(
      /ubuntu.json: replica-killed: failed reads: 1, at most 0\n.*upgrade: no answer\n.*disk-full is missing\n.*npm run drill/,
    );
  });
});
