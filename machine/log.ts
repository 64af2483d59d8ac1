import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { StringDecoder } from "node:string_decoder";
import { stripVTControlCharacters } from "node:util";
import { PROJECT } from "../hosts/project";

/** Where logs lie. */
const LOGS = join(PROJECT, ".cache", "logs");

/** How many runs of one command are remembered. */
const KEPT = 10;

/** Milliseconds between two looks at what was written. */
const LOOK = 200;

/** Takes from programs what they print. */
export interface Output {
  readonly stdout: number;
  readonly stderr: number;
}

/** What keeps newer runs of one command and this one: `NAME-DATE`, with or without an ending. */
function prune(folder: string, name: string): void {
  const own = new RegExp(`^${name}-\\d{4}-\\d\\d-\\d\\dT[\\d-]+(\\.log)?$`);
  const old = readdirSync(folder)
    .filter((entry) => own.test(entry))
    .sort()
    .slice(0, -KEPT);
  for (const entry of old) {
    rmSync(join(folder, entry), { recursive: true, force: true });
  }
}

/** A place for a run's log, or for a folder of them (`ending` is empty); old ones of its name are removed. */
export function placeForLog(name: string, ending = ".log", folder = LOGS): string {
  mkdirSync(folder, { recursive: true });
  const date = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
  const place = join(folder, `${name}-${date}${ending}`);
  prune(folder, name);
  return place;
}

/**
 * A file that everything goes to that is not for the screen. Programs write to it themselves: one that outlives
 * this process, because that was killed, does not fail for want of somebody to read what it prints.
 */
export class Log {
  private readonly file: number;

  constructor(private readonly place: string) {
    mkdirSync(dirname(place), { recursive: true });
    this.file = openSync(place, "a+");
  }

  /** Its path, as one would type it in the project. */
  get path(): string {
    return relative(PROJECT, this.place);
  }

  /** What a program is to print to. */
  get output(): Output {
    return { stdout: this.file, stderr: this.file };
  }

  /** All that was written, without colours. */
  text(): string {
    return stripVTControlCharacters(readFileSync(this.place, "utf8"));
  }

  write(line: string): void {
    writeSync(this.file, `${line}\n`);
  }

  /**
   * Hands on each line that is written while the work goes on, without colours.
   *
   * @returns what comes of the work, once all lines were handed on
   */
  async followed<T>(work: () => Promise<T>, onLine: (line: string) => void): Promise<T> {
    const decoder = new StringDecoder("utf8");
    const buffer = Buffer.alloc(65536);
    let position = statSync(this.place).size;
    let begun = "";
    const look = () => {
      for (;;) {
        const bytes = readSync(this.file, buffer, 0, buffer.length, position);
        if (bytes === 0) {
          return;
        }
        position += bytes;
        const lines = (begun + decoder.write(buffer.subarray(0, bytes))).split("\n");
        begun = lines.pop() as string;
        for (const line of lines) {
          onLine(stripVTControlCharacters(line).trimEnd());
        }
      }
    };
    const timer = setInterval(look, LOOK);
    try {
      return await work();
    } finally {
      clearInterval(timer);
      look();
      if (begun !== "") {
        onLine(stripVTControlCharacters(begun).trimEnd());
      }
    }
  }

  close(): void {
    closeSync(this.file);
  }
}
