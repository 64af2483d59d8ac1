import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseReleases } from "../../../ops/platform/release-store";

// What local hosts fetch, by the script that keeps it, in a folder of the test's own.

const names = (count: number) =>
  Array.from({ length: count }, (_, index) => index.toString(16).padStart(64, "0"));
const [A, B] = names(2) as [string, string];

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "store-"));
  for (const name of ["lib.sh", "store.sh"]) {
    const text = readFileSync(join("scripts", "local", name), "utf8")
      .replace(/^STATE_DIRECTORY=.*/m, `STATE_DIRECTORY=${directory}`)
      .replace(/^become_root .*/m, "");
    writeFileSync(join(directory, name), text);
  }
  mkdirSync(join(directory, "shared", "dwi-demo", "releases"), { recursive: true });
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const shared = (...path: string[]) => join(directory, "shared", "dwi-demo", ...path);
const store = (...args: string[]) =>
  spawnSync("bash", [join(directory, "store.sh"), ...args], {
    encoding: "utf8",
    env: { ...process.env, DWI_PROJECT: "dwi-demo" },
  });

test("the list of releases is read as it was written", () => {
  expect(store("set-releases", B, A)).toMatchObject({ status: 0 });
  const { status, stdout } = store("releases");
  expect([status, parseReleases(stdout, "the file")]).toEqual([0, [B, A]]);
});

test.each([
  ["missing", () => undefined],
  ["not readable", () => mkdirSync(shared("release"))],
])("a list that is %s is an error, and no empty list", (_, prepare) => {
  prepare();
  const { status, stdout, stderr } = store("releases");
  expect([status, stdout]).toEqual([1, ""]);
  expect(stderr).toContain("error: the list of releases cannot be read");
});

test.each([
  ["", "it is empty"],
  [" \n", "it is empty"],
  [`${A} ${B.slice(1)}`, `it contains "${B.slice(1)}"`],
])("what is in it has to be releases: %j", (text, reason) => {
  expect(() => parseReleases(text, "the file")).toThrow(
    `The list of releases (the file) is not valid: ${reason}; wanted the SHA-256`,
  );
});

describe("a new release is kept", () => {
  const kept = () => readdirSync(shared("releases")).length;
  beforeEach(() => {
    for (const [index, name] of names(14).entries()) {
      const file = shared("releases", `${name}.tar.gz`);
      writeFileSync(file, "");
      spawnSync("touch", ["--date", `2026-01-${String(index + 1).padStart(2, "0")}`, file]);
    }
    writeFileSync(join(directory, "new"), "");
  });
  const put = () => store("put", `releases/${"f".repeat(64)}.tar.gz`, join(directory, "new"));

  test("and old ones are removed, except those in the list", () => {
    store("set-releases", B, A);
    expect(put()).toMatchObject({ status: 0 });
    expect(kept()).toBe(12);
    expect(readdirSync(shared("releases"))).toEqual(
      expect.arrayContaining([`${A}.tar.gz`, `${B}.tar.gz`]),
    );
  });

  test.each([
    ["missing", () => undefined],
    ["empty", () => writeFileSync(shared("release"), "\n")],
  ])("and none goes while the list is %s: nobody knows which are needed", (_, prepare) => {
    prepare();
    expect(put().status).toBe(1);
    expect(kept()).toBe(15);
  });
});
