import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { CURRENT_RELEASE, releaseFiles } from "../hosts/release-files";
import { type ClusterSettings, SettingsError } from "../topology/settings";
import { contains, copyFolder, kindOf, unfitIn } from "./app-folder";
import { type Archive, pack } from "./archive";
import { bundle } from "./bundle";

type AppSettings = ClusterSettings["app"];

/** A problem of the app's settings that depends on the project's files. */
export interface AppProblem {
  readonly setting: "directory" | "bundle" | "staticDirectory" | "command";
  readonly got: string;
  readonly wanted: string;
}

/** Folders that tools write to. An app in one of them would be packed into itself, or change unexpectedly. */
const OF_TOOLS = [".git", ".terraform", "cdktf.out", "node_modules", join(".cache", "archives")];

function collect(project: string, app: AppSettings, target: string): void {
  const source = join(project, app.directory);
  if (app.bundle === undefined) {
    copyFolder(source, target);
    return;
  }
  mkdirSync(target);
  writeFileSync(join(target, "server.js"), bundle(project, join(app.directory, app.bundle)));
  if (app.staticDirectory !== undefined) {
    copyFolder(join(source, app.staticDirectory), join(target, app.staticDirectory));
  }
}

const missing = (path: string) => `an existing path: the project has no ${path}`;

function problemsOfFolder(project: string, app: AppSettings): AppProblem[] {
  const problem = (wanted: string): AppProblem[] => [
    { setting: "directory", got: JSON.stringify(app.directory), wanted },
  ];
  const folder = join(project, app.directory);
  const kind = kindOf(folder);
  if (kind === "nothing") {
    return problem(missing(app.directory));
  }
  if (kind !== "folder") {
    return problem("a folder, not a file");
  }
  if (contains(folder, project)) {
    return problem("a folder inside the project, not one that contains the project");
  }
  const tools = OF_TOOLS.find(
    (one) => contains(join(project, one), folder) || contains(folder, join(project, one)),
  );
  return tools === undefined
    ? []
    : problem(`a separate folder for the app: tools write to ${tools}`);
}

/** Checks a setting that names a file or folder inside the app's folder. */
function problemsInside(
  project: string,
  app: AppSettings,
  setting: "bundle" | "staticDirectory",
  kind: "file" | "folder",
): AppProblem[] {
  const named = app[setting];
  if (named === undefined) {
    return [];
  }
  const problem = (wanted: string): AppProblem[] => [
    { setting, got: JSON.stringify(named), wanted },
  ];
  const path = join(app.directory, named);
  const found = kindOf(join(project, path));
  if (found === "nothing") {
    return problem(missing(path));
  }
  if (found !== kind) {
    return problem(`a ${kind}: ${path} is ${found === "other" ? "neither" : `a ${found}`}`);
  }
  return contains(join(project, app.directory), join(project, path))
    ? []
    : problem(`a ${kind} inside the app's folder: a link leads out of it`);
}

/** Checks a command that runs a program from the release: it must exist and be executable. */
function problemsOfCommand(project: string, app: AppSettings): AppProblem[] {
  const [program = ""] = app.command.trim().split(/\s+/);
  const within = `${CURRENT_RELEASE}/app/`;
  if (app.bundle !== undefined || !program.startsWith(within)) {
    return [];
  }
  const problem = (wanted: string): AppProblem[] => [
    { setting: "command", got: JSON.stringify(app.command), wanted },
  ];
  const path = join(app.directory, program.slice(within.length));
  const kind = kindOf(join(project, path));
  if (kind === "nothing") {
    // May be a link to a program that only hosts have.
    return program.includes("/bin/") ? [] : problem(missing(path));
  }
  if (kind !== "file") {
    return problem(`a program: ${path} is not a file`);
  }
  return (statSync(join(project, path)).mode & 0o111) === 0
    ? problem(`a program: ${path} is not executable; to make it so: chmod +x ${path}`)
    : [];
}

/** Checks the content of the folder that is released: links that lead out of it, named pipes and the like. */
function problemsOfContent(project: string, app: AppSettings): AppProblem[] {
  const setting = app.bundle === undefined ? "directory" : "staticDirectory";
  const released = [app.directory, ...(app.bundle === undefined ? [] : [app.staticDirectory])];
  if (released.includes(undefined)) {
    return [];
  }
  const folder = join(...(released as string[]));
  return unfitIn(join(project, folder)).map(({ path, found, wanted }) => ({
    setting,
    got: `${found}: ${join(folder, path)}`,
    wanted,
  }));
}

/** All problems of the app's settings that depend on the project's files. */
export function problemsOfApp(project: string, app: AppSettings): AppProblem[] {
  const folder = problemsOfFolder(project, app);
  const inside = [
    ...problemsInside(project, app, "bundle", "file"),
    ...problemsInside(project, app, "staticDirectory", "folder"),
  ];
  return [
    ...folder,
    ...inside,
    ...(folder.length > 0 ? [] : problemsOfCommand(project, app)),
    ...(folder.length + inside.length > 0 ? [] : problemsOfContent(project, app)),
  ];
}

/**
 * Packs a release: the app in the folder `app`, and the files that are generated from its settings.
 *
 * @param project absolute path of the project
 * @throws SettingsError with every problem, if the app cannot be released
 * @throws Error with esbuild's message, if the bundle cannot be built
 */
export function packRelease(project: string, app: AppSettings): Archive {
  const problems = problemsOfApp(project, app);
  if (problems.length > 0) {
    throw new SettingsError(
      problems.map(({ setting, ...problem }) => ({ path: `app.${setting}`, ...problem })),
    );
  }
  return pack(project, "releases", (folder) => {
    collect(project, app, join(folder, "app"));
    for (const { path, content, permissions } of releaseFiles(app)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), content, { mode: Number.parseInt(permissions, 8) });
    }
  });
}
