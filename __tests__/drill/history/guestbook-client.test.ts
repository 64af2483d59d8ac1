import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { GuestbookClient } from "../../../drill/history/guestbook-client";

/** A load balancer that answers as it is told, one answer after the other, and keeps what it was asked. */
let server: Server;
let answers: Array<{ status: number; body?: object; headers?: Record<string, string> } | "none">;
let asked: Array<{ method: string; headers: IncomingMessage["headers"]; body: string }>;
let url: string;

beforeEach(async () => {
  answers = [];
  asked = [];
  server = createServer(async (request, response) => {
    let body = "";
    for await (const text of request.setEncoding("utf8")) {
      body += text;
    }
    asked.push({ method: request.method ?? "", headers: request.headers, body });
    const answer = answers.shift() ?? "none";
    if (answer === "none") {
      response.destroy();
    } else {
      response.writeHead(answer.status, answer.headers).end(JSON.stringify(answer.body ?? {}));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(() => new Promise((resolve) => server.close(resolve)));

const KEY = "history-h-1-0-key";
const client = (fromPrimary = false) => new GuestbookClient(url, "h", fromPrimary);
const stored = (id: number) => ({
  status: 201,
  body: { entry: { id } },
  headers: { "x-read-after": "gtid:7" },
});
const page = (upToDate: boolean, ...entries: [id: number, message: string][]) => ({
  status: 200,
  body: { upToDate, entries: entries.map(([id, message]) => ({ id, message })) },
});

test("a stored write is ok, and the next read must show it", async () => {
  const session = client();
  answers = [stored(7), page(true, [7, "h-1-0"], [5, "of somebody else"])];
  expect(await session.append("h-1-0", KEY)).toMatchObject({ type: "ok", place: 7 });
  expect(await session.read()).toMatchObject({
    type: "ok",
    promised: "read-your-writes",
    elements: [["h-1-0", 7]],
    from: 5,
  });
  expect(asked[0]?.headers["idempotency-key"]).toBe(KEY);
  expect(JSON.parse(asked[0]?.body ?? "")).toEqual({ name: "history", message: "h-1-0" });
  expect(asked[1]?.headers["x-read-after"]).toBe("gtid:7");
});

test.each([
  ["is answered with 503", { status: 503 } as const],
  ["gets no answer", "none" as const],
])("a write that %s is retried with its key", async (_, first) => {
  answers = [first, stored(8)];
  expect(await client().append("h-1-0", KEY)).toMatchObject({ type: "ok", place: 8 });
  expect(asked.map(({ headers }) => headers["idempotency-key"])).toEqual([KEY, KEY]);
});

test("a write that never succeeds has no outcome", async () => {
  answers = [{ status: 503 }, "none", { status: 502 }];
  expect(await client().append("h-1-0", KEY)).toMatchObject({
    type: "info",
    details: expect.stringMatching(/^503 .*; ECONNRESET; 502 /),
  });
});

test("a key that belongs to another entry is refused, even after an attempt without an outcome", async () => {
  answers = [{ status: 503 }, { status: 409 }];
  expect(await client().append("h-1-0", KEY)).toMatchObject({ type: "fail" });
});

test.each([
  ["a session that has written nothing is promised nothing", false, true, "none", undefined],
  [
    "a session that is told its own writes may be missing is promised nothing",
    true,
    false,
    "none",
    "primary",
  ],
  [
    "a session that reads from the primary is promised linearizable reads",
    true,
    true,
    "linearizable",
    "primary",
  ],
] as const)("%s", async (_, fromPrimary, upToDate, promised, marker) => {
  answers = [page(upToDate, [7, "h-1-0"])];
  expect(await client(fromPrimary).read()).toMatchObject({ type: "ok", promised });
  expect(asked[0]?.headers["x-read-after"]).toBe(marker);
});

test("an empty page is a complete read, and a read without an answer fails", async () => {
  answers = [page(true), "none", { status: 503 }];
  const session = client();
  expect(await session.read()).toMatchObject({ type: "ok", elements: [], from: 0 });
  expect(await session.read()).toEqual({ type: "fail", details: "ECONNRESET" });
  expect(await session.read()).toMatchObject({ type: "fail" });
});
