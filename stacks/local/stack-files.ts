import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { addCustomSynthesis } from "cdktf/lib/synthesize/synthesizer";
import { TerraformStack } from "cdktf/lib/terraform-stack";
import { Construct } from "constructs";

/** A file to lie beside the synthesized stack: its text, or the file it is a copy of. */
export type FileSource = { readonly content: string } | { readonly copyOf: string };

/**
 * Files that the stack's provisioners read. They lie beside the stack's JSON under fixed relative
 * names, so plain Terraform finds them as well as the cdktf CLI does.
 */
export class StackFiles extends Construct {
  /** @param files by path, relative to the stack's folder; the first folder of each is ours */
  constructor(scope: Construct, id: string, files: Readonly<Record<string, FileSource>>) {
    super(scope, id);
    const stack = TerraformStack.of(this);
    addCustomSynthesis(this, {
      onSynthesize: ({ outdir, manifest }) => {
        const folder = join(outdir, manifest.forStack(stack).workingDirectory);
        for (const own of new Set(Object.keys(files).map((path) => path.split("/")[0] as string))) {
          rmSync(join(folder, own), { recursive: true, force: true });
        }
        for (const [path, source] of Object.entries(files)) {
          const target = join(folder, path);
          mkdirSync(dirname(target), { recursive: true });
          if ("content" in source) {
            writeFileSync(target, source.content);
          } else {
            copyFileSync(source.copyOf, target);
          }
        }
      },
    });
  }
}
