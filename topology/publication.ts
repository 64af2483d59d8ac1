import type { Network } from "./network";
import { PORTS } from "./ports";
import type { ClusterSettings } from "./settings-schema";
import { hasTls, type Tls } from "./tls";

/** A port of this machine's 127.0.0.1 that forwards to a port of the load balancer. Stack local only. */
export interface PublishedPort {
  /** The setting that decides which port of this machine it is. */
  readonly setting: "localPort" | "localTlsPort";
  /** On this machine's 127.0.0.1. */
  readonly localPort: number;
  /** Whether it follows localPort. */
  readonly isDefault: boolean;
  /** On the load balancer. */
  readonly port: number;
}

type PortSettings = Pick<ClusterSettings, "localPort" | "localTlsPort">;

/** From the default local port to that for TLS: 8080 and 8443. */
const TLS_OFFSET = 8443 - 8080;

/** The local port for TLS: `localTlsPort`, by default `localPort` + 363. It may exceed 65535, which settings-rules.ts refuses. */
export function tlsPortOf({ localPort, localTlsPort }: PortSettings): number {
  return localTlsPort ?? localPort + TLS_OFFSET;
}

/** The ports of this machine that reach a cluster: that for plain HTTP first. */
export function publishedPorts(settings: PortSettings, tls: Tls): PublishedPort[] {
  const plain = {
    setting: "localPort",
    localPort: settings.localPort,
    isDefault: false,
    port: PORTS.http,
  } as const;
  const overTls = {
    setting: "localTlsPort",
    localPort: tlsPortOf(settings),
    isDefault: settings.localTlsPort === undefined,
    port: PORTS.https,
  } as const;
  return hasTls({ tls }) ? [plain, overTls] : [plain];
}

/** These ports as scripts/local/ reads them: `8080:80 8443:443`. */
export function publishedInWords(published: readonly PublishedPort[]): string {
  return published.map(({ localPort, port }) => `${localPort}:${port}`).join(" ");
}

/** The addresses of a cluster's site on this machine, that for plain HTTP first. */
export function localUrls(settings: ClusterSettings, tls: Tls): string[] {
  return publishedPorts(settings, tls).map(
    ({ localPort, port }) => `${port === PORTS.https ? "https" : "http"}://127.0.0.1:${localPort}/`,
  );
}

/**
 * The address of the container that publishes two load balancers: it is reserved for a NAT gateway, and locally there is
 * none.
 */
export function entranceAddress({ subnets }: Network): string {
  return subnets.find(({ natAddress }) => natAddress !== undefined)?.natAddress as string;
}
