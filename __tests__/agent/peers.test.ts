import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { PeersByHealthPort } from "../../agent/peers";

// How a peer's answer is read; what is in it is judged by parsePeer (state.test.ts).

const STATE = {
  host: "database-2",
  state: "member",
  writability: "closed",
  term: 4,
  primary: "database-1",
  serverUuid: "5e1f",
  gtidExecuted: "",
  gtidPurged: "",
};

let server: Server;
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

/** What a host takes the peer for that answers so. */
async function seen(answer: RequestListener): Promise<string> {
  server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const peers = new PeersByHealthPort([{ name: "database-2", address: "127.0.0.1" }], port);
  const [peer] = await peers.look(0.5);
  return peer?.state ?? "";
}

const text = JSON.stringify(STATE);

test("an answer is read completely, in however many parts it arrives", async () => {
  const inParts: RequestListener = (_, response) => {
    response.write(text.slice(0, 20));
    setTimeout(() => response.end(text.slice(20)), 50);
  };
  expect(await seen(inParts)).toBe("member");
});

test.each<[string, RequestListener]>([
  ["has another status", (_, response) => response.writeHead(503).end(text)],
  [
    "is cut off, although what came is whole",
    (_, response) => {
      response.writeHead(200, { "content-length": text.length + 10 });
      response.write(text, () => response.destroy());
    },
  ],
  ["is too long", (_, response) => response.end(text + " ".repeat(300_000))],
  [
    "does not end",
    (_, response) => {
      response.write(text);
    },
  ],
])("a peer whose answer %s is unknown", async (_, answer) => {
  expect(await seen(answer)).toBe("unknown");
});
