import { type ScratchCluster, tally } from "../../../drill/scratch/scratch-cluster";
import { write } from "./writing";

/** What an operator does with `npm run cluster`. The drill covers operations under load. */
export function operations(cluster: ScratchCluster): void {
  const messages = (host: string) =>
    cluster.query(host, "SELECT message FROM app.guestbook_entries ORDER BY message");
  const checksum = (host: string) => cluster.query(host, "CHECKSUM TABLE app.guestbook_entries");
  /** The time of the primary's own clock, to the microsecond. */
  const now = (host: string) =>
    cluster.query(
      host,
      "SELECT DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%fZ')",
    )[0] as string;

  test("status lists every host, and exits with 0 if all is well", async () => {
    await cluster.inSync();
    await cluster.serving();
    const table = cluster.operate("status").split("\n");
    for (const { name, address } of cluster.topology.hosts) {
      expect(table).toContainEqual(expect.stringMatching(new RegExp(`^${name} +${address} `)));
    }
    expect(table).toContain("all is well");
    const { hosts, problems } = JSON.parse(cluster.operate("status", "--json"));
    expect(hosts).toHaveLength(cluster.topology.hosts.length);
    expect(problems).toEqual([]);
  });

  test("a drained web server gets no requests until undrain, and the last one cannot be drained", async () => {
    cluster.operate("drain", "web-1");
    expect(Object.keys(await tally(`${cluster.url}/api/whoami`, 20))).toEqual(["web-2"]);
    const { status, stderr } = cluster.attemptToOperate("drain", "web-2");
    expect(status).toBe(1);
    expect(stderr).toMatch(/--force/);
    cluster.operate("undrain", "web-1");
    await cluster.serving();
  });

  test("a switchover shows its plan, hands the primary role over, and hands it back", async () => {
    const before = await cluster.inSync();
    const other = cluster.databases.find((host) => host !== before) as string;
    const plan = cluster.operate("switchover", "--dry-run");
    expect(plan).toContain(`${before} is closed`);
    expect(await cluster.inSync()).toBe(before);
    cluster.operate("switchover", other);
    expect(await cluster.inSync()).toBe(other);
    await write(cluster, `after-switchover-${Date.now()}`);
    // Named again, the new primary needs no switchover.
    expect(cluster.operate("switchover", other)).toMatch(/Nothing to do/);
    cluster.operate("switchover", before);
    expect(await cluster.inSync()).toBe(before);
  });

  test("a restore goes back to a time between two writes, and forward again", async () => {
    const primary = await cluster.inSync();
    await write(cluster, `dumped-${Date.now()}`);
    cluster.operate("backup");
    const first = `first-${Date.now()}`;
    await write(cluster, first);
    const [between, betweenSum] = [now(primary), checksum(primary)];
    const second = `second-${Date.now()}`;
    await write(cluster, second);
    const [after, afterSum] = [now(primary), checksum(primary)];
    await write(cluster, `third-${Date.now()}`);

    const refused = cluster.attemptToOperate("restore", "--to", between);
    expect([refused.status, refused.stderr]).toEqual([1, expect.stringContaining("--overwrite")]);
    expect(messages(primary)).toContain(second);

    cluster.operate("restore", "--to", between, "--overwrite");
    expect(checksum(primary)).toEqual(betweenSum);
    expect(messages(primary)).toContain(first);
    expect(messages(primary)).not.toContain(second);
    await cluster.inSync();
    for (const host of cluster.databases) {
      expect(checksum(host)).toEqual(betweenSum);
    }

    // What a restore replaced is not lost.
    cluster.operate("restore", "--to", after, "--overwrite");
    expect(checksum(primary)).toEqual(afterSum);
    await cluster.serving();
    await write(cluster, `after-restore-${Date.now()}`);
  }, 300_000);

  test("a restore to a time that is not archived is refused with the reason", () => {
    const early = cluster.attemptToOperate("restore", "--to", "2020-01-01T00:00:00Z");
    expect([early.status, early.stderr]).toEqual([
      1,
      expect.stringContaining("no backup from 2020-01-01T00:00:00Z or earlier"),
    ]);
    const late = cluster.attemptToOperate("restore", "--to", "2120-01-01T00:00:00Z");
    expect([late.status, late.stderr]).toEqual([
      1,
      expect.stringMatching(/binary logs are archived only up to .*: restore that moment/),
    ]);
  });
}
