import { cpSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { buildSync } from "esbuild";
import { releaseFiles } from "../hosts/release";
import type { ClusterSettings } from "../topology/settings";
import { type Archive, pack } from "./archive";

/** What never belongs into a release. */
const LEFT_OUT = /(^|\/)(\.git|\.DS_Store)$/;

function bundle(project: string, directory: string, entryPoint: string, target: string): void {
  const { outputFiles } = buildSync({
    absWorkingDir: project,
    entryPoints: [join(directory, entryPoint)],
    bundle: true,
    platform: "node",
    target: "node20",
    format: "cjs",
    legalComments: "none",
    logLevel: "silent",
    write: false,
  });
  writeFileSync(join(target, "server.js"), outputFiles[0]?.contents ?? "");
}

function collect(project: string, app: ClusterSettings["app"], target: string): void {
  const source = join(project, app.directory);
  if (app.bundle === undefined) {
    cpSync(source, target, { recursive: true, filter: (path) => !LEFT_OUT.test(path) });
    return;
  }
  bundle(project, app.directory, app.bundle, target);
  if (app.staticDirectory !== undefined) {
    cpSync(join(source, app.staticDirectory), join(target, app.staticDirectory), {
      recursive: true,
      filter: (path) => !LEFT_OUT.test(path),
    });
  }
}

/** A path that the app's settings name and the project lacks. */
export interface MissingPath {
  readonly setting: "directory" | "bundle" | "staticDirectory";
  /** Relative to the project. */
  readonly path: string;
}

/** What the app's settings name and the project lacks. */
export function missingPaths(project: string, app: ClusterSettings["app"]): MissingPath[] {
  const named: Array<MissingPath | false> = [
    { setting: "directory", path: app.directory },
    app.bundle !== undefined && { setting: "bundle", path: join(app.directory, app.bundle) },
    app.staticDirectory !== undefined && {
      setting: "staticDirectory",
      path: join(app.directory, app.staticDirectory),
    },
  ];
  return named
    .filter((one) => one !== false)
    .filter(({ path }) => !existsSync(join(project, path)));
}

/**
 * Packs a release: the app in its folder `app`, and beside it what the settings say of it.
 *
 * @param project absolute path of the project
 * @throws Error when the bundle does not build; the message is esbuild's
 */
export function packRelease(project: string, app: ClusterSettings["app"]): Archive {
  return pack(project, "releases", (folder) => {
    const target = join(folder, "app");
    mkdirSync(target);
    collect(project, app, target);
    for (const { path, content, permissions } of releaseFiles(app)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), content, { mode: Number.parseInt(permissions, 8) });
    }
  });
}
