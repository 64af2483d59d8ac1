import { LOCAL_PORTS, PORTS } from "../topology/ports";
import { hostsOf, type Topology, type TopologyHost } from "../topology/topology";
import { HAPROXY_SOCKET, QUIC_CONFIGURATION } from "./agreed";
import {
  limitsDefaults,
  limitsOfConnections,
  limitsOfRequests,
  limitTables,
  REQUESTS_PER_WEB_SERVER,
  timeoutOfUploads,
} from "./client-limits";
import { metricsFrontend } from "./haproxy-metrics";
import { type RoleContent, textFile } from "./host";
import { LOAD_BALANCER_HEALTH_PATH } from "./load-balancer-health";
import { pairContent } from "./load-balancer-pair";
import { HEALTH_PATH } from "./release-files";
import { haproxySandbox, sandboxOf } from "./sandbox";
import { staticFiles } from "./static-files";
import { tlsBind, tlsContent, tlsDefaults, tlsRules } from "./visitors-tls";

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

/** How long a client may be silent, in seconds. */
const CLIENT_TIMEOUT = 30;

/**
 * Headers with which a trusted proxy tells an app who the visitor is, where they come from and what they requested.
 * There is no trusted proxy in front of this load balancer, so in a visitor's request they are the visitor's own
 * claims. Regular expressions for names in lower case, as HAProxy keeps them.
 */
const CLAIMS = [
  // The visitor's address: every name in which "ip" is a word, and names in which it is joined to what it is of.
  "(.+-)?ip(-.+)?",
  ".*(client|real|remote|source|user|visitor)ip(-.+)?",
  "(.+-)?client-(addr|address|port|cert|cert-chain)",
  "(x-)?forward.*",
  "x-proxied-.*",
  "(x-)?coming-from",
  "(.+-)?via",
  "x-(real|remote|client|cluster-client|originating|proxyuser|proxy)-.*",
  "(x-)?remote-(addr|host|port|user|groups?|name|email)",
  "(do|cf)-connecting-.*",
  // The scheme, the host, the port and the path of the original request, before a rewrite.
  "(x-)?(url-)?scheme",
  "x-proto(col)?",
  "(x-)?(front-end-)?https",
  "(x-)?(base-url|request-uri|path-info|script-name|server-(name|port|addr))",
  "x-(host|host-override|http-host-override|http-path-override|override-url)",
  "x-(original|rewrite)-.*",
  // Headers added by CDNs and other clouds' load balancers.
  "(cf|fastly|fly|cloudfront|akamai|x-akamai|x-amzn|x-amz-cf|x-azure|x-appgw|x-arr|x-appengine|x-envoy|x-vercel|x-nf)-.*",
  "(cdn|x-cdn|ali|x-sucuri|x-edge-connect)-.*",
  "x-(geo|geoip|country)(-.*)?",
  "x-nginx-proxy",
  // The visitor's identity, as stated by an authenticating proxy or a TLS terminator.
  "(x-)?ssl(-.*)?",
  "x-(auth-request|authenticated|authentik|webauth|goog|ms-client|tls|consumer|jwt-claim|pomerium|vouch)-.*",
  "x-(credential-identifier|anonymous-consumer|userinfo)",
  "(oidc|x-oidc|tailscale|sm)-.*",
  // Instructions to a proxy, which an app or its server could mistake for a proxy's own.
  "x-(accel|sendfile)-.*",
  "proxy",
  "http2-settings",
  "x-request-id",
];

function haproxyConfiguration(topology: Topology, host: TopologyHost): string {
  const { loadBalancer, webServers, app } = topology.settings;
  const { interval, fastInterval, timeout, fall, rise } = HEALTH_CHECK;
  const servers = hostsOf(topology, "web").map((host, index) => {
    const standsBy = webServers.mode === "active-passive" && index > 0;
    return `  server ${host.name} ${host.address}:${PORTS.http}${standsBy ? " backup" : ""}`;
  });
  return `# HAProxy 3 (https://docs.haproxy.org/3.2/configuration.html): one site, balanced across the web servers.
global
  log stdout format raw daemon info
  user haproxy
  group haproxy
  # For operators on this host: "show servers state", "set server web/web-1 state drain", ...
  stats socket ${HAPROXY_SOCKET} mode 660 level admin expose-fd listeners
  stats timeout 30s
  # Drained servers stay drained, and servers that are down stay down, across reloads and restarts.
  server-state-file ${SERVER_STATE}
  # A reload hands over the listening sockets. The old process exits with its last connection, but tunnels may be idle for
  # long. So that old processes do not accumulate, each exits at the fifth reload after it at the latest.
  hard-stop-after ${Math.max(60, app.tunnelTimeout)}s
  mworker-max-reloads 4
  # 16 KB of headers, plus room for added ones: all headers of a request or a response must fit into one buffer, less
  # tune.maxrewrite (1 KB). A request that may be retried must fit completely.
  tune.bufsize 20480
  # Headers are limited by their size, not by their number.
  tune.http.maxhdr 1000
${limitsDefaults(topology)}${tlsDefaults(topology)}
defaults
  mode http
  log global
  option dontlognull
  load-server-state-from-file global
  timeout connect 1s
  timeout client ${CLIENT_TIMEOUT}s
  # If the app does not respond in time, Nginx answers 504. This timeout, slightly longer, is for a web server that does
  # not respond at all.
  timeout server ${app.responseTimeout + LONGER_THAN_NGINX}s
  # After an Upgrade, this timeout applies instead of those of client and server.
  timeout tunnel ${app.tunnelTimeout}s
  # For the complete request headers.
  timeout http-request 10s
  timeout http-keep-alive 60s
  timeout queue 10s
  timeout check ${timeout}ms
  # TCP keepalive detects dead peers, and keeps NAT and firewalls from forgetting idle connections.
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
${tlsBind(topology)}  option httplog
  # A reload closes an idle connection only after its next response, with "Connection: close". So no visitor's request
  # meets a connection that is being closed.
  option idle-close-on-response
${limitsOfConnections(topology)}  monitor-uri ${LOAD_BALANCER_HEALTH_PATH}
  monitor fail if { nbsrv(web) lt 1 }
${limitsOfRequests(topology)}${tlsRules(topology)}  # Host is required (RFC 9112, section 3.2) except in HTTP/1.0, and may be empty. In these cases the app gets the
  # address that the request was sent to.
  http-request deny deny_status 400 if HTTP_1.1 !{ req.fhdr_cnt(Host) gt 0 }
  http-request set-header Host %[dst] unless { req.fhdr(Host),length gt 0 }
  # Removes headers with which only a trusted proxy may describe the visitor, and those that an app could mistake for
  # them: in CGI and WSGI, x_forwarded_for is the same as X-Forwarded-For.
  option http-restrict-req-hdr-names delete
  http-request del-header ^(${CLAIMS.join("|")})$ -m reg
  option forwardfor
  http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
  unique-id-format %[uuid()]
  unique-id-header X-Request-Id
  default_backend web

backend web
  # Explicit, because the default changed to random in 3.3.
  balance ${loadBalancer.algorithm}${
    loadBalancer.algorithm === "source"
      ? "\n  # Adding or removing a server remaps only its own share of the clients.\n  hash-type consistent"
      : ""
  }
  option httpchk
  http-check send meth GET uri ${HEALTH_PATH} ver HTTP/1.1 hdr Host load-balancer hdr Connection close
  http-check expect status 200
  option redispatch 1
  # A request that did not reach an app, or got no response, is retried up to three times. Nginx answers 502 if the app
  # is not running; its 504, for an app that takes too long, is passed on.
  retries 3
  retry-on conn-failure empty-response response-timeout 502
  # A write may be retried only if the client has made that safe.
  acl repeatable method GET HEAD OPTIONS
  acl repeatable req.hdr(Idempotency-Key) -m found
  http-request disable-l7-retry unless repeatable
  # For these Nginx cannot enforce the app's timeout. The load balancer's own one expires instead, whether the app is slow
  # or the web server is dead; hence one retry at most.
  acl long-lived req.hdr(Upgrade) -m found
  acl long-lived req.fhdr(Accept) -m sub -i text/event-stream
  http-request set-retries 1 if long-lived
${timeoutOfUploads(Math.max(CLIENT_TIMEOUT, app.responseTimeout))}  http-response set-timeout server ${app.tunnelTimeout}s if { res.hdr(Content-Type) -m beg -i text/event-stream }
  # A server is down until a check has succeeded; a server that comes back gets its share gradually.
  default-server check init-state down inter ${interval}ms fastinter ${fastInterval}ms downinter ${fastInterval}ms fall ${fall} rise ${rise} slowstart 10s maxconn ${REQUESTS_PER_WEB_SERVER}
${servers.join("\n")}

${limitTables()}
frontend statistics
  bind 127.0.0.1:${LOCAL_PORTS.statistics}
  no log
  stats enable
  stats uri /

${metricsFrontend(host)}`;
}

/** HAProxy in front of the web servers, with the chosen algorithm. */
export function loadBalancerContent(topology: Topology, host: TopologyHost): RoleContent {
  const pair = pairContent(topology, host);
  const tls = tlsContent(topology, host);
  return {
    packages: ["haproxy", "socat", ...tls.packages, ...pair.packages],
    units: ["haproxy.service", "cluster-silence.service", ...tls.units, ...pair.units],
    files: [
      textFile("/etc/haproxy/haproxy.cfg", haproxyConfiguration(topology, host)),
      ...staticFiles("load-balancer"),
      ...tls.files,
      haproxySandbox(
        {
          capabilities: ["NET_BIND_SERVICE"],
          // One of two writes what the other one knows of the web servers before HAProxy starts.
          writes: ["/var/lib/cluster"],
          // Its regular expressions are compiled: it does not start without.
          makesCode: true,
        },
        QUIC_CONFIGURATION,
      ),
      // It ends connections.
      sandboxOf("cluster-silence", { capabilities: ["NET_ADMIN"], families: ["NETLINK"] }),
      ...pair.files,
    ],
    facts: {
      HAPROXY_SOCKET,
      WEB_SERVERS: hostsOf(topology, "web")
        .map(({ name, address }) => `${name}:${address}`)
        .join(" "),
      WEB_PORT: String(PORTS.http),
      QUIC_CONFIGURATION,
      ...tls.facts,
      ...pair.facts,
    },
  };
}
