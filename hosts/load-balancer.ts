import { PORTS } from "../topology/flows";
import { hostsOf, type Topology } from "../topology/topology";
import { HAPROXY_SOCKET } from "./agreed";
import { type RoleContent, textFile } from "./host";
import { HEALTH_PATH } from "./release-files";

/** The load balancer's own health, on the port of the site: 200 while a web server can serve. */
export const LOAD_BALANCER_HEALTH_PATH = "/load-balancer-health";

/** The load balancer's health check of a web server, times in milliseconds. */
const HEALTH_CHECK = {
  interval: 1000,
  fastInterval: 250,
  timeout: 1000,
  fall: 2,
  rise: 2,
} as const;

/**
 * Seconds within which the load balancer detects that a web server no longer answers: in the worst case the fault comes
 * just after a check, and each failing check runs into its timeout.
 */
export function secondsToNotice(): number {
  const { interval, fastInterval, timeout, fall } = HEALTH_CHECK;
  return Math.ceil((interval + timeout + (fall - 1) * (fastInterval + timeout)) / 1000);
}

/** Where the load balancer stores the state of the web servers, besides its memory. */
const SERVER_STATE = "/var/lib/cluster/haproxy-server-state";

/**
 * How many seconds longer the load balancer waits for a response than Nginx waits for the app. So if the app does not
 * respond in time, Nginx answers, once; the load balancer's own timeout only expires for a web server that sends
 * nothing at all.
 */
const LONGER_THAN_NGINX = 2;

/**
 * Headers with which a trusted proxy tells an app who the visitor is, where they come from and what they requested.
 * There is no trusted proxy in front of this load balancer, so in a visitor's request they are the visitor's own
 * claims. Regular expressions for names in lower case, as HAProxy keeps them.
 */
const CLAIMS = [
  // The visitor's address, the scheme, the host and the port.
  "(x-)?forwarded.*",
  "via",
  "x-(real|remote|client|cluster-client|originating|proxyuser|proxy)-.*",
  "(true-|proxy-|wl-proxy-|incap-|fastly-|fly-)?client-ip",
  "(x-)?remote-(addr|host|ip|port|user|groups?|name|email)",
  "(do|cf)-connecting-.*",
  "(x-)?(url-)?scheme",
  "x-(host|http-host-override|request-uri)",
  "front-end-https",
  // The original request, before a rewrite.
  "x-(original|rewrite)-.*",
  // Headers added by CDNs and other clouds' load balancers.
  "(cf|fastly|fly|cloudfront|akamai|x-akamai|x-amzn|x-azure|x-arr|x-appengine|x-envoy|x-vercel|x-nf|x-geo)-.*",
  // The visitor's identity, as stated by an authenticating proxy or a TLS terminator.
  "(x-)?ssl-.*",
  "x-(auth-request|authenticated|authentik|webauth|goog|ms-client|tls)-.*",
  // Instructions to a proxy, which an app or its server could mistake for a proxy's own.
  "x-(accel|sendfile)-.*",
  "proxy",
  "http2-settings",
  "x-request-id",
];

function haproxyConfiguration(topology: Topology): string {
  const { loadBalancer, webServers, app } = topology.settings;
  const { interval, fastInterval, timeout, fall, rise } = HEALTH_CHECK;
  const servers = hostsOf(topology, "web").map((host, index) => {
    const standsBy = webServers.mode === "active-passive" && index > 0;
    return `  server ${host.name} ${host.address}:${PORTS.http}${standsBy ? " backup" : ""}`;
  });
  return `# HAProxy 3 (https://docs.haproxy.org/3.2/configuration.html): one site, spread over the web servers.
global
  log stdout format raw daemon info
  user haproxy
  group haproxy
  # For operators on this host: "show servers state", "set server web/web-1 state drain", ...
  stats socket ${HAPROXY_SOCKET} mode 660 level admin expose-fd listeners
  stats timeout 30s
  # What was drained stays drained, and what is down stays down, over a reload and a restart.
  server-state-file ${SERVER_STATE}
  # As many connections as this many files allow, or fewer where the host allows fewer.
  fd-hard-limit 40000
  # A reload hands the listeners over. The old process ends when its last connection does, and a tunnel may
  # be silent for long; so that old processes do not pile up, the fifth reload ends what the first one left.
  hard-stop-after ${Math.max(60, app.tunnelTimeout)}s
  mworker-max-reloads 4
  # Headers of 16 KB, with room for what is added: a buffer holds a request's or an answer's headers at once,
  # but for tune.maxrewrite, 1 KB. A request that may be repeated has to fit as a whole.
  tune.bufsize 20480
  # Their size is what limits them, not their number.
  tune.http.maxhdr 1000

defaults
  mode http
  log global
  option dontlognull
  load-server-state-from-file global
  timeout connect 1s
  timeout client 30s
  # Nginx answers 504 for an app that is silent. A web server that says nothing is given up a moment later.
  timeout server ${app.responseTimeout + LONGER_THAN_NGINX}s
  # From the answer to an Upgrade on, this one counts instead of those of client and server.
  timeout tunnel ${app.tunnelTimeout}s
  # Until the headers are there.
  timeout http-request 10s
  timeout http-keep-alive 60s
  timeout queue 10s
  timeout check ${timeout}ms
  # A peer that went without a word is noticed, and nobody on the way forgets a connection that is silent.
  option clitcpka
  clitcpka-idle 60s
  clitcpka-intvl 10s
  clitcpka-cnt 6
  option srvtcpka
  srvtcpka-idle 60s
  srvtcpka-intvl 10s
  srvtcpka-cnt 6

frontend site
  bind :${PORTS.http}
  option httplog
  # A reload closes an idle connection only after its next answer, which says so: no visitor sends a
  # request into a door that is closing.
  option idle-close-on-response
  monitor-uri ${LOAD_BALANCER_HEALTH_PATH}
  monitor fail if { nbsrv(web) lt 1 }
  # A host has to be named (RFC 9112, section 3.2), but in HTTP/1.0, and the name may be empty. The app gets
  # the address that was asked then.
  http-request deny deny_status 400 if HTTP_1.1 !{ req.fhdr_cnt(Host) gt 0 }
  http-request set-header Host %[dst] unless { req.fhdr(Host),length gt 0 }
  # What a visitor claims about himself does not reach the app, nor what an app could take for such a claim:
  # to CGI and WSGI, x_forwarded_for is the same as X-Forwarded-For.
  option http-restrict-req-hdr-names delete
  http-request del-header ^(${CLAIMS.join("|")})$ -m reg
  option forwardfor
  http-request set-header X-Forwarded-Proto http
  unique-id-format %[uuid()]
  unique-id-header X-Request-Id
  default_backend web

backend web
  # Written out: the default changed to random in 3.3.
  balance ${loadBalancer.algorithm}${
    loadBalancer.algorithm === "source"
      ? "\n  # One server more or less moves only its own share of the clients.\n  hash-type consistent"
      : ""
  }
  option httpchk
  http-check send meth GET uri ${HEALTH_PATH} ver HTTP/1.1 hdr Host load-balancer hdr Connection close
  http-check expect status 200
  option redispatch 1
  # What did not reach an app, or was not answered, is sent three times more at most. 502 is Nginx's word for
  # an app that is not there; its 504, for one that takes too long, is passed on.
  retries 3
  retry-on conn-failure empty-response response-timeout 502
  # A write may be repeated only when the client has made it safe to repeat.
  acl repeatable method GET HEAD OPTIONS
  acl repeatable req.hdr(Idempotency-Key) -m found
  http-request disable-l7-retry unless repeatable
  # It can be repeated when all of it is in the buffer before the first of it is sent.
  http-request wait-for-body time 300s if { req.hdr(Idempotency-Key) -m found }
  # Nginx waits for the first word of these as long as for every other, so that it is the load balancer that
  # gives up.
  acl long-lived req.hdr(Upgrade) -m found
  acl long-lived req.fhdr(Accept) -m sub -i text/event-stream
  http-request set-retries 1 if long-lived
  http-response set-timeout server ${app.tunnelTimeout}s if { res.hdr(Content-Type) -m beg -i text/event-stream }
  # No server counts as up before a check was good, and one that comes back takes its share slowly.
  default-server check init-state down inter ${interval}ms fastinter ${fastInterval}ms downinter ${fastInterval}ms fall ${fall} rise ${rise} slowstart 10s maxconn 2000
${servers.join("\n")}

frontend metrics
  bind 127.0.0.1:8404
  no log
  http-request use-service prometheus-exporter if { path /metrics }
  stats enable
  stats uri /
`;
}

/** HAProxy in front of the web servers, with the chosen algorithm. */
export function loadBalancerContent(topology: Topology): RoleContent {
  return {
    packages: ["haproxy", "socat"],
    files: [textFile("/etc/haproxy/haproxy.cfg", haproxyConfiguration(topology))],
    facts: { HAPROXY_SOCKET },
  };
}
