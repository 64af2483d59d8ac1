import { hostsOf, type Topology } from "../../topology/topology";
import { OperatorError } from "../clusters";
import type { Platform } from "../platform/platform";
import { complaintOf } from "./on-host";

const SCRIPT = "/opt/cluster/scripts/load-balancer/drain.sh";

async function onLoadBalancers(
  topology: Topology,
  platform: Platform,
  webServer: string,
  args: readonly string[],
): Promise<string> {
  if (!hostsOf(topology, "web").some(({ name }) => name === webServer)) {
    const known = hostsOf(topology, "web").map(({ name }) => name);
    throw new OperatorError(`There is no web server ${webServer}; there are: ${known.join(", ")}.`);
  }
  const said: string[] = [];
  for (const { name } of hostsOf(topology, "load-balancer")) {
    const ran = await platform.run(name, [SCRIPT, ...args], 60);
    if (ran.exitCode !== 0) {
      throw new OperatorError(complaintOf(name, ran));
    }
    said.push(ran.stderr.trim());
  }
  return said.join("\n");
}

/**
 * Takes a web server out of service: no new requests, and those under way end first.
 *
 * @returns what the load balancer says of it
 * @throws OperatorError when it is the last one that serves, unless `force` is given
 */
export function drain(
  topology: Topology,
  platform: Platform,
  webServer: string,
  { force }: { force: boolean },
): Promise<string> {
  return onLoadBalancers(topology, platform, webServer, [webServer, ...(force ? ["--force"] : [])]);
}

/** Takes a web server back into service. It gets its share slowly. */
export function undrain(
  topology: Topology,
  platform: Platform,
  webServer: string,
): Promise<string> {
  return onLoadBalancers(topology, platform, webServer, ["--undo", webServer]);
}
