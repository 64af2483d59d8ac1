import { ask, ScratchCluster } from "../../drill/scratch/scratch-cluster";
import { UBUNTU } from "../../hosts/distributions";
import { runSync } from "../../ops/run";
import type { ClusterSettingsInput } from "../../topology/settings";
import { durability } from "./local/durability";
import { write } from "./local/writing";
import { group } from "./well";

// The MySQL of EC2's hosts, compared with the machine's own. Too long for every run: npm run test:ubuntu.

const cluster = new ScratchCluster({
  name: "test-ubuntu-data",
  network: { cidr: "10.94.16.0/22" },
  localPort: 18099,
  webServers: { count: 1 },
  local: { distribution: "ubuntu" },
});

jest.setTimeout(180_000);

afterAll(() => cluster.remove());

describe("a backup from Debian, which has a newer MySQL series", () => {
  const early = `early-${Date.now()}`;
  const late = `late-${Date.now()}`;
  let between = "";

  test("is made with a table that the older series does not support", async () => {
    cluster.deploy({ local: { distribution: "debian" }, database: { replicas: 0 } });
    await cluster.inSync();
    await cluster.serving();
    await write(cluster, early);
    cluster.operate("backup");
    await write(cluster, late);
    between = cluster.on("database-1", "sleep 1; date --utc +%FT%TZ; sleep 1").trim();
    cluster.query("database-1", "CREATE TABLE app.vectors (id INT PRIMARY KEY, v VECTOR(3))");
    cluster.operate("backup");
    cluster.destroy();
  }, 600_000);

  test("is refused on Ubuntu because of that table, and nothing changes", async () => {
    cluster.deploy();
    await cluster.inSync();
    await cluster.serving();
    const { status, stderr } = cluster.attemptToOperate("restore", "--overwrite");
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(
        /app\.vectors cannot be created on this server: [\s\S]*nothing was changed: the backup is from MySQL 9/,
      ),
    ]);
    await cluster.serving();
    expect((await ask(`${cluster.url}/`)).status).toBe(200);
  }, 600_000);

  test("is restored up to a time before that table, including the binary logs", async () => {
    cluster.operate("restore", "--to", between, "--overwrite");
    await cluster.inSync();
    await cluster.serving();
    const { body } = await ask(`${cluster.url}/`);
    expect(body).toContain(early);
    expect(body).toContain(late);
  }, 300_000);
});

group("durability", cluster, () => durability(cluster, ["available"]), {
  database: { failover: "manual" },
});

group("a change of the distribution", cluster, () => {
  /** When each host was created, and from which distribution. */
  function made(): Record<string, string> {
    const list = ["incus", "--project", cluster.incusProject, "list", "--format", "json"];
    const instances: Array<{ name: string; created_at: string; config: Record<string, string> }> =
      JSON.parse(runSync(list));
    return Object.fromEntries(
      instances.map(({ name, created_at, config }) => [
        name,
        `${config["image.os"]} ${created_at}`,
      ]),
    );
  }

  function refusedDeploy(change: Partial<ClusterSettingsInput>): string {
    const { status, stdout, stderr } = cluster.attemptToDeploy(change);
    expect(status).not.toBe(0);
    return stdout + stderr;
  }

  const changed: Partial<ClusterSettingsInput> = {
    local: { distribution: "machine" },
    webServers: { count: 2 },
  };

  test("replaces no existing host, and a new web server runs the new distribution and serves", async () => {
    const before = made();
    cluster.deploy(changed);
    expect(made()).toEqual({ ...before, "web-2": expect.stringMatching(/^debian /) });
    await cluster.serving();
  }, 600_000);

  test("creates no database host, which could not read the others' data", async () => {
    cluster.ensure(changed);
    const before = made();
    expect(refusedDeploy({ ...changed, database: { replicas: 2 } })).toMatch(
      /host database-3 was not created: it would run debian, but the data of database-1 was written on ubuntu/,
    );
    expect(made()).toEqual(before);
    cluster.set(changed);
    await cluster.inSync();
    await cluster.serving();
  }, 600_000);

  test("to a mirror that does not answer fails with its address, and the cluster keeps serving", async () => {
    cluster.ensure(changed);
    const before = made();
    const mirror = "http://127.0.0.1:9/ubuntu";
    expect(refusedDeploy({ ...changed, local: { distribution: "ubuntu", mirror } })).toContain(
      `the packages of ubuntu ${UBUNTU.codeName} are not available: ${mirror} does not respond`,
    );
    expect(made()).toEqual(before);
    await cluster.inSync();
    await cluster.serving();
  }, 600_000);
});
