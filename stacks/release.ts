import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { buildSync } from "esbuild";
import { create } from "tar";
import type { ClusterSettings } from "../topology/settings";

/** The app as web servers fetch it: a .tar.gz, the same bytes for the same sources. */
export interface Release {
  /** SHA-256 of the archive, hexadecimal; also its name. */
  readonly sha256: string;
  /** Absolute path of the archive on this machine. */
  readonly file: string;
}

/** Archives are kept under this folder of the project, which git ignores. */
const CACHE = join(".cache", "releases");

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
 * Packs the app. Owners, times and order are fixed, so that a release changes only when the app
 * does.
 *
 * @param project absolute path of the project
 * @throws Error when the bundle does not build; the message is esbuild's
 */
export function packRelease(project: string, app: ClusterSettings["app"]): Release {
  const cache = join(project, CACHE);
  mkdirSync(cache, { recursive: true });
  const workspace = mkdtempSync(join(cache, "packing-"));
  try {
    const content = join(workspace, "content");
    mkdirSync(content);
    collect(project, app, content);
    const archive = join(workspace, "release.tar.gz");
    create(
      {
        cwd: content,
        file: archive,
        gzip: true,
        mtime: new Date(0),
        portable: true,
        sync: true,
      },
      ["."],
    );
    const sha256 = createHash("sha256").update(readFileSync(archive)).digest("hex");
    const file = join(cache, `${sha256}.tar.gz`);
    renameSync(archive, file);
    return { sha256, file };
  } finally {
    rmSync(workspace, { recursive: true, force: true });
  }
}
