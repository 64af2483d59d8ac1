import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { stripVTControlCharacters } from "node:util";
import type { DrillResults } from "../ops/drill/measure";

// Everything `npm test` runs, in order, with one closing line. What this machine cannot run is
// named and counted as skipped; with REQUIRE_ALL=1, as CI sets it, that is a failure.

const PROJECT = join(__dirname, "..");

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** The counts of one step, and what failed: each with its name and the first lines of its message. */
interface Outcome extends Counts {
  readonly failures: readonly string[];
}

interface Step {
  readonly name: string;
  /** Why this machine cannot run it, or undefined when it can. */
  readonly missing: () => string | undefined;
  readonly run: () => Outcome;
}

const has = (program: string) =>
  spawnSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore" }).status === 0;

const nothing = () => undefined;

function command(name: string, args: readonly string[], missing: Step["missing"] = nothing): Step {
  return {
    name,
    missing,
    run: () => {
      const [program = "", ...rest] = args;
      const passed = spawnSync(program, rest, { cwd: PROJECT, stdio: "inherit" }).status === 0;
      return { passed: passed ? 1 : 0, failed: passed ? 0 : 1, skipped: 0, failures: [] };
    },
  };
}

/** Has `run` leave its results in a file, and reads them; nothing there is one failure. */
function reported<Results>(run: (file: string) => void, read: (results: Results) => Outcome) {
  const directory = mkdtempSync(join(tmpdir(), "tests-"));
  const file = join(directory, "results.json");
  try {
    run(file);
    return existsSync(file)
      ? read(JSON.parse(readFileSync(file, "utf8")))
      : { passed: 0, failed: 1, skipped: 0, failures: ["it ended before it had results"] };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** The part of jest's JSON report that tells what failed. */
interface JestResults {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numRuntimeErrorTestSuites: number;
  readonly numPendingTests: number;
  readonly testResults: readonly FileResult[];
}

interface FileResult {
  readonly name: string;
  readonly status: string;
  readonly message: string;
  readonly assertionResults: readonly {
    readonly status: string;
    readonly fullName: string;
    readonly failureMessages: readonly string[];
  }[];
}

/** One of jest's projects. */
function jest(project: string, args: readonly string[], missing: Step["missing"] = nothing): Step {
  const run = (file: string) => {
    const flags = ["--json", `--outputFile=${file}`, "--testLocationInResults=false"];
    spawnSync("npx", ["jest", "--selectProjects", project, "--verbose", ...flags, ...args], {
      cwd: PROJECT,
      // The numbers go to the file; what a person reads comes on standard error.
      stdio: ["ignore", "ignore", "inherit"],
    });
  };
  const read = (results: JestResults): Outcome => ({
    passed: results.numPassedTests,
    failed: results.numFailedTests + results.numRuntimeErrorTestSuites,
    skipped: results.numPendingTests,
    failures: failuresOf(results.testResults),
  });
  return { name: `tests: ${project}`, missing, run: () => reported(run, read) };
}

/** The drill's short faults, each of them counted. */
function drill(missing: Step["missing"]): Step {
  const run = (file: string) => {
    spawnSync("npm", ["run", "--silent", "drill", "--", "--short", "--json", file], {
      cwd: PROJECT,
      stdio: "inherit",
    });
  };
  const read = ({ rows, stopped }: DrillResults): Outcome => {
    const broken = rows.filter((row) => row.broken.length > 0);
    const failures = [
      ...broken.map((row) => summary(row.fault, row.broken.join("\n"))),
      ...stopped.map(({ fault, reason }) => summary(fault, reason)),
    ];
    const failed = failures.length;
    return { passed: rows.length - broken.length, failed, skipped: 0, failures };
  };
  return { name: "drill, the short ones", missing, run: () => reported(run, read) };
}

/** A log is often kept by its end only: what failed must be there, and not scrolled away. */
function failuresOf(files: readonly FileResult[]): string[] {
  return files.flatMap((file) => {
    const failed = file.assertionResults.filter((test) => test.status === "failed");
    return failed.length === 0 && file.status === "failed"
      ? [summary(relative(PROJECT, file.name), file.message)]
      : failed.map((test) => summary(test.fullName, test.failureMessages.join("\n")));
  });
}

const MESSAGE_LINES = 20;

function summary(name: string, message: string): string {
  const lines = stripVTControlCharacters(message)
    .split("\n")
    .filter((line) => !/^\s+at /.test(line) && line.trim() !== "");
  return [name, ...lines.slice(0, MESSAGE_LINES).map((line) => `    ${line}`)].join("\n");
}

function scripts(): string[] {
  const folders = readdirSync(join(PROJECT, "scripts"));
  const found = folders.flatMap((folder) =>
    readdirSync(join(PROJECT, "scripts", folder)).map((name) => `scripts/${folder}/${name}`),
  );
  return [...found.filter((path) => path.endsWith(".sh")), "ops/cluster.sh", ".ci/run"];
}

const STEPS: readonly Step[] = [
  command("types", ["npx", "tsc", "--noEmit"]),
  command("lint", ["npx", "biome", "check", "."]),
  command("dead code", ["npx", "knip"]),
  command("ShellCheck", ["shellcheck", "--external-sources", ...scripts()], () =>
    has("shellcheck") ? undefined : "the program shellcheck is not installed",
  ),
  jest("unit", ["--ci"]),
  jest("local", ["--runInBand"], localMissing),
  drill(localMissing),
  // Tells by itself what it lacks, and counts as skipped then.
  jest("aws", ["--runInBand"]),
];

function localMissing(): string | undefined {
  if (process.platform !== "linux") {
    return "local hosts are Linux containers, and this is not Linux";
  }
  if (process.getuid?.() !== 0) {
    return "local hosts need root";
  }
  if (!has("terraform")) {
    return "the program terraform is not installed";
  }
  const setup = spawnSync("npm", ["run", "--silent", "setup"], { cwd: PROJECT, stdio: "inherit" });
  return setup.status === 0 ? undefined : "what local hosts need could not be installed";
}

function main(): void {
  const requireAll = process.env.REQUIRE_ALL === "1";
  const sum: Counts = { passed: 0, failed: 0, skipped: 0 };
  const notes: string[] = [];
  for (const step of STEPS) {
    const reason = step.missing();
    console.log(`\n=== ${step.name}`);
    if (reason !== undefined) {
      sum[requireAll ? "failed" : "skipped"]++;
      notes.push(`${requireAll ? "FAILED" : "skipped"}: ${step.name}: ${reason}`);
      continue;
    }
    const counts = step.run();
    sum.passed += counts.passed;
    sum.failed += counts.failed + (requireAll ? counts.skipped : 0);
    sum.skipped += requireAll ? 0 : counts.skipped;
    if (counts.failed > 0) {
      notes.push(`FAILED: ${step.name}: ${counts.failed}`);
      notes.push(...counts.failures.map((failure) => `  ${failure}`));
    }
    if (counts.skipped > 0) {
      notes.push(`${requireAll ? "FAILED" : "skipped"}: ${step.name}: ${counts.skipped} tests`);
    }
  }
  console.log(`\n${notes.join("\n")}`);
  console.log(
    `${sum.passed} passed, ${sum.failed} failed${sum.skipped > 0 ? `, ${sum.skipped} skipped` : ""}`,
  );
  process.exit(sum.failed > 0 ? 1 : 0);
}

main();
