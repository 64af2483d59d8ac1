import { ScratchCluster } from "../../drill/scratch/scratch-cluster";
import { abuse } from "./local/abuse";
import { appDatabase } from "./local/app-database";
import { balancing } from "./local/balancing";
import { browser } from "./local/browser";
import { durability } from "./local/durability";
import { firewall } from "./local/firewall";
import { hardening } from "./local/hardening";
import { history } from "./local/history";
import { hosts } from "./local/hosts";
import { manualFailover } from "./local/manual-failover";
import { monitor } from "./local/monitor";
import { operations } from "./local/operations";
import { replication } from "./local/replication";
import { secrets } from "./local/secrets";
import { serving } from "./local/serving";
import { tls } from "./local/tls";
import { group, leftWell } from "./well";

// One cluster of containers, brought up by `cdktf deploy local`, goes through all groups. Each group starts from a
// healthy cluster, whatever happened in those before, and can be run alone.

const cluster = new ScratchCluster({
  name: "test",
  network: { cidr: "10.94.0.0/22" },
  localPort: 18094,
});

/** Only an operator decides who is primary: no replica takes over by itself. */
const MANUAL = { database: { failover: "manual" } } as const;

jest.setTimeout(180_000);

afterAll(() => cluster.remove());

describe("local", () => {
  group("deploy", cluster, () => {
    test("a second deploy plans no change, with cdktf and with plain terraform", () => {
      expect(cluster.deploy()).toMatch(/No changes|0 added, 0 changed, 0 destroyed/);
      // With -detailed-exitcode a plan that changes something exits with 2.
      cluster.workspace.terraform(cluster.stack, ["plan", "-detailed-exitcode", "-no-color"]);
    });

    test("every host has its address from the topology", () => {
      for (const { name, address } of cluster.topology.hosts) {
        expect([name, cluster.on(name, "hostname --all-ip-addresses").trim()]).toEqual([
          name,
          address,
        ]);
      }
    });
  });

  group("serving", cluster, () => serving(cluster));
  group("browser", cluster, () => browser(cluster));
  group("hosts", cluster, () => hosts(cluster));
  group("hardening", cluster, () => hardening(cluster));
  group("firewall", cluster, () => firewall(cluster));
  group("balancing", cluster, () => balancing(cluster));
  group("tls", cluster, () => tls(cluster));
  group("abuse", cluster, () => abuse(cluster));
  group("operations", cluster, () => operations(cluster));
  group("secrets", cluster, () => secrets(cluster, ["mysql-app-password"]));
  group("history", cluster, () => history(cluster));
  group("the app's database", cluster, () => appDatabase(cluster));
  group("monitor", cluster, () => monitor(cluster), {
    monitor: true,
    monitoring: { webhook: true, heartbeat: true },
  });
  group("durability", cluster, () => durability(cluster), MANUAL);
  group("manual failover", cluster, () => manualFailover(cluster), MANUAL);
  group("replication", cluster, () => replication(cluster));

  leftWell();
});
