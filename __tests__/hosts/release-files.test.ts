import { releaseFiles } from "../../hosts/release-files";
import type { ClusterSettingsInput } from "../../topology/settings";
import { topologyOf } from "./rendered";

function filesOf(app: ClusterSettingsInput["app"]): Record<string, string> {
  const files = releaseFiles(topologyOf({ app }).settings.app);
  return Object.fromEntries(files.map(({ path, content }) => [path, content]));
}

test("a release contains its start command as an executable", () => {
  const app = { directory: "other", command: "/usr/bin/python3 main.py" };
  const [start] = releaseFiles(topologyOf({ app }).settings.app);
  expect(start).toEqual({
    path: "start",
    content: "#!/bin/sh\nexec /usr/bin/python3 main.py\n",
    permissions: "0755",
  });
});

test("a release contains its environment", () => {
  const app = { directory: "other", port: 8081, environment: { COLOUR: "a b", NODE_ENV: "test" } };
  expect(filesOf(app)["app.env"]).toBe("PORT='8081'\nNODE_ENV='test'\nCOLOUR='a b'\n");
});

test("Nginx forwards to the release's port, and health checks to its health path", () => {
  const files = filesOf({ directory: "other", port: 8081, healthPath: "/up" });
  expect(files["nginx/http/app.conf"]).toContain("server 127.0.0.1:8081 ");
  expect(files["nginx/server/app.conf"]).toMatch(
    /location = \/\.cluster\/health \{\s+proxy_pass http:\/\/app\/up;/,
  );
});

test("health checks reach the app with the Host from its settings, whoever sends them", () => {
  const health = (app: ClusterSettingsInput["app"]) =>
    /location = \/\.cluster\/health \{[^}]*\}/.exec(
      filesOf(app)["nginx/server/app.conf"] as string,
    )?.[0];
  const asked = health({ directory: "other", healthHost: "shop.example.com:8443" });
  expect(asked).toContain("proxy_set_header Host shop.example.com:8443;");
  expect(asked).toContain("proxy_pass_request_headers off;");
  expect(health({ directory: "other" })).toContain("proxy_set_header Host load-balancer;");
});

test("a release states its start timeout and its health check", () => {
  const app = { directory: "other", startTimeout: 120, healthPath: "/up" };
  expect(JSON.parse(filesOf(app)["about.json"] as string)).toEqual({
    startTimeout: 120,
    healthPath: "/up",
    healthHost: "load-balancer",
  });
});

test("Nginx waits for the app for app.responseTimeout, and for a tunnel longer than the load balancer", () => {
  const text = filesOf({ directory: "other", responseTimeout: 20, tunnelTimeout: 500 });
  expect(text["nginx/server/app.conf"]).toMatch(
    /location \/ \{[^}]*\}\s+proxy_pass http:\/\/app;\s+proxy_read_timeout 20s;/,
  );
  expect(text["nginx/server/app.conf"]).toMatch(
    /location @long-lived \{[^}]*proxy_read_timeout 560s;/,
  );
});

test("Nginx accepts bodies up to app.maxBodySize, and states the limit in its error", () => {
  const text = filesOf({ directory: "other", maxBodySize: 25 })["nginx/server/app.conf"];
  expect(text).toContain("client_max_body_size 25m;");
  expect(text).toContain("larger than 25 MiB");
});

test.each([
  [0, false],
  [1, true],
  [1024, true],
  [1025, false],
  [1.5, false],
])("app.maxBodySize of %d MiB is accepted: %s", (maxBodySize, accepted) => {
  const attempt = () => filesOf({ directory: "other", maxBodySize });
  accepted ? expect(attempt).not.toThrow() : expect(attempt).toThrow("app.maxBodySize");
});

test("Nginx sets the charset of static files, and not of the app's responses", () => {
  const text = filesOf(undefined)["nginx/server/app.conf"] as string;
  expect(text.match(/charset utf-8;/g)).toHaveLength(1);
  expect(text).toMatch(/location \/static\/ \{[^}]*charset utf-8;/);
});

test("Nginx serves the app's static directory itself if there is one", () => {
  const locations = (app: ClusterSettingsInput["app"]) => filesOf(app)["nginx/server/app.conf"];
  expect(locations(undefined)).toContain("alias /srv/app/current/app/public/;");
  expect(locations({ directory: "other" })).not.toContain("/static/");
});
