import { join } from "node:path";
import type { FastifyInstance } from "fastify";
import { ReadinessProbe } from "../../app/readiness";
import { LONGEST_BODY, makeWebServer } from "../../app/web-server";
import { GuestbookInMemory, SERVER } from "./guestbook-in-memory";
import { send } from "./sending";

const KEY = "0123456789abcdef";
const ENTRY = { name: "Zoë 🐬", message: "hello\nworld" };

let guestbook: GuestbookInMemory;
let readiness: ReadinessProbe;
let app: FastifyInstance;

beforeEach(() => {
  guestbook = new GuestbookInMemory();
  readiness = new ReadinessProbe(() => guestbook.check());
  app = makeWebServer({
    hostName: "web-1",
    guestbook,
    readiness,
    publicFolder: join(__dirname, "../../app/public"),
  });
});

afterEach(() => app.close());

function postJson(payload: object, headers: Record<string, string> = {}) {
  return send(app, { method: "POST", url: "/api/entries", payload, headers });
}

function postForm(fields: Record<string, string>, url = "/entries") {
  return send(app, {
    method: "POST",
    url,
    payload: new URLSearchParams(fields).toString(),
    headers: { "content-type": "application/x-www-form-urlencoded", accept: "text/html" },
  });
}

describe("every answer", () => {
  test.each(["/", "/healthz", "/absent", "/api/entries"])(
    "from %s names its server",
    async (url) => {
      const { headers } = await send(app, { url });
      expect(headers["x-served-by"]).toBe("web-1");
      expect(headers["cache-control"]).toBe("no-store");
      expect(headers["x-content-type-options"]).toBe("nosniff");
    },
  );

  test("allows the browser nothing but its own files, and no inline script", async () => {
    const policy = String((await send(app, { url: "/" })).headers["content-security-policy"]);
    expect(policy).toMatch(/^default-src 'none';/);
    expect(policy).not.toContain("unsafe");
    expect(policy).toContain("frame-ancestors 'none'");
  });

  test("carries the request's identifier, when that is a harmless one", async () => {
    const idOf = async (id: string) =>
      (await send(app, { url: "/healthz", headers: { "x-request-id": id } })).headers[
        "x-request-id"
      ];
    expect(await idOf("lb-42.a:b")).toBe("lb-42.a:b");
    expect(await idOf('"}{"level":60')).toMatch(/^[0-9a-f-]{36}$/);
    expect(await idOf("x".repeat(129))).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe("writing through the API", () => {
  test("stores an entry and tells who took it", async () => {
    const answer = await postJson(ENTRY, { "idempotency-key": KEY });
    expect(answer.statusCode).toBe(201);
    expect(answer.json()).toMatchObject({
      entry: { ...ENTRY, database: { write: "db-1" } },
      requestKey: KEY,
      replayed: false,
      webServer: "web-1",
      database: { write: "db-1" },
    });
  });

  test("takes forms as well, with the key among the fields", async () => {
    const answer = await postForm({ ...ENTRY, requestKey: KEY }, "/api/entries");
    expect(answer.statusCode).toBe(201);
    expect(answer.json().entry).toMatchObject(ENTRY);
  });

  test("a retry with the same key stores nothing and gets the same entry", async () => {
    const first = await postJson({ ...ENTRY, requestKey: KEY });
    const second = await postJson({ ...ENTRY, requestKey: KEY });
    expect(second.statusCode).toBe(200);
    expect(second.json()).toEqual({ ...first.json(), replayed: true });
    expect(guestbook.stored.size).toBe(1);
  });

  test("the same key with other content is a conflict and changes nothing", async () => {
    await postJson({ ...ENTRY, requestKey: KEY });
    const answer = await postJson({ ...ENTRY, message: "other", requestKey: KEY });
    expect(answer.statusCode).toBe(409);
    expect(answer.json().problems).toEqual([expect.stringContaining("already used")]);
    expect([...guestbook.stored.values()]).toMatchObject([ENTRY]);
  });

  test("without a key it says what to send, along with every other problem", async () => {
    const answer = await postJson({ message: "x".repeat(1001) });
    expect(answer.statusCode).toBe(400);
    expect(answer.json().problems).toEqual([
      "the name is missing",
      expect.stringContaining("at most 1000"),
      expect.stringContaining("Idempotency-Key"),
    ]);
  });

  test("two different keys are refused, two equal ones are not", async () => {
    const other = await postJson({ ...ENTRY, requestKey: `${KEY}0` }, { "idempotency-key": KEY });
    expect(other.statusCode).toBe(400);
    const equal = await postJson({ ...ENTRY, requestKey: KEY }, { "idempotency-key": KEY });
    expect(equal.statusCode).toBe(201);
  });

  test("while no database takes writes it says when to try again, and stays ready", async () => {
    guestbook.writesFail = true;
    const answer = await postJson({ ...ENTRY, requestKey: KEY });
    expect(answer.statusCode).toBe(503);
    expect(Number(answer.headers["retry-after"])).toBeGreaterThan(0);
    expect(answer.json().problems).toEqual(["The database takes no writes at the moment."]);
    expect((await send(app, { url: "/readyz" })).statusCode).toBe(200);
  });

  test.each([
    [413, { "content-type": "application/json" }, `"${"x".repeat(LONGEST_BODY)}"`],
    [400, { "content-type": "application/json" }, "{"],
    [400, { "content-type": "application/json" }, "[]"],
    [415, { "content-type": "text/plain" }, "hello"],
  ])("answers %i to a body that cannot be taken (%j)", async (statusCode, headers, payload) => {
    const answer = await send(app, { method: "POST", url: "/api/entries", headers, payload });
    expect(answer.statusCode).toBe(statusCode);
    expect(answer.json().problems).toHaveLength(1);
  });

  test("another site's page cannot write", async () => {
    const answer = await postJson(
      { ...ENTRY, requestKey: KEY },
      { "sec-fetch-site": "cross-site" },
    );
    expect(answer.statusCode).toBe(403);
    expect(guestbook.stored.size).toBe(0);
  });

  test("an error nobody foresaw tells nothing of itself", async () => {
    guestbook.add = async () => {
      throw new Error("secret detail");
    };
    const answer = await postJson({ ...ENTRY, requestKey: KEY });
    expect(answer.statusCode).toBe(500);
    expect(answer.body).not.toContain("secret");
  });
});

describe("writing through the form", () => {
  const keyIn = (page: string) => /name="requestKey" value="([^"]+)"/.exec(page)?.[1];

  test("the page's own key is good, and new on every page", async () => {
    const keys = [
      keyIn((await send(app, { url: "/" })).body),
      keyIn((await send(app, { url: "/" })).body),
    ];
    expect(keys[0]).not.toBe(keys[1]);
    const answer = await postForm({ ...ENTRY, requestKey: String(keys[0]) });
    expect(answer.statusCode).toBe(303);
    expect(answer.headers.location).toBe("/");
  });

  test("sent twice it stores one entry, and goes back to the page both times", async () => {
    const fields = { ...ENTRY, requestKey: KEY };
    expect((await postForm(fields)).statusCode).toBe(303);
    expect((await postForm(fields)).statusCode).toBe(303);
    expect(guestbook.stored.size).toBe(1);
  });

  test("mistakes are shown on the page, with what was typed", async () => {
    const answer = await postForm({ name: "", message: "<b>typed</b>", requestKey: KEY });
    expect(answer.statusCode).toBe(400);
    expect(answer.headers["content-type"]).toContain("text/html");
    expect(answer.body).toContain("The name is missing.");
    expect(answer.body).toContain("&lt;b&gt;typed&lt;/b&gt;</textarea>");
  });

  test("while the outcome is open the key stays, so that sending again is safe", async () => {
    guestbook.writesFail = true;
    const answer = await postForm({ ...ENTRY, requestKey: KEY });
    expect(answer.statusCode).toBe(503);
    expect(answer.headers["retry-after"]).toBeDefined();
    expect(keyIn(answer.body)).toBe(KEY);
  });

  test("after a conflict the form has a new key, so that sending again works", async () => {
    await postForm({ ...ENTRY, requestKey: KEY });
    const answer = await postForm({ ...ENTRY, message: "edited", requestKey: KEY });
    expect(answer.statusCode).toBe(409);
    expect(keyIn(answer.body)).not.toBe(KEY);
  });
});

describe("reading one's own write", () => {
  const marker = `${SERVER}:1`;

  test("a browser's next read waits for its write", async () => {
    const written = await postForm({ ...ENTRY, requestKey: KEY });
    const cookie = String(written.headers["set-cookie"]).split(";")[0] ?? "";
    await send(app, { url: "/", headers: { cookie } });
    expect(guestbook.askedToReadAfter).toEqual([marker]);
  });

  test("a program gets the marker as a header and sends it back as one", async () => {
    const written = await postJson({ ...ENTRY, requestKey: KEY });
    expect(written.headers["x-read-after"]).toBe(marker);
    await send(app, { url: "/api/entries", headers: { "x-read-after": marker } });
    await send(app, { url: "/api/entries", headers: { "x-read-after": "' OR 1=1" } });
    expect(guestbook.askedToReadAfter).toEqual([marker, undefined]);
  });

  test("the cookie is for TLS only where the visitor came over TLS", async () => {
    const post = (headers: Record<string, string>) =>
      postJson({ ...ENTRY, requestKey: KEY }, headers);
    expect(String((await post({})).headers["set-cookie"])).not.toContain("Secure");
    const overTls = await post({ "x-forwarded-proto": "https" });
    expect(String(overTls.headers["set-cookie"])).toContain("Secure");
  });
});

test("only the local proxy is believed about where a request comes from", async () => {
  app.get("/address", async (request) => request.ip);
  const headers = { "x-forwarded-for": "203.0.113.9" };
  const seen = async (from: string) => (await send(app, { url: "/address", headers, from })).body;
  expect(await seen("127.0.0.1")).toBe("203.0.113.9");
  expect(await seen("127.0.0.2")).toBe("127.0.0.2");
});

describe("health", () => {
  test("the process is alive without a database, and not ready", async () => {
    guestbook.readsFail = true;
    expect((await send(app, { url: "/healthz" })).statusCode).toBe(200);
    const ready = await send(app, { url: "/readyz" });
    expect(ready.statusCode).toBe(503);
    expect(ready.json().reason).toContain("No database");
  });

  test("without a database the page says so, with 503 and when to try again", async () => {
    guestbook.readsFail = true;
    const answer = await send(app, { url: "/", headers: { accept: "text/html" } });
    expect(answer.statusCode).toBe(503);
    expect(answer.headers["retry-after"]).toBeDefined();
    expect(answer.body).toContain("No database answers reads");
  });

  test("whoami tells which databases answer, and null for those that do not", async () => {
    guestbook.writesFail = true;
    expect((await send(app, { url: "/api/whoami" })).json()).toEqual({
      webServer: "web-1",
      database: { read: "db-2", write: null },
    });
  });
});

describe("paths and methods", () => {
  test("HEAD answers as GET does, without the body", async () => {
    const answer = await send(app, { method: "HEAD", url: "/" });
    expect(answer.statusCode).toBe(200);
    expect(answer.body).toBe("");
  });

  test.each([
    ["DELETE", "/", "GET, HEAD"],
    ["GET", "/entries", "POST"],
    ["PUT", "/api/entries", "GET, HEAD, POST"],
  ] as const)("%s %s is answered with what is allowed", async (method, url, allow) => {
    const answer = await send(app, { method, url });
    expect(answer.statusCode).toBe(405);
    expect(answer.headers.allow).toBe(allow);
  });

  test("what is not there is 404, as JSON for programs and as a page for browsers", async () => {
    expect((await send(app, { url: "/api/absent" })).json().error).toBe("Not found");
    const page = await send(app, { url: "/absent", headers: { accept: "text/html" } });
    expect(page.statusCode).toBe(404);
    expect(page.headers["content-type"]).toContain("text/html");
  });

  test("static files are served from their folder and from nowhere else", async () => {
    const style = await send(app, { url: "/static/guestbook.css" });
    expect(style.statusCode).toBe(200);
    expect(style.headers["content-type"]).toBe("text/css; charset=utf-8");
    for (const path of ["../server.ts", "..%2fserver.ts", "%2e%2e/server.ts"]) {
      expect((await send(app, { url: `/static/${path}` })).statusCode).toBe(404);
    }
  });
});
