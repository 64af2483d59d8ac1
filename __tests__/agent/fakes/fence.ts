import type { Fence } from "../../../agent/fence";
import type { Life, VirtualTime } from "./time";

/** The kernel's part, which goes on while the agent, or all processes of the host, are frozen. */
export class FakeFence {
  private until = Number.NEGATIVE_INFINITY;

  /** @param isAutomatic whether it is there at all */
  constructor(
    private readonly time: VirtualTime,
    private readonly isAutomatic: boolean,
  ) {}

  /** Whether web servers reach the server, and its answers reach them. */
  get isOpen(): boolean {
    return !this.isAutomatic || this.time.now < this.until;
  }

  /** The host was started anew. */
  forget(): void {
    this.until = Number.NEGATIVE_INFINITY;
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
          this.until = until;
        });
      },
      disarm: () => ran(() => this.forget()),
    };
  }
}
