import type { Peer } from "./state";

/** What a host was seen to promise. */
interface Promised {
  /** The number of the promise. */
  readonly number: number;
  /** When the last question was sent whose answer had another number. */
  readonly since: number | undefined;
  /** When the last question was sent. */
  readonly askedAt: number;
}

/**
 * What the other database hosts promise while etcd is away: not to take over for `TIMERS.takeOver`. Each publication has
 * a new number. A promise counts from when the last question was sent whose answer did not have it: it was published
 * later than that. Pure; times are milliseconds of a monotonic clock.
 */
export class Promises {
  private readonly seen = new Map<string, Promised>();

  /**
   * Takes note of the answers of all other database hosts.
   *
   * @param askedAt when the question was sent
   * @returns since when every one of them has promised; -Infinity if one has not
   */
  note(
    answers: ReadonlyArray<Pick<Peer, "name" | "promise" | "isManual">>,
    askedAt: number,
  ): number {
    for (const { name, promise, isManual } of answers) {
      if (isManual) {
        // It takes over at no time.
        this.seen.set(name, { number: 0, since: askedAt, askedAt });
        continue;
      }
      const before = this.seen.get(name);
      if (promise === undefined) {
        this.seen.delete(name);
      } else {
        const isNew = before !== undefined && before.number !== promise;
        const since = isNew ? before.askedAt : before?.since;
        this.seen.set(name, { number: promise, since, askedAt });
      }
    }
    return Math.min(
      ...answers.map(({ name }) => this.seen.get(name)?.since ?? Number.NEGATIVE_INFINITY),
    );
  }

  /** etcd answers: none counts any more. */
  forget(): void {
    this.seen.clear();
  }
}
