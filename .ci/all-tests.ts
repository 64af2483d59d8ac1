import { spawnSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { UNREACHABLE, ubuntuImageFacts } from "../__tests__/ubuntu-image";
import type { DrillResults } from "../drill/measure";
import { PROJECT } from "../hosts/project";
import { partsPresent } from "../machine/inspect";
import { run } from "../ops/run";

// Everything `npm test` runs, in order, with one closing line. What this machine cannot run is
// named and counted as skipped; with REQUIRE_ALL=1, as CI sets it, that is a failure. The one exception
// is what hangs on somebody else's server, Ubuntu's archive: without it, it is skipped everywhere.

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
  /** Why it is skipped even where everything is required. */
  readonly unavailable?: (output: Output) => Promise<string | undefined>;
  readonly run: (output: Output) => Promise<Outcome>;
}

const has = (program: string) =>
  spawnSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore" }).status === 0;

const nothing = () => undefined;

/** Runs a program of the project; its exit status. */
async function statusOf(
  command: readonly string[],
  output: Output,
  { quiet = false, env = {} }: { quiet?: boolean; env?: NodeJS.ProcessEnv } = {},
): Promise<number> {
  const stdout = quiet ? "ignore" : output;
  return (await run(command, { attempt: true, stdout, stderr: output, env })).exitCode;
}

function command(name: string, args: readonly string[], missing: Step["missing"] = nothing): Step {
  return {
    name,
    missing,
    run: async (output) => {
      const passed = (await statusOf(args, output)) === 0;
      return { passed: passed ? 1 : 0, failed: passed ? 0 : 1, skipped: 0, failures: [] };
    },
  };
}

/** Has `run` leave its results in a file, and reads them; nothing there is one failure. */
async function reported<Results>(
  report: (file: string) => Promise<unknown>,
  read: (results: Results) => Outcome,
): Promise<Outcome> {
  const directory = mkdtempSync(join(tmpdir(), "tests-"));
  const file = join(directory, "results.json");
  try {
    await report(file);
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

/** One of jest's projects, or the one file of its tests that is named. */
function jest(
  project: string,
  args: readonly string[],
  missing: Step["missing"] = nothing,
  file?: string,
): Step {
  const report = (results: string, output: Output) => {
    const flags = ["--json", `--outputFile=${results}`, "--testLocationInResults=false"];
    const only = file === undefined ? [] : [`__tests__/integration/${file}.test.ts`];
    const all = [
      "npx",
      "jest",
      "--selectProjects",
      project,
      "--verbose",
      ...flags,
      ...args,
      ...only,
    ];
    // The numbers go to the file; what a person reads comes on standard error.
    return statusOf(all, output, { quiet: true });
  };
  const read = (results: JestResults): Outcome => ({
    passed: results.numPassedTests,
    failed: results.numFailedTests + results.numRuntimeErrorTestSuites,
    skipped: results.numPendingTests,
    failures: failuresOf(results.testResults),
  });
  return {
    name: `tests: ${file ?? project}`,
    missing,
    run: (output) => reported((results) => report(results, output), read),
  };
}

/** The drill's short faults, each of them counted. */
function drill(missing: Step["missing"]): Step {
  const report = (file: string, output: Output) =>
    statusOf(["npm", "run", "--silent", "drill", "--", "--short", "--json", file], output);
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
    run: (output) => reported((file) => report(file, output), read),
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
  return [...found.filter((path) => path.endsWith(".sh")), "ops/cluster-command.sh", ".ci/run"];
}

const STATIC: readonly Step[] = [
  command("types", ["npx", "tsc", "--noEmit"]),
  command("lint", ["npx", "biome", "check", "."]),
  command("dead code", ["npx", "knip"]),
  command("ShellCheck", ["shellcheck", "--external-sources", ...scripts()], () =>
    has("shellcheck") ? undefined : "the program shellcheck is not installed",
  ),
  jest("unit", ["--ci"]),
];

/** Beside each other: containers are waited for most of the time. */
const BESIDE: readonly (readonly Step[])[] = [
  [jest("local", ["--runInBand"], localMissing, "local")],
  [
    // Tells by itself what it lacks, and counts as skipped then.
    jest("aws", ["--runInBand"]),
    jest("local", ["--runInBand"], localMissing, "local-apps"),
    { ...jest("ubuntu", ["--runInBand"], localMissing, "ubuntu"), unavailable: ubuntuMissing },
  ],
];

/** Alone: it measures. */
const MEASURED: readonly Step[] = [drill(localMissing)];

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

/** Looks for Ubuntu's packages by building the host image of them, which the tests then have. */
async function ubuntuMissing(output: Output): Promise<string | undefined> {
  if (partsPresent().distribution.id === "ubuntu") {
    return "the machine is Ubuntu itself: the tests on local hosts were on Ubuntu";
  }
  if ((await statusOf(["npm", "run", "--silent", "setup", "--", "ubuntu"], output)) !== 0) {
    return "the package with Ubuntu's keys cannot be had from this machine's apt sources";
  }
  const env = { ...ubuntuImageFacts(), DWI_PROJECT: "dwi-test-ubuntu" };
  const status = await statusOf(["bash", join("scripts", "local", "image.sh")], output, { env });
  // Whatever else kept the image from being built is for the tests to say.
  return status === UNREACHABLE ? "the packages of Ubuntu cannot be had here" : undefined;
}

/** Adds up what the steps did. */
class Sum {
  private readonly counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  private readonly notes: string[] = [];
  private readonly requireAll = process.env.REQUIRE_ALL === "1";

  /** One that was not run; `excused` where nobody can require it. */
  leftOut({ name }: Step, reason: string, excused: boolean): void {
    const failed = this.requireAll && !excused;
    this.counts[failed ? "failed" : "skipped"]++;
    this.notes.push(`${failed ? "FAILED" : "skipped"}: ${name}: ${reason}`);
  }

  add({ name }: Step, { passed, failed, skipped, failures }: Outcome): void {
    this.counts.passed += passed;
    this.counts.failed += failed + (this.requireAll ? skipped : 0);
    this.counts.skipped += this.requireAll ? 0 : skipped;
    if (failed > 0) {
      this.notes.push(`FAILED: ${name}: ${failed}`, ...failures.map((failure) => `  ${failure}`));
    }
    if (skipped > 0) {
      this.notes.push(`${this.requireAll ? "FAILED" : "skipped"}: ${name}: ${skipped} tests`);
    }
  }

  get failed(): boolean {
    return this.counts.failed > 0;
  }

  toString(): string {
    const { passed, failed, skipped } = this.counts;
    const closing = `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
    return `\n${this.notes.join("\n")}\n${closing}`;
  }
}

/** Runs steps one after the other, into an output of which `print` writes the headings. */
async function runAll(
  steps: readonly Step[],
  sum: Sum,
  output: Output,
  print: (line: string) => void,
): Promise<void> {
  for (const step of steps) {
    print(`\n=== ${step.name}\n`);
    const missing = step.missing();
    const unavailable = missing === undefined ? await step.unavailable?.(output) : undefined;
    const reason = missing ?? unavailable;
    if (reason === undefined) {
      sum.add(step, await step.run(output));
    } else {
      sum.leftOut(step, reason, missing === undefined);
    }
  }
}

/** Runs rows of steps at the same time: what the first prints is seen at once, the others' after it. */
async function runBeside(rows: readonly (readonly Step[])[], sum: Sum): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "tests-"));
  const printed = (index: number) => join(directory, `${index}`);
  try {
    await Promise.all(
      rows.map(async (steps, index) => {
        if (index === 0) {
          return runAll(steps, sum, "inherit", (line) => process.stderr.write(line));
        }
        const file = openSync(printed(index), "a");
        await runAll(steps, sum, file, (line) => writeSync(file, line));
        closeSync(file);
      }),
    );
    for (const index of rows.keys()) {
      if (index > 0) process.stderr.write(readFileSync(printed(index)));
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function main(): Promise<void> {
  const sum = new Sum();
  await runBeside([STATIC], sum);
  await runBeside(BESIDE, sum);
  await runBeside([MEASURED], sum);
  console.log(`${sum}`);
  process.exit(sum.failed ? 1 : 0);
}

void main();
