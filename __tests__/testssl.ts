import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { attemptSync } from "../ops/run";

// testssl.sh, which examines a server's TLS (https://testssl.sh/).

/** One line of its report. */
export interface Finding {
  readonly id: string;
  readonly severity: "OK" | "INFO" | "LOW" | "MEDIUM" | "HIGH" | "CRITICAL" | "WARN" | "FATAL";
  readonly finding: string;
}

/**
 * Everything that it examines by default but the simulation of clients, which judges nothing and takes a third of the time:
 * the certificate, vulnerabilities; protocols, classes of ciphers, forward secrecy, preferences, headers of the response.
 * None of it asks other servers. Both halves take as long.
 */
const HALVES = [
  ["-S", "-U"],
  ["-p", "-s", "-f", "-P", "-h"],
];

/** Seconds that an examination may take; it took 30 on two processors. */
const PATIENCE = 170;

/** The program and its data, in the same folders as in Debian's package; `undefined` without the programs that it calls. */
function installed(): { program: string; data: string } | undefined {
  const called = "command -v hexdump && { command -v host || command -v dig; }";
  if (attemptSync(["sh", "-c", called]).status !== 0) {
    return;
  }
  return [process.env.TESTSSL_DIRECTORY ?? "", "/"]
    .filter(Boolean)
    .map((root) => ({ program: join(root, "usr/bin/testssl"), data: join(root, "etc/testssl") }))
    .find(({ program }) => existsSync(program));
}

/** What a half finds at a port of 127.0.0.1. Its exit status counts what it could not decide, which its report says too. */
async function findings(flags: readonly string[], port: number): Promise<readonly Finding[]> {
  const { program, data } = installed() as NonNullable<ReturnType<typeof installed>>;
  const folder = mkdtempSync(join(tmpdir(), "testssl-"));
  const report = join(folder, "report.json");
  const always = ["--quiet", "--color", "0", "--warnings", "batch", "--jsonfile", report];
  const options = {
    cwd: folder,
    env: { ...process.env, TESTSSL_INSTALL_DIR: data },
    timeout: PATIENCE * 1000,
  };
  const printed = await new Promise<string>((resolve) => {
    execFile(program, [...always, ...flags, `127.0.0.1:${port}`], options, (_, stdout, stderr) =>
      resolve(`${stdout}${stderr}`),
    );
  });
  try {
    return JSON.parse(readFileSync(report, "utf8"));
  } catch (error) {
    throw new Error(`testssl.sh has left no report (${(error as Error).message}):\n${printed}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What it finds at a port of 127.0.0.1; nothing where there is no testssl.sh. */
export async function examine(port: number): Promise<readonly Finding[]> {
  return installed() === undefined
    ? []
    : (await Promise.all(HALVES.map((flags) => findings(flags, port)))).flat();
}

/** A test that needs testssl.sh; without it, it is skipped, which a run that requires all of them counts as failed. */
export function testWithTestssl(name: string, run: () => Promise<void>): void {
  const declare = installed() === undefined ? test.skip : test;
  declare(`${name} (needs testssl.sh, hexdump and host)`, run);
}
