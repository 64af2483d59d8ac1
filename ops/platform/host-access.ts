/** The result of a command on a host. */
export interface Ran {
  /** `undefined` if the host could not be reached, or did not answer in time. The command may have run. */
  readonly exitCode: number | undefined;
  /** All of its standard output; empty if part of it was lost. */
  readonly stdout: string;
  /** The end of its standard error, with a note if the beginning was left out. Without an exit code: the reason, as a sentence. */
  readonly stderr: string;
  /** Why its output is not available although it ran to completion. */
  readonly cut?: string;
}

/** Whether a host runs, according to its platform; `absent` if there is no host of that name. */
export type Power = "running" | "stopped" | "absent" | "unknown";

/**
 * An operator's access to the hosts of one cluster. Everything that differs between the platforms is behind this
 * interface: the operations are the same on both.
 */
export interface HostAccess {
  /**
   * Runs a program on a host, as root. Does not depend on the cluster's network.
   *
   * @param seconds timeout; default 60
   */
  run(host: string, command: readonly string[], seconds?: number): Promise<Ran>;
  /** The power state of each host. */
  power(hosts: readonly string[]): Promise<ReadonlyMap<string, Power>>;
  /**
   * Forces a host to stop. Returns once neither it nor any other host of its name is running.
   */
  stop(host: string): Promise<void>;
}
