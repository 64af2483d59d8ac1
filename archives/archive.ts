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

/** What hosts fetch: the scripts they run, or a release of the app. */
export type ArchiveKind = "scripts" | "releases";

/** A .tar.gz for hosts, the same bytes for the same content. */
export interface Archive {
  /** SHA-256 of the archive, hexadecimal. */
  readonly sha256: string;
  /** Its name in the cluster's store: `<kind>/<sha256>.tar.gz`. */
  readonly name: string;
  /** Absolute path of the archive on this machine. */
  readonly file: string;
}

/** Archives are kept under this folder of the project, which git ignores. */
const CACHE = join(".cache", "archives");

/** Names in an order of their own, not in that of a file system or a language. */
export function namesIn(folder: string): string[] {
  return readdirSync(folder).sort((one, other) =>
    Buffer.compare(Buffer.from(one), Buffer.from(other)),
  );
}

/**
 * The paths in a folder, each after the folder it lies in. Brings their permissions to one of two values,
 * whatever the umask made of them: a file is a program when anyone may execute it.
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
 * Packs a folder. Owners, times, permissions and order are fixed, so that an archive changes only when what
 * is in it does. Links are packed as links.
 *
 * @param project absolute path of the project
 * @param fill puts the content into an empty folder
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
