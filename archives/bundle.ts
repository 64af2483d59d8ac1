import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { buildSync, version } from "esbuild";

/** A path that does not lead into the project. */
const IS_OUTSIDE = /^\.\.?\/|^\//;

/** The part of such a path that depends on the project's location: all before the first `node_modules/`. */
const LEADS_OUT = /^(?:.*?\/)?(?=node_modules\/)|^(?:\.\.\/)+/;

/** Where esbuild writes a module's path: in the comment before it and, for CommonJS, as the name of its function. */
const MODULE_PATH = /^(\/\/ | {2}")([^"\n]+)/gm;

/** Where a project keeps its last bundles, since a synthesis would spend a fifth of its time on them. */
const KEPT = join(".cache", "bundles");

/** Besides the modules, a bundle depends on these: how modules are found and compiled. */
const ALWAYS = ["package.json", "tsconfig.json", join("node_modules", ".package-lock.json")];

/** A bundle, and the state of everything that it was built from, by path relative to the project. */
interface Kept {
  readonly states: Readonly<Record<string, string>>;
  readonly text: string;
}

/** A hash of a file's content, or of the names in a folder; empty if there is neither. */
function stateOf(path: string): string {
  const hash = createHash("sha256");
  try {
    return hash.update(readFileSync(path)).digest("hex");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EISDIR") {
      return "";
    }
    return hash.update(readdirSync(path).sort().join("\0")).digest("hex");
  }
}

function build(project: string, entryPoint: string): Kept {
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
  const modules = Object.keys(metafile.inputs);
  const outside = new Set(modules.filter((path) => IS_OUTSIDE.test(path)));
  const text = outputFiles[0]?.text ?? "";
  // A new file may be found in place of another one: the names in the folders of the project's own modules count as well.
  const folders = modules.filter((path) => !path.includes("node_modules/")).map(dirname);
  const paths = [...ALWAYS, ...new Set(folders), ...modules];
  return {
    states: Object.fromEntries(paths.map((path) => [path, stateOf(join(project, path))])),
    text:
      outside.size === 0
        ? text
        : text.replace(MODULE_PATH, (all, before: string, path: string) =>
            outside.has(path) ? `${before}${path.replace(LEADS_OUT, "")}` : all,
          ),
  };
}

/** The bundle in a file, if it is what would be built now. */
function keptIn(project: string, file: string): string | undefined {
  try {
    const { states, text }: Kept = JSON.parse(readFileSync(file, "utf8"));
    const isCurrent = Object.entries(states).every(
      ([path, state]) => stateOf(join(project, path)) === state,
    );
    return isCurrent ? text : undefined;
  } catch {
    // There is none yet, or not a whole one.
    return undefined;
  }
}

/**
 * Bundles a TypeScript program and everything that it imports into one file, for the Node of every host. The result does
 * not depend on the project's location. It is kept in the project's folder `.cache`, and built anew if anything that it
 * was built from has changed.
 *
 * @param project absolute path of the project
 * @param entryPoint the program's file, relative to the project
 * @throws Error with esbuild's message, if the build fails
 */
export function bundle(project: string, entryPoint: string): string {
  const name = createHash("sha256").update(`${version}\0${entryPoint}`).digest("hex").slice(0, 16);
  const file = join(project, KEPT, `${name}.json`);
  const kept = keptIn(project, file);
  if (kept !== undefined) {
    return kept;
  }
  const built = build(project, entryPoint);
  mkdirSync(dirname(file), { recursive: true });
  // Several syntheses may run at once.
  const next = `${file}.${process.pid}`;
  writeFileSync(next, JSON.stringify(built));
  renameSync(next, file);
  return built.text;
}
