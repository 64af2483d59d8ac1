import type { ScratchCluster } from "../../../drill/scratch/scratch-cluster";
import { write } from "./writing";

/** What an operator decides where failover is manual. */
export function manualFailover(cluster: ScratchCluster): void {
  test("a promotion is refused while the primary may be open, and the flag is named", async () => {
    const primary = await cluster.inSync();
    const other = cluster.databases.find((host) => host !== primary) as string;
    // Frozen, it is neither closed nor gone.
    cluster.incus(["pause", primary]);
    try {
      const { status, stderr } = cluster.attemptToOperate("promote", other);
      expect(status).toBe(1);
      expect(stderr).toContain(`--fence ${primary}`);
      expect(stderr).toContain(`--lost ${primary}`);
    } finally {
      cluster.incus(["resume", primary]);
    }
    expect(await cluster.inSync()).toBe(primary);
  });

  test("an acknowledged write survives the loss of the primary, and a promotion", async () => {
    const primary = await cluster.inSync();
    const replica = cluster.databases.find((name) => name !== primary) as string;
    const message = `acknowledged-${Date.now()}`;
    await write(cluster, message);
    cluster.incus(["stop", "--force", primary]);
    // Nobody vouches for the primary, which may only be cut off.
    expect(
      cluster.attemptOn(replica, "/opt/cluster/scripts/database/agent.sh promote").status,
    ).not.toBe(0);
    cluster.on(replica, `/opt/cluster/scripts/database/agent.sh promote --lost ${primary}`);
    expect(
      cluster.query(
        replica,
        `SELECT COUNT(*) FROM app.guestbook_entries WHERE message = '${message}'`,
      ),
    ).toEqual(["1"]);
    await write(cluster, `after-promotion-${Date.now()}`);
    cluster.incus(["start", primary]);
    expect(await cluster.inSync()).toBe(replica);
  }, 300_000);
}
