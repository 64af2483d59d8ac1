import { spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { extract } from "tar";
import { packRelease, problemsOfApp } from "../../archives/pack-release";
import { runSync } from "../../ops/run";
import { parseClusters } from "../../topology/settings";
import type { ClusterSettingsInput } from "../../topology/settings-schema";

const temporary = realpathSync(mkdtempSync(join(tmpdir(), "releases-")));
afterAll(() => rmSync(temporary, { recursive: true }));

let count = 0;

/** A project of its own, with files by their paths. */
function project(files: Record<string, string>, place?: string): string {
  count += 1;
  const folder = join(temporary, place ?? `project-${count}`);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  return folder;
}

type App = ClusterSettingsInput["app"];

const settingsOf = (app: App) =>
  (parseClusters([{ name: "demo", app }])[0] as never as { app: never }).app;

const sha256Of = (folder: string, app: App = { directory: "web" }) =>
  packRelease(folder, settingsOf(app)).sha256;

const problemsOf = (folder: string, app: App = { directory: "web" }) =>
  problemsOfApp(folder, settingsOf(app)).map(
    ({ setting, got, wanted }) => `${setting}: ${got}; ${wanted}`,
  );

/** Unpacks a release as a host does, and returns its folder. */
function unpacked(folder: string, app: App = { directory: "web" }): string {
  const cwd = mkdtempSync(join(temporary, "host-"));
  extract({
    cwd,
    file: packRelease(folder, settingsOf(app)).file,
    sync: true,
    preservePaths: true,
  });
  return join(cwd, "app");
}

function link(folder: string, path: string, target: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  symlinkSync(target, join(folder, path));
}

describe("links of an app's folder", () => {
  const packages = () => {
    const folder = project({
      "web/main.js": "",
      "web/node_modules/.pnpm/hello@1.0.0/node_modules/hello/cli.js": "#!/usr/bin/env node\n",
      "web/.venv/lib/python3/site-packages/hello.py": "",
    });
    return folder;
  };

  test.each([
    ["node_modules/.bin/hello", "../hello/cli.js"],
    ["node_modules/hello", ".pnpm/hello@1.0.0/node_modules/hello"],
    [".venv/lib64", "lib"],
    [".venv/bin/python", "python3"],
    [".venv/bin/python3", "/usr/bin/python3"],
    ["dangling", "not/yet/there"],
    ["self", "."],
    ["node_modules/up", "../main.js"],
    ["circle", "circle"],
  ])("%s -> %s arrives as it is", (path, target) => {
    const folder = packages();
    link(folder, `web/${path}`, target);
    expect(problemsOf(folder)).toEqual([]);
    expect(readlinkSync(join(unpacked(folder), path))).toBe(target);
  });

  test("a chain of links as pnpm makes it leads to the program on the host", () => {
    const folder = packages();
    link(folder, "web/node_modules/hello", ".pnpm/hello@1.0.0/node_modules/hello");
    link(folder, "web/node_modules/.bin/hello", "../hello/cli.js");
    chmodSync(join(folder, "web/node_modules/hello/cli.js"), 0o755);
    const program = realpathSync(join(unpacked(folder), "node_modules/.bin/hello"));
    expect(program).toMatch(/hello@1\.0\.0\/node_modules\/hello\/cli\.js$/);
    expect(statSync(program).mode & 0o777).toBe(0o755);
  });

  test("an absolute one into the folder becomes relative, wherever the project lies", () => {
    const folder = packages();
    link(folder, "web/deep/er/link", join(folder, "web/main.js"));
    expect(readlinkSync(join(unpacked(folder), "deep/er/link"))).toBe("../../main.js");
    // Also where the project is called by another name.
    const alias = join(temporary, `alias-${count}`);
    symlinkSync(folder, alias);
    link(folder, "web/deep/er/other", join(alias, "web/main.js"));
    expect(readlinkSync(join(unpacked(alias), "deep/er/other"))).toBe("../../main.js");
  });

  test("those that lead out are refused by their names and targets, all at once", () => {
    const folder = packages();
    writeFileSync(join(folder, "secret"), "");
    const out: Array<[string, string]> = [
      ["to-project", "../secret"],
      ["to-system", "/etc/passwd"],
      ["to-user", join(folder, "secret")],
      ["node_modules/far", "../../../elsewhere"],
      ["and-back", "../web/main.js"],
      ["python", "/opt/python/bin/python3.12"],
    ];
    for (const [path, target] of out) {
      link(folder, `web/${path}`, target);
    }
    // Led out by another link on its way.
    link(folder, "web/a/b/c", "../../node_modules");
    link(folder, "web/by-another", "a/b/c/../../secret");
    const problems = problemsOf(folder);
    expect(problems).toHaveLength(out.length + 1);
    for (const [path, target] of [...out, ["by-another", "a/b/c/../../secret"]] as const) {
      expect(problems).toContainEqual(
        expect.stringContaining(`directory: a link to ${target}: web/${path}; `),
      );
    }
    expect(problems.find((one) => one.includes("python3.12"))).toContain("/usr/bin/python3");
    expect(() => packRelease(folder, settingsOf({ directory: "web" }))).toThrow("../secret");
  });

  test("a link is judged by where it leads, not by how many dots it has", () => {
    const folder = packages();
    link(folder, "web/a/b/deep", "../../node_modules/.pnpm/hello@1.0.0");
    link(folder, "web/a/b/fine", "deep/../../../main.js");
    expect(problemsOf(folder)).toEqual([]);
  });

  test("of a bundled app, only what is released is looked at", () => {
    const folder = project({ "web/main.ts": "console.log(1);", "web/public/a.css": "" });
    link(folder, "web/elsewhere", "../..");
    const app = { directory: "web", bundle: "main.ts", staticDirectory: "public" };
    expect(problemsOf(folder, app)).toEqual([]);
    link(folder, "web/public/leak", "../main.ts");
    expect(problemsOf(folder, app)).toEqual([
      expect.stringContaining("staticDirectory: a link to ../main.ts: web/public/leak; "),
    ]);
  });
});

test("named pipes, sockets and devices are refused by their names", () => {
  const folder = project({ "web/main.js": "" });
  runSync(["mkfifo", join(folder, "web", "pipe")]);
  const socket = `require("node:net").createServer().listen(${JSON.stringify(join(folder, "web", "socket"))}, () => process.kill(process.pid, "SIGKILL"))`;
  spawnSync(process.execPath, ["-e", socket]);
  expect(lstatSync(join(folder, "web", "socket")).isSocket()).toBe(true);
  expect(problemsOf(folder)).toEqual([
    "directory: a named pipe: web/pipe; only files, folders and links",
    "directory: a socket: web/socket; only files, folders and links",
  ]);
});

describe("the hash of a release", () => {
  const files = {
    "web/main.js": "void 0;",
    "web/b/two.js": "",
    "web/a/one.js": "",
    "web/run.sh": "#!/bin/sh\n",
  };

  test("does not depend on where the project lies, on times, on permissions, nor on the umask", () => {
    const folder = project(files);
    link(folder, "web/inner", join(folder, "web/a"));
    const before = sha256Of(folder);

    const reversed = project(
      Object.fromEntries(Object.entries(files).reverse()),
      "far/away/project",
    );
    link(reversed, "web/inner", join(reversed, "web/a"));
    utimesSync(join(reversed, "web/main.js"), 1, 1);
    chmodSync(join(reversed, "web/main.js"), 0o600);
    chmodSync(join(reversed, "web/a"), 0o700);
    const umask = process.umask(0o077);
    try {
      expect(sha256Of(reversed)).toBe(before);
    } finally {
      process.umask(umask);
    }
  });

  test("depends on content, on names, on where links lead, and on what may be executed", () => {
    const folder = project(files);
    const seen = new Set([sha256Of(folder)]);
    const changes: Array<() => void> = [
      () => writeFileSync(join(folder, "web/main.js"), "void 1;"),
      () => writeFileSync(join(folder, "web/new.js"), ""),
      () => link(folder, "web/inner", "a"),
      () => {
        rmSync(join(folder, "web/inner"));
        link(folder, "web/inner", "b");
      },
      () => chmodSync(join(folder, "web/run.sh"), 0o755),
    ];
    for (const change of changes) {
      change();
      seen.add(sha256Of(folder));
    }
    expect(seen.size).toBe(changes.length + 1);
  });

  test("a bundle does not tell where the project lies, also with its modules elsewhere", () => {
    const app = { directory: "web", bundle: "main.ts" };
    const sources = {
      "web/main.ts": 'import { hello } from "hello";\nimport "./more";\nhello();\n',
      "web/more.ts": "console.log(1);",
    };
    const modules = project({
      "node_modules/hello/index.js": "exports.hello = () => console.log('hello');",
      "node_modules/hello/package.json": '{"name":"hello","main":"index.js"}',
    });
    const inside = project(sources);
    cpSync(join(modules, "node_modules"), join(inside, "node_modules"), { recursive: true });
    const before = sha256Of(inside, app);
    for (const place of ["near", "a/long/way/off"]) {
      const linked = project(sources, place);
      symlinkSync(join(modules, "node_modules"), join(linked, "node_modules"));
      expect(sha256Of(linked, app)).toBe(before);
    }
  });

  test("keeps what may be executed, and normalises the rest", () => {
    const folder = project(files);
    chmodSync(join(folder, "web/run.sh"), 0o700);
    const host = unpacked(folder);
    expect(statSync(join(host, "run.sh")).mode & 0o777).toBe(0o755);
    expect(statSync(join(host, "main.js")).mode & 0o777).toBe(0o644);
    expect(statSync(join(host, "..", "start")).mode & 0o777).toBe(0o755);
  });
});

describe("a folder that cannot be an app's is a problem of its setting", () => {
  test.each([".", "./", "./.", ".//"])("%j: the project itself", (directory) => {
    expect(() => parseClusters([{ name: "demo", app: { directory } }])).toThrow(
      /clusters\[0\]\.app\.directory: got .*; wanted a separate folder inside the project, not the project itself/,
    );
  });

  test.each(["app/..", "../app", "/srv/app", "a/../../b"])(
    "%j: not below the project",
    (directory) => {
      expect(() => parseClusters([{ name: "demo", app: { directory } }])).toThrow(
        /clusters\[0\]\.app\.directory: got .*; wanted a folder inside the project/,
      );
    },
  );

  test("one that holds the project, or that tools fill, or no folder at all", () => {
    const folder = project({
      "web/main.js": "",
      "cdktf.out/manifest.json": "",
      "node_modules/x/main.js": "",
      ".cache/archives/releases/x": "",
    });
    link(folder, "whole", ".");
    link(folder, "above", "..");
    const of = (directory: string) => problemsOf(folder, { directory });
    expect(of("whole")).toEqual([expect.stringContaining("not one that contains the project")]);
    expect(of("above")).toEqual([expect.stringContaining("not one that contains the project")]);
    expect(of("cdktf.out")).toEqual([expect.stringContaining("tools write to cdktf.out")]);
    expect(of("node_modules")).toEqual([expect.stringContaining("tools write to node_modules")]);
    expect(of(".cache")).toEqual([expect.stringContaining("tools write to .cache/archives")]);
    expect(of("web/main.js")).toEqual(['directory: "web/main.js"; a folder, not a file']);
    expect(of("nowhere")).toEqual([expect.stringContaining("the project has no nowhere")]);
    expect(of("web")).toEqual([]);
    expect(of("./web/")).toEqual([]);
  });

  test("what lies in it has to lie in it, and to be of its kind", () => {
    const folder = project({ "web/main.ts": "", "web/folder.ts/x": "", "other/x": "" });
    link(folder, "web/linked", "../other");
    const of = (app: object) => problemsOf(folder, { directory: "web", bundle: "main.ts", ...app });
    expect(of({ staticDirectory: "linked" })).toEqual([
      'staticDirectory: "linked"; a folder inside the app\'s folder: a link leads out of it',
    ]);
    expect(of({ staticDirectory: "main.ts" })).toEqual([
      'staticDirectory: "main.ts"; a folder: web/main.ts is a file',
    ]);
    expect(of({ bundle: "folder.ts" })).toEqual([
      'bundle: "folder.ts"; a file: web/folder.ts is a folder',
    ]);
    expect(() => parseClusters([{ name: "demo", app: { staticDirectory: "." } }])).toThrow(
      "not the app's folder itself",
    );
  });

  test("a program of the app's own is there, and may be executed", () => {
    const folder = project({ "web/start.sh": "#!/bin/sh\n", "web/lib/x": "" });
    const of = (command: string) => problemsOf(folder, { directory: "web", command });
    expect(of("/srv/app/current/app/start.sh")).toEqual([
      expect.stringContaining(
        "web/start.sh is not executable; to make it so: chmod +x web/start.sh",
      ),
    ]);
    chmodSync(join(folder, "web/start.sh"), 0o755);
    expect(of("/srv/app/current/app/start.sh --fast")).toEqual([]);
    expect(of("/srv/app/current/app/gone.sh")).toEqual([
      expect.stringContaining("the project has no web/gone.sh"),
    ]);
    expect(of("/srv/app/current/app/lib")).toEqual([
      expect.stringContaining("web/lib is not a file"),
    ]);
  });
});
