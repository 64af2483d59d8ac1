import type { Clock } from "./clock";
import type { Marks } from "./marks";
import type { Server } from "./mysql";
import { type ServerCondition, TIMERS } from "./record";
import type { Own } from "./state";

/** Between two writes that show whether the data volume takes any, in milliseconds. */
const PROBE_EVERY = 500;

/** Between two searches for tables of other engines, in milliseconds. */
const LOOK_EVERY = 2_000;

export interface WatchSurroundings {
  readonly clock: Clock;
  readonly marks: Pick<Marks, "probe">;
  readonly server: Pick<Server, "otherTables">;
  readonly log: (line: string) => void;
}

export interface WatchEvents {
  /** The server was started anew. */
  readonly restarted: () => void;
  /** There is something to decide. */
  readonly wake: () => void;
}

/** What is known of this host's own MySQL server, and how old that is. Times are milliseconds of the monotonic clock. */
export class ServerWatch {
  /** As the main loop last observed it. */
  own: Own | undefined;
  /** Of the server that answered last. */
  incarnation: string | undefined;
  /** How it last answered, however long ago. */
  condition: ServerCondition = "unseen";
  answeredAt: number;
  /** Whether all of its tables are InnoDB; `undefined` until that was looked up. */
  isWhole: boolean | undefined;
  /** Since when the data volume has not answered. */
  private probedAt: number | undefined;
  private probeAgainAt = Number.NEGATIVE_INFINITY;
  private lookedAtTablesAt = Number.NEGATIVE_INFINITY;
  private isLookingAtTables = false;

  constructor(
    private readonly surroundings: WatchSurroundings,
    private readonly events: WatchEvents,
  ) {
    this.answeredAt = this.now;
  }

  private get now(): number {
    return this.surroundings.clock.monotonic();
  }

  /** How it last answered; or, if that is too long ago or its volume hangs, that it does not answer. */
  get conditionNow(): ServerCondition {
    const { condition } = this;
    const isHung = this.probedAt !== undefined && this.now - this.probedAt >= TIMERS.hung;
    const isLate = isHung || this.now - this.answeredAt >= TIMERS.unwell;
    if (!isLate || !["open", "ready", "closed"].includes(condition)) {
      return condition;
    }
    return this.mayBeOpen ? "silent" : "away";
  }

  /** Whether it was open, or about to open, when it last answered. */
  get mayBeOpen(): boolean {
    return this.condition === "open" || this.condition === "ready";
  }

  /**
   * Takes note of what the main loop has observed.
   *
   * @param at when it began to look
   */
  noteOwn(own: Own, at: number): void {
    this.own = own;
    this.note(own.state === "unknown" ? undefined : own.writability, at, own.incarnation);
  }

  /**
   * Takes note of an answer.
   *
   * @param writability `undefined` if there was none
   * @param at when it was asked
   */
  note(
    writability: Own["writability"] | undefined,
    at: number,
    incarnation: string | undefined,
  ): void {
    if (incarnation !== this.incarnation) {
      this.incarnation = incarnation;
      this.isWhole = undefined;
      this.lookedAtTablesAt = Number.NEGATIVE_INFINITY;
      this.events.restarted();
      if (this.condition !== "unseen") {
        this.condition = "gone";
      }
    }
    if (writability !== undefined) {
      this.condition = writability;
      this.answeredAt = Math.max(this.answeredAt, at);
    }
  }

  /** While the disk hangs, the server answers queries, and no commit. */
  probe(): void {
    if (this.probedAt === undefined && this.now >= this.probeAgainAt) {
      this.probedAt = this.now;
      this.probeAgainAt = this.now + PROBE_EVERY;
      this.surroundings.marks
        .probe()
        .catch((error: Error) => this.surroundings.log(`the data volume: ${error.message}`))
        .finally(() => {
          this.probedAt = undefined;
        });
    }
  }

  /** Looks for tables whose rows this host may lack, before it might take over. Nobody waits for the answer. */
  lookAtTables(): void {
    if (this.isLookingAtTables || this.now < this.lookedAtTablesAt + LOOK_EVERY) {
      return;
    }
    this.isLookingAtTables = true;
    const { incarnation } = this;
    this.surroundings.server
      .otherTables()
      .then(
        (tables) => {
          if (incarnation !== this.incarnation) {
            return;
          }
          const isWhole = tables.length === 0;
          this.lookedAtTablesAt = this.now;
          if (isWhole !== this.isWhole) {
            this.isWhole = isWhole;
            this.events.wake();
          }
        },
        () => {
          this.isWhole = undefined;
        },
      )
      .finally(() => {
        this.isLookingAtTables = false;
      });
  }
}
