import { LOCAL_PORTS, PORTS } from "../topology/ports";
import { hostsOf, type Topology, type TopologyHost } from "../topology/topology";
import { DATABASE_ACCOUNTS, databaseServerName, HAPROXY_SOCKET } from "./agreed";
import { envFile } from "./env-file";
import { metricsFrontend } from "./haproxy-metrics";
import { type RoleContent, textFile } from "./host";
import { CURRENT_RELEASE, HEALTH_PATH } from "./release-files";
import { haproxySandbox, sandboxOf } from "./sandbox";
import { staticFiles } from "./static-files";

/**
 * How often a web server checks each database host's role, in milliseconds. Each makes four checks, so the interval
 * grows with the number of web servers: a database host answers at most some four hundred checks a second.
 */
export function roleCheckInterval(webServers: number): number {
  return Math.max(500, webServers * 10);
}

function databaseRouter(topology: Topology, host: TopologyHost): string {
  const databases = hostsOf(topology, "database");
  const interval = roleCheckInterval(topology.settings.webServers.count);
  // The part of a server's name before the colon is the path that its health check requests.
  const servers = (path: string, options = "") =>
    databases
      .map((host) => `  server ${path}:${host.name} ${host.address}:${PORTS.mysql}${options}`)
      .join("\n");
  return `# HAProxy 3 (https://docs.haproxy.org/3.2/configuration.html): gives the app two fixed addresses, one for the primary and
# one for fresh replicas. Each database host reports its role over HTTP.
global
  log stdout format raw daemon info
  user haproxy
  group haproxy
  stats socket ${HAPROXY_SOCKET} mode 660 level admin expose-fd listeners
  # maxconn is derived from this limit on open files, or from the host's own limit if that is lower.
  fd-hard-limit 8000
  hard-stop-after 10s

defaults
  mode tcp
  log global
  option dontlog-normal
  option clitcpka
  option srvtcpka
  timeout connect 1s
  timeout client 1h
  timeout server 1h
  timeout check 1s

  option httpchk
  http-check send meth GET uri-lf "/%[srv_name,field(1,:)]"
  http-check expect status 200
  # A server is down until its first check has succeeded.
  default-server check init-state down port ${PORTS.databaseHealth} inter ${interval}ms fastinter 250ms downinter ${interval / 2}ms fall 2 rise 1 on-marked-down shutdown-sessions

listen writes
  bind 127.0.0.1:${LOCAL_PORTS.databaseWrites}
  # If two hosts ever claim to be primary, writes go to neither.
  tcp-request connection reject unless { nbsrv(writes) eq 1 }
${servers("primary")}

listen reads
  bind 127.0.0.1:${LOCAL_PORTS.databaseReads}
  balance leastconn
  # A server that refuses a connection is marked down at once, and the connection goes to another one: its health check
  # may fail only a second later.
  option redispatch 1
  default-server observe layer4 error-limit 1 on-error mark-down
${servers("replica")}
  # Without a fresh replica, the primary serves reads; without a primary, any readable server does. Only the first
  # backup server that is up is used.
${servers("primary", " backup")}
${servers("readable", " backup")}

${metricsFrontend(host)}`;
}

function nginxConfiguration(topology: Topology): string {
  const { app } = topology.settings;
  const loadBalancers = hostsOf(topology, "load-balancer");
  return `# Nginx in front of the app (https://nginx.org/en/docs/).
user www-data;
worker_processes auto;
worker_rlimit_nofile 16384;
pid /run/nginx.pid;
# After a reload, old workers serve open connections for as long as a tunnel may be idle.
worker_shutdown_timeout ${Math.max(60, app.tunnelTimeout)}s;
error_log /var/log/nginx/error.log warn;

events {
  worker_connections 4096;
}

http {
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  server_tokens off;
  sendfile on;
  tcp_nopush on;

  # The visitor's address is accepted from the load balancer only.
${loadBalancers.map((host) => `  set_real_ip_from ${host.address};`).join("\n")}
  real_ip_header X-Forwarded-For;

  log_format site '$remote_addr [$time_iso8601] "$request" $status $body_bytes_sent '
                  '$request_time $upstream_response_time $http_x_request_id "$http_user_agent"';
  access_log /var/log/nginx/access.log site buffer=16k flush=1s;

  # $uri is normalized: decoded, with dots and slashes resolved. Visitors' requests have the X-Request-Id that the load
  # balancer adds; its own health checks have none.
  map "$http_x_request_id $uri" $not_for_visitors {
    default "";
    "~^[^ ]+ ${HEALTH_PATH.replace(/\/[^/]*$/, "").replace(".", "\\.")}(/|$)" 1;
  }

  # All longer than the load balancer's: it enforces the timeouts of clients.
  keepalive_timeout 75s;
  client_header_timeout 60s;
  client_body_timeout 60s;
  send_timeout 60s;
  # At least as large as what the load balancer accepts.
  large_client_header_buffers 4 32k;
  reset_timedout_connection on;

  # The app's responses are not compressed: compression would weaken their entity tags. An app can compress them itself.
  # These settings are for /static/.
  gzip_vary on;
  gzip_proxied any;
  gzip_min_length 1024;
  gzip_types text/css text/plain text/javascript application/javascript application/json image/svg+xml;
  # Nginx does not know the port that the visitor connected to.
  absolute_redirect off;

  # An upgrade to HTTP/2 would bypass the rules that apply here to each request.
  map $http_upgrade $upgrade_to {
    default $http_upgrade;
    "~*(h2c|http/2)" "";
  }
  map $upgrade_to $connection_to {
    default upgrade;
    "" "";
  }

  proxy_http_version 1.1;
  proxy_set_header Upgrade $upgrade_to;
  proxy_set_header Connection $connection_to;
  proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Proto $http_x_forwarded_proto;
  proxy_set_header X-Request-Id $http_x_request_id;
  # Nginx forwards chunked requests unchunked, and so without trailers.
  proxy_set_header Trailer "";
  proxy_pass_header Date;
  proxy_pass_header Server;
  proxy_redirect off;
  # Responses are streamed. An app that wants slow clients to be buffered sends "X-Accel-Buffering: yes".
  proxy_buffering off;
  # All response headers must fit into this buffer.
  proxy_buffer_size 32k;
  proxy_buffers 8 32k;
  proxy_connect_timeout 2s;
  # Only the load balancer retries: it has other servers to try.
  proxy_next_upstream off;

  # Its own numbers, for the exporter.
  server {
    listen 127.0.0.1:${LOCAL_PORTS.nginxStatus};
    access_log off;
    location = / {
      stub_status;
    }
  }

  # The app's port, and what Nginx serves itself, are part of the app's release.
  include ${CURRENT_RELEASE}/nginx/http/*.conf;

  server {
    listen ${PORTS.http} default_server;
    server_name _;
    # Without a release, nothing is served.
    root /nonexistent;
    if ($not_for_visitors) {
      return 404;
    }
    include ${CURRENT_RELEASE}/nginx/server/*.conf;
  }
}
`;
}

/** Nginx's first process is root's; logs are of the user of the others, whom it tells to end. */
const nginxSandbox = () =>
  sandboxOf("nginx", {
    capabilities: ["NET_BIND_SERVICE", "SETUID", "SETGID", "KILL", "CHOWN", "DAC_OVERRIDE"],
    writes: ["/run", "/var/log/nginx", "/var/lib/nginx"],
  });

/** Nginx in front of the app, and the app's access to the database. */
export function webContent(topology: Topology, host: TopologyHost): RoleContent {
  const { database } = topology.settings;
  return {
    packages: ["haproxy", "nginx", "nodejs", "socat"],
    units: ["haproxy.service", "nginx.service", "app.service"],
    files: [
      textFile("/etc/haproxy/haproxy.cfg", databaseRouter(topology, host)),
      textFile("/etc/nginx/nginx.conf", nginxConfiguration(topology)),
      ...staticFiles("web"),
      haproxySandbox(),
      nginxSandbox(),
      sandboxOf("app", { makesCode: true, lines: ["UMask=0077"] }),
      textFile(
        "/etc/cluster/app.env",
        envFile({
          HOST: "127.0.0.1",
          HOST_NAME: host.name,
          DATABASE_WRITE_ADDRESS: `127.0.0.1:${LOCAL_PORTS.databaseWrites}`,
          DATABASE_READ_ADDRESS: `127.0.0.1:${LOCAL_PORTS.databaseReads}`,
          DATABASE_NAME: database.name,
          DATABASE_USER: DATABASE_ACCOUNTS.app,
          DATABASE_READ_USER: DATABASE_ACCOUNTS.reads,
          DATABASE_CA_FILE: "/etc/cluster/certificate-authority.pem",
          DATABASE_SERVER_NAME: databaseServerName(topology.clusterName),
        }),
      ),
    ],
    facts: {
      HAPROXY_SOCKET,
      WEB_HEALTH_PATH: HEALTH_PATH,
      DATABASE_HEALTH_PORT: String(PORTS.databaseHealth),
      DATABASE_HOSTS: hostsOf(topology, "database")
        .map((database) => database.address)
        .join(" "),
    },
  };
}
