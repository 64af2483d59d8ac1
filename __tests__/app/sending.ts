import { once } from "node:events";
import { type IncomingHttpHeaders, type IncomingMessage, request } from "node:http";
import type { AddressInfo } from "node:net";
import type { FastifyInstance } from "fastify";

/** A request; one without a method is a GET. */
export interface Sent {
  readonly method?: string;
  /** Path and query, sent as they are. */
  readonly url: string;
  /** Sent as it is when it is text, and else as JSON. */
  readonly payload?: string | object;
  readonly headers?: Readonly<Record<string, string>>;
  /** The address the request comes from, if not 127.0.0.1. */
  readonly from?: string;
}

/** What came back. */
export interface Received {
  readonly statusCode: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** Parses the body; each test knows what it expects there. */
  // biome-ignore lint/suspicious/noExplicitAny: the tests assert what is in it
  json(): any;
}

/** Sends a request over the loopback interface. The server is made to listen when it does not. */
export async function send(app: FastifyInstance, sent: Sent): Promise<Received> {
  if (!app.server.listening) await app.listen({ host: "127.0.0.1", port: 0 });
  const { payload } = sent;
  const json = typeof payload === "object";
  const outgoing = request({
    host: "127.0.0.1",
    port: (app.server.address() as AddressInfo).port,
    agent: false,
    method: sent.method ?? "GET",
    path: sent.url,
    headers: { ...(json ? { "content-type": "application/json" } : {}), ...sent.headers },
    ...(sent.from === undefined ? {} : { localAddress: sent.from }),
  });
  outgoing.end(json ? JSON.stringify(payload) : payload);
  const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
  let body = "";
  incoming.setEncoding("utf8");
  for await (const chunk of incoming) body += chunk;
  return {
    statusCode: incoming.statusCode ?? 0,
    headers: incoming.headers,
    body,
    json: () => JSON.parse(body),
  };
}
