import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { UNREACHABLE, ubuntuImageFacts } from "../__tests__/ubuntu-image";
import { PROJECT } from "../hosts/project";
import { partsPresent } from "../machine/inspect";
import { Log, placeForLog } from "../machine/log";
import { Progress } from "../machine/progress";
import { run } from "../ops/run";

// Runs everything in `npm test`, in order, and ends with one summary line. What this machine cannot run is reported and
// counted as skipped; with REQUIRE_ALL=1, as CI sets it, that is a failure. The only exception are tests that depend on an
// external server, Ubuntu's archive: if it is unavailable, they are skipped everywhere.

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** The counts of one step, and its failures, each with its name and the beginning of its message. */
interface Outcome extends Counts {
  readonly failures: readonly string[];
}

interface Step {
  readonly name: string;
  /** Why this machine cannot run it, or undefined if it can. */
  readonly missing: (log: Log) => string | undefined;
  /** Why it is skipped even if everything is required, or undefined. */
  readonly unavailable?: (log: Log) => Promise<string | undefined>;
  readonly run: (log: Log) => Promise<Outcome>;
  /** Derives its progress from a line of its output. */
  readonly follow?: (line: string) => string | undefined;
}

const has = (program: string) =>
  spawnSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore" }).status === 0;

const nothing = () => undefined;

/** Runs a program in the project, and returns its exit status. */
async function statusOf(
  command: readonly string[],
  { output }: Log,
  { quiet = false, env = {} }: { quiet?: boolean; env?: NodeJS.ProcessEnv } = {},
): Promise<number> {
  const stdout = quiet ? "ignore" : output.stdout;
  return (await run(command, { attempt: true, ...output, stdout, env })).exitCode;
}

function command(name: string, args: readonly string[], missing: Step["missing"] = nothing): Step {
  return {
    name,
    missing,
    run: async (log) => {
      const passed = (await statusOf(args, log)) === 0;
      const failures = passed ? [] : [summary(args.join(" "), log.text())];
      return { passed: passed ? 1 : 0, failed: passed ? 0 : 1, skipped: 0, failures };
    },
  };
}

/** Calls `report` with a file for its results, and reads them. No results count as one failure. */
async function reported(
  report: (file: string) => Promise<unknown>,
  read: (results: JestResults) => Outcome,
): Promise<Outcome> {
  const directory = mkdtempSync(join(tmpdir(), "tests-"));
  const file = join(directory, "results.json");
  try {
    await report(file);
    return existsSync(file)
      ? read(JSON.parse(readFileSync(file, "utf8")))
      : { passed: 0, failed: 1, skipped: 0, failures: ["it ended without results"] };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** The relevant part of jest's JSON report. */
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

/**
 * A project of jest.
 *
 * @param options.file only this file of it
 * @param options.isNice whether everything else on the machine has precedence
 */
function jest(
  project: string,
  args: readonly string[],
  options: { missing?: Step["missing"]; file?: string; isNice?: boolean } = {},
): Step {
  const { missing = nothing, file, isNice = false } = options;
  const report = (results: string, log: Log) => {
    const flags = ["--json", `--outputFile=${results}`, "--testLocationInResults=false"];
    const only = file === undefined ? [] : [`__tests__/integration/${file}.test.ts`];
    const all = [
      ...(isNice ? ["nice", "-n", "10"] : []),
      "npx",
      "jest",
      "--selectProjects",
      project,
      "--reporters=default",
      `--reporters=${join(PROJECT, ".ci", "each-test.js")}`,
      ...flags,
      ...args,
      ...only,
    ];
    // The JSON goes to the file, and readable output to standard error.
    return statusOf(all, log, { quiet: true });
  };
  const read = (results: JestResults): Outcome => ({
    passed: results.numPassedTests,
    failed: results.numFailedTests + results.numRuntimeErrorTestSuites,
    skipped: results.numPendingTests,
    failures: failuresOf(results.testResults),
  });
  const seen = { "✓": 0, "✕": 0 };
  return {
    name: `tests: ${file ?? project}`,
    missing,
    run: (log) => reported((results) => report(results, log), read),
    follow: (line) => {
      const mark = /^\s+([✓✕]) /.exec(line)?.[1] as keyof typeof seen | undefined;
      if (mark === undefined) {
        return undefined;
      }
      seen[mark]++;
      return inWords({ passed: seen["✓"], failed: seen["✕"], skipped: 0 });
    },
  };
}

/** The failures, repeated at the end of the log: often only the end of a log is kept. */
function failuresOf(files: readonly FileResult[]): string[] {
  return files.flatMap((file) => {
    const failed = file.assertionResults.filter((test) => test.status === "failed");
    return failed.length === 0 && file.status === "failed"
      ? [summary(relative(PROJECT, file.name), file.message)]
      : failed.map((test) => summary(test.fullName, test.failureMessages.join("\n")));
  });
}

/** Maximum length of a failure's message; usually all of it. The log has the rest, but CI does not keep it. */
const MESSAGE_LINES = 100;

function summary(name: string, message: string): string {
  const lines = stripVTControlCharacters(message)
    .split("\n")
    .filter((line) => !/^\s+at /.test(line) && line.trim() !== "");
  return [name, ...lines.slice(0, MESSAGE_LINES).map((line) => `    ${line}`)].join("\n");
}

/** Every shell script of the project. */
function scripts(): string[] {
  const found = ["scripts", "ops", "__tests__"].flatMap((folder) =>
    readdirSync(join(PROJECT, folder), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".sh"))
      .map((path) => join(folder, path)),
  );
  return [...found, ".ci/run"];
}

/** Run two at a time, as each uses one processor. */
const STATIC: readonly Step[] = [
  command("ShellCheck", ["shellcheck", "--external-sources", ...scripts()], () =>
    has("shellcheck") ? undefined : "the program shellcheck is not installed",
  ),
  command("types", ["npx", "tsc", "--noEmit"]),
  command("lint", ["npx", "biome", "check", "."]),
  command("dead code", ["npx", "knip"]),
];

/** Uses every processor: on two of them jest would leave one idle. */
const UNIT: Step = jest("unit", ["--ci", "--maxWorkers=100%"]);

/**
 * Takes what processors are left beside tests of hosts, which must answer in time. Checks by itself what it needs, and
 * skips its tests otherwise.
 */
const AWS: Step = jest("aws", ["--runInBand"], { isNice: true });

/** Run two at a time, the longest first: they mostly wait for containers. */
const HOSTS: readonly Step[] = [
  jest("local", ["--runInBand"], { missing: localMissing, file: "local" }),
  jest("local", ["--runInBand"], { missing: localMissing, file: "local-apps" }),
  {
    ...jest("ubuntu", ["--runInBand"], { missing: localMissing, file: "ubuntu" }),
    unavailable: ubuntuMissing,
  },
  jest("etcd", ["--runInBand"]),
];

function localMissing({ output, path }: Log): string | undefined {
  if (process.platform !== "linux") {
    return "local hosts are Linux containers, and this machine does not run Linux";
  }
  if (process.getuid?.() !== 0) {
    return "local hosts need root";
  }
  if (!has("terraform")) {
    return "the program terraform is not installed";
  }
  const setup = spawnSync("npm", ["run", "--silent", "setup"], {
    cwd: PROJECT,
    stdio: ["ignore", output.stdout, output.stderr],
  });
  return setup.status === 0
    ? undefined
    : `the packages for local hosts could not be installed: ${path}`;
}

/** Checks that Ubuntu's packages are available by building the host image, which the tests then use. */
async function ubuntuMissing(log: Log): Promise<string | undefined> {
  if (partsPresent().distribution.id === "ubuntu") {
    return "this machine runs Ubuntu, so the tests on local hosts have already run on Ubuntu";
  }
  if ((await statusOf(["npm", "run", "--silent", "setup", "--", "ubuntu"], log)) !== 0) {
    return "the package with Ubuntu's keys is not available from this machine's apt sources";
  }
  const env = { ...ubuntuImageFacts(), DWI_PROJECT: "dwi-test-ubuntu" };
  const status = await statusOf(["bash", join("scripts", "local", "image.sh")], log, { env });
  // The tests report any other failure to build the image.
  return status === UNREACHABLE
    ? "Ubuntu's packages are not reachable from this machine"
    : undefined;
}

/** Formats counts; with `always`, includes failures even if there are none, because CI searches for them. */
function inWords({ passed, failed, skipped }: Counts, always = false): string {
  const words = [`${passed} passed`];
  if (failed > 0 || always) {
    words.push(`${failed} failed`);
  }
  if (skipped > 0) {
    words.push(`${skipped} skipped`);
  }
  return words.join(", ");
}

/** The sum of all steps' results. */
class Sum {
  private readonly counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  private readonly notes: string[] = [];
  private readonly requireAll = process.env.REQUIRE_ALL === "1";

  /** Adds a step that was not run; `excused` if it cannot be required. Returns whether that is a failure. */
  leftOut({ name }: Step, reason: string, excused: boolean): boolean {
    const failed = this.requireAll && !excused;
    this.counts[failed ? "failed" : "skipped"]++;
    this.notes.push(`${failed ? "FAILED" : "skipped"}: ${name}: ${reason}`);
    return failed;
  }

  /** Adds a step's outcome. Returns whether it failed. */
  add({ name }: Step, outcome: Outcome, log: Log): boolean {
    const { passed, skipped, failures } = outcome;
    const failed = outcome.failed + (this.requireAll ? skipped : 0);
    this.counts.passed += passed;
    this.counts.failed += failed;
    this.counts.skipped += this.requireAll ? 0 : skipped;
    if (outcome.failed > 0) {
      this.notes.push(
        `FAILED: ${name}: ${outcome.failed}; full log: ${log.path}`,
        ...failures.map((failure) => `  ${failure}`),
      );
    }
    if (skipped > 0) {
      this.notes.push(`${this.requireAll ? "FAILED" : "skipped"}: ${name}: ${skipped} tests`);
    }
    return failed > 0;
  }

  get failed(): boolean {
    return this.counts.failed > 0;
  }

  /** The failures, and the counts as the last line. */
  get lines(): string[] {
    return ["", ...this.notes, inWords(this.counts, true)];
  }
}

/** Runs steps one after the other, with a line on the screen and a log for each. */
async function runAll(steps: Iterable<Step>, run: Run): Promise<void> {
  for (const step of steps) {
    const log = new Log(join(run.logs, `${step.name.replace(/\W+/g, "-")}.log`));
    const line = run.progress.begin(step.name);
    const follow = (printed: string) => {
      const note = step.follow?.(printed);
      if (note !== undefined) {
        line.note(note);
      }
    };
    await log.followed(async () => {
      const missing = step.missing(log);
      const unavailable = missing === undefined ? await step.unavailable?.(log) : undefined;
      const reason = missing ?? unavailable;
      if (reason !== undefined) {
        const failed = run.sum.leftOut(step, reason, missing === undefined);
        line.end(failed ? "failed" : "skipped", reason);
        return;
      }
      const outcome = await step.run(log);
      if (run.sum.add(step, outcome, log)) {
        const { passed, failed, skipped } = outcome;
        line.end(
          "failed",
          `${failed} of ${passed + failed}${skipped > 0 ? `, ${skipped} skipped` : ""}`,
        );
      } else {
        line.end("done", inWords(outcome));
      }
    }, follow);
  }
}

/** Runs steps two at a time: each lane takes the next one that the other has not begun. */
async function runInTwoLanes(steps: readonly Step[], run: Run): Promise<void> {
  const waiting = steps[Symbol.iterator]();
  await Promise.all([runAll(waiting, run), runAll(waiting, run)]);
}

/** State shared by the steps of one run. */
interface Run {
  readonly sum: Sum;
  readonly progress: Progress;
  /** The folder of their logs. */
  readonly logs: string;
}

async function main(): Promise<void> {
  const run: Run = { sum: new Sum(), progress: new Progress(), logs: placeForLog("test", "") };
  run.progress.say(`logs: ${relative(PROJECT, run.logs)}\n`);
  // The running programs get the signal as well.
  process.once("SIGINT", () => {
    run.progress.abandon();
    process.exit(130);
  });
  await runInTwoLanes(STATIC, run);
  await runAll([UNIT], run);
  await Promise.all([runInTwoLanes(HOSTS, run), runAll([AWS], run)]);
  run.sum.lines.map((line) => run.progress.say(line));
  process.exit(run.sum.failed ? 1 : 0);
}

void main();
