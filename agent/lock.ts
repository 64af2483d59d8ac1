import { type FileHandle, open, readFile, rename, writeFile } from "node:fs/promises";
import { program } from "./program";

/**
 * Everything that changes a database host's role or data holds this lock meanwhile: the agent, and scripts such as a
 * restore. Observations are void once somebody else has held it; the generation shows that.
 */
export interface Lock {
  /** Changes each time the lock is taken with `take`. */
  generation(): Promise<string>;
  /**
   * Waits for the lock and takes it, and changes the generation. Returns its release function, `undefined` on timeout.
   */
  take(seconds: number): Promise<(() => Promise<void>) | undefined>;
  /** Waits for the lock without a timeout, and leaves the generation unchanged. */
  wait(): Promise<() => Promise<void>>;
}

/** The lock that scripts also take, with flock(1), see scripts/database/common.sh. */
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

  /**
   * The lock belongs to the open file, not to the flock(1) process that gets its descriptor: it outlives that process.
   */
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
