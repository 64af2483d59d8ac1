/** Time, replaceable in tests. */
export interface Clock {
  /** Milliseconds of a monotonic clock. */
  monotonic(): number;
  /** Seconds since 1970. */
  now(): number;
  sleep(milliseconds: number): Promise<void>;
}

export const SYSTEM_CLOCK: Clock = {
  monotonic: () => performance.now(),
  now: () => Math.floor(Date.now() / 1000),
  sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
};
