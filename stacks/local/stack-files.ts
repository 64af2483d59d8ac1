import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { addCustomSynthesis } from "cdktf/lib/synthesize/synthesizer";
import { TerraformStack } from "cdktf/lib/terraform-stack";
import { Construct } from "constructs";

/** The source of a file: its text, or the file to copy. */
export type FileSource = { readonly content: string } | { readonly copyOf: string };

/**
 * Files that the stack's provisioners read. They are beside the stack's JSON, under fixed relative names, so that both plain
 * Terraform and the cdktf CLI find them.
 */
export class StackFiles extends Construct {
  /** @param files by path relative to the stack's folder; their top-level folders are emptied first */
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
