/** How a command on a host ended. */
export interface Ran {
  /** `undefined` when the host could not be reached, or did not answer in time. */
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
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
  /** Stops a host at once, whatever it is doing. Returns when it has stopped. */
  stop(host: string): Promise<void>;
  /** Puts a file where every host can fetch it, under `name`. */
  store(name: string, file: string): Promise<void>;
  /** The releases of the app, the one that is to run first; none before the first deploy. */
  releases(): Promise<string[]>;
  /** Says which release is to run, and which ran before. */
  setReleases(releases: readonly string[]): Promise<void>;
}
