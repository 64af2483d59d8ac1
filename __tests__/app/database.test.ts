import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSecureContext, TLSSocket } from "node:tls";
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

describe("who the database is", () => {
  const NAME = "database.demo.internal";
  const log = { info: () => undefined, warn: jest.fn() };
  const folder = mkdtempSync(join(tmpdir(), "app-database-"));
  const at = (file: string) => join(folder, file);

  /** An authority's certificate, or that of a server issued by it, with its key. */
  function certify(file: string, name: string, issuer?: string): void {
    execFileSync(
      "openssl",
      [
        ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
        ...["-keyout", at(`${file}.key`), "-out", at(`${file}.pem`), "-subj", `/CN=${file}`],
        ...["-addext", `subjectAltName=DNS:${name}`, "-days", "2"],
        ...(issuer === undefined
          ? []
          : ["-CA", at(`${issuer}.pem`), "-CAkey", at(`${issuer}.key`)]),
      ],
      { stdio: "pipe" },
    );
  }

  /**
   * The first packet of a server that has TLS, and waits for a login:
   * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
   */
  function greeting(): Buffer {
    const [PROTOCOL_41, SSL, SECURE_CONNECTION, PLUGIN_AUTH] = [1 << 9, 1 << 11, 1 << 15, 1 << 19];
    const capabilities = Buffer.alloc(4);
    capabilities.writeUInt32LE(PROTOCOL_41 | SSL | SECURE_CONNECTION | PLUGIN_AUTH);
    const payload = Buffer.concat([
      Buffer.from("\x0a8.4.0\0\x01\0\0\0aaaaaaaa\0", "latin1"),
      capabilities.subarray(0, 2),
      Buffer.from([255, 2, 0]),
      capabilities.subarray(2),
      Buffer.from([21, ...Array(10).fill(0)]),
      Buffer.from("bbbbbbbbbbbb\0caching_sha2_password\0", "latin1"),
    ]);
    return Buffer.concat([Buffer.from([payload.length, 0, 0, 0]), payload]);
  }

  beforeAll(() => {
    certify("authority", "authority");
    certify("stranger", "stranger");
    certify("right", NAME, "authority");
    certify("misnamed", "other.demo.internal", "authority");
    certify("strange", NAME, "stranger");
    writeFileSync(at("password"), "from-a-test");
  });

  afterAll(() => rmSync(folder, { recursive: true }));

  /** How often the app logs in to a server with this certificate, when it wants to read. */
  async function loginsAt(certificate: string): Promise<number> {
    let logins = 0;
    const secureContext = createSecureContext({
      key: readFileSync(at(`${certificate}.key`)),
      cert: readFileSync(at(`${certificate}.pem`)),
    });
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.write(greeting());
      // The client asks for TLS, and goes on with its handshake.
      socket.once("readable", () => {
        socket.read(36);
        const encrypted = new TLSSocket(socket, { isServer: true, secureContext });
        encrypted.on("error", () => undefined);
        encrypted.once("data", () => {
          logins++;
          encrypted.destroy();
        });
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
    const guestbook = new GuestbookInMysql(
      {
        writeAddress: address,
        readAddress: address,
        name: "guestbook",
        user: "app",
        passwordFile: at("password"),
        authorityFile: at("authority.pem"),
        serverName: NAME,
      },
      "web-1",
      log,
    );
    await expect(guestbook.list()).rejects.toThrow(UnavailableError);
    await guestbook.close();
    await new Promise((resolve) => server.close(resolve));
    return logins;
  }

  test("the app logs in where the certificate is of the authority, and for the name", async () => {
    expect(await loginsAt("right")).toBeGreaterThan(0);
  });

  test.each([
    ["of the authority, for another name", "misnamed", /altnames|does not match/],
    ["of another authority, for the name", "strange", /self.signed certificate|verify/],
  ])(
    "a certificate %s is refused before the app logs in, and the log says why",
    async (_, certificate, why) => {
      log.warn.mockClear();
      expect(await loginsAt(certificate)).toBe(0);
      expect(JSON.stringify(log.warn.mock.calls)).toMatch(why);
    },
  );
});
