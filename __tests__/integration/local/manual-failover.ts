import { setTimeout as pause } from "node:timers/promises";
import type { ScratchCluster } from "../../../drill/scratch/scratch-cluster";
import { eventually } from "../../../drill/scratch/workspace";
import { outlivesPrimary } from "./rows";

/** What an operator decides if failover is manual. */
export function manualFailover(cluster: ScratchCluster): void {
  test("a promotion is refused while the primary may be open, and the error names the flags", async () => {
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

  test("a primary that has been frozen for a while is stopped, and a replica that has everything promoted", async () => {
    const primary = await cluster.inSync();
    cluster.incus(["pause", primary]);
    // The replica accepts only what the primary said of itself shortly before it fell silent (agent/commands.ts).
    await pause(10_000);
    cluster.operate("promote", "--fence", primary);
    cluster.incus(["start", primary]);
    expect(await cluster.inSync()).not.toBe(primary);
    await eventually("writes wait for a replica again", () =>
      cluster.attemptToOperate("status").status === 0 ? true : undefined,
    );
  }, 300_000);

  test("an acknowledged write survives the loss of the primary and a promotion", async () => {
    await outlivesPrimary(cluster, async (primary, replica) => {
      // Nobody confirms that the primary is gone: it may only be cut off.
      expect(
        cluster.attemptOn(replica, "/opt/cluster/scripts/database/agent.sh promote").status,
      ).not.toBe(0);
      cluster.on(replica, `/opt/cluster/scripts/database/agent.sh promote --lost ${primary}`);
    });
  }, 300_000);
}
