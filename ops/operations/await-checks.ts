import type { Topology } from "../../topology/topology";
import { OperatorError } from "../operator-error";
import type { HostAccess } from "../platform/host-access";
import { type CheckedServer, checkInWords } from "./checks";
import { runningLoadBalancers } from "./drain";
import { complaintOf } from "./on-host";
import { parseFacts } from "./status";

/** Grace beyond the required period, in seconds: a check arrives at least every other second. */
const PATIENCE = 20;

/**
 * Waits until every load balancer's own checks of a web server have succeeded for some time without a break.
 *
 * @param inService whether it also has to be sent requests
 * @throws OperatorError with the result of the last check
 */
export async function awaitChecks(
  topology: Topology,
  access: HostAccess,
  webServer: string,
  { seconds, inService }: { readonly seconds: number; readonly inService: boolean },
): Promise<void> {
  const { healthPath, healthHost } = topology.settings.app;
  await Promise.all(
    (await runningLoadBalancers(topology, access)).map(async (name) => {
      const patience = seconds + PATIENCE;
      const ran = await access.run(
        name,
        [
          "/opt/cluster/scripts/load-balancer/await-checks.sh",
          webServer,
          String(seconds),
          String(patience),
          ...(inService ? ["--in-service"] : []),
        ],
        patience + 30,
      );
      if (ran.exitCode === 0) {
        return;
      }
      const [server] = parseFacts<CheckedServer[]>({ ...ran, exitCode: 0 }) ?? [];
      throw new OperatorError(
        server === undefined
          ? complaintOf(name, ran)
          : `according to ${name}, ${webServer} was not healthy for ${seconds} s in a row within ${patience} s: ${healthPath} (Host: ${healthHost}), ${checkInWords(server)}; its status is ${server.status.toLowerCase()}`,
      );
    }),
  );
}
