import type { Platform } from "./platform";
import type { ClusterSettings } from "./settings-schema";

/** How visitors' connections are encrypted: the setting `tls`, or the platform's default. */
export type Tls = NonNullable<ClusterSettings["tls"]>;

const DEFAULTS: Readonly<Record<Platform, Tls>> = {
  local: { mode: "self-signed" },
  // Visitors from elsewhere would only see a certificate that they cannot verify.
  aws: { mode: "off" },
};

/** How a cluster on this platform encrypts visitors' connections. */
export function tlsOn(platform: Platform, { tls }: Pick<ClusterSettings, "tls">): Tls {
  return tls ?? DEFAULTS[platform];
}

/** Whether visitors can reach a cluster over TLS, in addition to plain HTTP. */
export function hasTls({ tls }: { readonly tls: Tls }): boolean {
  return tls.mode !== "off";
}
