import { createHash } from "node:crypto";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { join } from "node:path";
import { create } from "tar";

/** An archive for hosts has scripts, or a release of the app. */
export type ArchiveKind = "scripts" | "releases";

/** A .tar.gz for hosts. Reproducible: the same content gives the same bytes. */
export interface Archive {
  /** SHA-256 of the archive, hexadecimal. */
  readonly sha256: string;
  /** Its name in the cluster's store: `<kind>/<sha256>.tar.gz`. */
  readonly name: string;
  /** Absolute path of the archive on this machine. */
  readonly file: string;
}

/** The folder for archives in the project; git ignores it. */
const CACHE = join(".cache", "archives");

/** The names in a folder, sorted by their bytes: independent of the file system and of the locale. */
export function namesIn(folder: string): string[] {
  return readdirSync(folder).sort((one, other) =>
    Buffer.compare(Buffer.from(one), Buffer.from(other)),
  );
}

/**
 * The paths in a folder, each after its parent. Normalizes their permissions, which depend on the umask: a file becomes
 * executable if anyone may execute it.
 */
function settle(folder: string, path: string): string[] {
  const here = join(folder, path);
  const stats = lstatSync(here);
  if (stats.isSymbolicLink()) {
    return [path];
  }
  chmodSync(here, stats.isDirectory() || (stats.mode & 0o111) !== 0 ? 0o755 : 0o644);
  return stats.isDirectory()
    ? [path, ...namesIn(here).flatMap((name) => settle(folder, `${path}/${name}`))]
    : [path];
}

/**
 * Packs a folder, with fixed owners, times, permissions and order, so that the archive only changes with its content. Links
 * are kept.
 *
 * @param project absolute path of the project
 * @param fill writes the content into an empty folder
 */
export function pack(project: string, kind: ArchiveKind, fill: (folder: string) => void): Archive {
  const cache = join(project, CACHE, kind);
  mkdirSync(cache, { recursive: true });
  const workspace = mkdtempSync(join(cache, "packing-"));
  try {
    const content = join(workspace, "content");
    mkdirSync(content);
    fill(content);
    const archive = join(workspace, "archive.tar.gz");
    create(
      {
        cwd: content,
        file: archive,
        gzip: true,
        mtime: new Date(0),
        noDirRecurse: true,
        portable: true,
        sync: true,
      },
      settle(content, "."),
    );
    const sha256 = createHash("sha256").update(readFileSync(archive)).digest("hex");
    const file = join(cache, `${sha256}.tar.gz`);
    renameSync(archive, file);
    return { sha256, name: `${kind}/${sha256}.tar.gz`, file };
  } finally {
    rmSync(workspace, { recursive: true, force: true });
  }
}
