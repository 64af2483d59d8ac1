import { buildSync } from "esbuild";

/** Where the bundler has to call a module by a path that leads out of the project, it tells where the project lies. */
const LEADS_OUT = /^(?:\.\.?\/|[^\n]*?\/)*(?=node_modules\/)|^(?:\.\.\/)+/;

/**
 * Makes one file of a TypeScript program and all that it imports, for the Node of every host; the same text wherever the
 * project lies.
 *
 * @param project absolute path of the project
 * @param entryPoint the program's file, below the project
 * @throws Error when it does not build; the message is esbuild's
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
      // The longest first: one may be the beginning of another.
      .sort((one, other) => other.length - one.length)
      .reduce(
        (all, path) => all.replaceAll(path, path.replace(LEADS_OUT, "")),
        outputFiles[0]?.text ?? "",
      )
  );
}
