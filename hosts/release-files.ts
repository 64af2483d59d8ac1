import { PORTS } from "../topology/ports";
import type { ClusterSettings } from "../topology/settings";
import { envFile } from "./env-file";

/** The path of the load balancer's health check on a web server. */
export const HEALTH_PATH = "/.cluster/health";

/** Path of the release that serves, on a web server: a link that is switched atomically. */
export const CURRENT_RELEASE = "/srv/app/current";

/** A file of a release, by its path in the archive. */
export interface ReleaseFile {
  readonly path: string;
  readonly content: string;
  /** Octal permissions, four digits, for example `0644`. */
  readonly permissions: string;
}

/**
 * The files of a release beside the app's own files, which are in its folder `app`: all app settings. So a release is
 * started, and rolled back, as a whole.
 *
 * Nginx includes `nginx/http` in its http block, and `nginx/server` in the site's server block. `about.json` is for the
 * scripts that start a release.
 */
export function releaseFiles(app: ClusterSettings["app"]): ReleaseFile[] {
  const file = (path: string, content: string, permissions = "0644") => ({
    path,
    content,
    permissions,
  });
  return [
    file("start", `#!/bin/sh\nexec ${app.command}\n`, "0755"),
    file(
      "app.env",
      envFile({ PORT: String(app.port), NODE_ENV: "production", ...app.environment }),
    ),
    file(
      "about.json",
      `${JSON.stringify({
        startTimeout: app.startTimeout,
        healthPath: app.healthPath,
        healthHost: app.healthHost,
      })}\n`,
    ),
    file("nginx/http/app.conf", upstream(app.port) + LONG_LIVED + metrics(app)),
    file("nginx/server/app.conf", locations(app)),
  ];
}

function upstream(port: number): string {
  return `upstream app {
  # With a single server, marking it as failed would cause 502 responses after it is back.
  server 127.0.0.1:${port} max_fails=0;
  keepalive 32;
  # Shorter than the apps' own keep-alive timeout, typically five seconds, so that no request is sent on a connection
  # that the app is closing.
  keepalive_timeout 4s;
}
`;
}

/** What the load balancer also treats as long-lived: an Upgrade, and server-sent events. */
const LONG_LIVED = `
map "$http_upgrade|$http_accept" $long_lived {
  default "";
  "~^[^|]" 1;
  "~*\\|.*text/event-stream" 1;
}
`;

/** Where a monitor asks for the app's metrics: the firewall lets nobody else reach the port. */
function metrics({ metricsPath }: ClusterSettings["app"]): string {
  return metricsPath === undefined
    ? ""
    : `
server {
  listen ${PORTS.appMetrics};
  server_name _;
  access_log off;
  location = /metrics {
    proxy_pass http://app${metricsPath};
    proxy_read_timeout 4s;
    proxy_pass_request_headers off;
    proxy_set_header Host localhost;
    proxy_set_header Connection "";
  }
  location / {
    return 404;
  }
}
`;
}

function locations(app: ClusterSettings["app"]): string {
  const longest = Math.max(app.tunnelTimeout, app.responseTimeout) + 60;
  const staticFiles =
    app.staticDirectory === undefined
      ? ""
      : `
location /static/ {
  alias ${CURRENT_RELEASE}/app/${app.staticDirectory.replace(/\/+$/, "")}/;
  charset utf-8;
  charset_types text/plain text/css text/javascript application/javascript text/xml;
  gzip on;
  expires 1h;
  add_header X-Content-Type-Options nosniff always;
  add_header X-Served-By $hostname always;
}
`;
  return `location = ${HEALTH_PATH} {
  proxy_pass http://app${app.healthPath};
  proxy_read_timeout 2s;
  # The app always gets the same request, with the Host header from the release and without the client's headers.
  proxy_pass_request_headers off;
  proxy_set_header Host ${app.healthHost};
  proxy_set_header Connection "";
  access_log off;
}
${staticFiles}${
  app.metricsPath === undefined
    ? ""
    : `
# For a monitor, at a port of its own.
location = ${app.metricsPath} {
  return 404;
}
`
}
# Applies to chunked bodies as well.
client_max_body_size ${app.maxBodySize}m;
error_page 413 @too-large;
recursive_error_pages on;
location @too-large {
  default_type text/plain;
  return 413 "413: the body of this request is larger than ${app.maxBodySize} MiB.\\n";
}

# Status 418 is used internally to jump to the location
# (https://nginx.org/en/docs/http/ngx_http_core_module.html#error_page).
error_page 418 = @long-lived;
location / {
  if ($long_lived) {
    return 418;
  }
  proxy_pass http://app;
  proxy_read_timeout ${app.responseTimeout}s;
  proxy_send_timeout ${app.responseTimeout}s;
}
location @long-lived {
  proxy_pass http://app;
  # Longer than the load balancer's timeouts, which therefore expire first.
  proxy_read_timeout ${longest}s;
  proxy_send_timeout ${longest}s;
  send_timeout ${longest}s;
}
`;
}
