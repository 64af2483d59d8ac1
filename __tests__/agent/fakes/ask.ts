import type { Life } from "./time";

/**
 * Asks a process something.
 *
 * @param life whoever asks
 * @param run the server's process
 * @param limit milliseconds after which nobody waits any more; what was asked for is done all the same
 */
export function ask<Result>(
  life: Life,
  run: Life | undefined,
  limit: number,
  work: (run: Life, done: (get: () => Result) => void) => void,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    if (run === undefined) {
      life.after(1, () => reject(new Error("there is no server")));
      return;
    }
    let isOver = false;
    const over = (settle: () => void) => {
      if (!isOver) {
        isOver = true;
        forgetEnd();
        forgetLimit();
        life.enter(settle);
      }
    };
    const forgetEnd = run.whenEnded(() => over(() => reject(new Error("the server is gone"))));
    const forgetLimit = Number.isFinite(limit)
      ? life.time.after(limit, () =>
          over(() => reject(new Error(`the server gave no answer within ${limit / 1000} s`))),
        )
      : () => undefined;
    work(run, (get) => {
      try {
        const result = get();
        over(() => resolve(result));
      } catch (error) {
        over(() => reject(error));
      }
    });
  });
}
