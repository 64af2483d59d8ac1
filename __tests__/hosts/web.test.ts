import { roleCheckInterval } from "../../hosts/web";
import { fileOf, hostOf } from "./rendered";

const nginx = "/etc/nginx/nginx.conf";
const router = "/etc/haproxy/haproxy.cfg";
const unit = "/etc/systemd/system/app.service";

describe("Nginx", () => {
  test("accepts a visitor's address only from the load balancer", () => {
    const text = fileOf(hostOf("web-1"), nginx);
    expect(text.match(/set_real_ip_from .*/g)).toEqual(["set_real_ip_from 10.90.0.4;"]);
  });

  test("includes the configuration of the app's release, and serves nothing without a release", () => {
    const text = fileOf(hostOf("web-1"), nginx);
    expect(text.match(/include \/srv.*/g)).toEqual([
      "include /srv/app/current/nginx/http/*.conf;",
      "include /srv/app/current/nginx/server/*.conf;",
    ]);
    expect(text).toContain("root /nonexistent;");
  });

  test("answers the cluster's own paths only to requests that did not come through the load balancer", () => {
    const text = fileOf(hostOf("web-1"), nginx);
    const pattern = /"~(.+)" 1;/.exec(text)?.[1] as string;
    expect("0f-1 /.cluster/health").toMatch(new RegExp(pattern));
    expect("0f-1 /.cluster").toMatch(new RegExp(pattern));
    expect("0f-1 /.clusters").not.toMatch(new RegExp(pattern));
    expect("0f-1 /xcluster/health").not.toMatch(new RegExp(pattern));
    expect(" /.cluster/health").not.toMatch(new RegExp(pattern));
    expect(text).toMatch(/if \(\$not_for_visitors\) \{\s+return 404;/);
  });

  test("has longer timeouts for visitors than the load balancer", () => {
    const text = fileOf(hostOf("web-1"), nginx);
    const balancer = fileOf(hostOf("load-balancer-1"), router);
    const seconds = (of: string, pattern: RegExp) => Number(pattern.exec(of)?.[1]);
    const client = seconds(balancer, /^ {2}timeout client (\d+)s$/m);
    for (const name of ["client_header_timeout", "client_body_timeout", "send_timeout"]) {
      expect(seconds(text, new RegExp(`^ {2}${name} (\\d+)s;$`, "m"))).toBeGreaterThan(client);
    }
    expect(seconds(text, /^ {2}keepalive_timeout (\d+)s;$/m)).toBeGreaterThan(
      seconds(balancer, /^ {2}timeout http-keep-alive (\d+)s$/m),
    );
  });

  test("does not change the app's responses", () => {
    const text = fileOf(hostOf("web-1"), nginx);
    expect(text).not.toMatch(/^ *(charset|gzip) /m);
    expect(text).toContain("proxy_buffering off;");
    expect(text).toContain("proxy_redirect off;");
  });
});

describe("HAProxy on a web server", () => {
  const text = fileOf(hostOf("web-1", { database: { replicas: 2 } }), router);
  const section = (name: string) =>
    (text.split(new RegExp(`^listen ${name}$`, "m"))[1] ?? "").split(/^(?:listen|backend) /m)[0];

  const asked = (name: string) =>
    [...(section(name) ?? "").matchAll(/^ {2}server (\w+):.*$/gm)].map((match) => match[1]);

  test("asks each server for the role that its name begins with", () => {
    expect(text).toContain('uri-lf "/%[srv_name,field(1,:)]"');
  });

  test("sends writes only to a primary", () => {
    expect(asked("writes")).toEqual(Array(3).fill("primary"));
  });

  test("rejects writes while two hosts claim to be primary", () => {
    expect(section("writes")).toContain("reject unless { nbsrv(writes) eq 1 }");
  });

  test("sends reads to fresh replicas, then to the primary, then to any readable server", () => {
    expect(asked("reads")).toEqual([
      ...Array(3).fill("replica"),
      ...Array(3).fill("primary"),
      ...Array(3).fill("readable"),
    ]);
    const servers = section("reads")?.match(/^ {2}server .*$/gm) ?? [];
    expect(servers.map((line) => line.endsWith(" backup"))).toEqual([
      ...Array(3).fill(false),
      ...Array(6).fill(true),
    ]);
  });

  test("considers a host down until a health check succeeds", () => {
    expect(text).toMatch(/default-server check init-state down/);
    expect(text).not.toContain("track ");
  });

  test("gives databases on the loopback only, and metrics to a monitor", () => {
    expect(text.match(/bind .*/g)).toEqual([
      "bind 127.0.0.1:3306",
      "bind 127.0.0.1:3307",
      "bind 10.90.2.12:8406",
    ]);
  });

  test.each([
    [2, 500],
    [50, 500],
    [100, 1000],
  ])("with %d web servers checks roles every %d ms", (count, expected) => {
    expect(roleCheckInterval(count)).toBe(expected);
  });
});

describe("the app", () => {
  test("gets addresses in its environment, and passwords as files that change while it runs", () => {
    const host = hostOf("web-2");
    expect(fileOf(host, "/etc/cluster/app.env").trim().split("\n")).toEqual([
      "HOST='127.0.0.1'",
      "HOST_NAME='web-2'",
      "DATABASE_WRITE_ADDRESS='127.0.0.1:3306'",
      "DATABASE_READ_ADDRESS='127.0.0.1:3307'",
      "DATABASE_NAME='app'",
      "DATABASE_USER='app'",
      "DATABASE_READ_USER='app_read'",
      "DATABASE_CA_FILE='/etc/cluster/certificate-authority.pem'",
      "DATABASE_SERVER_NAME='database.demo.internal'",
    ]);
    for (const line of [
      "Environment=DATABASE_PASSWORD_FILE=/run/app-secrets/database-password",
      "Environment=DATABASE_READ_PASSWORD_FILE=/run/app-secrets/database-read-password",
      "BindReadOnlyPaths=/run/cluster/secrets/app:/run/app-secrets",
    ]) {
      expect(fileOf(host, unit)).toContain(`\n${line}\n`);
    }
  });

  test("cannot have the host's variables overridden by app.environment", () => {
    const names = fileOf(hostOf("web-1"), "/etc/cluster/app.env").match(/^\w+(?==)/gm) ?? [];
    for (const name of [
      ...names,
      "PORT",
      "DATABASE_PASSWORD_FILE",
      "DATABASE_READ_PASSWORD_FILE",
    ]) {
      expect(() =>
        hostOf("web-1", { app: { directory: "x", environment: { [name]: "1" } } }),
      ).toThrow(`app.environment.${name}`);
    }
  });

  test("is started by its release's command, without privileges", () => {
    const text = fileOf(hostOf("web-1"), unit);
    expect(text).toContain("\nExecStart=/srv/app/current/start\n");
    expect(text).toContain("\nDynamicUser=yes\n");
    const sandbox = fileOf(hostOf("web-1"), "/etc/systemd/system/app.service.d/sandbox.conf");
    expect(sandbox).toContain("\nCapabilityBoundingSet=\n");
  });
});
