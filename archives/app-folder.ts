import {
  accessSync,
  constants,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readlinkSync,
  realpathSync,
  type Stats,
  statSync,
  symlinkSync,
} from "node:fs";
import { isAbsolute, join, relative, resolve, sep } from "node:path";
import { namesIn } from "./archive";

/** Files and folders that are never part of a release. */
const LEFT_OUT = new Set([".git", ".DS_Store"]);

/**
 * Programs that every web server has. Links to them are kept, because Python virtual environments contain such links.
 */
const ON_EVERY_HOST = new Set(["/usr/bin/python3", "/usr/bin/node"]);

/** The maximum number of links that Linux follows in one path (path_resolution(7)). */
const MOST_LINKS = 40;

/** Something in a folder that cannot be released. */
export interface Unfit {
  /** Path in the folder. */
  readonly path: string;
  /** What it is, for example `a link to ../../secrets`. */
  readonly found: string;
  readonly wanted: string;
}

/** An entry of a folder. */
interface Entry {
  /** Path in the folder. */
  readonly path: string;
  readonly kind: "folder" | "file" | "link";
  /** The target of a link, as it is to be on the host. */
  readonly target?: string;
}

const isInside = (folder: string, path: string) =>
  path === folder || path.startsWith(folder.endsWith(sep) ? folder : `${folder}${sep}`);

/** The folder that is searched. */
interface Place {
  /** Its real path. */
  readonly root: string;
  /** The paths by which absolute links may refer to it. */
  readonly spellings: readonly string[];
}

function placeOf(folder: string): Place {
  const root = realpathSync(folder);
  return { root, spellings: [root, resolve(folder)] };
}

/**
 * The target of a link on a host: unchanged, but relative if it is an absolute path into the folder.
 *
 * @param from path of the link's directory, relative to the folder
 */
function targetOf({ root, spellings }: Place, from: string, name: string): string {
  const said = readlinkSync(join(root, from, name));
  const spelling = spellings.find((one) => isAbsolute(said) && isInside(one, resolve(said)));
  return spelling === undefined ? said : relative(from, relative(spelling, resolve(said))) || ".";
}

/**
 * Whether a link stays inside the folder at every step, resolved as the kernel does. Missing components are resolved by
 * their names.
 */
function staysInside(place: Place, from: string, target: string): boolean {
  const here = from.split(sep).filter(Boolean);
  const ahead = [target];
  for (let links = 0; links <= MOST_LINKS; links++) {
    const next = ahead.shift();
    if (next === undefined) {
      return true;
    }
    if (isAbsolute(next)) {
      return ON_EVERY_HOST.has(next);
    }
    const names = next.split("/");
    for (let name = names.shift(); name !== undefined; name = names.shift()) {
      if (name === "..") {
        if (here.pop() === undefined) {
          return false;
        }
      } else if (name !== "" && name !== ".") {
        const path = join(place.root, ...here, name);
        if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true) {
          ahead.unshift(targetOf(place, here.join(sep), name), names.join("/"));
          break;
        }
        here.push(name);
      }
    }
  }
  // A cycle never leads out of the folder.
  return true;
}

const KINDS: ReadonlyArray<readonly [(stats: Stats) => boolean, string]> = [
  [(stats) => stats.isFIFO(), "a named pipe"],
  [(stats) => stats.isSocket(), "a socket"],
  [(stats) => stats.isBlockDevice() || stats.isCharacterDevice(), "a device"],
];

interface Listing {
  readonly entries: Entry[];
  readonly unfit: Unfit[];
}

function list(place: Place): Listing {
  const { root } = place;
  const entries: Entry[] = [];
  const unfit: Unfit[] = [];
  const refuse = (path: string, found: string, wanted: string) =>
    unfit.push({ path, found, wanted });
  const visitLink = (folder: string, name: string) => {
    const path = join(folder, name);
    const target = targetOf(place, folder, name);
    if (staysInside(place, folder, target)) {
      entries.push({ path, kind: "link", target });
      return;
    }
    const said = readlinkSync(join(root, path));
    const interpreter = /(^|\/)(python|pypy)[\d.]*$/.test(said);
    refuse(
      path,
      `a link to ${said}`,
      interpreter
        ? "a link that stays inside the folder, or to /usr/bin/python3, which web servers have as well"
        : "a link that stays inside the folder, or a copy of its target",
    );
  };
  const visit = (folder: string) => {
    for (const name of namesIn(join(root, folder)).filter((one) => !LEFT_OUT.has(one))) {
      const path = join(folder, name);
      const stats = lstatSync(join(root, path), { throwIfNoEntry: false });
      if (stats === undefined) {
        refuse(path, "a name that is not valid UTF-8", "a name in UTF-8");
      } else if (stats.isSymbolicLink()) {
        visitLink(folder, name);
      } else if (!stats.isDirectory() && !stats.isFile()) {
        const found = KINDS.find(([is]) => is(stats))?.[1] ?? "something else";
        refuse(path, found, "only files, folders and links");
      } else if (!isReadable(join(root, path), stats)) {
        refuse(path, "something that you have no permission to read", "readable files and folders");
      } else if (stats.isDirectory()) {
        entries.push({ path, kind: "folder" });
        visit(path);
      } else {
        entries.push({ path, kind: "file" });
      }
    }
  };
  visit("");
  return { entries, unfit };
}

function isReadable(path: string, stats: Stats): boolean {
  try {
    accessSync(path, stats.isDirectory() ? constants.R_OK | constants.X_OK : constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** Everything in a folder that cannot be released. */
export function unfitIn(folder: string): Unfit[] {
  return list(placeOf(folder)).unfit;
}

/**
 * Copies a folder as it is to be on a host. Links are kept: relative ones unchanged, and absolute ones into the folder made
 * relative. What cannot be released is left out.
 *
 * @param to a folder that does not exist, or is empty
 */
export function copyFolder(folder: string, to: string): void {
  const place = placeOf(folder);
  mkdirSync(to, { recursive: true });
  for (const { path, kind, target } of list(place).entries) {
    const copy = join(to, path);
    if (kind === "folder") {
      mkdirSync(copy);
    } else if (target !== undefined) {
      symlinkSync(target, copy);
    } else {
      copyFileSync(join(place.root, path), copy);
    }
  }
}

/** What is at a path; follows links. */
export function kindOf(path: string): "nothing" | "folder" | "file" | "other" {
  if (!existsSync(path)) {
    return "nothing";
  }
  const stats = statSync(path);
  return stats.isDirectory() ? "folder" : stats.isFile() ? "file" : "other";
}

/** Whether the first folder contains the second, or they are the same; follows links. */
export function contains(outer: string, inner: string): boolean {
  return existsSync(outer) && existsSync(inner)
    ? isInside(realpathSync(outer), realpathSync(inner))
    : isInside(resolve(outer), resolve(inner));
}
