import { setTimeout as pause } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import type { Guestbook } from "./guestbook";
import type { ReadinessProbe } from "./readiness";

/** Longest a stop takes, in milliseconds, however long requests do. */
const LONGEST_STOP_MILLISECONDS = 10_000;

/** What there is to stop. */
export interface Running {
  readonly app: FastifyInstance;
  readonly guestbook: Guestbook;
  readonly readiness: ReadinessProbe;
}

/**
 * Stops in an order that loses no request: first the health check says no, then for
 * `drainSeconds` everything is still served so that whoever asks the health check can turn away,
 * then no connection is accepted any more, the requests under way finish, and the database is let
 * go.
 *
 * @returns true when all of that was done, false when it took longer than `longest` milliseconds
 * (default 10 seconds) and was left as it was.
 */
export async function stop(
  running: Running,
  drainSeconds: number,
  longest = LONGEST_STOP_MILLISECONDS,
): Promise<boolean> {
  const orderly = async (): Promise<boolean> => {
    running.readiness.drain();
    await pause(drainSeconds * 1_000);
    await running.app.close();
    await running.guestbook.close();
    return true;
  };
  const bound = new AbortController();
  try {
    return await Promise.race([orderly(), pause(longest, false, { signal: bound.signal })]);
  } finally {
    bound.abort();
  }
}
