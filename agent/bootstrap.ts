import { formatGtidSet, type GtidSet } from "./gtid-set";
import { program } from "./program";

/**
 * The scripts that bring a database host into the cluster, in scripts/database. Each can be run by hand, interrupted and
 * repeated.
 *
 * @throws Error (all of them) with the last of what the script said, when it fails
 */
export interface Bootstrap {
  /** Makes the first accounts and tables, in no binary log. */
  found(): Promise<void>;
  /** Brings accounts, privileges and time zones to what is declared, on the open primary. */
  declare(): Promise<void>;
  /** Replaces all data by a primary's. */
  clone(address: string): Promise<void>;
  /** Replicates from a primary. */
  follow(address: string): Promise<void>;
  /** Refuses all writes at once; a server that does not obey is killed. */
  close(): Promise<void>;
  /** Copies transactions which the primary lacks into a file. */
  setAside(transactions: GtidSet, primary: string): Promise<void>;
  /** What `mysqlbinlog` prints of transactions; `undefined` where they are in no binary log any more, or too long. */
  logged(transactions: GtidSet): Promise<string | undefined>;
}

/** How long each may take, in seconds; a clone takes as long as it takes. */
const SECONDS = {
  found: 60,
  declare: 60,
  follow: 40,
  close: 15,
  "set-aside": 600,
  logged: 60,
} as const;

export class BootstrapScripts implements Bootstrap {
  /** @param directory the folder of the scripts */
  constructor(private readonly directory: string) {}

  private async script(
    name: string,
    args: readonly string[] = [],
    seconds?: number,
  ): Promise<string> {
    const { status, stdout, stderr } = await program([`${this.directory}/${name}.sh`, ...args], {
      seconds,
    });
    if (status !== 0) {
      const last = stderr.trim().split("\n").slice(-3).join("\n");
      throw new Error(last || `${name}.sh ended with ${status ?? "a signal"} and without a word`);
    }
    return stdout;
  }

  async found(): Promise<void> {
    await this.script("found", [], SECONDS.found);
  }

  async declare(): Promise<void> {
    await this.script("declare", [], SECONDS.declare);
  }

  async clone(address: string): Promise<void> {
    await this.script("clone", [address]);
  }

  async follow(address: string): Promise<void> {
    await this.script("follow", [address], SECONDS.follow);
  }

  async close(): Promise<void> {
    await this.script("close", [], SECONDS.close);
  }

  async setAside(transactions: GtidSet, primary: string): Promise<void> {
    await this.script("set-aside", [formatGtidSet(transactions), primary], SECONDS["set-aside"]);
  }

  async logged(transactions: GtidSet): Promise<string | undefined> {
    return this.script("logged", [formatGtidSet(transactions)], SECONDS.logged).catch(
      () => undefined,
    );
  }
}
