import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { preProcessFile } from "typescript";
import clusters from "../../cluster.config";
import { ROOMS } from "../../docs/generate/rooms";
import { PROJECT } from "../../hosts/project";
import { parseClusters } from "../../topology/settings";

/** At the top and of no room: settings of tools. */
const OF_TOOLS = ["jest.config.ts"];

/** Folders at the top that tools fill, and what git keeps. */
const FILLED = ["node_modules", "cdktf.out", "coverage", ".git", ".cache", ".terraform"];

function sourcesIn(folder: string): string[] {
  return readdirSync(join(PROJECT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      return FILLED.includes(path) ? [] : sourcesIn(path);
    }
    return entry.name.endsWith(".ts") ? [path] : [];
  });
}

const NAMES = ROOMS.map(({ name }) => name);

/** Where apps are that a user has put there. */
const APPS = parseClusters(clusters).map(({ app }) => app.directory.split("/")[0] as string);

const SOURCES = sourcesIn(".");

/** What a file imports, types as well, whether at its beginning or later. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(PROJECT, file), "utf8");
  return preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName);
}

/** The file of the project that an import is of, or undefined when it is a package's. */
function resolved(file: string, imported: string): string | undefined {
  if (!imported.startsWith(".")) {
    return undefined;
  }
  const path = resolve(PROJECT, dirname(file), imported);
  const found = [`${path}.ts`, join(path, "index.ts"), path].find(
    (candidate) => existsSync(candidate) && statSync(candidate).isFile(),
  );
  if (found === undefined) {
    throw new Error(`${file} imports ${imported}, which is not there`);
  }
  return relative(PROJECT, found);
}

const GRAPH = new Map(
  SOURCES.map((file) => [
    file,
    importsOf(file).flatMap((imported) => resolved(file, imported) ?? []),
  ]),
);

const roomOf = (file: string) => file.split(sep)[0] as string;

/** The first circle that is found, from a file back to itself; nothing where there is none. */
function circle(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>();
  const from = (file: string, way: readonly string[]): string[] => {
    if (way.includes(file)) {
      return [...way.slice(way.indexOf(file)), file];
    }
    if (done.has(file)) {
      return [];
    }
    for (const next of graph.get(file) ?? []) {
      const found = from(next, [...way, file]);
      if (found.length > 0) {
        return found;
      }
    }
    done.add(file);
    return [];
  };
  for (const file of graph.keys()) {
    const found = from(file, []);
    if (found.length > 0) {
      return found;
    }
  }
  return [];
}

describe("the rooms", () => {
  test("each may import what stands before it alone", () => {
    for (const [index, { imports }] of ROOMS.entries()) {
      expect(NAMES.slice(0, index)).toEqual(expect.arrayContaining([...imports]));
    }
  });

  test("hold every source, but for apps that the settings name", () => {
    const known = [...NAMES, ...APPS, ...OF_TOOLS];
    expect(SOURCES.filter((file) => !known.includes(roomOf(file)))).toEqual([]);
  });

  test("are all folders at the top, but for apps that the settings name", () => {
    const folders = readdirSync(PROJECT, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !/^\.(?!ci$)/.test(entry.name))
      .map(({ name }) => name)
      .filter((name) => ![...FILLED, ...APPS].includes(name));
    expect(NAMES).toEqual(expect.arrayContaining(folders));
  });

  test("are in the picture", () => {
    const page = readFileSync(join(PROJECT, "docs", "architecture.md"), "utf8");
    const [, picture = ""] = /```\n(cluster\.config\.ts[\s\S]*?)```/.exec(page) ?? [];
    expect(NAMES.filter((name) => !picture.includes(name))).toEqual([]);
  });
});

describe("imports", () => {
  test.each(ROOMS.map(({ name, imports }) => [name, imports] as const))(
    "of %s are of rooms that it may import",
    (room, allowed) => {
      const wrong = [...GRAPH]
        .filter(([file]) => roomOf(file) === room)
        .flatMap(([file, imported]) =>
          imported
            .filter((one) => roomOf(one) !== room && !allowed.includes(roomOf(one)))
            .map((one) => `${file} imports ${one}`),
        );
      expect(wrong).toEqual([]);
    },
  );

  test("go in no circle", () => {
    expect(circle(GRAPH)).toEqual([]);
  });

  test("that go in a circle would be found", () => {
    const graph = new Map([
      ["a", ["b"]],
      ["b", ["c"]],
      ["c", ["b"]],
    ]);
    expect(circle(graph)).toEqual(["b", "c", "b"]);
  });

  test("of cdktf are those of the stacks alone", () => {
    const rooms = SOURCES.filter((file) =>
      importsOf(file).some((name) => /^(cdktf|@cdktf|constructs)(\/|$)/.test(name)),
    ).map(roomOf);
    expect([...new Set(rooms)].sort()).toEqual(["stacks"]);
  });
});
