/** How a command on a host ended. */
export interface Ran {
  /** `undefined` when the host could not be reached, or did not answer in time. The command may have run. */
  readonly exitCode: number | undefined;
  /** All that it printed; nothing where some of that is missing. */
  readonly stdout: string;
  /** The last of its errors; where the first are left out, that is said. Without an exit code, a sentence of why. */
  readonly stderr: string;
  /** Why what it printed could not be had, although it ran to its end. */
  readonly cut?: string;
}

/** Whether a host runs, as its platform says; `absent` when there is none of that name. */
export type Power = "running" | "stopped" | "absent" | "unknown";

/**
 * How an operator reaches the hosts of one cluster, wherever it stands. What differs between the
 * platforms ends here: the operations above it are the same.
 */
export interface Platform {
  /**
   * Runs a program on a host, as root. The network of the cluster has no part in it.
   *
   * @param seconds how long it may take; default 60
   */
  run(host: string, command: readonly string[], seconds?: number): Promise<Ran>;
  /** Whether each of the hosts runs. */
  power(hosts: readonly string[]): Promise<ReadonlyMap<string, Power>>;
  /**
   * Stops a host at once, whatever it is doing. Returns when it has stopped, and nothing else of its name runs.
   */
  stop(host: string): Promise<void>;
}
