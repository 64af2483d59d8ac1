import { ask, type ScratchCluster } from "../../../../drill/scratch/scratch-cluster";
import type { Echo } from "./echo-app";
import { close, exchange } from "./wire";

/** What visitors claim about themselves although only the cluster may say it. */
export function claims(cluster: ScratchCluster): void {
  const claims = [
    ...[
      "For",
      "Proto",
      "Host",
      "Port",
      "Server",
      "Prefix",
      "Ssl",
      "User",
      "By",
      "Scheme",
      "Path",
    ].map((name) => `X-Forwarded-${name}`),
    ...[
      "X-Forwarded",
      "Forwarded",
      "Forwarded-For",
      "Via",
      "X-Real-IP",
      "X-Client-IP",
      "Client-IP",
    ],
    ...["True-Client-IP", "CF-Connecting-IP", "CF-IPCountry", "Fastly-Client-IP", "Fly-Client-IP"],
    ...["X-Cluster-Client-IP", "X-Originating-IP", "X-Remote-IP", "X-Remote-Addr", "X-Remote-User"],
    ...["Remote-User", "Remote-Addr", "X-Original-URL", "X-Original-Host", "X-Original-For"],
    ...["X-Rewrite-URL", "X-Host", "X-Scheme", "X-Url-Scheme", "Front-End-Https", "Proxy"],
    ...["X-Accel-Redirect", "X-Accel-Mapping", "X-Sendfile-Type", "X-Request-Id", "X-SSL-Cert"],
    ...[
      "SSL-Client-Cert",
      "X-Client-Cert",
      "X-Client-Verify",
      "X-Azure-ClientIP",
      "X-Amzn-Trace-Id",
    ],
    ...[
      "CloudFront-Viewer-Address",
      "X-Auth-Request-User",
      "X-Authenticated-User",
      "X-ProxyUser-Ip",
    ],
    ...["X-Forward-For", "X-True-Client-IP", "X-Source-IP", "X-ClientIP", "Cdn-Src-Ip", "X-Proto"],
    ...["Client-Cert", "Client-Cert-Chain", "X-Https", "X-Script-Name", "X-Consumer-Username"],
    ...["OIDC_CLAIM_email", "X-Host-Override", "X-Country-Code"],
    ...["X_Forwarded_For", "X_REAL_IP", "X-Forwarded_Host", "X.Forwarded.For", "REMOTE_USER"],
  ];
  const own = ["host", "x-forwarded-for", "x-forwarded-proto", "x-request-id"];
  const judge = (echo: Echo | undefined) => {
    const { rawHeaders = [], rawTrailers } = echo ?? {};
    expect(rawHeaders.join()).not.toContain("claimed");
    expect(rawTrailers).toEqual([]);
    const names = rawHeaders
      .filter((_, index) => index % 2 === 0)
      .map((name) => name.toLowerCase());
    expect(names.filter((name) => own.includes(name)).sort()).toEqual(own);
  };

  test("do not reach the app, even repeated or in another case", async () => {
    const { status, echo } = await exchange(cluster, [
      "GET /echo HTTP/1.1",
      ...close,
      ...claims.flatMap((name) => [
        `${name}: claimed`,
        `${name.toUpperCase()}: claimed`,
        `${name.toLowerCase()}: claimed`,
      ]),
    ]);
    expect(status).toBe(200);
    judge(echo);
    const value = (name: string) => echo?.rawHeaders[echo.rawHeaders.indexOf(name) + 1];
    expect(value("X-Forwarded-For")).toBe("127.0.0.1");
    expect(value("X-Forwarded-Proto")).toBe("http");
    expect(value("X-Request-Id")).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("do not reach the app in trailers, or if Connection lists the cluster's own headers", async () => {
    const chunked = await exchange(
      cluster,
      ["POST /echo HTTP/1.1", ...close, "Transfer-Encoding: chunked", "Trailer: X-Real-IP"],
      "3\r\nabc\r\n0\r\nX-Real-IP: claimed\r\nX-Forwarded-For: claimed\r\n\r\n",
    );
    expect(chunked.echo?.bytes).toBe(3);
    judge(chunked.echo);
    const named = await exchange(cluster, [
      "GET /echo HTTP/1.1",
      "Host: test",
      "Connection: close, X-Forwarded-For, X-Forwarded-Proto, X-Request-Id",
      "X-Forwarded-For: claimed",
    ]);
    judge(named.echo);
  });

  test("other headers reach the app", async () => {
    const passing = {
      "x-http-method-override": "PUT",
      "x-csrf-token": "t",
      authorization: "Bearer a",
      "x-api-key": "k",
      referer: "http://elsewhere/",
      from: "robot@example.com",
      "x-clientele": "c",
      "x-user-id": "u",
      "x-auth-token": "a",
      "x-zip-code": "z",
    };
    const { body } = await ask(`${cluster.url}/echo`, { headers: passing });
    const { rawHeaders } = JSON.parse(body) as Echo;
    for (const [name, value] of Object.entries(passing)) {
      expect(rawHeaders[rawHeaders.indexOf(name) + 1]).toBe(value);
    }
  });
}
