import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Log, placeForLog } from "../../machine/log";
import { run } from "../../ops/run";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "logs-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

test("lines are passed on as programs print them, without colours, even an unterminated last one", async () => {
  const log = new Log(join(folder, "log"));
  log.write("before");
  const lines: string[] = [];
  const script = String.raw`printf '\033[1mone\033[0m\ntw'; sleep 0.3; printf 'o \303\274\n' >&2; printf three`;
  await log.followed(
    () => run(["bash", "-c", script], log.output),
    (line) => lines.push(line),
  );
  expect(lines).toEqual(["one", "two ü", "three"]);
  expect(log.text()).toBe("before\none\ntwo ü\nthree");
});

test("lines are passed on even if the command fails", async () => {
  const log = new Log(join(folder, "log"));
  const lines: string[] = [];
  const work = log.followed(
    () => run(["bash", "-c", "echo why; exit 3"], log.output),
    (line) => lines.push(line),
  );
  await expect(work).rejects.toThrow("exited with 3");
  expect(lines).toEqual(["why"]);
});

test("old logs of the same command are removed, and nothing else", () => {
  for (let day = 10; day < 30; day++) {
    writeFileSync(join(folder, `up-local-2026-01-${day}T00-00-00.log`), "");
  }
  mkdirSync(join(folder, "test-2026-01-01T00-00-00"));
  for (const other of ["up-local-shop-2026-01-01T00-00-00.log", "notes.txt"]) {
    writeFileSync(join(folder, other), "");
  }
  expect(placeForLog("up-local", ".log", folder)).toMatch(/up-local-\d{4}-[\d-]+T[\d-]+\.log$/);
  const left = readdirSync(folder);
  expect(left.filter((name) => name.startsWith("up-local-2026"))).toHaveLength(10);
  expect(left).toContain("up-local-2026-01-29T00-00-00.log");
  expect(left).toContain("up-local-shop-2026-01-01T00-00-00.log");
  expect(left).toContain("test-2026-01-01T00-00-00");
  expect(left).toContain("notes.txt");
});
