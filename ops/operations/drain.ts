import { hostsOf, type Topology } from "../../topology/topology";
import { OperatorError } from "../operator-error";
import type { HostAccess } from "../platform/host-access";
import { complaintOf } from "./on-host";

const SCRIPT = "/opt/cluster/scripts/load-balancer/drain.sh";

/**
 * The load balancers that have to know which web servers are drained: all but those that do not run. These ask another
 * one when they start (scripts/load-balancer/adopt-states.sh).
 */
export async function runningLoadBalancers(
  topology: Topology,
  access: HostAccess,
): Promise<string[]> {
  const names = hostsOf(topology, "load-balancer").map(({ name }) => name);
  if (names.length === 1) {
    return names;
  }
  const power = await access.power(names);
  const running = names.filter(
    (name) => !["stopped", "absent"].includes(power.get(name) ?? "unknown"),
  );
  return running.length === 0 ? names : running;
}

/** Runs the script on every load balancer. If one fails, `undo` runs on those where it has succeeded. */
async function onLoadBalancers(
  topology: Topology,
  access: HostAccess,
  webServer: string,
  args: readonly string[],
  undo?: readonly string[],
): Promise<string> {
  if (!hostsOf(topology, "web").some(({ name }) => name === webServer)) {
    const known = hostsOf(topology, "web").map(({ name }) => name);
    throw new OperatorError(`There is no web server ${webServer}; there are: ${known.join(", ")}.`);
  }
  const said: string[] = [];
  const done: string[] = [];
  for (const name of await runningLoadBalancers(topology, access)) {
    const ran = await access.run(name, [SCRIPT, ...args], 60);
    // A host that did not answer in time may have done it.
    if (ran.exitCode !== 0 && undo !== undefined) {
      const undone = ran.exitCode === undefined ? [...done, name] : done;
      await Promise.all(undone.map((one) => access.run(one, [SCRIPT, ...undo], 60)));
    }
    if (ran.exitCode !== 0) {
      throw new OperatorError(complaintOf(name, ran));
    }
    done.push(name);
    said.push(ran.stderr.trim());
  }
  return said.join("\n");
}

/**
 * Takes a web server out of service: it gets no new requests, and requests in flight finish first. With two load
 * balancers, both do so or none.
 *
 * @returns the load balancers' status of it
 * @throws OperatorError if it is the last one that serves, unless `force` is given, or if a load balancer does not answer
 */
export function drain(
  topology: Topology,
  access: HostAccess,
  webServer: string,
  { force }: { force: boolean },
): Promise<string> {
  const args = [webServer, ...(force ? ["--force"] : [])];
  return onLoadBalancers(topology, access, webServer, args, ["--undo", webServer]);
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
