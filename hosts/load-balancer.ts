import { PORTS } from "../topology/flows";
import { hostsOf, type Topology } from "../topology/topology";
import { type RoleContent, textFile } from "./host";
import { HEALTH_PATH } from "./release";

/** The load balancer's own health, on the port of the site: 200 while a web server can serve. */
export const LOAD_BALANCER_HEALTH_PATH = "/load-balancer-health";

/** How the load balancer asks a web server for its health, times in milliseconds. */
const HEALTH_CHECK = {
  interval: 1000,
  fastInterval: 250,
  timeout: 1000,
  fall: 2,
  rise: 2,
} as const;

/**
 * Seconds within which the load balancer knows that a web server has stopped to answer: the fault comes just
 * after a check, and each check that fails takes all the time it has.
 */
export function secondsToNotice(): number {
  const { interval, fastInterval, timeout, fall } = HEALTH_CHECK;
  return Math.ceil((interval + timeout + (fall - 1) * (fastInterval + timeout)) / 1000);
}

/** Where the load balancer keeps what it knows of the web servers, besides its memory. */
const SERVER_STATE = "/var/lib/cluster/haproxy-server-state";

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
  stats socket /run/haproxy/admin.sock mode 660 level admin expose-fd listeners
  stats timeout 30s
  # What was drained stays drained, and what is down stays down, over a reload and a restart.
  server-state-file ${SERVER_STATE}
  # As many connections as this many files allow, or fewer where the host allows fewer.
  fd-hard-limit 40000
  # A reload hands the listeners over; the old process may finish its requests this long.
  hard-stop-after 60s

defaults
  mode http
  log global
  option dontlognull
  load-server-state-from-file global
  timeout connect 1s
  timeout client 30s
  # A web server that is silent for as long is given up, and what can be repeated is repeated elsewhere.
  timeout server ${app.responseTimeout}s
  timeout http-request 10s
  timeout http-keep-alive 60s
  timeout queue 10s
  timeout check ${timeout}ms

frontend site
  bind :${PORTS.http}
  option httplog
  # A reload closes an idle connection only after its next answer, which says so: no visitor sends a
  # request into a door that is closing.
  option idle-close-on-response
  monitor-uri ${LOAD_BALANCER_HEALTH_PATH}
  monitor fail if { nbsrv(web) lt 1 }
  http-request deny deny_status 404 if { path_beg ${HEALTH_PATH.replace(/[^/]*$/, "")} }
  # What a visitor claims about itself does not reach the app.
  http-request del-header X-Forwarded-For
  http-request del-header X-Forwarded-Proto
  http-request del-header X-Request-Id
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
  retries 3
  # 502 is Nginx's word for an app that is not there, 504 for one that does not answer.
  retry-on conn-failure empty-response response-timeout 502 504
  # A write may be repeated only when the client has made it safe to repeat.
  acl repeatable method GET HEAD OPTIONS
  acl repeatable req.hdr(Idempotency-Key) -m found
  http-request disable-l7-retry unless repeatable
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

/** HAProxy in front of the web servers, with the chosen algorithm written out. */
export function loadBalancerContent(topology: Topology): RoleContent {
  return {
    packages: ["haproxy", "socat"],
    files: [textFile("/etc/haproxy/haproxy.cfg", haproxyConfiguration(topology))],
    facts: {},
  };
}
