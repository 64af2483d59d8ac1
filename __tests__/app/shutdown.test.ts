import { ReadinessProbe } from "../../app/readiness";
import { stop } from "../../app/shutdown";
import { makeWebServer } from "../../app/web-server";
import { GuestbookInMemory } from "./guestbook-in-memory";

async function listening() {
  const guestbook = new GuestbookInMemory();
  const readiness = new ReadinessProbe(() => guestbook.check());
  const app = makeWebServer({ hostName: "web-1", guestbook, readiness });
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  const post = () =>
    fetch(`${url}/api/entries`, {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": "0123456789abcdef" },
      body: JSON.stringify({ name: "n", message: "m" }),
    });
  return { app, guestbook, readiness, url, post };
}

/** Sends a request that is not answered before `open` is called. */
async function requestInFlight({ guestbook, post }: Awaited<ReturnType<typeof listening>>) {
  let open: () => void = () => undefined;
  guestbook.gate = new Promise((resolve) => {
    open = resolve;
  });
  const answer = post();
  await new Promise((resolve) => setTimeout(resolve, 100));
  return { answer, open };
}

test("while draining, the health check fails and everything else is served", async () => {
  const running = await listening();
  const stopped = stop(running, 1.5);
  expect((await fetch(`${running.url}/readyz`)).status).toBe(503);
  const answer = await fetch(`${running.url}/api/entries`);
  expect(answer.status).toBe(200);
  expect(answer.headers.get("connection")).toBe("close");
  expect(await stopped).toBe(true);
  await expect(fetch(`${running.url}/healthz`)).rejects.toThrow();
});

test("a request in flight is answered before the database connections are closed", async () => {
  const running = await listening();
  const { answer, open } = await requestInFlight(running);
  const stopped = stop(running, 0);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(running.guestbook.closed).toBe(false);
  open();
  expect((await answer).status).toBe(201);
  expect(await stopped).toBe(true);
  expect(running.guestbook.closed).toBe(true);
});

test("a request that never ends does not keep the process running", async () => {
  const running = await listening();
  const { answer, open } = await requestInFlight(running);
  expect(await stop(running, 0, 200)).toBe(false);
  open();
  await answer;
});
