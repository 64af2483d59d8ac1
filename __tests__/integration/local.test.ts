import { ScratchCluster } from "../../drill/scratch/scratch-cluster";
import { appDatabase } from "./local/app-database";
import { balancing } from "./local/balancing";
import { browser } from "./local/browser";
import { durability } from "./local/durability";
import { firewall } from "./local/firewall";
import { hosts } from "./local/hosts";
import { lifecycle } from "./local/lifecycle";
import { operations } from "./local/operations";
import { replication } from "./local/replication";
import { serving } from "./local/serving";
import { upgrade } from "./local/upgrade";

// One cluster of containers, brought up by `cdktf deploy local`, goes through all of it in order.

const settings = { name: "test", network: { cidr: "10.94.0.0/22" }, localPort: 18094 };

const cluster = new ScratchCluster(settings);

/** Another one in the same settings: no replica, one web server, a network and a port of its own. */
const other = new ScratchCluster(
  {
    name: "test-other",
    network: { cidr: "10.94.4.0/24" },
    localPort: 18095,
    webServers: { count: 1 },
    database: { replicas: 0 },
  },
  [settings],
);

jest.setTimeout(180_000);

afterAll(() => {
  cluster.workspace.attemptCdktf(["destroy", cluster.stack, "--auto-approve"]);
  cluster.workspace.remove();
});

describe("deploy", () => {
  test("cdktf deploy brings the cluster up", async () => {
    cluster.deploy();
    await cluster.inSync();
    await cluster.serving();
  }, 600_000);

  test("a second deploy plans no change, by cdktf and by plain terraform", () => {
    expect(cluster.deploy()).toMatch(/No changes|0 added, 0 changed, 0 destroyed/);
    // With -detailed-exitcode a plan that changes something exits with 2.
    cluster.workspace.terraform(cluster.stack, ["plan", "-detailed-exitcode", "-no-color"]);
  });

  test("every host has the address of the topology", () => {
    for (const { name, address } of cluster.topology.hosts) {
      expect([name, cluster.on(name, "hostname --all-ip-addresses").trim()]).toEqual([
        name,
        address,
      ]);
    }
  });
});

describe("serving", () => serving(cluster));
describe("browser", () => browser(cluster));
describe("hosts", () => hosts(cluster));
describe("firewall", () => firewall(cluster));
describe("balancing", () => balancing(cluster));
describe("operations", () => operations(cluster));
describe("durability", () => durability(cluster));
describe("the database as apps expect it", () => appDatabase(cluster));
describe("upgrade", () => upgrade(cluster));
describe("replication", () => replication(cluster));
describe("lifecycle", () => lifecycle(cluster, other));
