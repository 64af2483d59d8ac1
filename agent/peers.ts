import { request } from "node:http";
import { answerText } from "./answer-text";
import { type Address, type Peer, parsePeer } from "./state";

/** How long a peer may take to accept a connection, in seconds; shorter when writes wait for the answer: peers are near. */
export const CONNECT_SECONDS = { usual: 0.5, inHaste: 0.2 } as const;

/** The other database hosts. */
export interface Peers {
  /**
   * Queries the state of all of them at once; a peer that does not answer within a second is unknown.
   *
   * @param connectSeconds how long a peer may take to accept a connection
   */
  look(connectSeconds: number): Promise<Peer[]>;
}

/** The longest answer that is read, in characters: it lists every transaction that a host has, as GTID sets. */
const LONGEST = 262_144;

function ask(address: string, port: number, connectSeconds: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const outgoing = request({ host: address, port, path: "/state", agent: false });
    const deadline = setTimeout(() => outgoing.destroy(new Error("no answer")), 1_000);
    const connecting = setTimeout(
      () => outgoing.destroy(new Error("no connection")),
      connectSeconds * 1_000,
    );
    const end = (answer?: string) => {
      clearTimeout(deadline);
      clearTimeout(connecting);
      resolve(answer);
    };
    outgoing.on("socket", (socket) => socket.on("connect", () => clearTimeout(connecting)));
    outgoing.on("error", () => end());
    outgoing.on("response", (incoming) => {
      answerText(incoming, LONGEST).then(
        (answer) => end(incoming.statusCode === 200 ? answer : undefined),
        () => end(),
      );
    });
    outgoing.end();
  });
}

/** The peers, through their health ports. */
export class PeersByHealthPort implements Peers {
  constructor(
    private readonly addresses: readonly Address[],
    private readonly port: number,
  ) {}

  look(connectSeconds: number): Promise<Peer[]> {
    return Promise.all(
      this.addresses.map(async ({ name, address }) =>
        parsePeer(name, await ask(address, this.port, connectSeconds)),
      ),
    );
  }
}
