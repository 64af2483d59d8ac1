import { closeSync, openSync, writeSync } from "node:fs";
import type { Ending, HistoryLine, Invocation } from "./operations";

/** Writes a history, a line at a time; several may write the same one. */
export class Recorder {
  private readonly file: number;

  /**
   * @param path of the file; lines are added to what is there
   * @param clock nanoseconds of a monotonic clock, since the history began
   */
  constructor(
    readonly path: string,
    private readonly clock: () => number,
  ) {
    this.file = openSync(path, "a");
  }

  /** Writes a line, now. */
  note(process: HistoryLine["process"], line: Omit<HistoryLine, "time" | "process">): void {
    writeSync(this.file, `${JSON.stringify({ time: this.clock(), process, ...line })}\n`);
  }

  /** Records an operation around what it does. What throws is `info`. */
  async record(
    process: HistoryLine["process"],
    invocation: Invocation,
    act: () => Promise<Ending>,
  ): Promise<Ending> {
    this.note(process, { type: "invoke", ...invocation });
    const ending = await act().catch(
      (error: Error): Ending => ({ type: "info", details: error.message }),
    );
    this.note(process, { f: invocation.f, ...ending });
    return ending;
  }

  close(): void {
    closeSync(this.file);
  }
}

/** A clock for {@link Recorder}; threads of one process that give the same origin have the same time. */
export function monotonicClock(origin: bigint): () => number {
  return () => Number(process.hrtime.bigint() - origin);
}
