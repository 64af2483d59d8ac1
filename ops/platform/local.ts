import { runScript } from "../run";
import type { Platform, Power, Ran } from "./platform";

/** What scripts/local/on-host.sh ends with when the host does not run (EX_UNAVAILABLE). */
const UNREACHABLE = 69;

/** The hosts of a cluster that runs as containers of this machine. */
export function localPlatform(project: string): Platform {
  const facts = { DWI_PROJECT: project } as const;
  const output = async (script: string, ...args: string[]) =>
    (await runScript(script, args, facts, { capture: true })).stdout;
  return {
    async run(host, command, seconds = 60): Promise<Ran> {
      const { exitCode, stdout, stderr } = await runScript(
        "on-host",
        command,
        { ...facts, DWI_HOST: host, DWI_SECONDS: String(seconds) },
        { capture: true, attempt: true },
      );
      return { exitCode: exitCode === UNREACHABLE ? undefined : exitCode, stdout, stderr };
    },

    async power(hosts) {
      const lines = (await output("power", "list")).trim().split("\n");
      const known = new Map(lines.map((line) => line.split(" ") as [string, Power]));
      return new Map(hosts.map((host) => [host, known.get(host) ?? "absent"]));
    },

    async stop(host) {
      await runScript("power", ["stop", host], facts);
    },

    async store(name, file) {
      await runScript("store", ["put", name, file], facts);
    },

    async releases() {
      return (await output("store", "releases")).split(/\s+/).filter(Boolean);
    },

    async setReleases(releases) {
      await runScript("store", ["set-releases", ...releases], facts);
    },
  };
}
