/**
 * Tries again what fails for a moment, while the outage is young: one that lasts is told to visitors at
 * once instead of keeping all of them waiting. What is tried must be safe to repeat.
 */
export class YoungOutage {
  /** Since when nothing has worked; undefined while the last try did. */
  private since: number | undefined;

  /**
   * @param lasts for how long, in milliseconds, an outage is young
   * @param rest waits before the next try, until a time in milliseconds at most, and tells whether
   *   there is to be one
   */
  constructor(
    private readonly lasts: number,
    private readonly rest: (until: number) => Promise<boolean>,
  ) {}

  /**
   * Tries until it works.
   *
   * @throws what the last try threw: an error that does not pass, or any once the outage is old
   */
  async wait<Result>(
    passes: (error: unknown) => boolean,
    attempt: () => Promise<Result>,
  ): Promise<Result> {
    const started = Date.now();
    for (;;) {
      try {
        const result = await attempt();
        this.since = undefined;
        return result;
      } catch (error) {
        if (!passes(error)) throw error;
        this.since ??= started;
        if (!(await this.rest(Math.min(started, this.since) + this.lasts))) throw error;
      }
    }
  }
}
