import type { Clock } from "./clock";
import {
  isOwnRecord,
  NO_REVISION,
  type PrimaryRecord,
  type RecordStore,
  type Stored,
  TIMERS,
} from "./record";

/** What follows from the answers of etcd. */
export interface RecordEvents {
  /** etcd answered. */
  readonly answered: () => void;
  /** This host has written the record as its open holder, with a request that it sent then. */
  readonly renewed: (sentAt: number) => void;
  /** This host is not, or no longer, the open holder. */
  readonly lost: () => void;
  /** There is something to decide. */
  readonly wake: () => void;
}

/**
 * The record as this host last read or wrote it. One request at a time: no answer overtakes another. Times are
 * milliseconds of the monotonic clock.
 */
export class RecordCopy {
  stored: Stored | undefined;
  /** Whether the last request succeeded. */
  isAnswered = false;
  /** Whether a write's outcome is not known, or was refused: the record has to be read before anything else. */
  isUncertain = true;
  /** When this host first saw the record as it is, or last promised to leave it. */
  changedAt: number;
  private requests: Promise<unknown> = Promise.resolve();
  /** How many requests have no answer yet. */
  private asked = 0;

  /** @param name of this host */
  constructor(
    private readonly name: string,
    private readonly store: RecordStore,
    private readonly clock: Clock,
    private readonly log: (line: string) => void,
    private readonly events: RecordEvents,
  ) {
    this.changedAt = clock.monotonic();
  }

  get record(): PrimaryRecord | undefined {
    return this.stored?.record;
  }

  /** Whether the record names this host, and is `open`. */
  get isHolding(): boolean {
    return this.record?.holder === this.name && this.record.state === "open";
  }

  /** How long the record has been as it is, in milliseconds. */
  get quiet(): number {
    return this.clock.monotonic() - this.changedAt;
  }

  get isWaiting(): boolean {
    return this.asked > 0;
  }

  private request<Result>(ask: () => Promise<Result>): Promise<Result> {
    this.asked++;
    const asked = this.requests.then(ask).finally(() => {
      this.asked--;
    });
    this.requests = asked.catch(() => undefined);
    return asked;
  }

  /**
   * Waits for what etcd was asked. If that is late, etcd counts as one that does not answer while the request goes on:
   * what has to be done without etcd begins in time, and an answer that comes late still counts.
   */
  async answered(): Promise<void> {
    const { asked, requests } = this;
    if (asked > 0) {
      await Promise.race([requests, this.clock.sleep(TIMERS.late)]);
    }
    if (this.asked > 0) {
      this.noteAnswer(false, `nothing within ${TIMERS.late} ms`);
      this.requests.then(() => this.events.wake());
    }
  }

  read(): Promise<void> {
    return this.request(async () => {
      try {
        const stored = await this.store.read();
        if (stored?.revision !== this.stored?.revision) {
          this.changedAt = this.clock.monotonic();
        }
        const own = this.stored?.record;
        this.stored = stored;
        this.isUncertain = false;
        this.noteAnswer(true);
        if (!this.isHolding || (own !== undefined && !isOwnRecord(stored?.record, own))) {
          this.events.lost();
        }
      } catch (error) {
        this.noteAnswer(false, (error as Error).message);
      }
    });
  }

  /** Whether it was written; false also if that is not known. */
  write(record: PrimaryRecord, revision = this.stored?.revision): Promise<boolean> {
    return this.request(async () => {
      const sentAt = this.clock.monotonic();
      this.isUncertain = true;
      try {
        const next = await this.store.write(record, revision ?? NO_REVISION);
        this.noteAnswer(true);
        if (next === undefined) {
          return false;
        }
        this.isUncertain = false;
        this.stored = { record, revision: next };
        this.changedAt = this.clock.monotonic();
        if (this.isHolding) {
          this.events.renewed(sentAt);
        } else {
          this.events.lost();
        }
        return true;
      } catch (error) {
        this.noteAnswer(false, (error as Error).message);
        return false;
      }
    });
  }

  /** Whether it was removed; false also if that is not known. */
  remove(): Promise<boolean> {
    const revision = this.stored?.revision ?? NO_REVISION;
    return this.request(async () => {
      try {
        const isRemoved = await this.store.remove(revision);
        this.noteAnswer(true);
        this.isUncertain = !isRemoved;
        return isRemoved;
      } catch (error) {
        this.noteAnswer(false, (error as Error).message);
        this.isUncertain = true;
        return false;
      }
    });
  }

  private noteAnswer(isAnswered: boolean, why = ""): void {
    if (isAnswered !== this.isAnswered) {
      this.log(isAnswered ? "etcd answers" : `etcd does not answer: ${why}`);
    }
    this.isAnswered = isAnswered;
    if (isAnswered) {
      this.events.answered();
    }
  }
}
