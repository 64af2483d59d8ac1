import type { ScratchCluster } from "../../../drill/scratch/scratch-cluster";
import { eventually } from "../../../drill/scratch/workspace";
import { write } from "./writing";

/** How many entries a database host has. */
export const rows = (cluster: ScratchCluster, host: string) =>
  cluster.query(host, "SELECT COUNT(*) FROM app.guestbook_entries")[0];

/** Waits until the replica has as many entries as the primary. */
export async function sameRows(cluster: ScratchCluster): Promise<void> {
  const primary = await cluster.inSync();
  for (const host of cluster.databases) {
    await eventually(
      `${host} has every entry`,
      () => rows(cluster, host) === rows(cluster, primary) || undefined,
      30,
    );
  }
}

/**
 * Checks that an acknowledged write outlives its primary, which comes back as a replica.
 *
 * @param succeed returns once the replica is the primary
 */
export async function outlivesPrimary(
  cluster: ScratchCluster,
  succeed: (primary: string, replica: string) => Promise<void>,
): Promise<void> {
  const primary = await cluster.inSync();
  const replica = cluster.databases.find((name) => name !== primary) as string;
  const message = `acknowledged-${Date.now()}`;
  await write(cluster, message);
  cluster.incus(["stop", "--force", primary]);
  await succeed(primary, replica);
  expect(
    cluster.query(
      replica,
      `SELECT COUNT(*) FROM app.guestbook_entries WHERE message = '${message}'`,
    ),
  ).toEqual(["1"]);
  await write(cluster, `after-${message}`);
  cluster.incus(["start", primary]);
  expect(await cluster.inSync()).toBe(replica);
  await sameRows(cluster);
}
