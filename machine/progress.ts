import { stripVTControlCharacters } from "node:util";
import { Interrupted, wasInterrupted } from "../ops/run";

/** The output stream; a terminal if `isTTY` is set. */
export interface Screen {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

/** Interval at which a terminal is redrawn, in seconds. */
const REDRAW_SECONDS = 1;

/** Interval at which the lines in progress are listed where nothing can be redrawn, in seconds. */
const NAME_SECONDS = 60;

type Outcome = "done" | "failed" | "interrupted" | "skipped";

const MARKS: Readonly<Record<Outcome | "under way", string>> = {
  done: "✓",
  failed: "✗",
  interrupted: "✗",
  skipped: "-",
  "under way": "…",
};

/** Removes control characters from a text. */
function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it removes
  return stripVTControlCharacters(text).replace(/[\x00-\x1f\x7f]+/g, " ");
}

/** The progress of a stage, or of one host in it. */
export class Line {
  private readonly started = Date.now();
  private text = "";

  constructor(
    private readonly progress: Progress,
    readonly name: string,
  ) {}

  /** Sets the line's text. The last one remains. */
  note(text: string): void {
    this.text = plain(text).trim();
    this.progress.changed();
  }

  /** Ends the line with an outcome. No effect if it has already ended. */
  end(outcome: Outcome, text = this.text): void {
    this.text = plain(text).trim();
    this.progress.ended(this, outcome);
  }

  /** The line as displayed. */
  show(state: Outcome | "under way"): string {
    const seconds = `${Math.round((Date.now() - this.started) / 1000)} s`;
    const ending = state === "done" || state === "under way" ? undefined : state;
    const text = [ending, this.text].filter(Boolean).join(": ");
    return `${MARKS[state]} ${seconds.padStart(6)}  ${this.name.padEnd(20)} ${text}`.trimEnd();
  }

  get words(): string {
    return this.text === "" ? this.name.trim() : `${this.name.trim()} (${this.text})`;
  }
}

/** Returns a function that tells whether the operator has interrupted since: the cleanup after an interrupt does not count. */
export function interruptedFromNow(isInterrupted = wasInterrupted): () => boolean {
  const before = isInterrupted();
  return () => isInterrupted() && !before;
}

/**
 * Shows the progress of a command that takes minutes: one line for each part that has finished, with its duration. On a
 * terminal, the parts in progress are below, redrawn in place. Elsewhere nothing is redrawn; the final output is the same.
 */
export class Progress {
  private readonly open: Line[] = [];
  /** Number of rows of the terminal that the next update replaces. */
  private drawn = 0;
  private timer: NodeJS.Timeout | undefined;
  private readonly redraws: boolean;

  /** @param isInterrupted whether the operator has interrupted this command */
  constructor(
    private readonly screen: Screen = process.stdout,
    private readonly isInterrupted = wasInterrupted,
  ) {
    this.redraws = screen.isTTY === true && process.env.TERM !== "dumb";
  }

  /** Begins a line; two leading spaces in its name indicate a part of another line. */
  begin(name: string): Line {
    const line = new Line(this, name);
    this.open.push(line);
    this.timer ??= setInterval(
      () => this.tick(),
      (this.redraws ? REDRAW_SECONDS : NAME_SECONDS) * 1000,
    ).unref();
    this.changed();
    return line;
  }

  /**
   * Shows a line while work is in progress.
   *
   * @throws whatever the work throws; Interrupted if the operator interrupts it, whatever its outcome
   */
  async stage<T>(name: string, work: (line: Line) => Promise<T>): Promise<T> {
    const line = this.begin(name);
    const interrupted = interruptedFromNow(this.isInterrupted);
    try {
      const result = await work(line);
      if (interrupted()) {
        throw new Interrupted();
      }
      line.end("done");
      return result;
    } catch (error) {
      line.end(interrupted() ? "interrupted" : "failed");
      throw interrupted() ? new Interrupted() : error;
    }
  }

  /** Prints a line. */
  say(text: string): void {
    this.screen.write(`${this.erasing()}${text}\n${this.drawing()}`);
  }

  /** Ends all lines in progress as interrupted. */
  abandon(): void {
    for (const line of [...this.open]) {
      line.end("interrupted");
    }
  }

  /** @internal a line in progress has changed */
  changed(): void {
    if (this.redraws) {
      this.screen.write(`${this.erasing()}${this.drawing()}`);
    }
  }

  /** @internal a line has ended */
  ended(line: Line, outcome: Outcome): void {
    const index = this.open.indexOf(line);
    if (index < 0) {
      return;
    }
    this.open.splice(index, 1);
    if (this.open.length === 0) {
      clearInterval(this.timer);
      this.timer = undefined;
    }
    this.say(line.show(outcome));
  }

  private tick(): void {
    if (this.redraws) {
      this.changed();
    } else {
      this.say(`          in progress: ${this.open.map(({ words }) => words).join(", ")}`);
    }
  }

  /** Control sequences that move to the first drawn row, and clear the terminal from there. */
  private erasing(): string {
    const up = this.drawn > 0 ? `\r\u001b[${this.drawn}A\u001b[J` : "";
    this.drawn = 0;
    return up;
  }

  /** The lines in progress. Limited to the size of the terminal, because lines that wrap or scroll cannot be redrawn. */
  private drawing(): string {
    if (!this.redraws || this.open.length === 0) {
      return "";
    }
    const { columns = 80, rows = 24 } = this.screen;
    const room = Math.max(1, rows - 2);
    const lines = this.open.slice(0, room).map((line) => line.show("under way"));
    if (this.open.length > room) {
      lines[room - 1] = `${" ".repeat(10)}and ${this.open.length - room + 1} more`;
    }
    this.drawn = lines.length;
    return lines.map((line) => `${line.slice(0, Math.max(1, columns - 1))}\n`).join("");
  }
}
