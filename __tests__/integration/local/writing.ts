import { ask, type ScratchCluster } from "../../../drill/scratch/scratch-cluster";
import { eventually } from "../../../drill/scratch/workspace";

/** Signs the guestbook, through the load balancer; the message is the request's key as well. */
export async function write(cluster: ScratchCluster, message: string): Promise<void> {
  await eventually(
    `${message} is written`,
    async () => {
      const { status } = await ask(`${cluster.url}/api/entries`, {
        method: "POST",
        headers: { "content-type": "application/json", "idempotency-key": message },
        body: JSON.stringify({ name: "integration", message }),
      });
      return status < 300 ? true : undefined;
    },
    30,
  );
}
