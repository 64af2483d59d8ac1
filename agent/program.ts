import { spawn } from "node:child_process";

/** The result of a program. */
export interface Ran {
  /** `undefined` if it could not be started, or was killed by a signal. */
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** How much of the end of its standard error is kept, in characters. */
const KEPT = 4_000;

/** How much of its output is read, in characters; a program that prints more is killed. */
const MOST = 4_000_000;

export interface Options {
  /** Timeout in seconds, after which it is killed. Infinite by default. */
  readonly seconds?: number;
  /** A file that it gets as descriptor 3. */
  readonly descriptor?: number;
  /** Whether its standard error is kept out of the journal. */
  readonly isQuiet?: boolean;
}

/** Runs a program and waits for it. */
export function program(
  [file = "", ...args]: readonly string[],
  { seconds, descriptor, isQuiet = false }: Options = {},
): Promise<Ran> {
  return new Promise((resolve) => {
    const child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe", descriptor ?? "ignore"] });
    let stdout = "";
    let stderr = "";
    const timer =
      seconds === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), seconds * 1000);
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      if (stdout.length > MOST) {
        child.kill("SIGKILL");
      }
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      if (!isQuiet) {
        process.stderr.write(text);
      }
      stderr = (stderr + text).slice(-KEPT);
    });
    child.on("error", ({ message }) => {
      clearTimeout(timer);
      resolve({ status: undefined, stdout, stderr: message });
    });
    child.on("close", (status) => {
      clearTimeout(timer);
      resolve({ status: status ?? undefined, stdout, stderr });
    });
  });
}

/** Whether a program succeeds within ten seconds. */
export async function succeeds(command: readonly string[]): Promise<boolean> {
  return (await program(command, { seconds: 10, isQuiet: true })).status === 0;
}
