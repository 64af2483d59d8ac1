import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { LocalExecProvisioner } from "cdktf/lib/terraform-provisioner";
import { SCRIPTS } from "../../hosts/scripts";

export function sha256(...texts: string[]): string {
  const hash = createHash("sha256");
  for (const text of texts) {
    hash.update(text).update("\0");
  }
  return hash.digest("hex");
}

/** An expression that Terraform evaluates. */
export function terraform(expression: string): string {
  return `\${${expression}}`;
}

/** A hash of scripts, for triggers. */
export function recipe(...scripts: string[]): string {
  return sha256(...scripts.map((name) => readFileSync(join(SCRIPTS, name), "utf8")));
}

/** An expression for a part's note (scripts/local/lib.sh), which differs if the part's provisioner was killed. */
export function unfinished(project: string, part: string): string {
  const note = `/var/lib/dwi/unfinished/${project}/${part}`;
  return terraform(`fileexists("${note}") ? file("${note}") : ""`);
}

/** Runs a script of scripts/local when a resource is created. The resource must have `unfinished` among its triggers. */
export function onCreate(
  project: string,
  script: string,
  facts: Record<string, string>,
): LocalExecProvisioner {
  return {
    type: "local-exec",
    when: "create",
    command: `bash scripts/local/${script}.sh`,
    environment: {
      DWI_PROJECT: project,
      DWI_UNFINISHED: terraform("self.triggers_replace.unfinished"),
      ...facts,
    },
  };
}

/** Removes a part. A destroy provisioner may only refer to the resource itself, so the names are in its input. */
export function onDestroy(part: string): LocalExecProvisioner {
  return {
    type: "local-exec",
    when: "destroy",
    command: `bash scripts/local/remove.sh ${part}`,
    environment: {
      DWI_PROJECT: terraform("self.input.project"),
      DWI_NAME: terraform("self.input.name"),
    },
  };
}
