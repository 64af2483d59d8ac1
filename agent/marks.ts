import { access, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { program, succeeds } from "./program";

/** What the primary reported about itself when it was last seen open. */
export interface LastSeenPrimary {
  readonly name: string;
  readonly term: number;
  /** When it was seen, seconds since 1970. */
  readonly at: number;
  /** Whether its writes waited for a replica. */
  readonly semiSync: boolean;
}

/** State of this host beyond its server: marks on the data volume, and notes that a reboot clears. */
export interface Marks {
  /** Whether an operator closed it; survives a reboot. */
  isHeld(): Promise<boolean>;
  hold(): Promise<void>;
  release(): Promise<void>;
  /** Records that from now on this host's data is not a copy of another host's. */
  noteOriginal(): Promise<void>;
  /** Records that the binary logs start again. */
  noteNewLogs(): Promise<void>;
  /** Records that the server has worked for a while: it did not crash because of its data. */
  noteSound(): Promise<void>;
  /** Whether a restore is in progress, or was interrupted. */
  isRestoring(): Promise<boolean>;
  /** The identifier of this run of the server, new at each start; `undefined` before the first. */
  incarnation(): Promise<string | undefined>;
  /** `INCARNATION PRIMARY:TERM`: that run had received everything that the primary, in that term, had executed. */
  caughtUp(): Promise<string | undefined>;
  noteCaughtUp(text: string): Promise<void>;
  lastSeenPrimary(): Promise<LastSeenPrimary | undefined>;
  notePrimary(seen: LastSeenPrimary): Promise<void>;
  /** Whether the data volume has space. */
  hasRoom(): Promise<boolean>;
  /** Returns once the data volume has taken a small write: never, while it hangs. @throws Error if it refuses the write */
  probe(): Promise<void>;
  /** Whether this host knows that there is a record of the primary (agent/record.ts), without which it does not open. */
  isRecorded(): Promise<boolean>;
  noteRecorded(): Promise<void>;
  /** Failover is manual: a record says nothing any more. */
  forgetRecord(): Promise<void>;
}

/** The marks as files, under the names that the shell scripts also use, see scripts/database/common.sh. */
export class FileMarks implements Marks {
  /**
   * @param volume the data volume
   * @param run a folder that a reboot empties
   * @param reserve how much of the volume must be free for writes to be accepted, in fallocate(1) syntax. It is
   *   allocated and released, whatever free space the file system reports: there may be a quota
   */
  constructor(
    private readonly volume: string,
    private readonly run: string,
    private readonly reserve: string,
  ) {}

  private async has(path: string): Promise<boolean> {
    return access(path).then(
      () => true,
      () => false,
    );
  }

  private async text(name: string): Promise<string | undefined> {
    const text = await readFile(`${this.run}/${name}`, "utf8").catch(() => "");
    return text.trim() || undefined;
  }

  /** Atomic. */
  private async put(name: string, text: string): Promise<void> {
    const path = `${this.run}/${name}`;
    await writeFile(`${path}.new`, `${text}\n`);
    await rename(`${path}.new`, path);
  }

  private async remove(name: string): Promise<void> {
    await rm(`${this.volume}/${name}`, { force: true });
  }

  private async sync(): Promise<void> {
    await program(["sync", this.volume], { seconds: 30 });
  }

  isHeld(): Promise<boolean> {
    return this.has(`${this.volume}/held`);
  }

  async hold(): Promise<void> {
    await writeFile(`${this.volume}/held`, "");
  }

  release(): Promise<void> {
    return this.remove("held");
  }

  async noteOriginal(): Promise<void> {
    await this.remove("follows");
    await this.sync();
  }

  noteNewLogs(): Promise<void> {
    return this.remove("log-series");
  }

  noteSound(): Promise<void> {
    return this.remove("crashed");
  }

  isRestoring(): Promise<boolean> {
    return this.has(`${this.volume}/restoring`);
  }

  incarnation(): Promise<string | undefined> {
    return this.text("incarnation");
  }

  caughtUp(): Promise<string | undefined> {
    return this.text("caught-up");
  }

  noteCaughtUp(text: string): Promise<void> {
    return this.put("caught-up", text);
  }

  async lastSeenPrimary(): Promise<LastSeenPrimary | undefined> {
    try {
      return JSON.parse((await this.text("last-seen-primary")) ?? "");
    } catch {
      return undefined;
    }
  }

  notePrimary(seen: LastSeenPrimary): Promise<void> {
    return this.put("last-seen-primary", JSON.stringify(seen));
  }

  isRecorded(): Promise<boolean> {
    return this.has(`${this.volume}/recorded`);
  }

  async noteRecorded(): Promise<void> {
    await writeFile(`${this.volume}/recorded`, "");
    await this.sync();
  }

  forgetRecord(): Promise<void> {
    return this.remove("recorded");
  }

  async probe(): Promise<void> {
    const file = await open(`${this.volume}/probe`, "w");
    try {
      await file.write("\n");
      await file.sync();
    } finally {
      await file.close();
    }
  }

  async hasRoom(): Promise<boolean> {
    const file = `${this.volume}/reserve`;
    const isRoom = await succeeds(["fallocate", "--length", this.reserve, file]);
    await rm(file, { force: true });
    return isRoom;
  }
}
