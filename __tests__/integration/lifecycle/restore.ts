import { ask, type ScratchCluster } from "../../../drill/scratch/scratch-cluster";
import { write } from "../local/writing";

/** A cluster is lost with all of its hosts, and restored from its backups. */
export function restore(cluster: ScratchCluster): void {
  const checksum = (host: string) => cluster.query(host, "CHECKSUM TABLE app.guestbook_entries");

  test("a fresh cluster is restored to the last archived write of the lost one", async () => {
    const primary = await cluster.inSync();
    await write(cluster, `last-${Date.now()}`);
    cluster.operate("backup");
    await write(cluster, `after-the-backup-${Date.now()}`);
    cluster.on(primary, "systemctl start cluster-database-log-archive.service");
    const before = checksum(primary);
    cluster.destroy();
    cluster.deploy();
    await cluster.inSync();
    const plan = cluster.operate("restore", "--dry-run");
    expect(plan).not.toContain("is removed");
    cluster.operate("restore");
    for (const host of cluster.databases) {
      expect(checksum(host)).toEqual(before);
    }
    await cluster.serving();
    expect((await ask(`${cluster.url}/`)).body).toContain("after-the-backup-");
  }, 600_000);
}
