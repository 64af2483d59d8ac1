import { runScript } from "../run";
import type { HostAccess, Power, Ran } from "./host-access";

/** Exit code of scripts/local/on-host.sh if the host does not run (EX_UNAVAILABLE). */
const UNREACHABLE = 69;

/** Access to the hosts of a local cluster, which are containers on this machine. */
export function localHostAccess(project: string): HostAccess {
  const facts = { DWI_PROJECT: project } as const;
  return {
    async run(host, command, seconds = 60): Promise<Ran> {
      const { exitCode, stdout, stderr } = await runScript(
        "on-host",
        command,
        { ...facts, DWI_HOST: host, DWI_SECONDS: String(seconds) },
        { capture: true, attempt: true },
      );
      if (exitCode !== UNREACHABLE) {
        return { exitCode, stdout, stderr };
      }
      const said = stderr.trim().split("\n").at(-1) ?? "";
      const reason = said.startsWith(`${host} `) ? said : `${host} does not answer: ${said}`;
      return { exitCode: undefined, stdout, stderr: said === "" ? "" : reason };
    },

    async power(hosts) {
      const { stdout } = await runScript("power", ["list"], facts, { capture: true });
      const lines = stdout.trim().split("\n");
      const known = new Map(lines.map((line) => line.split(" ") as [string, Power]));
      return new Map(hosts.map((host) => [host, known.get(host) ?? "absent"]));
    },

    async stop(host) {
      await runScript("power", ["stop", host], facts);
    },
  };
}
