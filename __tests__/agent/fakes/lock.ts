import type { Lock } from "../../../agent/lock";
import type { Life } from "./time";

/** The lock of a host, which agents and scripts take. One that ends lets go of it. */
export class FakeLock {
  private generation = 0;
  private holder: Life | undefined;
  private waiting: { readonly life: Life; readonly grant: () => void }[] = [];

  private acquire(life: Life, seconds: number): Promise<(() => void) | undefined> {
    return new Promise((resolve) => {
      const grant = () => {
        this.holder = life;
        let isHeld = true;
        const letGo = () => {
          if (isHeld) {
            isHeld = false;
            forget();
            this.holder = undefined;
            this.next();
          }
        };
        const forget = life.whenEnded(letGo);
        life.enter(() => resolve(letGo));
      };
      if (this.holder === undefined) {
        grant();
        return;
      }
      const waiter = { life, grant };
      this.waiting.push(waiter);
      if (Number.isFinite(seconds)) {
        life.time.after(seconds * 1000, () => {
          if (this.waiting.includes(waiter)) {
            this.waiting = this.waiting.filter((one) => one !== waiter);
            life.enter(() => resolve(undefined));
          }
        });
      }
    });
  }

  private next(): void {
    while (this.holder === undefined) {
      const first = this.waiting.shift();
      if (first === undefined) {
        return;
      }
      if (!first.life.hasEnded) {
        first.grant();
      }
    }
  }

  /** As a script does; it returns what lets go of it. */
  async take(life: Life, seconds: number): Promise<(() => void) | undefined> {
    const letGo = await this.acquire(life, seconds);
    if (letGo !== undefined) {
      this.generation++;
    }
    return letGo;
  }

  askedBy(life: Life): Lock {
    const asynchronous = (letGo: () => void) => async () => letGo();
    return {
      generation: async () => String(this.generation),
      take: async (seconds) => {
        const letGo = await this.take(life, seconds);
        return letGo && asynchronous(letGo);
      },
      wait: async () =>
        asynchronous((await this.acquire(life, Number.POSITIVE_INFINITY)) as () => void),
    };
  }
}
