import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { buildSync } from "esbuild";

const APP = join(__dirname, "../../app");
let folder: string;

// Outside the repository, so that no node_modules is in reach.
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "app-bundle-"));
  buildSync({
    entryPoints: [join(APP, "server.ts")],
    bundle: true,
    platform: "node",
    target: "node20",
    format: "cjs",
    outfile: join(folder, "server.js"),
    logLevel: "error",
  });
  mkdirSync(join(folder, "public"));
  copyFileSync(join(APP, "public/guestbook.css"), join(folder, "public/guestbook.css"));
  writeFileSync(join(folder, "password"), "from-a-test");
  writeFileSync(join(folder, "ca.pem"), "-----BEGIN CERTIFICATE-----\n");
});

afterAll(() => rmSync(folder, { recursive: true }));

interface Finished {
  readonly exitCode: number | null;
  readonly output: string;
}

function run(file: string, environment: NodeJS.ProcessEnv): [ChildProcess, Promise<Finished>] {
  const child = spawn(process.execPath, [file], { env: environment });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => {
      output += chunk;
    });
  }
  return [child, once(child, "close").then(([exitCode]) => ({ exitCode, output }))];
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

async function untilAnswered(url: string): Promise<Response> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    try {
      return await fetch(url);
    } catch {
      await pause(100);
    }
  }
  throw new Error(`nothing answers at ${url}`);
}

test("the bundle alone runs without its database, serves, and stops when told to", async () => {
  const port = await freePort();
  const [child, finished] = run(join(folder, "server.js"), {
    PORT: String(port),
    HOST_NAME: "web-1",
    DRAIN_SECONDS: "0",
    DATABASE_WRITE_ADDRESS: "127.0.0.1:1",
    DATABASE_READ_ADDRESS: "127.0.0.1:1",
    DATABASE_NAME: "guestbook",
    DATABASE_USER: "app",
    DATABASE_PASSWORD_FILE: join(folder, "password"),
    DATABASE_CA_FILE: join(folder, "ca.pem"),
  });
  const url = `http://127.0.0.1:${port}`;
  expect((await untilAnswered(`${url}/healthz`)).headers.get("x-served-by")).toBe("web-1");
  expect((await fetch(`${url}/readyz`)).status).toBe(503);
  expect((await fetch(`${url}/static/guestbook.css`)).status).toBe(200);
  child.kill("SIGTERM");
  const { exitCode, output } = await finished;
  expect(exitCode).toBe(0);
  expect(output).not.toContain("from-a-test");
  for (const line of output.trim().split("\n")) expect(() => JSON.parse(line)).not.toThrow();
}, 30_000);

test("with a wrong environment it exits with 1 and names every problem", async () => {
  const [, finished] = run(join(folder, "server.js"), { PORT: "none" });
  const { exitCode, output } = await finished;
  expect(exitCode).toBe(1);
  for (const name of ["PORT", "DATABASE_NAME", "DATABASE_USER", "DATABASE_CA_FILE"]) {
    expect(output).toContain(name);
  }
});

test("the other app, for tests of releases, answers and stops when told to", async () => {
  const port = await freePort();
  const [child, finished] = run(join(__dirname, "../fixtures/other-app/main.js"), {
    PORT: String(port),
    HOST_NAME: "web-2",
  });
  const url = `http://127.0.0.1:${port}`;
  expect((await untilAnswered(`${url}/up`)).status).toBe(200);
  expect(await (await fetch(url)).text()).toBe("other app on web-2\n");
  child.kill("SIGTERM");
  expect((await finished).exitCode).toBe(0);
});
