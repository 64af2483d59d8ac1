import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { failureKind } from "../../app/database";
import { UnavailableError } from "../../app/guestbook";
import { GuestbookInMysql } from "../../app/guestbook-in-mysql";

describe("kinds of failure", () => {
  test.each([
    ["read-only", { code: "ER_OPTION_PREVENTS_STATEMENT", errno: 1290, sqlState: "HY000" }],
    ["read-only", { code: "ER_READ_ONLY_MODE", errno: 1836, sqlState: "HY000" }],
    ["refusing", { code: "PRIMARY_REFUSES" }],
    ["damaged", { code: "ER_TABLESPACE_MISSING", errno: 1812, sqlState: "HY000" }],
    ["connection", { code: "ECONNREFUSED", errno: -111, fatal: true }],
    ["connection", { code: "PROTOCOL_CONNECTION_LOST", fatal: true }],
    ["connection", { code: "HANDSHAKE_SSL_ERROR" }],
    ["connection", { code: "ENOENT", errno: -2 }],
    ["timeout", { code: "PROTOCOL_SEQUENCE_TIMEOUT" }],
    ["disk-full", { code: "ER_RECORD_FILE_FULL", errno: 1114, sqlState: "HY000" }],
    ["no-table", { code: "ER_NO_SUCH_TABLE", errno: 1146, sqlState: "42S02" }],
    [undefined, { code: "ER_PARSE_ERROR", errno: 1064, sqlState: "42000" }],
    [undefined, new TypeError("a mistake in the program")],
  ])("%s: %j", (kind, error) => expect(failureKind(error)).toBe(kind));
});

describe("without a database", () => {
  const log = { info: () => undefined, warn: jest.fn() };
  let folder: string;
  let proxy: Server;
  let guestbook: GuestbookInMysql;

  // As the local proxy does when no server is up: it accepts, and closes at once.
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "app-database-"));
    writeFileSync(join(folder, "password"), "from-a-test");
    writeFileSync(join(folder, "ca.pem"), "");
    proxy = createServer((socket) => socket.destroy());
    const port = await new Promise<number>((resolve) => {
      proxy.listen(0, "127.0.0.1", () => resolve((proxy.address() as { port: number }).port));
    });
    const address = { host: "127.0.0.1", port };
    const settings = {
      writeAddress: address,
      readAddress: address,
      name: "guestbook",
      user: "app",
      passwordFile: join(folder, "password"),
      authorityFile: join(folder, "ca.pem"),
    };
    guestbook = new GuestbookInMysql(settings, "web-1", log);
  });

  afterAll(async () => {
    await guestbook.close();
    await new Promise((resolve) => proxy.close(resolve));
    rmSync(folder, { recursive: true });
  });

  const draft = { name: "n", message: "m", requestKey: "0123456789abcdef" };

  test("a write waits for a primary during a short outage", async () => {
    const secondsToFail = async () => {
      const started = Date.now();
      await expect(guestbook.add(draft)).rejects.toThrow(UnavailableError);
      return (Date.now() - started) / 1000;
    };
    const first = await secondsToFail();
    expect(first).toBeGreaterThan(7);
    // The load balancer waits for ten seconds.
    expect(first).toBeLessThan(10);
    expect(await secondsToFail()).toBeLessThan(2);
  }, 20_000);

  test("reads and health checks fail with the reason", async () => {
    await expect(guestbook.list()).rejects.toThrow(UnavailableError);
    await expect(guestbook.check()).rejects.toThrow(UnavailableError);
    await expect(guestbook.databases()).resolves.toEqual({ read: null, write: null });
  });

  test("the log has the reason, and no password", () => {
    expect(log.warn).toHaveBeenCalledWith(
      expect.objectContaining({ kind: "connection" }),
      expect.any(String),
    );
    expect(JSON.stringify(log.warn.mock.calls)).not.toContain("from-a-test");
  });
});
