import { hostsOf, type Topology } from "../../topology/topology";
import { OperatorError } from "../operator-error";
import type { HostAccess } from "../platform/host-access";
import { complaintOf } from "./on-host";

const SCRIPT = "/opt/cluster/scripts/load-balancer/drain.sh";

async function onLoadBalancers(
  topology: Topology,
  access: HostAccess,
  webServer: string,
  args: readonly string[],
): Promise<string> {
  if (!hostsOf(topology, "web").some(({ name }) => name === webServer)) {
    const known = hostsOf(topology, "web").map(({ name }) => name);
    throw new OperatorError(`There is no web server ${webServer}; there are: ${known.join(", ")}.`);
  }
  const said: string[] = [];
  for (const { name } of hostsOf(topology, "load-balancer")) {
    const ran = await access.run(name, [SCRIPT, ...args], 60);
    if (ran.exitCode !== 0) {
      throw new OperatorError(complaintOf(name, ran));
    }
    said.push(ran.stderr.trim());
  }
  return said.join("\n");
}

/**
 * Takes a web server out of service: it gets no new requests, and requests in flight finish first.
 *
 * @returns the load balancer's status of it
 * @throws OperatorError if it is the last one that serves, unless `force` is given
 */
export function drain(
  topology: Topology,
  access: HostAccess,
  webServer: string,
  { force }: { force: boolean },
): Promise<string> {
  return onLoadBalancers(topology, access, webServer, [webServer, ...(force ? ["--force"] : [])]);
}

/** Puts a web server back into service. Its share grows slowly. */
export function undrain(
  topology: Topology,
  access: HostAccess,
  webServer: string,
): Promise<string> {
  return onLoadBalancers(topology, access, webServer, ["--undo", webServer]);
}

/**
 * Does something to a web server while it is sent no requests. The only web server cannot be drained: its visitors
 * wait.
 *
 * @param serves whether it serves visitors; otherwise draining it affects nobody
 * @throws what `act` throws, once the web server is sent requests again; OperatorError if it may not be
 */
export async function outOfService<Result>(
  topology: Topology,
  access: HostAccess,
  { host, serves }: { readonly host: string; readonly serves: boolean },
  act: () => Promise<Result>,
): Promise<Result> {
  if (hostsOf(topology, "web").length === 1) {
    return act();
  }
  await drain(topology, access, host, { force: !serves });
  const outcome = await act().then(
    (result) => ({ result }),
    (error: unknown) => ({ error }),
  );
  try {
    await undrain(topology, access, host);
  } catch (error) {
    const before = "error" in outcome ? `${(outcome.error as Error).message}\n` : "";
    throw new OperatorError(
      `${before}${host} may still be drained: ${(error as Error).message}\n  To undo that: undrain ${host}`,
    );
  }
  if ("error" in outcome) {
    throw outcome.error;
  }
  return outcome.result;
}
