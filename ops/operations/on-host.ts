import { OperatorError } from "../operator-error";
import type { HostAccess, Ran } from "../platform/host-access";

/** Exit code of a shell, and of the container engine, if there is no such program. */
const NOT_FOUND = 127;

/** Why a command on a host failed, as one sentence or as the lines that the host printed. */
export function complaintOf(host: string, { exitCode, stderr, cut }: Ran): string {
  const said = stderr.trim();
  if (exitCode === undefined) {
    return `${said || `${host} did not answer`} (unreachable)`;
  }
  if (exitCode === 0 && cut !== undefined) {
    return `${host}: the command succeeded, but its output is incomplete: ${cut}`;
  }
  const hint =
    exitCode === NOT_FOUND ? ". Its scripts may be older than this command: deploy first" : "";
  return `${host}: ${said || `exit code ${exitCode}, without an error message`}${hint}`;
}

/**
 * Runs a script of a host's role on it, and returns its output.
 *
 * @param script below /opt/cluster/scripts, for example `web/release.sh`
 * @param seconds timeout; default 60
 * @throws OperatorError with the host's error, if it fails or cannot be reached
 */
export async function onHost(
  access: HostAccess,
  host: string,
  [script, ...args]: readonly [script: string, ...args: string[]],
  seconds = 60,
): Promise<string> {
  const ran = await access.run(host, [`/opt/cluster/scripts/${script}`, ...args], seconds);
  if (ran.exitCode !== 0 || ran.cut !== undefined) {
    throw new OperatorError(complaintOf(host, ran));
  }
  return ran.stdout;
}
