import { buildSync } from "esbuild";

/** A path that does not lead into the project. */
const IS_OUTSIDE = /^\.\.?\/|^\//;

/** The part of such a path that depends on the project's location: all before the first `node_modules/`. */
const LEADS_OUT = /^(?:.*?\/)?(?=node_modules\/)|^(?:\.\.\/)+/;

/** Where esbuild writes a module's path: in the comment before it and, for CommonJS, as the name of its function. */
const MODULE_PATH = /^(\/\/ | {2}")([^"\n]+)/gm;

/**
 * Bundles a TypeScript program and everything that it imports into one file, for the Node of every host. The result does
 * not depend on the project's location.
 *
 * @param project absolute path of the project
 * @param entryPoint the program's file, relative to the project
 * @throws Error with esbuild's message, if the build fails
 */
export function bundle(project: string, entryPoint: string): string {
  const { outputFiles, metafile } = buildSync({
    absWorkingDir: project,
    entryPoints: [entryPoint],
    bundle: true,
    platform: "node",
    target: "node20",
    format: "cjs",
    legalComments: "none",
    logLevel: "silent",
    metafile: true,
    write: false,
  });
  const outside = new Set(Object.keys(metafile.inputs).filter((path) => IS_OUTSIDE.test(path)));
  const text = outputFiles[0]?.text ?? "";
  return outside.size === 0
    ? text
    : text.replace(MODULE_PATH, (all, before: string, path: string) =>
        outside.has(path) ? `${before}${path.replace(LEADS_OUT, "")}` : all,
      );
}
