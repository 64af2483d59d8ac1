import { decideRotation, rotateSecret } from "../../ops/operations/rotate-secret";
import type { ClusterStatus, HostStatus } from "../../ops/operations/status";
import type { HostAccess, Power } from "../../ops/platform/host-access";
import { PHASES, type Phase, phaseAfter, type SecretStore } from "../../ops/platform/secret-store";
import type { ClusterSettingsInput } from "../../topology/settings";
import type { Secret, Topology } from "../../topology/topology";
import { topologyOf } from "../hosts/rendered";
import { clusterWith, database, primary } from "./statuses";

const REREADS = { app: { directory: "app", rereadsSecrets: true } };
const READS_ONCE = { app: { directory: "app" } };

const all = clusterWith();

class Killed extends Error {}

/**
 * A cluster in memory: what its store has, and what each host applied last. Kills the operation before or after any of
 * its steps.
 */
class FakeCluster {
  readonly topology: Topology;
  readonly secret: Secret;
  stored: { phase: Phase; generation: number } = { phase: "steady", generation: 0 };
  /** The phase and the generation that each host works with. */
  readonly applied = new Map<string, string>();
  readonly done: string[] = [];
  /** The steps that are left until it is killed. */
  private left = Number.POSITIVE_INFINITY;
  private readonly drained = new Set<string>();

  constructor(
    name: string,
    settings: Partial<ClusterSettingsInput> = REREADS,
    private readonly status: ClusterStatus = all,
    private readonly power: Record<string, Power> = {},
  ) {
    this.topology = topologyOf(settings);
    this.secret = this.topology.secrets.find((secret) => secret.name === name) as Secret;
    for (const { host } of status.hosts) {
      this.applied.set(host, "steady 0");
    }
  }

  private step(): void {
    if (this.left-- <= 0) {
      throw new Killed("killed");
    }
  }

  /** Every host that was told something has a phase that the stored one is compatible with. */
  private check(): void {
    // Counted from the first phase on. `former` and `steady` are the same to a host.
    const order = (phase: Phase, generation: number) =>
      PHASES.length * (phase === "steady" ? generation : generation - 1) + PHASES.indexOf(phase);
    const orderOfHost = (phase: Phase, generation: number) =>
      order(phase === "former" ? "steady" : phase, generation);
    const now = order(this.stored.phase, this.stored.generation);
    for (const [host, text] of this.applied) {
      const [phase, generation] = text.split(" ") as [Phase, string];
      // What a host that the secret does not concern has applied says nothing.
      if (this.concerned.includes(host) && now - orderOfHost(phase, Number(generation)) > 1) {
        throw new Error(`${host} is at ${text}, and ${this.stored.phase} is stored`);
      }
    }
  }

  get concerned(): string[] {
    const decision = decideRotation(this.topology, this.secret, "next", this.status);
    return decision.kind === "apply" ? decision.turns.map(({ host }) => host) : [];
  }

  readonly secrets: SecretStore = {
    phase: async () => {
      this.step();
      return this.stored.phase;
    },
    put: async () => undefined,
    advance: async (_name, from) => {
      this.step();
      expect(from).toBe(this.stored.phase);
      const phase = phaseAfter(from);
      const generation = this.stored.generation + (phase === "next" ? 1 : 0);
      this.stored = { phase, generation };
      this.done.push(`store ${phase}`);
      this.check();
      // It may be killed when it has been done.
      this.step();
    },
  };

  readonly access: HostAccess = {
    run: async (host, [script = "", ...args]) => {
      const done = (stdout: string) => ({ exitCode: 0, stdout, stderr: "" });
      const known = this.status.hosts.find((one) => one.host === host);
      switch (script.replace("/opt/cluster/scripts/", "")) {
        case "host/status.sh":
          return known?.facts === undefined
            ? { exitCode: undefined, stdout: "", stderr: known?.silence ?? "" }
            : done(JSON.stringify(known.facts));
        case "host/apply-secret.sh":
          this.step();
          expect(args[0]).toBe(this.secret.name);
          this.applied.set(host, `${this.stored.phase} ${this.stored.generation}`);
          this.done.push(
            [
              host,
              this.stored.phase,
              ...(args.includes("--restart")
                ? [`restarted${this.drained.has(host) ? "" : ", but not drained"}`]
                : []),
            ].join(" "),
          );
          this.step();
          return done("");
        case "load-balancer/drain.sh":
          if (args[0] === "--undo") {
            this.drained.delete(args[1] as string);
          } else {
            this.drained.add(args[0] as string);
          }
          return done("");
        default:
          return done("");
      }
    },
    power: async (hosts) => new Map(hosts.map((host) => [host, this.power[host] ?? "running"])),
    stop: async () => undefined,
  };

  /** Runs the operation, killed after so many steps; returns whether it came to its end, and what it said. */
  async rotate(steps = Number.POSITIVE_INFINITY, dryRun = false) {
    this.left = steps;
    const said: string[] = [];
    const hasEnded = await rotateSecret(this, this.secret.name, { dryRun }, (line) =>
      said.push(line),
    ).then(
      () => true,
      (error: Error) => {
        if (error instanceof Killed || error.message.includes("killed")) {
          return false;
        }
        throw error;
      },
    );
    return { hasEnded, said };
  }
}

const names = topologyOf().secrets.map(({ name }) => name);

describe.each(names)("%s", (name) => {
  test("goes through all phases, and every host applies each before the next is stored", async () => {
    const cluster = new FakeCluster(name);
    const { said } = await cluster.rotate();
    const hosts = cluster.concerned;
    expect(hosts).not.toEqual([]);
    expect(cluster.done).toEqual([
      ...(["next", "previous", "former"] as const).flatMap((phase) => [
        `store ${phase}`,
        ...hosts.map((host) => `${host} ${phase}`),
      ]),
      "store steady",
    ]);
    expect(said[0]).toMatch(new RegExp(`^${name} will be replaced by another value: .+\\.$`));
    expect(said.at(-1)).toBe(`${name} is rotated`);
  });

  test("killed before or after any step, or at every step, it is completed by the same command", async () => {
    const whole = new FakeCluster(name);
    await whole.rotate();
    const steps = 2 * whole.done.length + 1;
    for (let kill = 0; kill < steps; kill++) {
      const cluster = new FakeCluster(name);
      expect((await cluster.rotate(kill)).hasEnded).toBe(false);
      const { generation, phase } = cluster.stored;
      await cluster.rotate();
      // One that had not begun, or had just ended, is a rotation of its own.
      const expected = phase === "steady" ? generation + 1 : generation;
      expect(cluster.stored).toEqual({ phase: "steady", generation: expected });
      for (const host of cluster.concerned) {
        expect(cluster.applied.get(host)).toBe(`former ${expected}`);
      }
    }
    const often = new FakeCluster(name);
    for (let attempt = 1; !(await often.rotate(attempt)).hasEnded; attempt++) {
      expect(attempt).toBeLessThan(100);
    }
    expect(often.stored.phase).toBe("steady");
  });

  test("what it does is said before, and nothing more is done with --dry-run", async () => {
    const cluster = new FakeCluster(name);
    const { said } = await cluster.rotate(undefined, true);
    expect(said[0]).toContain(name);
    expect(cluster.done).toEqual([]);
  });

  test("a rotation that was interrupted says so", async () => {
    const cluster = new FakeCluster(name);
    cluster.stored = { phase: "previous", generation: 1 };
    expect((await cluster.rotate()).said[0]).toMatch(
      new RegExp(`^The rotation of ${name} was interrupted in phase previous, and goes on`),
    );
  });

  test("a host that runs and does not answer is a refusal, with its name; one that does not run is left out", async () => {
    const { concerned } = new FakeCluster(name);
    // The primary has to answer anyway.
    const last = ["database-2", "load-balancer-1"].find((host) => concerned.includes(host)) ?? "";
    const answering = all.hosts.find(({ host }) => host === last) as HostStatus;
    const without = (power: Power) => clusterWith({ ...answering, power, facts: undefined });
    const running = new FakeCluster(name, REREADS, without("running"), { [last]: "running" });
    await expect(running.rotate()).rejects.toThrow(
      new RegExp(`^Refused. Nothing was changed.\\n {2}${last}[^\\n]*start it, or stop it$`),
    );
    expect(running.done).toEqual([]);
    const stopped = new FakeCluster(name, REREADS, without("stopped"), { [last]: "stopped" });
    expect((await stopped.rotate()).said).toContain(
      `${last} does not run: it fetches the secret when it boots.`,
    );
    expect(stopped.done.filter((one) => one.startsWith(last))).toEqual([]);
    expect(stopped.stored.phase).toBe("steady");
  });
});

describe("the order of hosts", () => {
  const order = (name: string, status = all) => {
    const { topology, secret } = new FakeCluster(name);
    const decision = decideRotation(topology, secret, "next", status);
    return decision.kind === "apply" ? decision.turns.map(({ host }) => host) : decision.reasons;
  };

  test("the primary is first, and web servers are last", () => {
    expect(order("mysql-app-password")).toEqual(["database-1", "database-2", "web-1", "web-2"]);
    const other = clusterWith(database(1), primary(2));
    expect(order("mysql-app-password", other).slice(0, 2)).toEqual(["database-2", "database-1"]);
  });

  test("web servers get the authority from database hosts, whose secret they may not read", () => {
    expect(order("certificate-authority-seed")).toEqual([
      "database-1",
      "database-2",
      "web-1",
      "web-2",
    ]);
  });

  test("etcd's authority concerns voters and database hosts", () => {
    expect(order("etcd-authority-seed")).toEqual(["database-1", "database-2", "load-balancer-1"]);
  });

  test("without exactly one open primary nothing begins", () => {
    expect(order("backup-password", clusterWith(database(1)))).toEqual([
      "0 database hosts accept writes; wanted exactly one",
    ]);
  });
});

describe("an app that reads its secrets once", () => {
  test.each([
    ["mysql-app-password", ["previous"]],
    ["mysql-read-password", ["previous"]],
    ["certificate-authority-seed", ["next", "former"]],
    ["mysql-replication-password", []],
    ["backup-password", []],
    ["etcd-authority-seed", []],
  ])("%s: restarts in %j, on one web server after the other, drained", async (name, phases) => {
    const cluster = new FakeCluster(name, READS_ONCE);
    const { said } = await cluster.rotate();
    expect(cluster.done.filter((one) => one.includes("restarted"))).toEqual(
      phases.flatMap((phase) => ["web-1", "web-2"].map((host) => `${host} ${phase} restarted`)),
    );
    expect(said.some((line) => line.includes("The app is restarted"))).toBe(phases.length > 0);
  });

  test("is restarted where it is if there is one web server, which is said before", async () => {
    const one = { cluster: "demo", hosts: all.hosts.filter(({ host }) => host !== "web-2") };
    const settings = { ...READS_ONCE, webServers: { count: 1 } };
    const cluster = new FakeCluster("mysql-app-password", settings, one);
    const { said } = await cluster.rotate();
    expect(cluster.done).toContain("web-1 previous restarted, but not drained");
    expect(said[1]).toContain("there is one web server, so visitors wait meanwhile or get a 503");
  });
});

test("a host that fails stops the rotation with its reason, and what to do", async () => {
  const cluster = new FakeCluster("backup-password");
  const { run } = cluster.access;
  const access: HostAccess = {
    ...cluster.access,
    run: async (host, command, seconds) =>
      host === "database-2" && command[0]?.endsWith("apply-secret.sh")
        ? { exitCode: 1, stdout: "", stderr: "apply-secret.sh: restic exited with 11" }
        : run(host, command, seconds),
  };
  const { topology, secrets } = cluster;
  await expect(
    rotateSecret({ topology, secrets, access }, "backup-password", { dryRun: false }, () => {}),
  ).rejects.toThrow(
    "The rotation of backup-password was stopped in phase next at database-2: database-2: apply-secret.sh: restic exited with 11\n  Every host works with the value that it has. Once this is fixed, run the same command again: it continues from there.",
  );
  expect(cluster.stored.phase).toBe("next");
});

test("a secret that there is not is refused, with those that there are", async () => {
  const { topology, access, secrets } = new FakeCluster("backup-password");
  await expect(
    rotateSecret({ topology, access, secrets }, "password", { dryRun: false }, () => {}),
  ).rejects.toThrow(`There is no secret password; there are: ${names.join(", ")}.`);
});
