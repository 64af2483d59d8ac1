/**
 * Retries an operation during a short outage. Once an outage has lasted longer than that, errors
 * are returned at once, so that visitors do not all wait. The operation must be safe to repeat.
 */
export class YoungOutage {
  /** When the outage began; undefined if the last attempt succeeded. */
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
