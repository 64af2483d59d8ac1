import { stripVTControlCharacters } from "node:util";
import { Interrupted, wasInterrupted } from "../ops/run";

/** Where lines go; a terminal where `isTTY` is set. */
export interface Screen {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

/** Seconds after which the lines under way are redrawn on a terminal, which shows that time passes. */
const REDRAW_SECONDS = 1;

/** Seconds after which they are named where nothing can be redrawn: a log that stands still says nothing. */
const NAME_SECONDS = 60;

type Outcome = "done" | "failed" | "interrupted" | "skipped";

const MARKS: Readonly<Record<Outcome | "under way", string>> = {
  done: "✓",
  failed: "✗",
  interrupted: "✗",
  skipped: "-",
  "under way": "…",
};

/** Text that moves no cursor. */
function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is to go
  return stripVTControlCharacters(text).replace(/[\x00-\x1f\x7f]+/g, " ");
}

/** Something that takes time: a stage, or a host's part of it. */
export class Line {
  private readonly started = Date.now();
  private text = "";

  constructor(
    private readonly progress: Progress,
    readonly name: string,
  ) {}

  /** What is being done, or was: the last note stays. */
  note(text: string): void {
    this.text = plain(text).trim();
    this.progress.changed();
  }

  /** Ends it, with what has come of it. One that has ended stays as it is. */
  end(outcome: Outcome, text = this.text): void {
    this.text = plain(text).trim();
    this.progress.ended(this, outcome);
  }

  /** As it stands on the screen. */
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

/** Tells whether the operator has interrupted since: what is cleaned up after that is not interrupted itself. */
export function interruptedFromNow(): () => boolean {
  const before = wasInterrupted();
  return () => wasInterrupted() && !before;
}

/**
 * What a person sees of something that takes minutes: a line for each part that is over, with its seconds.
 * On a terminal the parts under way stand below, redrawn in place. Elsewhere nothing is ever redrawn, and what
 * is left on a terminal is the same.
 */
export class Progress {
  private readonly open: Line[] = [];
  /** How many rows of the terminal are to be drawn anew. */
  private drawn = 0;
  private timer: NodeJS.Timeout | undefined;
  private readonly redraws: boolean;

  constructor(private readonly screen: Screen = process.stdout) {
    this.redraws = screen.isTTY === true && process.env.TERM !== "dumb";
  }

  /** Begins a line; two spaces before its name make it a part of another. */
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
   * A stage: a line that ends with the work, whose failure is passed on.
   *
   * @throws Interrupted when the operator interrupts it, whatever became of the work
   */
  async stage<T>(name: string, work: (line: Line) => Promise<T>): Promise<T> {
    const line = this.begin(name);
    const interrupted = interruptedFromNow();
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

  /** A line that stays. */
  say(text: string): void {
    this.screen.write(`${this.erasing()}${text}\n${this.drawing()}`);
  }

  /** Ends all lines under way: what they stand for is left there. */
  abandon(): void {
    for (const line of [...this.open]) {
      line.end("interrupted");
    }
  }

  /** @internal what is under way has changed */
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
      this.say(`          under way: ${this.open.map(({ words }) => words).join(", ")}`);
    }
  }

  /** Moves to the first row that was drawn, and clears the terminal from there. */
  private erasing(): string {
    const up = this.drawn > 0 ? `\r\u001b[${this.drawn}A\u001b[J` : "";
    this.drawn = 0;
    return up;
  }

  /** No line may be wider than the terminal, and not all of them higher: it would scroll them away. */
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
