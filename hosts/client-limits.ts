import { entranceAddress } from "../topology/publication";
import { hostsOf, type Topology } from "../topology/topology";

/**
 * What the load balancer bears, and what of it one client may take. A client is an IPv4 address: visitors have no other
 * way in. docs/decisions/0026-limits-of-clients.md says why these figures.
 */

/** The most requests that a web server gets at a time: two of Nginx's connections each (hosts/web.ts). */
export const REQUESTS_PER_WEB_SERVER = 2000;

/** The window over which rates are measured, in seconds. A client may have a burst of as much as a whole one. */
const WINDOW = 10;

/** While half of something is taken, a client may have this fraction of what it otherwise may. */
const SHARE_WHEN_BUSY = 1 / 10;

/** How long the part of a body that fits into a buffer may take, in seconds. */
const BODY_SECONDS = 20;

/** Bodies up to so many bytes fit into a buffer (tune.bufsize) beside the largest headers. */
const SURELY_BUFFERED = 2048;

/**
 * How many frames a client may send in {@link WINDOW} that no browser sends, over HTTP/2: HAProxy counts them as glitches, among
 * them each request that is taken back (CVE-2023-44487). The manual asks for hundreds at least.
 */
const GLITCHES = 1000;

/** After how many requests a client is to open another connection for HTTP/2: what is refused to one that goes on is connections. */
const STREAMS = 10_000;

/**
 * How many clients are remembered, with 16 to 40 bytes of counters each: tables take 6 MiB when they are full. The longest
 * unseen is then forgotten.
 */
const CLIENTS = 32 * 1024;

/** How many requests the load balancer passes on at a time. */
export function mostRequests(topology: Topology): number {
  const { connections } = topology.settings.loadBalancer;
  return Math.min(
    Math.floor(connections / 2),
    REQUESTS_PER_WEB_SERVER * hostsOf(topology, "web").length,
  );
}

/** How many of them may still be arriving, which for one that is sent slowly takes long. */
export const mostUploads = (topology: Topology) => Math.ceil(mostRequests(topology) / 4);

const whenBusy = (limit: number) => Math.ceil(limit * SHARE_WHEN_BUSY);

/** HAProxy's global settings that bound its memory, however many clients there are and whatever they send. */
export function limitsDefaults({ settings }: Topology): string {
  const { connections } = settings.loadBalancer;
  return `  # With more connections than its memory bears, HAProxy would be killed; further ones wait to be accepted.
  maxconn ${connections}
  # Without it, the kernel stores up to 4 MB (net.ipv4.tcp_wmem) for each client that does not read.
  tune.notsent-lowat.client 20480
  # One for each track-sc below.
  tune.stick-counters 5
  # Frames over HTTP/2 that no browser sends end their connection.
  tune.h2.fe.glitches-threshold ${GLITCHES}
  tune.h2.fe.max-total-streams ${STREAMS}
`;
}

/** A refusal of one request, in HAProxy's syntax. */
const refuse = (status: 429 | 503, reason: string, retryAfter: number, condition: string) =>
  `http-request deny deny_status ${status} content-type text/plain string "${status}: ${reason}." hdr Retry-After ${retryAfter} if ${condition}`;

/** The frontend's rules for connections. HAProxy evaluates them before all others. */
export function limitsOfConnections(topology: Topology): string {
  const { connections, connectionsPerClient, connectionRatePerClient, ...more } =
    topology.settings.loadBalancer;
  // All that come through this machine's ports have one of these addresses (stack local).
  const forwarding = [
    "127.0.0.0/8",
    ...(topology.floatingAddresses.size > 0 ? [entranceAddress(topology.network)] : []),
  ];
  return `  # What a client may take: docs/security.md#what-a-client-may-take
  acl is_unlimited src ${[...forwarding, ...more.unlimitedClients].join(" ")}
  tcp-request connection accept if is_unlimited
  tcp-request connection track-sc0 src table clients
  tcp-request connection reject if { sc_conn_cur(0) gt ${connectionsPerClient} }
  tcp-request connection reject if { sc_conn_cur(0) gt ${whenBusy(connectionsPerClient)} } { fe_conn gt ${Math.floor(connections / 2)} }
  tcp-request connection reject if { sc_conn_rate(0) gt ${connectionRatePerClient * WINDOW} }
  # One that goes on in spite of status 429, and one that sends what no browser does.
  tcp-request connection reject if { sc_http_req_rate(0) gt ${2 * more.requestRatePerClient * WINDOW} }
  tcp-request connection reject if { sc_glitch_rate(0) gt ${GLITCHES} }
`;
}

/**
 * The frontend's rules for requests and their bodies.
 *
 * The part of a body that fits into a buffer is taken in before a web server is chosen: so a slow client takes none of its
 * connections, and a request that may be repeated can be. Of larger bodies, each client may send only so many at a time, and
 * all together a quarter of all requests.
 */
export function limitsOfRequests(topology: Topology): string {
  const { requestsPerClient, requestRatePerClient, uploadsPerClient } =
    topology.settings.loadBalancer;
  const requests = mostRequests(topology);
  const atOnce = "from this address at the same time";
  return `  http-request track-sc1 src table requests unless is_unlimited
  http-request track-sc2 int(1) table totals
  ${refuse(429, "too many requests from this address", WINDOW, `{ sc_http_req_rate(0) gt ${requestRatePerClient * WINDOW} }`)}
  ${refuse(429, `too many requests ${atOnce}`, 1, `{ sc_conn_cur(1) gt ${requestsPerClient} }`)}
  ${refuse(429, `too many requests ${atOnce}`, 1, `{ sc_conn_cur(1) gt ${whenBusy(requestsPerClient)} } { sc_conn_cur(2) gt ${Math.floor(requests / 2)} }`)}
  ${refuse(503, "too many requests at the same time", 1, `{ sc_conn_cur(2) gt ${requests} }`)}
  # Bodies up to a buffer's size are taken in first; the rest of larger ones is passed on as it arrives.
  http-request wait-for-body time ${BODY_SECONDS}s
  acl is_upload req.body_size gt ${SURELY_BUFFERED}
  http-request track-sc3 src table uploads if is_upload !is_unlimited
  http-request track-sc4 int(2) table totals if is_upload
  ${refuse(429, `too many uploads ${atOnce}`, 1, `{ sc_conn_cur(3) gt ${uploadsPerClient} }`)}
  ${refuse(503, "too many uploads at the same time", 1, `{ sc_conn_cur(4) gt ${mostUploads(topology)} }`)}
`;
}

/**
 * The backend's rule for bodies of unknown length. When it has taken in the first part of one, HAProxy waits for the web server's
 * response as if the body were complete, unlike with one of known length; so it waits longer than a client may pause.
 *
 * @param clientTimeout of HAProxy, in seconds
 */
export function timeoutOfUploads(clientTimeout: number): string {
  return `  http-request set-timeout server ${clientTimeout + 2}s if { req.body_size gt ${SURELY_BUFFERED} } !{ req.fhdr(Content-Length) -m found }
`;
}

/** The tables in which HAProxy counts. Each load balancer has its own, which a reload empties. */
export function limitTables(): string {
  const expire = `expire ${3 * WINDOW}s`;
  return `backend clients
  stick-table type ipv4 size ${CLIENTS} ${expire} store conn_cur,conn_rate(${WINDOW}s),http_req_rate(${WINDOW}s),glitch_rate(${WINDOW}s)

backend requests
  stick-table type ipv4 size ${CLIENTS} ${expire} store conn_cur

backend uploads
  stick-table type ipv4 size ${CLIENTS} ${expire} store conn_cur

# Of all clients together: 1 requests, 2 uploads.
backend totals
  stick-table type integer size 2 ${expire} store conn_cur
`;
}
