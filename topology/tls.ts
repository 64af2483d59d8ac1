import type { Platform } from "./platform";
import { acme, type ClusterSettings } from "./settings-schema";

/** How visitors' connections are encrypted: the setting `tls`, or the platform's default. */
export type Tls = NonNullable<ClusterSettings["tls"]>;

/** Certificates of an authority, obtained by ACME. */
export type Acme = Extract<Tls, { mode: "acme" }>;

/** How a cluster on this platform encrypts visitors' connections. */
export function tlsOn(platform: Platform, settings: Pick<ClusterSettings, "tls" | "domain">): Tls {
  if (settings.tls !== undefined) {
    return settings.tls;
  }
  if (platform === "local") {
    return { mode: "self-signed" };
  }
  // Without a name, visitors from elsewhere would only see a certificate that they cannot verify.
  return settings.domain === undefined ? { mode: "off" } : acme.parse({ mode: "acme" });
}

/** Whether visitors can reach a cluster over TLS, in addition to plain HTTP. */
export function hasTls({ tls }: { readonly tls: Tls }): boolean {
  return tls.mode !== "off";
}

/** A certificate that browsers trust. */
export type TrustedTls = Extract<Tls, { mode: "acme" | "files" }>;

/** Whether browsers are to trust the certificate, and so may be led to TLS. */
export function isTrusted(tls: Tls): tls is TrustedTls {
  return tls.mode === "acme" || tls.mode === "files";
}

/** The host names that visitors may use; the first one is the site's. */
export function siteNames({ domain }: Pick<ClusterSettings, "domain">, tls: Tls): string[] {
  const others = isTrusted(tls) ? tls.alsoFor : [];
  return domain === undefined ? [] : [domain, ...others];
}

/** The port of the authority's directory; `undefined` if there is none. */
export function directoryPort(tls: Tls): number | undefined {
  return tls.mode === "acme" ? Number(new URL(tls.directory).port || 443) : undefined;
}
