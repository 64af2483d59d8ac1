import { randomBytes, randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import formbody from "@fastify/formbody";
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from "fastify";
import {
  checkTexts,
  type Draft,
  type Entry,
  type Guestbook,
  KeyReusedError,
  type Listing,
  problemWithRequestKey,
  type Stored,
  UnavailableError,
} from "./guestbook";
import type { Metrics } from "./metrics";
import { renderMessagePage, renderPage, type WhoAmI } from "./page";
import { READ_AFTER_HEADER, readAfterCookie, readAfterOf } from "./read-after";
import type { ReadinessProbe } from "./readiness";
import { serveStaticFiles } from "./static-files";

/** Largest request body, in bytes. */
export const LONGEST_BODY = 16 * 1024;
/** The `Retry-After` of a 503, in seconds. */
const RETRY_AFTER_SECONDS = 2;
/**
 * Milliseconds that an idle connection is kept open. Longer than the proxy's 75 seconds: the proxy
 * has to be the side that closes, otherwise it may send a request on a connection that is being
 * closed.
 */
const KEEP_ALIVE_MILLISECONDS = 80_000;

const SECURITY_HEADERS = {
  "content-security-policy":
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; " +
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
  "referrer-policy": "same-origin",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

/** The parts of a web server. */
export interface WebServerParts {
  /** Name of the machine, sent as `x-served-by`. */
  readonly hostName: string;
  readonly guestbook: Guestbook;
  readonly readiness: ReadinessProbe;
  /** If omitted, there is no `/metrics`. */
  readonly metrics?: Metrics;
  /** Whether to log each request as lines of JSON on standard output. Default: false. */
  readonly logging?: boolean;
  /** Folder with the files below `/static/`; if omitted, a proxy serves them. */
  readonly publicFolder?: string;
}

/** A request that is refused as invalid. Its problems are sent to the client. */
class RefusedError extends Error {
  constructor(
    readonly statusCode: number,
    readonly problems: readonly string[],
  ) {
    super(problems.join("; "));
  }
}

/**
 * Makes the web server, without listening yet.
 *
 * | Request             | Answer                                                              |
 * | ------------------- | ------------------------------------------------------------------- |
 * | `GET /`             | the page                                                            |
 * | `POST /entries`     | the page's form; 303 back to the page                               |
 * | `GET /api/entries`  | the newest entries                                                  |
 * | `POST /api/entries` | 201, or 200 when the same request key was stored before             |
 * | `GET /api/whoami`   | the web server that answers and the database servers it reaches     |
 * | `GET /healthz`      | 200 as long as the process runs                                     |
 * | `GET /readyz`       | 200 when a read works, else 503 with the reason                     |
 * | `GET /metrics`      | numbers for a monitor, in Prometheus' format                        |
 *
 * Programs get their errors as JSON, `{"error": ..., "problems": [...]}`; browsers as a page.
 */
export function makeWebServer(parts: WebServerParts): FastifyInstance {
  const { guestbook, hostName, metrics, readiness } = parts;
  const app = Fastify({
    bodyLimit: LONGEST_BODY,
    forceCloseConnections: "idle",
    genReqId,
    keepAliveTimeout: KEEP_ALIVE_MILLISECONDS,
    requestTimeout: 15_000,
    requestIdHeader: false,
    // While the process is stopping, requests on open connections are still served.
    return503OnClosing: false,
    // X-Forwarded-For is trusted only from the proxy on the same machine.
    trustProxy: ["127.0.0.1", "::1"],
    logger: parts.logging ?? false,
  });
  app.register(formbody, { bodyLimit: LONGEST_BODY });
  app.removeContentTypeParser("text/plain");

  app.addHook("onRequest", async (request, reply) => {
    reply.headers({
      ...SECURITY_HEADERS,
      "cache-control": "no-store",
      "x-request-id": request.id,
      "x-served-by": hostName,
    });
    // Against cross-site request forgery: a page of another site must not post on behalf of its
    // visitors.
    if (request.method === "POST" && request.headers["sec-fetch-site"] === "cross-site") {
      throw new RefusedError(403, ["entries cannot be sent from another site"]);
    }
  });

  // A connection that is kept open would delay a stop until the proxy closes it.
  app.addHook("onSend", async (_request, reply) => {
    if (readiness.isDraining) reply.header("connection", "close");
  });

  if (metrics !== undefined) serveMetrics(app, metrics);

  app.get("/", async (request, reply) => {
    const listing = await guestbook.list(readAfterOf(request.headers));
    metrics?.used("read", listing.database);
    return await sendPage(reply, 200, listing);
  });

  app.post("/entries", async (request, reply) => {
    const sent = fieldsOf(request.body);
    try {
      const stored = await guestbook.add(draftFrom(sent, [sent.requestKey]));
      metrics?.used("write", stored.entry.database);
      rememberWrite(request, reply, stored);
      return await reply.redirect("/", 303);
    } catch (error) {
      const { statusCode, problems } = refusalOf(error);
      if (statusCode === 503) reply.header("retry-after", RETRY_AFTER_SECONDS);
      const listing = await guestbook.list(readAfterOf(request.headers)).catch(() => undefined);
      return await sendPage(reply, statusCode, listing, {
        problems:
          statusCode === 503 ? [...problems, "you can safely send the form again"] : problems,
        form: {
          name: textOr(sent.name, ""),
          message: textOr(sent.message, ""),
          // The form keeps its key while the outcome is unknown, so that a retry cannot store the
          // entry twice.
          requestKey: statusCode === 503 ? textOr(sent.requestKey, newKey()) : newKey(),
        },
      });
    }
  });

  app.get("/api/entries", async (request) => {
    const listing = await guestbook.list(readAfterOf(request.headers));
    metrics?.used("read", listing.database);
    return {
      entries: listing.entries.map(asJson),
      webServer: hostName,
      database: { read: listing.database },
      upToDate: listing.upToDate,
    };
  });

  app.post("/api/entries", async (request, reply) => {
    const sent = fieldsOf(request.body);
    const draft = draftFrom(sent, [request.headers["idempotency-key"], sent.requestKey]);
    const stored = await guestbook.add(draft);
    metrics?.used("write", stored.entry.database);
    rememberWrite(request, reply, stored);
    return await reply.code(stored.replayed ? 200 : 201).send({
      entry: asJson(stored.entry),
      requestKey: draft.requestKey,
      replayed: stored.replayed,
      webServer: hostName,
      database: { write: stored.entry.database },
    });
  });

  app.get("/api/whoami", async (): Promise<WhoAmI> => {
    return { webServer: hostName, database: await guestbook.databases() };
  });

  app.get("/healthz", { logLevel: "warn" }, async () => ({ status: "alive" }));

  app.get("/readyz", { logLevel: "warn" }, async (_request, reply) => {
    const answer = await readiness.ask();
    if (answer.ready) return { status: "ready" };
    return await reply.code(503).send({ status: "not ready", reason: answer.reason });
  });

  if (parts.publicFolder !== undefined) serveStaticFiles(app, parts.publicFolder);

  app.setNotFoundHandler(async (request, reply) => {
    const path = request.url.split("?")[0] ?? "/";
    const allowed = (["GET", "HEAD", "POST"] as const).filter((method) =>
      app.hasRoute({ method, url: path }),
    );
    if (allowed.length === 0) return await refuse(request, reply, 404, ["there is nothing here"]);
    reply.header("allow", allowed.join(", "));
    return await refuse(request, reply, 405, [`only ${allowed.join(", ")} can be used here`]);
  });

  app.setErrorHandler(async (error: Error, request, reply) => {
    const { statusCode, problems } = refusalOf(error);
    if (statusCode === 500) request.log.error({ err: error }, "a request failed");
    if (statusCode === 503) reply.header("retry-after", RETRY_AFTER_SECONDS);
    return await refuse(request, reply, statusCode, problems);
  });

  async function sendPage(
    reply: FastifyReply,
    statusCode: number,
    listing: Listing | undefined,
    shown: Partial<Pick<Parameters<typeof renderPage>[0], "form" | "problems">> = {},
  ): Promise<FastifyReply> {
    const page = renderPage({
      webServer: hostName,
      listing,
      problems: shown.problems ?? [],
      form: shown.form ?? { name: "", message: "", requestKey: newKey() },
    });
    return await reply.code(statusCode).type("text/html; charset=utf-8").send(page);
  }

  return app;
}

/** Counts requests, and answers who asks for the counts. */
function serveMetrics(app: FastifyInstance, metrics: Metrics): void {
  app.addHook("onResponse", async (request, reply) => {
    metrics.answered({
      method: request.method,
      route: request.routeOptions.url ?? "none",
      statusCode: reply.statusCode,
      seconds: reply.elapsedTime / 1000,
    });
  });
  app.get("/metrics", { logLevel: "warn" }, async (_request, reply) => {
    return await reply.type(metrics.contentType).send(await metrics.text());
  });
}

/** Uses the proxy's identifier of the request, if it is well-formed. */
function genReqId(request: Pick<IncomingMessage, "headers">): string {
  const sent = request.headers["x-request-id"];
  return typeof sent === "string" && /^[\w.:-]{1,128}$/.test(sent) ? sent : randomUUID();
}

function newKey(): string {
  return randomBytes(16).toString("base64url");
}

function textOr(value: unknown, fallback: string): string {
  return typeof value === "string" ? value : fallback;
}

interface SentFields {
  name?: unknown;
  message?: unknown;
  requestKey?: unknown;
}

function fieldsOf(body: unknown): SentFields {
  if (typeof body === "object" && body !== null && !Array.isArray(body)) return body;
  throw new RefusedError(400, ["send an object or a form with the fields name and message"]);
}

/**
 * Validates a submission.
 *
 * @throws RefusedError with every problem
 */
function draftFrom(sent: SentFields, keys: readonly unknown[]): Draft {
  const { name, message, problems } = checkTexts(sent);
  const given = keys.filter((key) => key !== undefined);
  const [requestKey] = given;
  const keyProblem = problemWithRequestKey(requestKey);
  if (requestKey === undefined) {
    problems.push(
      "the request key is missing: choose one for each entry, such as a UUID, and send it as " +
        "header Idempotency-Key or as field requestKey, the same again when you retry",
    );
  } else if (keyProblem !== undefined) {
    problems.push(keyProblem);
  } else if (given.some((key) => key !== requestKey)) {
    problems.push("the header Idempotency-Key and the field requestKey differ");
  }
  if (problems.length > 0) throw new RefusedError(400, problems);
  return { name, message, requestKey: String(requestKey) };
}

/**
 * Gives the client the marker with which its next read sees this write, whichever server handles
 * it.
 */
function rememberWrite(request: FastifyRequest, reply: FastifyReply, stored: Stored): void {
  reply.header(READ_AFTER_HEADER, stored.readAfter);
  reply.header("set-cookie", readAfterCookie(stored.readAfter, request.protocol === "https"));
}

function asJson(entry: Entry): object {
  const { database, writtenAt, ...rest } = entry;
  return { ...rest, writtenAt: writtenAt.toISOString(), database: { write: database } };
}

/** What a client is told about an error; of an unexpected one, nothing. */
function refusalOf(error: unknown): { statusCode: number; problems: readonly string[] } {
  if (error instanceof RefusedError) return error;
  if (error instanceof KeyReusedError) return { statusCode: 409, problems: [error.message] };
  if (error instanceof UnavailableError) return { statusCode: 503, problems: [error.message] };
  const { statusCode = 500, message } = error as FastifyError;
  if (statusCode === 413) {
    return { statusCode, problems: [`the request is larger than ${LONGEST_BODY} bytes`] };
  }
  return statusCode >= 400 && statusCode < 500
    ? { statusCode, problems: [message] }
    : { statusCode: 500, problems: ["something went wrong here"] };
}

const TITLES: Readonly<Record<number, string>> = {
  400: "Not understood",
  403: "Not allowed",
  404: "Not found",
  405: "Not allowed here",
  409: "Already used",
  413: "Too large",
  415: "Not understood",
  500: "Something went wrong",
  503: "Not available right now",
};

/** Sends an error: JSON to programs, a page to browsers. */
async function refuse(
  request: FastifyRequest,
  reply: FastifyReply,
  statusCode: number,
  problems: readonly string[],
): Promise<FastifyReply> {
  const title = TITLES[statusCode] ?? "Refused";
  reply.code(statusCode);
  if (request.url.startsWith("/api/") || !request.headers.accept?.includes("text/html")) {
    return await reply.send({ error: title, problems });
  }
  const page = renderMessagePage(title, problems.join("; "));
  return await reply.type("text/html; charset=utf-8").send(page);
}
