import { App } from "cdktf/lib/app";

/**
 * Creates the cdktf app for the stacks.
 *
 * Skips cdktf's validation, which runs Terraform to check its version and takes a large part of a synthesis: every stack
 * has a `required_version`.
 *
 * @param outdir output folder; if omitted, cdktf's default
 */
export function makeApp(outdir?: string): App {
  return new App({ outdir, skipValidation: true, stackTraces: false });
}
