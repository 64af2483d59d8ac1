import { buildSync } from "esbuild";

/** The part of a module's path that leads out of the project, and so depends on the project's location. */
const LEADS_OUT = /^(?:\.\.?\/|[^\n]*?\/)*(?=node_modules\/)|^(?:\.\.\/)+/;

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
  const outside = Object.keys(metafile.inputs).filter((path) => /^\.\.?\/|^\//.test(path));
  return (
    outside
      // Longest first: one path may be a prefix of another.
      .sort((one, other) => other.length - one.length)
      .reduce(
        (all, path) => all.replaceAll(path, path.replace(LEADS_OUT, "")),
        outputFiles[0]?.text ?? "",
      )
  );
}
