import type { ClusterSettings } from "../topology/settings";
import { envFile } from "./env-file";

/** The path of a web server on which the load balancer asks whether it can serve. */
export const HEALTH_PATH = "/.cluster/health";

/** Where a web server keeps the release that serves: a link that changes in one step. */
export const CURRENT_RELEASE = "/srv/app/current";

/** A file of a release, by its path in the archive. */
export interface ReleaseFile {
  readonly path: string;
  readonly content: string;
  /** Octal permissions, four digits, for example `0644`. */
  readonly permissions: string;
}

/**
 * What a release carries beside the app's own files, which lie in its folder `app`: all that the
 * settings say of the app. A release is therefore started, and taken back, as a whole.
 *
 * Nginx includes what is in `nginx/http` into its http block, and what is in `nginx/server` into the
 * site's server block. What `about.json` says is for the scripts that start a release.
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
    file("nginx/http/app.conf", upstream(app.port)),
    file("nginx/server/app.conf", locations(app)),
  ];
}

function upstream(port: number): string {
  return `upstream app {
  # One server: to set it aside after a failure would answer 502 while it is already back.
  server 127.0.0.1:${port} max_fails=0;
  keepalive 32;
  keepalive_timeout 60s;
}
`;
}

function locations(app: ClusterSettings["app"]): string {
  const staticFiles =
    app.staticDirectory === undefined
      ? ""
      : `
location /static/ {
  alias ${CURRENT_RELEASE}/app/${app.staticDirectory.replace(/\/+$/, "")}/;
  expires 1h;
  add_header X-Content-Type-Options nosniff always;
  add_header X-Served-By $hostname always;
}
`;
  return `location = ${HEALTH_PATH} {
  proxy_pass http://app${app.healthPath};
  proxy_read_timeout 2s;
  # The same request to the app, whoever asks: its host comes with the release, and nothing of who asks.
  proxy_pass_request_headers off;
  proxy_set_header Host ${app.healthHost};
  proxy_set_header Connection "";
  access_log off;
}
${staticFiles}
location / {
  proxy_pass http://app;
  # The load balancer gives up first, and asks another web server.
  proxy_read_timeout ${app.responseTimeout + 5}s;
}
`;
}
