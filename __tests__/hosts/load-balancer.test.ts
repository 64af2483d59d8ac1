import { readFileSync } from "node:fs";
import { join } from "node:path";
import { VISITORS_CERTIFICATE } from "../../hosts/agreed";
import { secondsToNotice } from "../../hosts/load-balancer";
import { SCRIPTS } from "../../hosts/scripts";
import type { ClusterSettingsInput } from "../../topology/settings";
import { fileOf, hostOf, topologyOf } from "./rendered";

const configuration = (settings: Partial<ClusterSettingsInput> = {}) =>
  fileOf(hostOf("load-balancer-1", settings), "/etc/haproxy/haproxy.cfg");

const serversOf = (text: string) => text.match(/^ {2}server .*$/gm);

test.each(["roundrobin", "leastconn", "source"] as const)(
  "the configuration names algorithm %s",
  (algorithm) => {
    expect(configuration({ loadBalancer: { algorithm } })).toMatch(
      new RegExp(`^ {2}balance ${algorithm}$`, "m"),
    );
  },
);

test("the configuration lists every web server", () => {
  expect(serversOf(configuration({ webServers: { count: 3 } }))).toEqual([
    "  server web-1 10.90.2.12:80",
    "  server web-2 10.90.3.12:80",
    "  server web-3 10.90.2.13:80",
  ]);
});

test("active-passive makes all web servers but the first backups", () => {
  expect(serversOf(configuration({ webServers: { mode: "active-passive", count: 3 } }))).toEqual([
    "  server web-1 10.90.2.12:80",
    "  server web-2 10.90.3.12:80 backup",
    "  server web-3 10.90.2.13:80 backup",
  ]);
});

test("health checks use the path that each release maps to the app's health", () => {
  expect(configuration()).toContain("http-check send meth GET uri /.cluster/health ");
});

test("a web server checks its app's health with the same request and time limit", () => {
  const [, host] =
    /http-check send meth GET uri \S+ ver HTTP\/1\.1 hdr Host (\S+) hdr Connection close$/m.exec(
      configuration(),
    ) as RegExpExecArray;
  const script = readFileSync(join(SCRIPTS, "web", "release.sh"), "utf8");
  const [asked] = /curl [^)]*\)/.exec(script) as RegExpExecArray;
  expect(asked).toContain('"http://127.0.0.1$WEB_HEALTH_PATH")');
  expect(hostOf("web-1").facts.WEB_HEALTH_PATH).toBe("/.cluster/health");
  expect(asked).toContain("--http1.1");
  expect(asked).toContain(`--header 'Host: ${host}' --header 'Connection: close'`);
  // No header that the load balancer does not send.
  expect(asked).toContain("--header 'User-Agent:' --header 'Accept:'");
  expect(configuration()).toContain("\n  timeout check 1000ms\n");
  expect(asked).toContain("--max-time 1 ");
});

test("no web server counts as up before a health check succeeds", () => {
  expect(configuration()).toMatch(/^ {2}default-server check init-state down /m);
});

test("the time to notice a fault is that of one check that just succeeded and two that fail", () => {
  expect(configuration()).toMatch(/ inter 1000ms fastinter 250ms downinter 250ms fall 2 rise 2 /);
  // 1 s, 1 s of waiting in vain, 0.25 s, 1 s.
  expect(secondsToNotice()).toBe(4);
});

test("the server timeout is longer than app.responseTimeout, which Nginx enforces", () => {
  expect(configuration({ app: { responseTimeout: 60 } })).toContain("\n  timeout server 62s\n");
});

test("a tunnel may be idle for app.tunnelTimeout, and survives a reload for at least as long", () => {
  const text = configuration({ app: { tunnelTimeout: 7200 } });
  expect(text).toContain("\n  timeout tunnel 7200s\n");
  expect(text).toContain("\n  hard-stop-after 7200s\n");
  expect(configuration({ app: { tunnelTimeout: 10 } })).toContain("\n  hard-stop-after 60s\n");
});

test("a write is retried only if the client made it safe to retry", () => {
  expect(configuration()).toContain("http-request disable-l7-retry unless repeatable");
});

test("a request that the app takes too long for is not retried", () => {
  expect(configuration()).toMatch(
    /^ {2}retry-on conn-failure empty-response response-timeout 502$/m,
  );
});

describe("visitors' TLS", () => {
  const bindsOf = (text: string) => text.match(/^ {2}bind :.*$/gm);

  test("is next to plain HTTP, with HTTP/2 by ALPN, no version before 1.2, and no tickets", () => {
    const text = configuration();
    expect(bindsOf(text)).toEqual([
      "  bind :80",
      `  bind :443 ssl crt ${VISITORS_CERTIFICATE} alpn h2,http/1.1`,
    ]);
    expect(text).toMatch(/^ {2}ssl-default-bind-options .*ssl-min-ver TLSv1\.2 no-tls-tickets$/m);
    expect(text).toMatch(/^ {2}ssl-default-bind-curves X25519MLKEM768:X25519:/m);
    const ciphers = /^ {2}ssl-default-bind-ciphers (.*)$/m.exec(text)?.[1]?.split(":") ?? [];
    expect(ciphers.filter((one) => !/^ECDHE-(ECDSA|RSA)-.*(GCM|CHACHA20)/.test(one))).toEqual([]);
  });

  test("is over QUIC too where HAProxy has it, with an own socket for each connection and no early data", () => {
    const text = configuration();
    const conditional = [...text.matchAll(/^\.if feature\(QUIC\)\n(.*?)^\.endif$/gms)].map(
      ([, lines = ""]) => lines.trim(),
    );
    expect(conditional).toContain(`bind quic4@:443 ssl crt ${VISITORS_CERTIFICATE} alpn h3`);
    expect(conditional.join("\n")).toMatch(/^ *setcap cap_net_bind_service$/m);
    expect(conditional.join("\n")).toMatch(/set-header Alt-Svc 'h3=":443"; ma=86400' if /);
    expect(text.replace(/^\.if .*?^\.endif$/gms, "")).not.toMatch(/quic|Alt-Svc/);
    expect(text).not.toContain("0rtt");
  });

  test("QUIC has a flow, a secret and no line where visitors cannot use TLS", () => {
    const off = { tls: { mode: "off" } } as const;
    const quicOf = (settings: Parameters<typeof topologyOf>[0]) => {
      const { flows, secrets } = topologyOf(settings);
      return {
        flows: flows.filter(({ protocol }) => protocol === "udp").map(({ name }) => name),
        secrets: secrets.filter(({ name }) => name === "quic-seed"),
      };
    };
    expect(quicOf({})).toEqual({
      flows: ["visitors-http3"],
      secrets: [{ name: "quic-seed", readers: ["load-balancer"] }],
    });
    expect(quicOf(off)).toEqual({ flows: [], secrets: [] });
    expect(fileOf(hostOf("load-balancer-1", off), "/etc/haproxy/haproxy.cfg")).not.toMatch(
      /quic|Alt-Svc/,
    );
  });

  test("is the default locally, but not on AWS, where nobody could verify the certificate", () => {
    const onAws = hostOf("load-balancer-1", {}, "aws");
    expect(bindsOf(fileOf(onAws, "/etc/haproxy/haproxy.cfg"))).toEqual(["  bind :80"]);
    expect(onAws.files.map(({ path }) => path).join()).not.toContain("certificate");
    expect(topologyOf({}, "aws").flows.map(({ name }) => name)).not.toContain("visitors-tls");
  });

  test.each(["local", "aws"] as const)("can be chosen, and be declined, on %s", (platform) => {
    const configurationOf = (mode: "off" | "self-signed") =>
      fileOf(hostOf("load-balancer-1", { tls: { mode } }, platform), "/etc/haproxy/haproxy.cfg");
    expect(bindsOf(configurationOf("off"))).toEqual(["  bind :80"]);
    expect(configurationOf("off")).not.toContain("ssl-");
    expect(bindsOf(configurationOf("self-signed"))).toHaveLength(2);
  });

  test("a self-signed certificate is for the addresses at which visitors reach its load balancer", () => {
    const namesOf = (name: string, settings: Parameters<typeof hostOf>[1]) =>
      hostOf(name, settings).facts.TLS_NAMES;
    expect(namesOf("load-balancer-1", {})).toBe("DNS:localhost IP:127.0.0.1 IP:10.90.0.4");
    expect(namesOf("load-balancer-2", { loadBalancer: { count: 2 } })).toBe(
      "DNS:localhost IP:127.0.0.1 IP:10.90.1.4 IP:10.90.0.5 IP:10.90.1.5",
    );
    expect(namesOf("load-balancer-1", { tls: { mode: "off" } })).toBeUndefined();
  });

  describe("with a certificate of an authority", () => {
    const DOMAIN = { domain: "www.example.org" } as const;
    const configured = (tls: object = {}) =>
      hostOf("load-balancer-1", {
        ...DOMAIN,
        tls: { mode: "acme", alsoFor: ["example.org"], ...tls },
      });
    const haproxy = (tls?: object) => fileOf(configured(tls), "/etc/haproxy/haproxy.cfg");

    test("it is the default on AWS once there is a domain, and there alone", () => {
      expect(topologyOf(DOMAIN, "aws").tls.mode).toBe("acme");
      expect(topologyOf(DOMAIN, "local").tls.mode).toBe("self-signed");
      expect(topologyOf({ ...DOMAIN, tls: { mode: "off" } }, "aws").tls.mode).toBe("off");
    });

    test("it is for the site's names, and a self-signed one for the domain as well", () => {
      expect(configured().facts.TLS_NAMES).toBe("DNS:www.example.org DNS:example.org");
      expect(hostOf("load-balancer-1", DOMAIN).facts.TLS_NAMES).toBe(
        "DNS:www.example.org DNS:localhost IP:127.0.0.1 IP:10.90.0.4",
      );
    });

    test("only its names are led to TLS, and only they are told to stay there", () => {
      expect(haproxy()).toMatch(
        /^ {2}acl is_named req\.hdr\(Host\),host_only,lower -m str www\.example\.org example\.org$/m,
      );
      expect(haproxy()).toMatch(/redirect .* if is_trusted is_named !\{ ssl_fc \}$/m);
      expect(haproxy()).toContain('Strict-Transport-Security "max-age=31536000"');
      expect(haproxy({ strictTransportDays: 0 })).not.toContain("Strict-Transport-Security");
    });

    test("a directory at a port of its own has a flow of its own, one at 443 has not", () => {
      const flowsFor = (tls: object) =>
        topologyOf({ ...DOMAIN, tls: { mode: "acme", ...tls } }, "aws")
          .flows.filter(({ name }) => name === "certificates")
          .map(({ from, to, port }) => ({ from, to, port }));
      expect(flowsFor({})).toEqual([]);
      expect(flowsFor({ directory: "https://acme.example:14000/dir" })).toEqual([
        { from: "load-balancer", to: "internet", port: 14_000 },
      ]);
    });

    test("one that is given is the load balancers' secret, and no authority is answered", () => {
      const given = { ...DOMAIN, tls: { mode: "files" } } as const;
      expect(topologyOf(given, "aws").secrets.at(-1)).toEqual({
        name: "visitors-certificate",
        readers: ["load-balancer"],
        isGiven: true,
      });
      const text = fileOf(hostOf("load-balancer-1", given), "/etc/haproxy/haproxy.cfg");
      expect(text).not.toContain("acme-challenge");
      expect(text).toMatch(/redirect .* if is_trusted is_named/);
    });

    test("the secret of its account is the load balancers', and there only with it", () => {
      const readers = (settings: Parameters<typeof topologyOf>[0]) =>
        topologyOf(settings, "aws").secrets.find(({ name }) => name === "acme-account-seed")
          ?.readers;
      expect(readers(DOMAIN)).toEqual(["load-balancer"]);
      expect(readers({})).toBeUndefined();
    });
  });

  test("the app is told whether the visitor used it", () => {
    expect(configuration()).toContain("set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]");
  });
});

describe("headers that claim something about the visitor", () => {
  const source = /del-header (\S+) -m reg$/m.exec(configuration())?.[1];
  const removed = new RegExp(source as string);

  // Integration tests try each of them on hosts; here is what a wrong expression would let through.
  test.each([
    ...[
      "x-forwarded",
      "x-forwarded-for",
      "x-forwarded-anything",
      "forwarded",
      "forwarded-for",
      "via",
    ],
    ...[
      "x-real-ip",
      "x-client-ip",
      "x-client-cert",
      "client-ip",
      "true-client-ip",
      "fastly-client-ip",
    ],
    ...[
      "x-cluster-client-ip",
      "cf-connecting-ip",
      "x-original-url",
      "x-rewrite-url",
      "x-remote-user",
    ],
    ...[
      "remote-user",
      "x-scheme",
      "x-url-scheme",
      "front-end-https",
      "ssl-client-cert",
      "x-ssl-cert",
    ],
    ...["x-accel-redirect", "x-sendfile-type", "proxy", "x-request-id"],
    // Other names for the same: by word, joined, and of proxies that are less known.
    ...["ip", "x-ip", "x-true-client-ip", "x-http-client-ip", "x-source-ip", "client-ip-address"],
    ...["x-clientip", "x-realip", "x-sucuri-clientip", "ali-cdn-real-ip", "true-client-port"],
    ...["x-forward-for", "forward-for", "x-forward-proto", "x-proxied-for", "x-via", "cdn-loop"],
    ...["x-coming-from", "coming-from"],
    ...["x-proto", "x-protocol", "x-https", "https", "x-ssl", "x-script-name", "x-server-name"],
    ...["x-host-override", "x-override-url", "x-path-info", "base-url", "x-country-code"],
    ...["client-cert", "client-cert-chain", "x-consumer-username", "tailscale-user-login"],
    ...["oidc-claim-email", "x-userinfo", "x-jwt-claim-sub", "sm-user"],
  ])("%s is removed", (header) => {
    expect(header).toMatch(removed);
  });

  test.each([
    ...["host", "cookie", "authorization", "referer", "origin", "user-agent", "from", "accept"],
    ...[
      "x-http-method-override",
      "x-csrf-token",
      "x-api-key",
      "x-requested-with",
      "idempotency-key",
    ],
    ...["proxy-authorization", "x-clientele", "content-type", "viable", "x-user-id", "traceparent"],
    // Words that only contain the others; and headers of clients that sign or authenticate.
    ...["x-tip", "x-zip-code", "x-shipping-id", "upgrade-insecure-requests", "x-amz-date"],
    ...["x-auth-token", "x-auth-user", "x-correlation-id", "dpop", "server-timing"],
  ])("%s is kept", (header) => {
    expect(header).not.toMatch(removed);
  });

  test("header names that an app reads as the same are removed too", () => {
    expect(configuration()).toContain("option http-restrict-req-hdr-names delete");
  });
});
