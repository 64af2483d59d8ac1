import { program } from "./program";

/**
 * The kernel's part: MySQL's port is open to the web servers while it is armed (hosts/firewall.ts). It ends by the
 * kernel's clock, also when this process or the server is frozen.
 */
export interface Fence {
  /** Opens the port for a while, from now on. @throws Error if that failed */
  arm(milliseconds: number): Promise<void>;
  /** Closes the port at once, also to connections that are open. @throws Error if that is not certain */
  disarm(): Promise<void>;
  /** Failover is manual: opens the port for good. @throws Error if that failed */
  remove(): Promise<void>;
}

/** The table that hosts/firewall.ts declares. */
const TABLE = "inet lease";

/** An element of a set of nftables, with a timeout. One command at a time: none overtakes another. */
export class NftablesFence implements Fence {
  private last: Promise<unknown> = Promise.resolve();

  /** @param port MySQL's */
  constructor(private readonly port: number) {}

  /** From the first of these on, the port is closed unless it is served. */
  private serve(...commands: string[]): Promise<void> {
    // An element that is there keeps its timeout, and one that is not there cannot be deleted.
    return this.run([
      `add element ${TABLE} fenced { ${this.port} }`,
      `add element ${TABLE} served { ${this.port} }`,
      `delete element ${TABLE} served { ${this.port} }`,
      ...commands,
    ]);
  }

  private run(commands: readonly string[]): Promise<void> {
    const ran = this.last.then(async () => {
      const { status, stderr } = await program(["nft", commands.join("; ")], {
        seconds: 2,
        isQuiet: true,
      });
      if (status !== 0) {
        throw new Error(`nft ${commands.join("; ")} failed: ${stderr.trim() || "without a word"}`);
      }
    });
    this.last = ran.catch(() => undefined);
    return ran;
  }

  async arm(milliseconds: number): Promise<void> {
    const asked = performance.now();
    await this.last;
    const left = Math.floor(milliseconds - (performance.now() - asked));
    if (left > 0) {
      await this.serve(`add element ${TABLE} served { ${this.port} timeout ${left}ms }`);
    }
  }

  disarm(): Promise<void> {
    return this.serve();
  }

  remove(): Promise<void> {
    // One that is not there cannot be deleted.
    return this.run([`add table ${TABLE}`, `delete table ${TABLE}`]);
  }
}
