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

/** What scripts do, as a word that changes with them. */
export function recipe(...scripts: string[]): string {
  return sha256(...scripts.map((name) => readFileSync(join(SCRIPTS, name), "utf8")));
}

/** The note of a part of an Incus project, which changes when the part's provisioner was killed. */
export function unfinished(project: string, part: string): string {
  const note = `/var/lib/dwi/unfinished/${project}/${part}`;
  return terraform(`fileexists("${note}") ? file("${note}") : ""`);
}

/** Runs a script of scripts/local when a resource is made, which has `unfinished` among its triggers. */
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

/** A destroy provisioner may read nothing but the resource itself: the names are in its input. */
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
