import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { promisify } from "node:util";
import { ask, ScratchCluster } from "../../../drill/scratch/scratch-cluster";
import { eventually } from "../../../drill/scratch/workspace";
import { attemptSync, runSync } from "../../../ops/run";
import { stoppedOnTheOnlyOne } from "../local/releases";
import { makeWell } from "../well";

const incusNames = (kind: string, column: string): string[] =>
  runSync(["incus", kind, "list", "--format", "csv", "--columns", column])
    .trim()
    .split("\n")
    .map((name) => name.replace(/ \(current\)$/, ""));

/** What the engine still has of a cluster that is gone. */
function left(cluster: ScratchCluster): string[] {
  const projects = incusNames("project", "n").filter((name) => name === cluster.incusProject);
  const networks = attemptSync(["ip", "-o", "-4", "address"]).stdout.includes(
    ` ${cluster.topology.network.gateway}/`,
  );
  return [...projects, ...(networks ? ["the network"] : [])];
}

/** Interrupted deploys, clusters side by side, and destroys that leave nothing. */
export function clusters(cluster: ScratchCluster, other: ScratchCluster): void {
  afterAll(() => other.remove());

  test("invalid settings: every problem is reported at once, the exit code is 1, and nothing is written", () => {
    const broken = new ScratchCluster(other.base);
    broken.workspace.set([{ name: "Wrong", webServers: { count: 0 }, colour: "red" } as never]);
    for (const verb of ["synth", "deploy"]) {
      const args = verb === "deploy" ? [verb, "local", "--auto-approve"] : [verb];
      const { status, stdout, stderr } = broken.workspace.attemptCdktf(args);
      expect(status).toBe(1);
      for (const path of ["name", "webServers.count", "colour"]) {
        expect(stdout + stderr).toContain(`clusters[0].${path}: got`);
      }
      const written = readdirSync(broken.workspace.directory, { recursive: true });
      expect(written.filter((name) => /\.tf|manifest|tfstate/.test(String(name)))).toEqual([]);
    }
    broken.workspace.remove();
  }, 60_000);

  test("a host can read its secrets while another one stops and starts", async () => {
    const read = "/opt/cluster/platform.sh secret mysql-app-password >/dev/null";
    const reading = promisify(execFile)("incus", [
      ...["--project", cluster.incusProject, "exec", "web-1", "--", "bash", "-e", "-c"],
      `for ((; SECONDS < 12;)); do ${read}; done`,
    ]);
    for (let times = 0; times < 2; times++) {
      cluster.incus(["stop", "--force", "web-2"]);
      cluster.incus(["start", "web-2"]);
      await new Promise((resolve) => setTimeout(resolve, 2_000));
    }
    await reading;
    await cluster.serving();
  });

  test("a deploy that was killed halfway is completed by running it again, next to another cluster", async () => {
    if (left(other).length > 0) {
      other.attemptToDestroy();
    }
    await other.interruptDeploy(/database-1: started/);
    other.deploy();
    await other.inSync();
    await other.serving();
    expect((await ask(`${cluster.url}/healthz`)).status).toBe(200);
    expect((await ask(`${other.url}/healthz`)).status).toBe(200);
    other.workspace.terraform(other.stack, ["plan", "-detailed-exitcode", "-no-color"]);
  }, 600_000);

  test("a release that the load balancer refuses is also rolled back on the only web server", async () => {
    await makeWell(other);
    await stoppedOnTheOnlyOne(other);
  }, 600_000);

  test("a cluster grows from no replica to three, and replication is semi-synchronous again", async () => {
    await makeWell(other);
    const primary = await other.inSync();
    other.apply({ database: { replicas: 3 } });
    expect(await other.inSync(180)).toBe(primary);
    await eventually(
      "semi-synchronous replication is on",
      () =>
        other.query(primary, "SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_source_status'")[0] ===
          "Rpl_semi_sync_source_status\tON" || undefined,
      30,
    );
  }, 600_000);

  test("a host whose update fails is reported with the cause, and a later deploy completes", async () => {
    await makeWell(other, { database: { replicas: 3 } });
    const another = { database: { replicas: 2 } };
    other.on("web-1", "mv /usr/sbin/nginx /usr/sbin/nginx.away");
    try {
      const { status, stdout, stderr } = other.attemptToDeploy(another);
      expect(status).not.toBe(0);
      expect(stdout + stderr).toMatch(/error: host web-1: its update failed/);
      expect(stdout + stderr).toMatch(/nginx/);
    } finally {
      other.on("web-1", "mv /usr/sbin/nginx.away /usr/sbin/nginx");
    }
    other.deploy(another);
    expect(other.on("web-1", "cat /etc/haproxy/haproxy.cfg")).not.toContain("database-4");
  }, 600_000);

  test("destroy leaves nothing of the cluster, and does not affect the other one", async () => {
    if (!other.isDeployed) {
      await makeWell(other);
    }
    other.destroy();
    expect(left(other)).toEqual([]);
    expect((await ask(`${cluster.url}/healthz`)).status).toBe(200);
  }, 300_000);

  test("destroy leaves nothing after a deploy that was killed halfway", async () => {
    if (left(other).length > 0) {
      other.attemptToDestroy();
    }
    await other.interruptDeploy(/database-1: started/);
    other.destroy();
    expect(left(other)).toEqual([]);
  }, 600_000);

  test("destroying the last cluster leaves nothing either", () => {
    cluster.destroy();
    expect(left(cluster)).toEqual([]);
  }, 300_000);
}
