import { spawn } from "node:child_process";
import { join } from "node:path";

/** The project's folder. */
export const PROJECT = join(__dirname, "..");

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

interface RunOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** Whether the output is wanted as the result instead of on the terminal. */
  readonly capture?: boolean;
  /** What it reads on its standard input; default nothing. */
  readonly input?: string;
  /** Whether an exit code other than 0 is a result as well, and no error. */
  readonly attempt?: boolean;
  /** Ends it, by SIGTERM. */
  readonly signal?: AbortSignal | undefined;
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
 * Runs a command in the project's folder.
 *
 * @throws CommandFailed when it ends with another code than 0, unless that was asked for; AbortError when it
 *   was ended by the signal
 */
export function run(
  command: string,
  args: readonly string[],
  { environment = {}, capture = false, input, attempt = false, signal }: RunOptions = {},
): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const errors = capture && attempt ? "pipe" : "inherit";
    const child = spawn(command, args, {
      cwd: PROJECT,
      env: { ...process.env, ...environment },
      stdio: [input === undefined ? "ignore" : "pipe", capture ? "pipe" : "inherit", errors],
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
        reject(new CommandFailed([command, ...args].join(" "), exitCode));
      }
    });
  });
}

/** Runs a script of scripts/local; it makes itself root where it has to. */
export function runScript(
  name: string,
  args: readonly string[],
  facts: ScriptFacts,
  options: Pick<RunOptions, "capture" | "attempt"> = {},
): Promise<Finished> {
  const script = join("scripts", "local", `${name}.sh`);
  return run("bash", [script, ...args], { ...options, environment: facts });
}

/**
 * Runs the cdktf command line of the project, with plain lines instead of a moving display and
 * without asking its maker's server for news.
 */
export async function runCdktf(...args: string[]): Promise<void> {
  await run(join("node_modules", ".bin", "cdktf"), args, {
    environment: { CI: "1", CHECKPOINT_DISABLE: "1" },
  });
}
