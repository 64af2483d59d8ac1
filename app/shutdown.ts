import { setTimeout as pause } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import type { Guestbook } from "./guestbook";
import type { ReadinessProbe } from "./readiness";

/** Maximum duration of a stop, in milliseconds; requests that take longer are cut off. */
const LONGEST_STOP_MILLISECONDS = 10_000;

/** The parts that are stopped. */
export interface Running {
  readonly app: FastifyInstance;
  readonly guestbook: Guestbook;
  readonly readiness: ReadinessProbe;
}

/**
 * Stops without losing a request: the health check fails first; for `drainSeconds` everything is
 * still served, until the load balancer has noticed; then no connection is accepted any more,
 * requests in flight finish, and the database connections are closed.
 *
 * @returns true if all of that was done, false if it took longer than `longest` milliseconds
 * (default 10 seconds) and was abandoned
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
