import { spawn, spawnSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
} from "node:fs";
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

/** Where a program prints: this process's standard error, or a file. */
type Output = "inherit" | number;

interface Step {
  readonly name: string;
  /** Why this machine cannot run it, or undefined when it can. */
  readonly missing: () => string | undefined;
  readonly run: (output: Output) => Promise<Outcome>;
}

const has = (program: string) =>
  spawnSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore" }).status === 0;

const nothing = () => undefined;

/** Runs a program of the project; whether it exited with 0. */
function runs(command: readonly string[], output: Output, quiet = false): Promise<boolean> {
  const [program = "", ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: PROJECT,
      stdio: ["ignore", quiet ? "ignore" : output, output],
    });
    child.on("error", reject);
    child.on("close", (status) => resolve(status === 0));
  });
}

function command(name: string, args: readonly string[], missing: Step["missing"] = nothing): Step {
  return {
    name,
    missing,
    run: async (output) => {
      const passed = await runs(args, output);
      return { passed: passed ? 1 : 0, failed: passed ? 0 : 1, skipped: 0, failures: [] };
    },
  };
}

/** Has `run` leave its results in a file, and reads them; nothing there is one failure. */
async function reported<Results>(
  run: (file: string) => Promise<unknown>,
  read: (results: Results) => Outcome,
): Promise<Outcome> {
  const directory = mkdtempSync(join(tmpdir(), "tests-"));
  const file = join(directory, "results.json");
  try {
    await run(file);
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
  const run = (file: string, output: Output) => {
    const flags = ["--json", `--outputFile=${file}`, "--testLocationInResults=false"];
    const all = ["npx", "jest", "--selectProjects", project, "--verbose", ...flags, ...args];
    // The numbers go to the file; what a person reads comes on standard error.
    return runs(all, output, true);
  };
  const read = (results: JestResults): Outcome => ({
    passed: results.numPassedTests,
    failed: results.numFailedTests + results.numRuntimeErrorTestSuites,
    skipped: results.numPendingTests,
    failures: failuresOf(results.testResults),
  });
  return {
    name: `tests: ${project}`,
    missing,
    run: (output) => reported((file) => run(file, output), read),
  };
}

/** The drill's short faults, each of them counted. */
function drill(missing: Step["missing"]): Step {
  const run = (file: string, output: Output) =>
    runs(["npm", "run", "--silent", "drill", "--", "--short", "--json", file], output);
  const read = ({ rows, stopped }: DrillResults): Outcome => {
    const broken = rows.filter((row) => row.broken.length > 0);
    const failures = [
      ...broken.map((row) => summary(row.fault, row.broken.join("\n"))),
      ...stopped.map(({ fault, reason }) => summary(fault, reason)),
    ];
    const failed = failures.length;
    return { passed: rows.length - broken.length, failed, skipped: 0, failures };
  };
  return {
    name: "drill, the short ones",
    missing,
    run: (output) => reported((file) => run(file, output), read),
  };
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

/**
 * One after the other; what stands in one line runs at the same time. Containers are waited for most of the
 * time, so the emulator's tests go on beside them; the drill measures, and is alone.
 */
const STAGES: readonly (readonly Step[])[] = [
  [command("types", ["npx", "tsc", "--noEmit"])],
  [command("lint", ["npx", "biome", "check", "."])],
  [command("dead code", ["npx", "knip"])],
  [
    command("ShellCheck", ["shellcheck", "--external-sources", ...scripts()], () =>
      has("shellcheck") ? undefined : "the program shellcheck is not installed",
    ),
  ],
  [jest("unit", ["--ci"])],
  // The second tells by itself what it lacks, and counts as skipped then.
  [jest("local", ["--runInBand"], localMissing), jest("aws", ["--runInBand"])],
  [drill(localMissing)],
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

/** Runs the steps of a stage at the same time: the first one's output is seen at once, the others' after it. */
async function runStage(steps: readonly Step[]): Promise<readonly Outcome[]> {
  const directory = mkdtempSync(join(tmpdir(), "tests-"));
  try {
    const outcomes = steps.map(async (step, index) => {
      if (index === 0) {
        console.log(`\n=== ${step.name}`);
        return step.run("inherit");
      }
      const file = openSync(join(directory, `${index}`), "w");
      return step.run(file).finally(() => closeSync(file));
    });
    const ended = await Promise.all(outcomes);
    for (const [index, { name }] of steps.entries()) {
      if (index > 0) {
        console.log(`\n=== ${name}\n${readFileSync(join(directory, `${index}`), "utf8")}`);
      }
    }
    return ended;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function main(): Promise<void> {
  const requireAll = process.env.REQUIRE_ALL === "1";
  const sum: Counts = { passed: 0, failed: 0, skipped: 0 };
  const notes: string[] = [];
  for (const stage of STAGES) {
    const able = stage.filter(({ name, missing }) => {
      const reason = missing();
      if (reason !== undefined) {
        console.log(`\n=== ${name}`);
        sum[requireAll ? "failed" : "skipped"]++;
        notes.push(`${requireAll ? "FAILED" : "skipped"}: ${name}: ${reason}`);
      }
      return reason === undefined;
    });
    for (const [index, counts] of (await runStage(able)).entries()) {
      const name = able[index]?.name;
      sum.passed += counts.passed;
      sum.failed += counts.failed + (requireAll ? counts.skipped : 0);
      sum.skipped += requireAll ? 0 : counts.skipped;
      if (counts.failed > 0) {
        notes.push(`FAILED: ${name}: ${counts.failed}`);
        notes.push(...counts.failures.map((failure) => `  ${failure}`));
      }
      if (counts.skipped > 0) {
        notes.push(`${requireAll ? "FAILED" : "skipped"}: ${name}: ${counts.skipped} tests`);
      }
    }
  }
  console.log(`\n${notes.join("\n")}`);
  console.log(
    `${sum.passed} passed, ${sum.failed} failed${sum.skipped > 0 ? `, ${sum.skipped} skipped` : ""}`,
  );
  process.exit(sum.failed > 0 ? 1 : 0);
}

void main();
