import type { Fence } from "../../../agent/fence";
import type { Life, VirtualTime } from "./time";

/** The kernel's part, which goes on while the agent, or all processes of the host, are frozen. */
export class FakeFence {
  private until = Number.NEGATIVE_INFINITY;
  private hasBegun = false;
  /** Whether it is there at all: not while failover is manual. */
  isThere = true;

  constructor(private readonly time: VirtualTime) {}

  /** Whether web servers reach the server, and its answers reach them. */
  get isOpen(): boolean {
    return !this.isThere || !this.hasBegun || this.time.now < this.until;
  }

  /** The host was started anew. */
  forget(): void {
    this.until = Number.NEGATIVE_INFINITY;
    this.hasBegun = false;
  }

  askedBy(life: Life): Fence {
    const ran = (act: () => void) =>
      new Promise<void>((resolve) =>
        life.after(5, () => {
          act();
          resolve();
        }),
      );
    return {
      arm: (milliseconds) => {
        const until = this.time.now + milliseconds;
        return ran(() => {
          this.hasBegun = true;
          this.until = until;
        });
      },
      disarm: () =>
        ran(() => {
          this.hasBegun = true;
          this.until = Number.NEGATIVE_INFINITY;
        }),
      remove: () =>
        ran(() => {
          this.isThere = false;
          this.forget();
        }),
    };
  }
}
