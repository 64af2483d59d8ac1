import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
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
