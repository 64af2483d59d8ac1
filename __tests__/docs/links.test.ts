import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { PROJECT } from "../../hosts/project";

function pagesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => relative(PROJECT, join(folder, name)));
}

const PAGES = ["README.md", ...pagesIn(join(PROJECT, "docs")).sort()];

/** A page without what stands in code, where nothing is a link. */
function prose(path: string): string {
  return readFileSync(join(PROJECT, path), "utf8").replace(/^(```|~~~).*?^\1/gms, "");
}

/** The anchors GitHub gives a page's headings. */
function anchorsOf(path: string): string[] {
  const seen = new Map<string, number>();
  return [...prose(path).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = ""]) => {
    const anchor = heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .trim()
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\p{M}_ -]/gu, "")
      .replace(/ /g, "-");
    const before = seen.get(anchor) ?? 0;
    seen.set(anchor, before + 1);
    return before === 0 ? anchor : `${anchor}-${before}`;
  });
}

function linksOf(path: string): string[] {
  const text = prose(path).replace(/`[^`\n]*`/g, "code");
  return [
    ...[...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target),
    ...[...text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, target = ""]) => target),
  ].filter((target) => !/^[a-z]+:/.test(target));
}

/** Why a link leads nowhere, or undefined when it leads somewhere. */
function problemOf(page: string, target: string): string | undefined {
  const [path = "", anchor] = target.split("#");
  const absolute = path === "" ? join(PROJECT, page) : resolve(PROJECT, dirname(page), path);
  if (!existsSync(absolute)) {
    return `${target}: there is no such file`;
  }
  if (anchor === undefined) {
    return undefined;
  }
  const known = statSync(absolute).isFile() ? anchorsOf(relative(PROJECT, absolute)) : [];
  return known.includes(anchor) ? undefined : `${target}: there is no such heading`;
}

test.each(PAGES)("every link inside the project leads somewhere: %s", (page) => {
  const problems = linksOf(page).map((target) => problemOf(page, target));
  expect(problems.filter((problem) => problem !== undefined)).toEqual([]);
});

test.each(PAGES)("every page has one title, its first heading: %s", (page) => {
  const levels = [...prose(page).matchAll(/^(#{1,6}) /gm)].map(([, marks = ""]) => marks.length);
  expect(levels.filter((level) => level === 1)).toHaveLength(1);
  expect(levels[0]).toBe(1);
});

test("docs/invariants.md names tests that are there", () => {
  const text = readFileSync(join(PROJECT, "docs", "invariants.md"), "utf8");
  const named = [...text.matchAll(/\[[^\]]+\]\(\.\.\/(__tests__\/[^)]+)\):\s+"([^"]+)"/g)];
  expect(named.length).toBeGreaterThan(5);
  const missing = named.filter(
    ([, file = "", name = ""]) =>
      !readFileSync(join(PROJECT, file), "utf8").includes(name.replace(/\s+/g, " ")),
  );
  expect(missing.map(([, file, name]) => `${file}: ${name}`)).toEqual([]);
});

test("every record of a decision is linked from their list, in order", () => {
  const records = readdirSync(join(PROJECT, "docs", "decisions")).filter((name) =>
    /^\d{4}-/.test(name),
  );
  const list = readFileSync(join(PROJECT, "docs", "decisions", "README.md"), "utf8");
  expect([...list.matchAll(/\]\((\d{4}-[^)]+)\)/g)].map(([, name]) => name)).toEqual(
    records.sort(),
  );
});
