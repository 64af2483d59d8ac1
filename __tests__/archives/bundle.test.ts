import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { bundle } from "../../archives/bundle";

const PROGRAM = { "main.ts": 'console.log(require("outer"));\n' };
const MODULES = {
  "outer/index.js": 'exports.inner = require("inner");\n',
  "outer/node_modules/inner/index.js": 'exports.text = "../hello";\n',
};

const temporary = mkdtempSync(join(tmpdir(), "bundle-"));
afterAll(() => rmSync(temporary, { recursive: true }));

function write(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [path, content] of Object.entries(files)) {
    const file = join(temporary, folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
}

test("a bundle is the same wherever the project and its dependencies are", () => {
  write("project", PROGRAM);
  write("project/node_modules", MODULES);
  write("a/linked/project", PROGRAM);
  symlinkSync(
    join(temporary, "project", "node_modules"),
    join(temporary, "a/linked/project/node_modules"),
  );
  write("a/nested/project", PROGRAM);
  write("a/nested/node_modules", MODULES);

  const usual = bundle(join(temporary, "project"), "main.ts");
  expect(usual).toContain("// node_modules/outer/node_modules/inner/index.js");
  expect(bundle(join(temporary, "a/linked/project"), "main.ts")).toBe(usual);
  expect(bundle(join(temporary, "a/nested/project"), "main.ts")).toBe(usual);
});

describe("a bundle is kept", () => {
  const project = join(temporary, "kept");
  const built = () => bundle(project, "src/main.ts");
  /** Marks the bundle that is kept, to tell it from one that is built anew. */
  const mark = () => {
    const folder = join(project, ".cache", "bundles");
    const [name = ""] = readdirSync(folder);
    const { states } = JSON.parse(readFileSync(join(folder, name), "utf8"));
    writeFileSync(join(folder, name), JSON.stringify({ states, text: "kept" }));
  };

  beforeEach(() => {
    write("kept", {
      "package.json": "{}",
      "src/main.ts": 'import { text } from "./part/text";\nconsole.log(text);\n',
      "src/part/text.ts": 'export const text = "one";\n',
      "node_modules/.package-lock.json": "{}",
    });
    built();
    mark();
  });

  afterEach(() => rmSync(project, { recursive: true }));

  test("while nothing changes", () => {
    expect(built()).toBe("kept");
  });

  test.each([
    ["a module", "src/part/text.ts", 'export const text = "two";\n', '"two"'],
    [
      "a file that is found in place of a module",
      "src/part/text.tsx",
      'export const text = "x";',
      '"x"',
    ],
    ["an installed package", "node_modules/.package-lock.json", '{ "a": 1 }', '"one"'],
    ["the project's package.json", "package.json", '{ "type": "commonjs" }', '"one"'],
    ["the compiler's settings", "tsconfig.json", "{}", '"one"'],
  ])("until %s changes", (_what, path, content, wanted) => {
    write("kept", { [path]: content });
    expect(built()).toContain(wanted);
  });

  test("unless only part of it was written", () => {
    const folder = join(project, ".cache", "bundles");
    const [name = ""] = readdirSync(folder);
    writeFileSync(join(folder, name), readFileSync(join(folder, name), "utf8").slice(0, -1));
    expect(built()).toContain('"one"');
  });

  test("and a program that cannot be built is an error, whatever is kept", () => {
    write("kept", { "src/part/text.ts": "export const text = ;\n" });
    expect(built).toThrow(/src\/part\/text\.ts/);
  });
});
