import { createServer, type Server } from "node:http";
import { ask, type ScratchCluster } from "../../../drill/scratch/scratch-cluster";
import { eventually } from "../../../drill/scratch/workspace";
import { Stage } from "../../../drill/stage";
import type { ClusterStatus, MonitorFacts } from "../../../ops/operations/status";
import { METRICS } from "../../../topology/metrics";
import { addressOfMachine } from "../../pebble";
import { overexposed } from "./hardening";

/** An alert as Alertmanager sends it to a webhook. */
interface SentAlert {
  readonly status: "firing" | "resolved";
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** A webhook on this machine, at one of the two ports that hosts may reach everywhere. */
class Webhook {
  readonly received: Array<{ readonly path: string; readonly alert: SentAlert }> = [];
  private readonly server: Server;
  private port = 0;

  constructor(private readonly address: string) {
    this.server = createServer((request, response) => {
      let body = "";
      request.on("data", (chunk) => {
        body += chunk;
      });
      request.on("end", () => {
        for (const alert of JSON.parse(body).alerts as SentAlert[]) {
          this.received.push({ path: request.url ?? "", alert });
        }
        response.end();
      });
    });
  }

  /** Something else may have one of them for a while. */
  async start(): Promise<void> {
    this.port = await eventually(
      "port 80 or 443 of this machine is free",
      async () => (await this.listenAt(80)) ?? (await this.listenAt(443)),
      60,
    );
  }

  private listenAt(port: number): Promise<number | undefined> {
    return new Promise((resolve) => {
      const refused = () => resolve(undefined);
      this.server.once("error", refused).listen(port, this.address, () => {
        this.server.off("error", refused);
        resolve(port);
      });
    });
  }

  stop(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  url(path: string): string {
    return `http://${this.address}:${this.port}${path}`;
  }

  /** Whether an alert with these labels has arrived with this status. */
  has(status: SentAlert["status"], labels: Readonly<Record<string, string>>): boolean {
    return this.received.some(
      ({ path, alert }) =>
        path === "/alerts" &&
        alert.status === status &&
        Object.entries(labels).every(([name, value]) => alert.labels[name] === value),
    );
  }
}

/** A fault, the alerts that it raises, and what ends both. */
interface Fault {
  readonly host: string;
  readonly begin: string;
  readonly end: string;
  readonly raises: ReadonlyArray<Readonly<Record<string, string>>>;
}

const APP_STOPPED: Fault = {
  host: "web-1",
  begin: "systemctl stop app",
  end: "systemctl start app",
  raises: [{ alertname: "WebServerDown", server: "web-1" }],
};

/** These do not disturb each other, so they come at once. `database-2` is a replica. */
const FAULTS: readonly Fault[] = [
  APP_STOPPED,
  {
    host: "web-2",
    begin: "systemctl stop prometheus-nginx-exporter",
    end: "systemctl start prometheus-nginx-exporter",
    raises: [{ alertname: "MetricsMissing", host: "web-2", job: "nginx" }],
  },
  {
    host: "web-2",
    begin: "systemctl stop cluster-metrics.timer",
    end: "systemctl start cluster-metrics.timer",
    raises: [{ alertname: "StatusOutdated", host: "web-2" }],
  },
  {
    host: "load-balancer-1",
    begin: "systemctl stop cluster-etcd-membership.timer cluster-etcd",
    end: "systemctl start cluster-etcd cluster-etcd-membership.timer",
    raises: [{ alertname: "EtcdMemberMissing", host: "load-balancer-1" }],
  },
  {
    host: "monitor-1",
    begin: "systemd-run --quiet --unit=broken false",
    end: "systemctl reset-failed broken",
    raises: [{ alertname: "UnitFailed", host: "monitor-1" }],
  },
  {
    host: "database-2",
    begin: "systemctl stop cluster-database-agent && mysql --execute='STOP REPLICA'",
    end: "systemctl start cluster-database-agent",
    raises: [
      { alertname: "AgentSilent", host: "database-2" },
      { alertname: "NoReplicaAcknowledges", host: "database-1" },
    ],
  },
];

/** No other host is disturbed meanwhile, so that these are the faults of hosts alone. */
const HOST_STOPPED: readonly Fault[] = [
  {
    host: "web-2",
    begin: "systemctl poweroff",
    end: "",
    raises: [
      { alertname: "HostDown", host: "web-2" },
      { alertname: "WebServerDown", server: "web-2" },
    ],
  },
];

/** Begins faults, and waits until their alerts have arrived; ends them, and waits until they have been taken back. */
async function raiseAndEnd(
  cluster: ScratchCluster,
  webhook: Webhook,
  faults: readonly Fault[],
  end: (fault: Fault) => unknown = (fault) => cluster.attemptOn(fault.host, fault.end),
): Promise<void> {
  const all = faults.flatMap(({ raises }) => raises);
  const arrived = async (status: SentAlert["status"], seconds: number) => {
    const missing = () => all.filter((labels) => !webhook.has(status, labels));
    await eventually(status, () => missing().length === 0 || undefined, seconds).catch(() => {
      throw new Error(`not ${status} within ${seconds} s: ${JSON.stringify(missing())}`);
    });
  };
  webhook.received.splice(0);
  try {
    for (const { host, begin } of faults) {
      cluster.attemptOn(host, begin);
    }
    await arrived("firing", 300);
  } finally {
    for (const fault of faults) {
      end(fault);
    }
  }
  await arrived("resolved", 240);
}

/** What the monitor says of itself. */
function watched(cluster: ScratchCluster): MonitorFacts {
  const { hosts } = JSON.parse(cluster.operate("status", "--json")) as ClusterStatus;
  return hosts.find(({ role }) => role === "monitor")?.facts as MonitorFacts;
}

function give(cluster: ScratchCluster, receiver: string, text: string) {
  return cluster.workspace.operate([cluster.stack, "set-receiver", receiver], text);
}

/** Whether every target answers; `undefined` if not. */
async function allAnswer(cluster: ScratchCluster) {
  return eventually(
    "all targets answer",
    () => {
      const { targets } = watched(cluster);
      return targets?.every(({ up }) => up) ? targets : undefined;
    },
    60,
  );
}

/** The monitor watches every host, and tells somebody. */
export function monitor(cluster: ScratchCluster): void {
  const webhook = new Webhook(addressOfMachine());

  beforeAll(() => webhook.start());
  afterAll(() => webhook.stop());

  test("everything that there are metrics of is asked, and answers", async () => {
    const targets = await allAnswer(cluster);
    const jobs = new Set(targets.map(({ job }) => job));
    expect([...jobs].sort()).toEqual(
      [...METRICS.map(({ job }) => job), "alertmanager", "prometheus"].sort(),
    );
    const hosts = new Set(targets.map(({ host }) => host));
    expect([...hosts].sort()).toEqual(cluster.topology.hosts.map(({ name }) => name).sort());
  });

  test("its programs, and those that it asks on other hosts, are in sandboxes", () => {
    expect(overexposed(cluster)).toEqual([]);
  });

  test("metrics of the app are for the monitor, and not for visitors", async () => {
    const seen = cluster.on(
      "monitor-1",
      `curl -sf http://${cluster.address("web-1")}:9464/metrics`,
    );
    expect(seen).toMatch(/^http_request_duration_seconds_count\{.*route="\/readyz".*\} \d+$/m);
    expect((await ask(`${cluster.url}/metrics`)).status).toBe(404);
  });

  test("a receiver is given by an operator, who is told what is wrong with it", () => {
    expect(give(cluster, "webhook", "https://example.org:8443/x")).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/Refused: .*port 80 or 443/),
    });
    expect(give(cluster, "webhook", `${webhook.url("/alerts")}\n`)).toMatchObject({ status: 0 });
    expect(give(cluster, "heartbeat", `${webhook.url("/heartbeat")}\n`)).toMatchObject({
      status: 0,
    });
  });

  test("a web server without its app is told of, with what to do, and that it is back", async () => {
    await raiseAndEnd(cluster, webhook, [APP_STOPPED]);
    for (const { alert } of webhook.received.filter(({ path }) => path === "/alerts")) {
      expect(alert.annotations.runbook).toMatch(/^docs\/alerts\.md#/);
      expect(alert.annotations.action).toMatch(/\S/);
    }
  });

  test("the heartbeat arrives all the time, and alone there", async () => {
    const beats = () => webhook.received.filter(({ path }) => path === "/heartbeat");
    await eventually("a heartbeat has arrived", () => beats().length > 0 || undefined, 100);
    expect(new Set(beats().map(({ alert }) => alert.labels.alertname))).toEqual(
      new Set(["Watchdog"]),
    );
  });

  test("what was given is in no file that others read, and in no log", () => {
    const address = webhook.url("/alerts").slice("http://".length);
    const found = cluster.attemptOn(
      "monitor-1",
      `grep -rlF '${address}' /etc /opt/cluster /var/lib/cluster /var/lib/cloud /var/log 2>/dev/null; journalctl --no-pager | grep -cF '${address}'`,
    );
    expect(found.stdout.trim()).toBe("0");
    expect(cluster.on("monitor-1", "stat -c '%a %U %G' /run/cluster/monitor/receivers/*")).toMatch(
      /^(640 root prometheus\n)+$/,
    );
  });
}

const LOAD = { readsPerSecond: 40, writesPerSecond: 10 };

/** How long a healthy cluster is watched under load, in seconds. */
const HEALTHY_SECONDS = 300;

/** Every alert that a fault can raise within minutes. Takes a quarter of an hour. */
export function everyAlert(cluster: ScratchCluster): void {
  const webhook = new Webhook(addressOfMachine());

  beforeAll(async () => {
    await webhook.start();
    expect(give(cluster, "webhook", webhook.url("/alerts"))).toMatchObject({ status: 0 });
    await allAnswer(cluster);
  });
  afterAll(() => webhook.stop());

  test("a healthy cluster raises none under load", async () => {
    await eventually(
      "no alert of what came before is left",
      () => (watched(cluster).alerts ?? []).length === 0 || undefined,
      700,
    );
    webhook.received.splice(0);
    const stage = new Stage(cluster, LOAD, () => undefined);
    await stage.wait(HEALTHY_SECONDS);
    await stage.abandon();
    expect(webhook.received.filter(({ path }) => path === "/alerts")).toEqual([]);
    expect(watched(cluster).alerts).toEqual([]);
  }, 1_100_000);

  test("faults of programs raise their alerts, which end with them", async () => {
    await raiseAndEnd(cluster, webhook, FAULTS);
    await cluster.inSync(120);
  }, 600_000);

  test("another primary is told of", async () => {
    webhook.received.splice(0);
    cluster.operate("switchover", "database-2");
    cluster.operate("switchover", "database-1");
    await eventually(
      "the alert has arrived",
      () => webhook.has("firing", { alertname: "PrimaryChanged" }) || undefined,
      90,
    );
    await cluster.inSync();
  });

  test("a host that is stopped raises its own", async () => {
    await raiseAndEnd(cluster, webhook, HOST_STOPPED, ({ host }) => cluster.incus(["start", host]));
    await cluster.serving();
  }, 600_000);

  test("without a primary that is told within a minute", async () => {
    const both = cluster.databases.map((host) => ({
      host,
      begin: "systemctl stop cluster-database-agent && systemctl stop mysql",
      end: "systemctl start mysql cluster-database-agent",
      raises: [{ alertname: "NoPrimary" }],
    }));
    await raiseAndEnd(cluster, webhook, both);
    await cluster.inSync(180);
  }, 600_000);

  test("an app whose requests fail spends its objective, which is told", async () => {
    const stopped = ["web-1", "web-2"].map((host) => ({
      host,
      begin: "systemctl stop app",
      end: "systemctl start app",
      raises: [{ alertname: "NoWebServer" }, { alertname: "ErrorsFast" }],
    }));
    const stage = new Stage(cluster, LOAD, () => undefined);
    try {
      await raiseAndEnd(cluster, webhook, stopped).catch((error: Error) => {
        // The short window is five minutes: that this has ended is not waited for.
        if (!/not resolved.*ErrorsFast/.test(error.message)) {
          throw error;
        }
      });
    } finally {
      await stage.abandon();
    }
  }, 700_000);
}
