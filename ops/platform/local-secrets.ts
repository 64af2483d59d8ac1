import { backupDirectory } from "../../topology/names";
import type { Topology } from "../../topology/topology";
import { OperatorError } from "../operator-error";
import { runScript, type ScriptFacts } from "../run";
import { PHASES, type SecretStore } from "./secret-store";

/** The secrets of a local cluster: settings of its containers, which scripts/local/secret.sh changes as root. */
export function localSecrets(project: string, { secrets, settings }: Topology): SecretStore {
  function factsOf(name: string): ScriptFacts {
    const { readers, outlivesCluster = false } = secrets.find((secret) => secret.name === name) ?? {
      readers: [],
    };
    return {
      DWI_PROJECT: project,
      DWI_READERS: readers.join(" "),
      DWI_KEPT_IN: outlivesCluster ? backupDirectory(settings) : "",
    };
  }

  return {
    async phase(name) {
      const { stdout } = await runScript("secret", ["phase", name], factsOf(name), {
        capture: true,
      });
      const phase = PHASES.find((one) => one === stdout.trim());
      if (phase === undefined) {
        throw new OperatorError(
          `The phase of ${name} is not one of ${PHASES.join(", ")}: ${stdout.trim()}`,
        );
      }
      return phase;
    },

    async advance(name, from) {
      await runScript("secret", ["advance", name, from], factsOf(name));
    },

    async put(name, content) {
      await runScript("secret", ["put", name], factsOf(name), { input: content });
    },
  };
}
