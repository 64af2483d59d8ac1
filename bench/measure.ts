import { existsSync } from "node:fs";
import { attemptSync } from "../ops/run";

/** The duration and memory of a process. */
export interface Run {
  /** Wall-clock seconds. */
  readonly seconds: number;
  /** Largest resident set of any single process in it, MiB. */
  readonly mebibytes: number;
}

const TIME = "/usr/bin/time";

/**
 * Runs a command once, as its own process, and measures it.
 *
 * @throws Error with the end of the command's output, if it fails
 */
export function timed(command: readonly string[], directory: string): Run {
  if (!existsSync(TIME)) {
    throw new Error(`${TIME} is missing; install the package "time"`);
  }
  const started = process.hrtime.bigint();
  const { status, stdout, stderr } = attemptSync([TIME, "--format", "peak-kib=%M", ...command], {
    directory,
    env: { CI: "1", CHECKPOINT_DISABLE: "1" },
    seconds: 600,
  });
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  if (status !== 0) {
    const lines = `${stdout}${stderr}`.trim().split("\n").slice(-20).join("\n");
    throw new Error(`${command.join(" ")} exited with ${status}:\n${lines}`);
  }
  return { seconds, mebibytes: Number(/peak-kib=(\d+)/.exec(stderr)?.[1]) / 1024 };
}

/** The middle value; of an even number of values, the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const at = (index: number) => sorted[index] as number;
  return Number.isInteger(middle) ? (at(middle - 1) + at(middle)) / 2 : at(Math.floor(middle));
}

/** One row of a bench's table, and whether its bound held. */
export interface Bound {
  readonly what: string;
  readonly measured: string;
  readonly bound: string;
  readonly holds: boolean;
}

/** Prints the bounds; the exit code says whether all of them held. */
export function report(bounds: readonly Bound[]): never {
  for (const { what, measured, bound, holds } of bounds) {
    console.log(`${holds ? "holds " : "BROKEN"}  ${what}: ${measured} (bound: ${bound})`);
  }
  process.exit(bounds.every(({ holds }) => holds) ? 0 : 1);
}
