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

/** What never belongs into a release. */
const LEFT_OUT = new Set([".git", ".DS_Store"]);

/**
 * Programs that every web server has. A link to one of them arrives as it is: a virtual environment of
 * Python is made of such links.
 */
const ON_EVERY_HOST = new Set(["/usr/bin/python3", "/usr/bin/node"]);

/** As many links as Linux follows in one path (path_resolution(7)). */
const MOST_LINKS = 40;

/** Something in a folder that cannot be released, by its path in the folder. */
export interface Unfit {
  readonly path: string;
  /** What it is, for example `a link to ../../secrets`. */
  readonly found: string;
  readonly wanted: string;
}

/** What a folder holds. */
interface Entry {
  /** Path in the folder. */
  readonly path: string;
  readonly kind: "folder" | "file" | "link";
  /** What a link says on the host. */
  readonly target?: string;
}

const isInside = (folder: string, path: string) =>
  path === folder || path.startsWith(folder.endsWith(sep) ? folder : `${folder}${sep}`);

/** A folder that is looked through. */
interface Place {
  /** Its real path. */
  readonly root: string;
  /** The paths by which an absolute link may call it. */
  readonly spellings: readonly string[];
}

function placeOf(folder: string): Place {
  const root = realpathSync(folder);
  return { root, spellings: [root, resolve(folder)] };
}

/**
 * What a link is to say on a host: what it says here, or, where that is an absolute path into the folder, the
 * way there from the link.
 *
 * @param from path in the folder of the link's own folder
 */
function targetOf({ root, spellings }: Place, from: string, name: string): string {
  const said = readlinkSync(join(root, from, name));
  const spelling = spellings.find((one) => isAbsolute(said) && isInside(one, resolve(said)));
  return spelling === undefined ? said : relative(from, relative(spelling, resolve(said))) || ".";
}

/**
 * Follows a link as the kernel does, and tells whether it stays in the folder all the way. What is not
 * there is followed by its name.
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
  // A circle leads nowhere, and so not out.
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
        ? "a link that stays in the folder, or leads to /usr/bin/python3, which web servers have too"
        : "a link that stays in the folder, or what it leads to in its place",
    );
  };
  const visit = (folder: string) => {
    for (const name of namesIn(join(root, folder)).filter((one) => !LEFT_OUT.has(one))) {
      const path = join(folder, name);
      const stats = lstatSync(join(root, path), { throwIfNoEntry: false });
      if (stats === undefined) {
        refuse(path, "a name that is no UTF-8", "a name in UTF-8");
      } else if (stats.isSymbolicLink()) {
        visitLink(folder, name);
      } else if (!stats.isDirectory() && !stats.isFile()) {
        const found = KINDS.find(([is]) => is(stats))?.[1] ?? "something else";
        refuse(path, found, "files, folders and links only");
      } else if (!isReadable(join(root, path), stats)) {
        refuse(path, "what you may not read", "files and folders that you may read");
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

/** What in a folder cannot be released, all of it; nothing when the folder can be. */
export function unfitIn(folder: string): Unfit[] {
  return list(placeOf(folder)).unfit;
}

/**
 * Copies a folder as it is to arrive on a host. Links stay links: relative ones as they are, absolute ones
 * into the folder relative. What cannot be released is left out.
 *
 * @param to a folder that is not there yet, or is empty
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

/** Whether a path is there, and is what it is to be; links are followed. */
export function kindOf(path: string): "nothing" | "folder" | "file" | "other" {
  if (!existsSync(path)) {
    return "nothing";
  }
  const stats = statSync(path);
  return stats.isDirectory() ? "folder" : stats.isFile() ? "file" : "other";
}

/** Whether one of two folders contains the other, or they are the same; links are followed. */
export function contains(outer: string, inner: string): boolean {
  return existsSync(outer) && existsSync(inner)
    ? isInside(realpathSync(outer), realpathSync(inner))
    : isInside(resolve(outer), resolve(inner));
}
