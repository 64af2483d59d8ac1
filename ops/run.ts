import { type SpawnSyncReturns, spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { PROJECT } from "../hosts/project";

/** The facts for a script, as environment variables; all names start with `DWI_`. */
export type ScriptFacts = Readonly<Record<`DWI_${string}`, string>>;

/** A command that failed. The reason is in its output. */
export class CommandFailed extends Error {
  constructor(
    readonly command: string,
    readonly exitCode: number,
  ) {
    super(`${command} exited with ${exitCode}`);
    this.name = "CommandFailed";
  }
}

/** The operator interrupted the command. No message is needed. */
export class Interrupted extends Error {
  constructor() {
    super("interrupted");
    this.name = "Interrupted";
  }
}

interface Surroundings {
  /** Working directory; default the project. */
  readonly directory?: string;
  /** Environment variables in addition to those of this process. */
  readonly env?: NodeJS.ProcessEnv;
  /** Standard input; default empty. */
  readonly input?: string | undefined;
}

interface RunOptions extends Surroundings {
  /** Whether to return the output instead of printing it. */
  readonly capture?: boolean;
  /** Whether to return an exit code other than 0 instead of throwing. */
  readonly attempt?: boolean;
  /** Terminates the program with SIGTERM. */
  readonly signal?: AbortSignal | undefined;
  /** Where output that is not captured goes: the terminal, nowhere, or a file. */
  readonly stdout?: "inherit" | "ignore" | number;
  readonly stderr?: "inherit" | number;
}

interface Finished {
  readonly exitCode: number;
  /** The captured output. */
  readonly stdout: string;
  readonly stderr: string;
}

let interrupted = false;

/**
 * Keeps this process running on SIGINT. The running command gets the signal as well and ends by itself, so that Terraform
 * can still write its state.
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
 * Runs a program asynchronously.
 *
 * @throws CommandFailed if its exit code is not 0, unless `attempt` is set; AbortError if it was aborted
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
    // A character may be split between two chunks.
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

/** Runs a script of scripts/local, which becomes root by itself. */
export function runScript(
  name: string,
  args: readonly string[],
  facts: ScriptFacts,
  options: Pick<RunOptions, "capture" | "attempt" | "stdout" | "stderr" | "input"> = {},
): Promise<Finished> {
  const script = join("scripts", "local", `${name}.sh`);
  return run(["bash", script, ...args], { ...options, env: facts });
}

interface SyncOptions extends Surroundings {
  /** Timeout; default 60. */
  readonly seconds?: number;
}

/** Runs a program synchronously, and returns its result whatever its exit code. */
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

/** The last lines of a program's output, for an error message. */
function lastLines({ stdout, stderr }: SpawnSyncReturns<string>): string {
  return `${stdout}\n${stderr}`.trim().split("\n").slice(-40).join("\n");
}

/**
 * Runs a program synchronously.
 *
 * @returns its standard output
 * @throws Error with the last lines of its output, if its exit code is not 0
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
