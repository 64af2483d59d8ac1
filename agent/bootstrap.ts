import { formatGtidSet, type GtidSet } from "./gtid-set";
import { program } from "./program";

/**
 * The scripts that bring a database host into the cluster, in scripts/database. Each can be run by hand, interrupted
 * and repeated.
 *
 * @throws Error (all of them) with the end of the script's output, if it fails
 */
export interface Bootstrap {
  /** Creates the first accounts and tables, without writing to the binary log. */
  found(): Promise<void>;
  /** Updates accounts, privileges and time zones to match the declaration, on the open primary. */
  declare(): Promise<void>;
  /** Replaces all data with a primary's. */
  clone(address: string): Promise<void>;
  /** Replicates from a primary. */
  follow(address: string): Promise<void>;
  /** Refuses all writes at once; kills a server that does not comply. */
  close(): Promise<void>;
  /** Copies transactions that the primary lacks into a file. */
  setAside(transactions: GtidSet, primary: string): Promise<void>;
  /**
   * The output of `mysqlbinlog` for transactions; `undefined` if they are no longer in any binary log, or the output is
   * too long.
   */
  logged(transactions: GtidSet): Promise<string | undefined>;
  /** Starts etcd as a cluster of this host alone; refuses where there is data of a member. */
  createStore(): Promise<void>;
}

/** Timeout of each, in seconds; a clone has none. */
const SECONDS = {
  found: 60,
  declare: 60,
  follow: 40,
  close: 15,
  "set-aside": 600,
  logged: 60,
  "../etcd/create": 60,
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

  async createStore(): Promise<void> {
    await this.script("../etcd/create", [], SECONDS["../etcd/create"]);
  }

  async logged(transactions: GtidSet): Promise<string | undefined> {
    return this.script("logged", [formatGtidSet(transactions)], SECONDS.logged).catch(
      () => undefined,
    );
  }
}
