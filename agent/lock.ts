import { type FileHandle, open, readFile, rename, writeFile } from "node:fs/promises";
import { program } from "./program";

/**
 * Whoever changes what a database host is holds this lock while it does: the agent, and scripts such as a restore. What
 * was seen before is void once somebody else has held it; the generation tells.
 */
export interface Lock {
  /** Another value after each time that it was taken with `take`. */
  generation(): Promise<string>;
  /** Waits for it, and takes it as somebody who decides for himself. Returns what lets go of it, `undefined` when it is too late. */
  take(seconds: number): Promise<(() => Promise<void>) | undefined>;
  /** Waits for it however long that takes, and leaves the generation as it is. */
  wait(): Promise<() => Promise<void>>;
}

/** The lock that scripts take with flock(1) as well, see scripts/database/common.sh. */
export class FileLock implements Lock {
  private readonly file: string;
  private readonly generationFile: string;
  private taken = 0;

  /** @param directory of the lock and of its generation */
  constructor(directory: string) {
    this.file = `${directory}/lock`;
    this.generationFile = `${directory}/generation`;
  }

  generation(): Promise<string> {
    return readFile(this.generationFile, "utf8").catch(() => "none");
  }

  /** The lock belongs to what was opened, and not to flock(1), which is given it: it stays when that has ended. */
  private async lock(options: readonly string[]): Promise<FileHandle | undefined> {
    const handle = await open(this.file, "a", 0o600);
    const { status } = await program(["flock", ...options, "3"], { descriptor: handle.fd });
    if (status === 0) {
      return handle;
    }
    await handle.close();
    return undefined;
  }

  async take(seconds: number): Promise<(() => Promise<void>) | undefined> {
    const handle = await this.lock(["--timeout", String(seconds)]);
    if (handle === undefined) {
      return undefined;
    }
    await writeFile(
      `${this.generationFile}.new`,
      `agent.${process.pid}.${++this.taken}.${Date.now()}\n`,
    );
    await rename(`${this.generationFile}.new`, this.generationFile);
    return () => handle.close();
  }

  async wait(): Promise<() => Promise<void>> {
    for (;;) {
      const handle = await this.lock([]);
      if (handle !== undefined) {
        return () => handle.close();
      }
    }
  }
}
