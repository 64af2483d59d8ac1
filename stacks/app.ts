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

/**
 * Declares stacks and synthesizes them, with stack traces as Node prints them. cdktf records one for each of its thousands
 * of tokens, and ts-node would look up every line of each in a source map, which would take a fifth of the time.
 */
export function withPlainStackTraces(act: () => void): void {
  const { prepareStackTrace } = Error;
  Object.assign(Error, { prepareStackTrace: undefined });
  try {
    act();
  } finally {
    Object.assign(Error, { prepareStackTrace });
  }
}
