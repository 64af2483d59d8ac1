import { dirname } from "node:path/posix";
import { PORTS } from "../topology/ports";
import { type Acme, hasTls, isTrusted, siteNames } from "../topology/tls";
import {
  ACME_ACCOUNT_SEED,
  floatingAddress,
  GIVEN_CERTIFICATE,
  QUIC_SEED,
  type Topology,
  type TopologyHost,
} from "../topology/topology";
import { ACME, VISITORS_CERTIFICATE, VISITORS_MAP } from "./agreed";
import { envFile } from "./env-file";
import { type HostFile, type RoleContent, textFile } from "./host";
import { FILES_OF_OTHERS, sandboxOf } from "./sandbox";
import { staticFiles } from "./static-files";

/**
 * The intermediate configuration of the TLS guide 6.0, formerly Mozilla's (https://configurator.tlsref.org/): TLS 1.3, and
 * 1.2 with forward secrecy and authenticated encryption. X25519MLKEM768 needs OpenSSL 3.5, which both distributions have.
 *
 * Without tickets, sessions are resumed from HAProxy's memory, for two hours at most, and no key that could decrypt them
 * outlives that.
 */
export const TLS_GUIDE = {
  curves: ["X25519MLKEM768", "X25519", "prime256v1", "secp384r1"],
  ciphers: [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
  ],
  ciphersuites: [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
  ],
} as const;

/** What a load balancer needs to get certificates of an authority. */
export const ACME_PACKAGES: readonly string[] = ["dehydrated"];

/** For how many seconds a browser remembers that a site has HTTP/3: the default of RFC 7838, section 3.1. */
const REMEMBERED_HTTP3 = 24 * 60 * 60;

/** The ports of a load balancer at which visitors arrive, over TCP and over QUIC. */
export function visitorsPorts({ flows }: Topology): number[] {
  const ports = flows.flatMap(({ from, to, port }) =>
    from === "internet" && to === "load-balancer" && port !== undefined ? [port] : [],
  );
  return [...new Set(ports)];
}

/** Lines of HAProxy's configuration that apply where it was built with QUIC. */
const whereQuic = (lines: string) => `.if feature(QUIC)\n${lines}.endif\n`;

/** HAProxy's global settings for TLS; empty if visitors cannot use it. */
export function tlsDefaults(topology: Topology): string {
  return hasTls(topology)
    ? `  # TLS after the intermediate configuration of the TLS guide 6.0: https://configurator.tlsref.org/
  ssl-default-bind-curves ${TLS_GUIDE.curves.join(":")}
  ssl-default-bind-ciphers ${TLS_GUIDE.ciphers.join(":")}
  ssl-default-bind-ciphersuites ${TLS_GUIDE.ciphersuites.join(":")}
  ssl-default-bind-options prefer-client-ciphers ssl-min-ver TLSv1.2 no-tls-tickets
${whereQuic(`  # Each connection of HTTP/3 has a socket at port 443, so that it stays with its process when HAProxy reloads.
  setcap cap_net_bind_service
`)}`
    : "";
}

/** The lines with which HAProxy listens for visitors' TLS; empty if they cannot use it. */
export function tlsBind(topology: Topology): string {
  const certificate = `ssl crt ${VISITORS_CERTIFICATE}`;
  return hasTls(topology)
    ? `  bind :${PORTS.https} ${certificate} alpn h2,http/1.1
${whereQuic(`  bind quic4@:${PORTS.https} ${certificate} alpn h3\n`)}`
    : "";
}

/**
 * HAProxy's rules that tell browsers of HTTP/3. Only those that came to its own port: where another one is forwarded to it, as
 * those of this machine are, that is TCP alone.
 */
function http3Rules(): string {
  return whereQuic(`  http-request set-var(txn.port) req.hdr(Host),port_only
  http-after-response set-header Alt-Svc 'h3=":${PORTS.https}"; ma=${REMEMBERED_HTTP3}' if { ssl_fc } { var(txn.port) -m int 0 ${PORTS.https} } !{ res.hdr(Alt-Svc) -m found }
`);
}

/** Whether the map has a value for a key; HAProxy's syntax. */
const inMap = (key: string) => `str(${key}),map(${VISITORS_MAP})`;

/** HAProxy's rules for visitors' TLS; empty if they cannot use it. */
export function tlsRules(topology: Topology): string {
  return hasTls(topology) ? `${http3Rules()}${trustedRules(topology)}` : "";
}

/**
 * HAProxy's rules for a certificate that browsers are to trust; empty if it is none. The map has `thumbprint`, that of the
 * account's key with the authority, and `trusted`: `yes` once HAProxy serves such a certificate.
 *
 * Every load balancer has the same account, so any of them answers the challenge of any other (RFC 8555, section 8.3), and
 * nothing has to be kept for that.
 */
function trustedRules({ tls, settings }: Topology): string {
  if (!isTrusted(tls)) {
    return "";
  }
  const challenge = `  # The authority asks for this before it issues a certificate, always in plain text.
  http-request return status 200 content-type application/octet-stream lf-string "%[path,field(4,/)].%[${inMap("thumbprint")}]" if { path -m reg ^/[.]well-known/acme-challenge/[A-Za-z0-9_-]+$ } { ${inMap("thumbprint")} -m len gt 1 }
`;
  const names = siteNames(settings, tls).join(" ");
  const strict = tls.strictTransportDays * 24 * 60 * 60;
  return `${tls.mode === "acme" ? challenge : ""}  # Other names and addresses are not the certificate's, and this machine's ports are not the load balancer's.
  acl is_trusted ${inMap("trusted")} -m str yes
  acl is_named req.hdr(Host),host_only,lower -m str ${names}
  http-request redirect location https://%[req.hdr(Host),host_only]%[pathq] code 308 if is_trusted is_named !{ ssl_fc }
${
  strict === 0
    ? ""
    : `  http-after-response set-header Strict-Transport-Security "max-age=${strict}" if { ssl_fc } is_trusted !{ res.hdr(Strict-Transport-Security) -m found }
`
}`;
}

/** The configuration of dehydrated, the ACME client: https://github.com/dehydrated-io/dehydrated */
function acmeConfiguration({ directory, contact, profile, trust }: Acme): HostFile[] {
  const trusted = `${ACME.configuration}/trust.pem`;
  return [
    textFile(
      `${ACME.configuration}/config`,
      envFile({
        CA: directory,
        CHALLENGETYPE: "http-01",
        BASEDIR: ACME.directory,
        // HAProxy answers by itself: nobody reads what is written there.
        WELLKNOWN: `${ACME.directory}/challenges`,
        CONTACT_EMAIL: contact ?? "",
        ACME_PROFILE: profile ?? "",
        IP_VERSION: "4",
        CURL_OPTS: `--connect-timeout 10 --max-time 60${trust === undefined ? "" : ` --cacert ${trusted}`}`,
        ORDER_TIMEOUT: "120",
      }),
    ),
    ...(trust === undefined ? [] : [textFile(trusted, `${trust.trim()}\n`)]),
  ];
}

/** What a self-signed certificate is for: how this machine reaches a local cluster, and the load balancer's addresses. */
function ownNames(topology: Topology, host: TopologyHost): string[] {
  const addresses = new Set([
    "127.0.0.1",
    host.address,
    ...[floatingAddress(topology), topology.floatingAddresses.get(host.name)].filter(
      (address) => address !== undefined,
    ),
  ]);
  return ["DNS:localhost", ...[...addresses].map((address) => `IP:${address}`)];
}

/** What the certificate is for. */
function namesOf(topology: Topology, host: TopologyHost): string[] {
  const { tls, settings } = topology;
  return [
    ...siteNames(settings, tls).map((name) => `DNS:${name}`),
    ...(isTrusted(tls) ? [] : ownNames(topology, host)),
  ];
}

/** What a load balancer needs for visitors' TLS. Where they cannot use it, what it needs to end it. */
export function tlsContent(topology: Topology, host: TopologyHost): RoleContent {
  const { tls } = topology;
  if (!hasTls(topology)) {
    return { packages: [], units: [], files: [], facts: { VISITORS_CERTIFICATE } };
  }
  const isAcme = tls.mode === "acme";
  return {
    packages: isAcme ? ACME_PACKAGES : [],
    units: ["cluster-visitors-certificate.timer"],
    files: [
      ...staticFiles("tls"),
      // Its group is HAProxy's.
      sandboxOf("cluster-visitors-certificate", {
        capabilities: FILES_OF_OTHERS,
        writes: [`-${dirname(VISITORS_CERTIFICATE)}`, ...(isAcme ? ["/var/lib/cluster"] : [])],
        writesToRun: true,
        asksPlatform: isTrusted(tls),
      }),
      ...(isAcme ? acmeConfiguration(tls) : []),
    ],
    facts: {
      VISITORS_CERTIFICATE,
      TLS_NAMES: namesOf(topology, host).join(" "),
      QUIC_DERIVED_FROM: QUIC_SEED,
      ...(isTrusted(tls) ? { VISITORS_MAP } : {}),
      ...(tls.mode === "files" ? { GIVEN_CERTIFICATE } : {}),
      ...(isAcme
        ? {
            ACME_ACCOUNT_SEED,
            ACME_CONFIGURATION: ACME.configuration,
            ACME_DIRECTORY: ACME.directory,
          }
        : {}),
    },
  };
}
