import { dirname } from "node:path/posix";
import { PORTS } from "../topology/ports";
import { hasTls } from "../topology/tls";
import { floatingAddress, type Topology, type TopologyHost } from "../topology/topology";
import { VISITORS_CERTIFICATE } from "./agreed";
import type { RoleContent } from "./host";
import { FILES_OF_OTHERS, sandboxOf } from "./sandbox";
import { staticFiles } from "./static-files";

/**
 * The intermediate configuration of the TLS guide 6.0, formerly Mozilla's (https://configurator.tlsref.org/): TLS 1.3, and
 * 1.2 with forward secrecy and authenticated encryption. X25519MLKEM768 needs OpenSSL 3.5, which both distributions have.
 *
 * Without tickets, sessions are resumed from HAProxy's memory, for two hours at most, and no key that could decrypt them
 * outlives that.
 */
const GUIDE = {
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

/** The ports of a load balancer at which visitors arrive. */
export function visitorsPorts({ flows }: Topology): number[] {
  return flows.flatMap(({ from, to, port }) =>
    from === "internet" && to === "load-balancer" && port !== undefined ? [port] : [],
  );
}

/** HAProxy's global settings for TLS; empty if visitors cannot use it. */
export function tlsDefaults(topology: Topology): string {
  return hasTls(topology)
    ? `  # TLS after the intermediate configuration of the TLS guide 6.0: https://configurator.tlsref.org/
  ssl-default-bind-curves ${GUIDE.curves.join(":")}
  ssl-default-bind-ciphers ${GUIDE.ciphers.join(":")}
  ssl-default-bind-ciphersuites ${GUIDE.ciphersuites.join(":")}
  ssl-default-bind-options prefer-client-ciphers ssl-min-ver TLSv1.2 no-tls-tickets
`
    : "";
}

/** The line with which HAProxy listens for visitors' TLS; empty if they cannot use it. */
export function tlsBind(topology: Topology): string {
  return hasTls(topology)
    ? `  bind :${PORTS.https} ssl crt ${VISITORS_CERTIFICATE} alpn h2,http/1.1\n`
    : "";
}

/** What a self-signed certificate is for: how this machine reaches a local cluster, and the load balancer's addresses. */
function namesOf(topology: Topology, host: TopologyHost): string[] {
  const addresses = new Set([
    "127.0.0.1",
    host.address,
    ...[floatingAddress(topology), topology.floatingAddresses.get(host.name)].filter(
      (address) => address !== undefined,
    ),
  ]);
  return ["DNS:localhost", ...[...addresses].map((address) => `IP:${address}`)];
}

/** What a load balancer needs for visitors' TLS. Where they cannot use it, what it needs to end it. */
export function tlsContent(topology: Topology, host: TopologyHost): Omit<RoleContent, "packages"> {
  return {
    units: hasTls(topology) ? ["cluster-visitors-certificate.timer"] : [],
    files: hasTls(topology)
      ? [
          ...staticFiles("tls"),
          // Its group is HAProxy's.
          sandboxOf("cluster-visitors-certificate", {
            capabilities: FILES_OF_OTHERS,
            writes: [`-${dirname(VISITORS_CERTIFICATE)}`],
            writesToRun: true,
          }),
        ]
      : [],
    facts: {
      VISITORS_CERTIFICATE,
      ...(hasTls(topology) ? { TLS_NAMES: namesOf(topology, host).join(" ") } : {}),
    },
  };
}
