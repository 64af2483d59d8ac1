import { setTimeout as pause } from "node:timers/promises";
import { type Answer, ask } from "../scratch/scratch-cluster";
import type { Ending, Placed } from "./operations";

// What a program can do to the guestbook from outside, through the load balancer. The messages it writes are elements.

/** How often a write is sent, with the same key, until it is answered. */
const ATTEMPTS = 3;

/** Before a write is sent again, in milliseconds: the app's `Retry-After` is 2 s, and impatient clients are harder. */
const PAUSE = 500;

/** The marker of a read that has to go to the primary. */
const PRIMARY = "primary";

/** Longer than the app, the web server and the load balancer let a request wait. */
const PATIENCE_SECONDS = 20;

/** The part of an answer's body that is of interest. */
interface Body {
  readonly entry?: { readonly id: number };
  readonly entries?: ReadonlyArray<{ readonly id: number; readonly message: string }>;
  readonly upToDate?: boolean;
}

/** A session with the guestbook. */
export class GuestbookClient {
  /** What the last acknowledged write told to send along with reads. */
  private marker: string | undefined;

  /**
   * @param url of the load balancer
   * @param prefix of the elements of this history; other entries are not looked at
   * @param fromPrimary whether reads have to go to the primary, instead of to a server that has the session's own writes
   */
  constructor(
    private readonly url: string,
    private readonly prefix: string,
    private readonly fromPrimary: boolean,
  ) {}

  /**
   * Writes an entry, with the same key until it is answered.
   *
   * @param key 16 to 64 letters, digits, hyphens; if other sessions use it as well, it stands for the entry of only one
   */
  async append(element: string, key: string): Promise<Ending> {
    const outcomes: string[] = [];
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const answer = await this.send("POST", { "idempotency-key": key }, element);
      const outcome = describe(answer);
      outcomes.push(outcome);
      if (typeof answer !== "string") {
        const { entry } = bodyOf(answer);
        if (answer.status < 300 && entry !== undefined) {
          this.marker = String(answer.headers["x-read-after"] ?? "");
          return { type: "ok", place: entry.id, details: outcomes.join("; ") };
        }
        // The key stands for another entry, or the request is none: this one will never be stored.
        if (answer.status >= 400 && answer.status < 500) {
          return { type: "fail", details: outcomes.join("; ") };
        }
      }
      await pause(PAUSE);
    }
    return { type: "info", details: outcomes.join("; ") };
  }

  async read(): Promise<Ending> {
    const marker = this.fromPrimary ? PRIMARY : this.marker;
    const answer = await this.send("GET", marker === undefined ? {} : { "x-read-after": marker });
    const { entries, upToDate } = typeof answer === "string" ? {} : bodyOf(answer);
    if (entries === undefined) {
      return { type: "fail", details: describe(answer) };
    }
    const promised =
      marker === undefined || upToDate !== true
        ? "none"
        : this.fromPrimary
          ? "linearizable"
          : "read-your-writes";
    return {
      type: "ok",
      promised,
      elements: entries
        .filter(({ message }) => message.startsWith(this.prefix))
        .map(({ id, message }): Placed => [message, id]),
      // The newest ones, so everything since the oldest that is shown.
      from: entries.length === 0 ? 0 : Math.min(...entries.map(({ id }) => id)),
      details: describe(answer),
    };
  }

  /** Returns the answer, or why there was none. */
  private async send(
    method: "GET" | "POST",
    headers: Record<string, string>,
    message?: string,
  ): Promise<Answer | string> {
    const body =
      message === undefined
        ? {}
        : {
            headers: { ...headers, "content-type": "application/json" },
            body: JSON.stringify({ name: "history", message }),
          };
    return await ask(`${this.url}/api/entries`, {
      method,
      headers,
      seconds: PATIENCE_SECONDS,
      ...body,
    }).catch((error: NodeJS.ErrnoException) => error.code ?? error.message);
  }
}

function bodyOf({ body }: Answer): Body {
  try {
    return JSON.parse(body);
  } catch {
    return {};
  }
}

function describe(answer: Answer | string): string {
  if (typeof answer === "string") {
    return answer;
  }
  const server = String(answer.headers["x-served-by"] ?? "load balancer");
  const problem = answer.status < 300 ? "" : `: ${answer.body.slice(0, 200)}`;
  return `${answer.status} ${server}${problem}`;
}
