import { type SpawnSyncReturns, spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { PROJECT } from "../hosts/project";

/** What a script needs to know; all names start with `DWI_`. */
export type ScriptFacts = Readonly<Record<`DWI_${string}`, string>>;

/** A command that ended with another code than 0. Its output says why. */
export class CommandFailed extends Error {
  constructor(
    readonly command: string,
    readonly exitCode: number,
  ) {
    super(`${command} ended with exit code ${exitCode}`);
    this.name = "CommandFailed";
  }
}

/** What was under way is left there because the operator interrupted; he needs no reason. */
export class Interrupted extends Error {
  constructor() {
    super("interrupted");
    this.name = "Interrupted";
  }
}

interface Surroundings {
  /** Where it runs; default the project. */
  readonly directory?: string;
  /** Variables besides those of this process. */
  readonly env?: NodeJS.ProcessEnv;
  /** What it reads on its standard input; default nothing. */
  readonly input?: string | undefined;
}

interface RunOptions extends Surroundings {
  /** Whether the output is wanted as the result instead of on the terminal. */
  readonly capture?: boolean;
  /** Whether an exit code other than 0 is a result as well, and no error. */
  readonly attempt?: boolean;
  /** Ends it, by SIGTERM. */
  readonly signal?: AbortSignal | undefined;
  /** Where it prints what is not wanted as the result: the terminal, or a file. */
  readonly stdout?: "inherit" | "ignore" | number;
  readonly stderr?: "inherit" | number;
}

interface Finished {
  readonly exitCode: number;
  /** What it printed, where that was asked for. */
  readonly stdout: string;
  readonly stderr: string;
}

let interrupted = false;

/**
 * Lets a running command end by itself when the operator interrupts: it gets the signal as well,
 * and Terraform then still writes its state.
 */
export function surviveInterrupts(): void {
  process.on("SIGINT", () => {
    interrupted = true;
  });
}

/** Whether the operator has interrupted. */
export function wasInterrupted(): boolean {
  return interrupted;
}

/**
 * Runs a program while this one goes on.
 *
 * @throws CommandFailed when it ends with another code than 0, unless that was asked for; AbortError when it
 *   was ended by the signal
 */
export function run(
  command: readonly string[],
  {
    directory = PROJECT,
    env = {},
    input,
    capture = false,
    attempt = false,
    signal,
    stdout: printed = "inherit",
    stderr: complained = "inherit",
  }: RunOptions = {},
): Promise<Finished> {
  const [program = "", ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: directory,
      env: { ...process.env, ...env },
      stdio: [
        input === undefined ? "ignore" : "pipe",
        capture ? "pipe" : printed,
        capture && attempt ? "pipe" : complained,
      ],
      signal,
    });
    // A character may come in two pieces.
    child.stdout?.setEncoding("utf8");
    child.stderr?.setEncoding("utf8");
    let [stdout, stderr] = ["", ""];
    child.stdout?.on("data", (chunk) => {
      stdout += chunk;
    });
    child.stderr?.on("data", (chunk) => {
      stderr += chunk;
    });
    child.on("error", reject);
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
    child.on("close", (code) => {
      const exitCode = code ?? 1;
      if (exitCode === 0 || attempt) {
        resolve({ exitCode, stdout, stderr });
      } else {
        reject(new CommandFailed(command.join(" "), exitCode));
      }
    });
  });
}

/** Runs a script of scripts/local; it makes itself root where it has to. */
export function runScript(
  name: string,
  args: readonly string[],
  facts: ScriptFacts,
  options: Pick<RunOptions, "capture" | "attempt" | "stdout" | "stderr"> = {},
): Promise<Finished> {
  const script = join("scripts", "local", `${name}.sh`);
  return run(["bash", script, ...args], { ...options, env: facts });
}

interface SyncOptions extends Surroundings {
  /** After which it is ended; default 60. */
  readonly seconds?: number;
}

/** Runs a program to its end while this one waits, whatever it exits with. */
export function attemptSync(
  command: readonly string[],
  { directory = PROJECT, env = {}, input, seconds = 60 }: SyncOptions = {},
): SpawnSyncReturns<string> {
  const [program = "", ...args] = command;
  return spawnSync(program, args, {
    cwd: directory,
    encoding: "utf8",
    env: { ...process.env, ...env },
    input,
    maxBuffer: 2 ** 26,
    timeout: seconds * 1000,
  });
}

/** The last lines a program printed, for the message of a failed expectation. */
function lastLines({ stdout, stderr }: SpawnSyncReturns<string>): string {
  return `${stdout}\n${stderr}`.trim().split("\n").slice(-40).join("\n");
}

/**
 * Runs a program to its end while this one waits.
 *
 * @returns what it printed on standard output
 * @throws Error with its last lines when it does not exit with 0
 */
export function runSync(command: readonly string[], options: SyncOptions = {}): string {
  const result = attemptSync(command, options);
  if (result.status !== 0) {
    throw new Error(
      `${command.join(" ")} exited with ${result.status ?? result.signal}:\n${lastLines(result)}`,
    );
  }
  return result.stdout;
}
