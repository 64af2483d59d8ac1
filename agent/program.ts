import { spawn } from "node:child_process";

/** What a program did. */
export interface Ran {
  /** `undefined` when it could not be started, or was ended by a signal. */
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** As much of what a program prints is kept, in characters: the end of its errors, all of its output. */
const KEPT = 4_000;

/**
 * Runs a program and waits for it. What it prints on standard error goes to the journal as well.
 *
 * @param seconds how long it may take; it is killed then. Infinite by default
 * @param descriptor of a file that it has as its descriptor 3; default none
 */
export function program(
  [file = "", ...args]: readonly string[],
  seconds = Number.POSITIVE_INFINITY,
  descriptor?: number,
): Promise<Ran> {
  return new Promise((resolve) => {
    const child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe", descriptor ?? "ignore"] });
    let stdout = "";
    let stderr = "";
    const timer = Number.isFinite(seconds)
      ? setTimeout(() => child.kill("SIGKILL"), seconds * 1000)
      : undefined;
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      process.stderr.write(text);
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

/** Whether a program ends well. */
export async function succeeds(command: readonly string[]): Promise<boolean> {
  return (await program(command, 10)).status === 0;
}
