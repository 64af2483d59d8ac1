import type { Clock } from "../../../agent/clock";

// Time that passes only when told to, and processes whose every wait goes through it.

interface Timer {
  readonly at: number;
  readonly order: number;
  run: (() => void) | undefined;
}

const isBefore = (one: Timer, other: Timer) =>
  one.at < other.at || (one.at === other.at && one.order < other.order);

/** Virtual time, in milliseconds. It goes on only when nothing that is awaited can go on without it. */
export class VirtualTime {
  now = 0;
  /** Called between two timers, when nothing is under way; what it throws ends the run. */
  betweenSteps: () => void = () => undefined;
  private readonly heap: Timer[] = [];
  private timers = 0;

  /** Does something later; what is returned takes that back. */
  after(milliseconds: number, run: () => void): () => void {
    const timer: Timer = { at: this.now + Math.max(0, milliseconds), order: this.timers++, run };
    const { heap } = this;
    let index = heap.push(timer) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(timer, heap[parent] as Timer)) {
        break;
      }
      heap[index] = heap[parent] as Timer;
      index = parent;
    }
    heap[index] = timer;
    return () => {
      timer.run = undefined;
    };
  }

  private next(): Timer | undefined {
    const { heap } = this;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) {
      return first;
    }
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) {
        break;
      }
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Timer, heap[child] as Timer)) {
        child++;
      }
      if (!isBefore(heap[child] as Timer, last)) {
        break;
      }
      heap[index] = heap[child] as Timer;
      index = child;
    }
    heap[index] = last;
    return first;
  }

  /**
   * Lets time pass. Node runs what is given to nextTick once all promises are settled, so each timer meets a world in
   * which nothing else is under way.
   */
  pass(milliseconds: number): Promise<void> {
    const until = this.now + milliseconds;
    return new Promise((resolve, reject) => {
      const step = () => {
        try {
          this.betweenSteps();
          while (this.heap[0] !== undefined && this.heap[0].run === undefined) {
            this.next();
          }
          if (this.heap[0] === undefined || this.heap[0].at > until) {
            this.now = until;
            resolve();
            return;
          }
          const timer = this.next() as Timer;
          this.now = timer.at;
          timer.run?.();
        } catch (error) {
          reject(error as Error);
          return;
        }
        settled.then(later);
      };
      // From a promise: what one tick gives to the next runs before any promise does.
      const settled = Promise.resolve();
      const later = () => process.nextTick(step);
      settled.then(later);
    });
  }

  /** Lets time pass until something holds, and tells whether it came to that. */
  async until(holds: () => boolean, milliseconds: number, every = 50): Promise<boolean> {
    const end = this.now + milliseconds;
    while (!holds()) {
      if (this.now >= end) {
        return false;
      }
      await this.pass(every);
    }
    return true;
  }
}

/** Milliseconds since 1970 at which every virtual time begins. */
const BEGINNING = 1_800_000_000_000;

export const millisecondsAt = (time: VirtualTime) => BEGINNING + time.now;
export const secondsAt = (time: VirtualTime, skew = 0) =>
  Math.floor((millisecondsAt(time) + skew) / 1000);

/** A process, or several that begin and end together: once ended nothing of it goes on, while frozen all of it waits. */
export class Life {
  hasEnded = false;
  isFrozen = false;
  private waiting: (() => void)[] = [];
  private readonly endings = new Set<() => void>();

  /** @param pace what its clock shows: how fast it runs, and by how many milliseconds its date is wrong */
  constructor(
    readonly time: VirtualTime,
    private readonly pace: { readonly rate: number; readonly skew: number } = { rate: 1, skew: 0 },
  ) {}

  /** Does something as a part of this process: now, when it is thawed, or never. */
  enter(run: () => void): void {
    if (this.hasEnded) {
      return;
    }
    if (this.isFrozen) {
      this.waiting.push(run);
    } else {
      run();
    }
  }

  after(milliseconds: number, run: () => void): () => void {
    return this.time.after(milliseconds, () => this.enter(run));
  }

  sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => this.after(milliseconds, resolve));
  }

  /** Tells others when it ends; what is returned takes that back. */
  whenEnded(run: () => void): () => void {
    this.endings.add(run);
    return () => this.endings.delete(run);
  }

  freeze(): void {
    this.isFrozen = true;
  }

  thaw(): void {
    this.isFrozen = false;
    const { waiting } = this;
    this.waiting = [];
    for (const run of waiting) {
      this.enter(run);
    }
  }

  end(): void {
    this.hasEnded = true;
    this.waiting = [];
    for (const run of [...this.endings]) {
      run();
    }
  }

  clock(): Clock {
    return {
      monotonic: () => this.time.now * this.pace.rate,
      now: () => secondsAt(this.time, this.pace.skew),
      sleep: (milliseconds) => this.sleep(milliseconds / this.pace.rate),
    };
  }
}
