import { connect as connectTls } from "node:tls";
import type { ScratchCluster } from "../../../../drill/scratch/scratch-cluster";
import { tlsPortOf } from "../../../../topology/publication";
import { pause, Wire } from "./wire";

/** What would arrive at the app as a request of its own, if one of the programs before it took the other length. */
const SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: test\r\nX-Rest: ";

const CHUNKED = "Transfer-Encoding: chunked";

/** A chunked body without content, and what follows it. */
const EMPTY = `0\r\n\r\n${SMUGGLED}`;

const length = (bytes: number) => `Content-Length: ${bytes}`;

/** A request whose first line and headers are these. */
const request = (headers: readonly string[], body: string, first = "POST /echo HTTP/1.1") =>
  `${[first, "Host: test", ...headers].join("\r\n")}\r\n\r\n${body}`;

/** Requests that programs have understood in two ways. In each, the rest is to be taken for a second one. */
const http1: ReadonlyArray<[string, string]> = [
  ["CL.TE: both lengths", request([length(EMPTY.length), CHUNKED], EMPTY)],
  [
    "TE.CL: both lengths, the other one first",
    request([CHUNKED, length(4)], `5c\r\n${SMUGGLED}${"x".repeat(100)}`),
  ],
  [
    "TE.TE: a second coding",
    request([CHUNKED, "Transfer-Encoding: x", length(EMPTY.length)], EMPTY),
  ],
  [
    "TE.TE: not quite chunked",
    request(["Transfer-Encoding: xchunked", length(EMPTY.length)], EMPTY),
  ],
  [
    "TE.TE: a space before the colon",
    request(["Transfer-Encoding : chunked", length(EMPTY.length)], EMPTY),
  ],
  [
    "TE.TE: a tab before the value",
    request(["Transfer-Encoding:\tchunked", length(EMPTY.length)], EMPTY),
  ],
  [
    "TE.TE: a vertical tab before the value",
    request(["Transfer-Encoding: \x0bchunked", length(EMPTY.length)], EMPTY),
  ],
  [
    "TE.TE: on a folded line",
    request(["Transfer-Encoding:\r\n chunked", length(EMPTY.length)], EMPTY),
  ],
  [
    "TE.TE: after a bare line feed",
    request(["X-Any: x\nTransfer-Encoding: chunked", length(EMPTY.length)], EMPTY),
  ],
  [
    "TE.TE: identity after chunked",
    request(["Transfer-Encoding: chunked, identity", length(EMPTY.length)], EMPTY),
  ],
  ["CL.0: a body of a GET", request([length(SMUGGLED.length)], SMUGGLED, "GET /echo HTTP/1.1")],
  ["two lengths", request([length(0), length(SMUGGLED.length)], SMUGGLED)],
  ["a list of two lengths", request([`Content-Length: 0, ${SMUGGLED.length}`], SMUGGLED)],
  ["a length with a sign", request([`Content-Length: +${SMUGGLED.length}`], SMUGGLED)],
  ["a negative length", request(["Content-Length: -1"], SMUGGLED)],
  [
    "a length in hexadecimal",
    request([`Content-Length: 0x${SMUGGLED.length.toString(16)}`], SMUGGLED),
  ],
  [
    "a chunk whose size is too large for any number",
    request([CHUNKED], `10000000000000000\r\n${EMPTY}`),
  ],
  ["a chunk's extension with a bare line feed", request([CHUNKED], `2;x\nxx\r\n4c\r\n${EMPTY}`)],
  ["a chunk that ends with a bare line feed", request([CHUNKED], `1\r\nx\n${EMPTY}`)],
  [
    "chunks in HTTP/1.0",
    request(
      [CHUNKED, length(EMPTY.length), "Connection: keep-alive"],
      EMPTY,
      "POST /echo HTTP/1.0",
    ),
  ],
];

/** A header's name and value as HPACK literals without an index (RFC 7541, section 6.2.2). */
function literal(name: string, value: string): Buffer {
  return Buffer.concat([
    Buffer.from([0, name.length]),
    Buffer.from(name),
    Buffer.from([value.length]),
    Buffer.from(value, "latin1"),
  ]);
}

/** A frame of HTTP/2 (RFC 9113, section 4.1), on the first stream or on none. */
function frame(type: number, flags: number, stream: 0 | 1, payload: Buffer): Buffer {
  const head = [0, payload.length >> 8, payload.length & 255, type, flags, 0, 0, 0, stream];
  return Buffer.concat([Buffer.from(head), payload]);
}

/** The headers of a request over HTTP/2, and its body; node's own client would refuse to send them. */
const http2: ReadonlyArray<[string, Record<string, string>, string]> = [
  ["H2.CL: a length that is too small", { "content-length": "0" }, SMUGGLED],
  ["H2.CL: a length that is too large", { "content-length": "500" }, SMUGGLED],
  ["H2.TE: chunked", { "transfer-encoding": "chunked" }, EMPTY],
  ["a header's value with a line break", { "x-any": `x\r\n${CHUNKED}` }, EMPTY],
  ["a header's value with a bare line feed", { "x-any": `x\n${CHUNKED}` }, EMPTY],
  ["a header's value with a null byte", { "x-any": "x\0y" }, ""],
  ["a header's name with a line break", { "x: y\r\ntransfer-encoding": "chunked" }, EMPTY],
  ["a header's name with a colon", { "transfer-encoding: chunked\r\nx": "y" }, EMPTY],
  ["a path with a line break", { ":path": `/echo HTTP/1.1\r\n${CHUNKED}\r\nX: ` }, EMPTY],
  ["a path with a space", { ":path": "/echo HTTP/1.1" }, ""],
  [
    "a method with a line break",
    { ":method": `POST /smuggled HTTP/1.1\r\n${CHUNKED}\r\n\r\nPOST` },
    EMPTY,
  ],
  ["an authority with a line break", { ":authority": `test\r\n${CHUNKED}` }, EMPTY],
];

/** Sends a request over HTTP/2, and waits until the other side has nothing more to say; whether TLS was agreed on. */
function sendHttp2(cluster: ScratchCluster, headers: Record<string, string>, body: string) {
  return new Promise<boolean>((resolve, reject) => {
    const port = tlsPortOf(cluster.topology.settings);
    const socket = connectTls(
      { host: "127.0.0.1", port, rejectUnauthorized: false, ALPNProtocols: ["h2"] },
      () => {
        const all = {
          ":method": "POST",
          ":scheme": "https",
          ":path": "/echo",
          ":authority": "test",
          ...headers,
        };
        socket.write(
          Buffer.concat([
            Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
            frame(4, 0, 0, Buffer.alloc(0)),
            // END_HEADERS, then DATA with END_STREAM.
            frame(
              1,
              4,
              1,
              Buffer.concat(Object.entries(all).map(([name, value]) => literal(name, value))),
            ),
            frame(0, 1, 1, Buffer.from(body)),
          ]),
        );
        setTimeout(() => {
          resolve(socket.alpnProtocol === "h2");
          socket.destroy();
        }, 700);
      },
    );
    socket.resume();
    socket.on("error", reject);
  });
}

/** Requests of which a part would be taken for another one, by one of the programs on the way. */
export function smuggling(cluster: ScratchCluster): void {
  /** What the app's log says has arrived at a path since a moment, on all web servers. */
  const arrived = (since: number) =>
    ["web-1", "web-2"]
      .map((web) =>
        cluster.readOn(
          web,
          `journalctl --unit app.service --output cat --since @${Math.floor(since / 1000)} | grep '^arrived' | grep -v ' /up'; echo end`,
        ),
      )
      .join("")
      .split("\n")
      .filter((line) => line.startsWith("arrived"));

  test("no part of a request over HTTP/1.1 arrives as another one", async () => {
    const since = Date.now();
    const outcomes: Record<string, string> = {};
    await Promise.all(
      http1.map(async ([how, bytes]) => {
        const wire = await Wire.open(cluster);
        wire.send(bytes);
        await pause(1);
        // What is left over would be the beginning of this one.
        wire.send("x\r\n\r\n");
        await pause(1);
        wire.close();
        outcomes[how] =
          wire.received
            .match(/HTTP\/1\.1 \d+/g)
            ?.map((line) => line.slice(9))
            .join() ?? "none";
      }),
    );
    const arrivals = arrived(since);
    process.stderr.write(`  ${JSON.stringify(outcomes)}\n`);
    expect(arrivals.filter((line) => line.includes("smuggled"))).toEqual([]);
    // Refused, or passed on once, or waited for: what follows on the connection is refused then.
    for (const [how] of http1) {
      expect([how, outcomes[how]]).toEqual([
        how,
        expect.stringMatching(/^(none|400|411|413|422|501|200(,400)?)$/),
      ]);
    }
    expect(Object.values(outcomes).filter((one) => one === "400").length).toBeGreaterThan(8);
  }, 60_000);

  test("no part of a request over HTTP/2 arrives as another one, or as a header", async () => {
    const since = Date.now();
    const agreed = await Promise.all(
      http2.map(([, headers, body]) => sendHttp2(cluster, headers, body)),
    );
    expect(agreed).toEqual(http2.map(() => true));
    const arrivals = arrived(since);
    process.stderr.write(`  ${JSON.stringify(arrivals)}\n`);
    expect(arrivals.filter((line) => /smuggled/.test(line))).toEqual([]);
    // The app is asked for nothing but /echo, and by no more requests than were sent.
    expect(arrivals.filter((line) => !/^arrived POST \/echo $/.test(line))).toEqual([]);
    expect(arrivals.length).toBeLessThan(http2.length);
    // And one that is sound is answered, so that the others were not refused for what all have in common.
    await sendHttp2(cluster, { "x-any": "x" }, SMUGGLED);
    expect(arrived(since).length).toBe(arrivals.length + 1);
  }, 60_000);
}
