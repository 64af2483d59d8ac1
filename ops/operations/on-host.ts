import { OperatorError } from "../clusters";
import type { Platform } from "../platform/platform";

/** What a shell, and the container engine, end with when there is no such program. */
const NOT_FOUND = 127;

/**
 * Runs a script of a host's role on it, and returns what it printed.
 *
 * @param script below /opt/cluster/scripts, for example `database/close.sh`
 * @param seconds how long it may take; default 60
 * @throws OperatorError with what the host says, when it fails or cannot be reached
 */
export async function onHost(
  platform: Platform,
  host: string,
  [script, ...args]: readonly [script: string, ...args: string[]],
  seconds = 60,
): Promise<string> {
  const ran = await platform.run(host, [`/opt/cluster/scripts/${script}`, ...args], seconds);
  if (ran.exitCode !== 0) {
    const said = ran.stderr.trim() || "did not answer";
    const hint =
      ran.exitCode === NOT_FOUND ? ". Its scripts may be older than these: deploy first" : "";
    throw new OperatorError(
      `${host}: ${said}${ran.exitCode === undefined ? " (out of reach)" : hint}`,
    );
  }
  return ran.stdout;
}
