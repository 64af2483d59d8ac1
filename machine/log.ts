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

/** The folder of all logs. */
const LOGS = join(PROJECT, ".cache", "logs");

/** How many logs of each command are kept. */
const KEPT = 10;

/** Interval at which the file is read, in milliseconds. */
const LOOK = 200;

/** File descriptors for a program's output. */
export interface Output {
  readonly stdout: number;
  readonly stderr: number;
}

/** Removes old logs of a command: files or folders named `NAME-DATE`, with or without `.log`. */
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

/** A path for the log of a run, or for a folder of logs (with an empty `ending`). Removes old ones of the same name. */
export function placeForLog(name: string, ending = ".log", folder = LOGS): string {
  mkdirSync(folder, { recursive: true });
  const date = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
  const place = join(folder, `${name}-${date}${ending}`);
  prune(folder, name);
  return place;
}

/**
 * The log file, for all output that is not shown on the screen. Programs write to it directly rather than through a pipe,
 * so that they do not fail if this process is killed.
 */
export class Log {
  private readonly file: number;

  constructor(private readonly place: string) {
    mkdirSync(dirname(place), { recursive: true });
    this.file = openSync(place, "a+");
  }

  /** Its path, relative to the project. */
  get path(): string {
    return relative(PROJECT, this.place);
  }

  /** Where programs print to. */
  get output(): Output {
    return { stdout: this.file, stderr: this.file };
  }

  /** The whole content, without terminal control sequences. */
  text(): string {
    return stripVTControlCharacters(readFileSync(this.place, "utf8"));
  }

  write(line: string): void {
    writeSync(this.file, `${line}\n`);
  }

  /**
   * Calls `onLine` for each line that is written while the work is in progress, without terminal control sequences.
   *
   * @returns the result of the work, after the last line
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
