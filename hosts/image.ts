import type { ClusterSettings } from "../topology/settings";
import { EXPECTED_PACKAGES } from "./base";
import { DISTRIBUTIONS } from "./distributions";
import { ETCD_PACKAGES } from "./etcd";
import type { Host } from "./host";
import { PAIR_PACKAGES } from "./load-balancer-pair";
import { METRICS_PACKAGES } from "./metrics";
import { MONITOR_PACKAGES } from "./monitor";
import { ACME_PACKAGES } from "./visitors-tls";

/** What identifies and builds a host image; the head of scripts/local/image.sh explains each value. */
export type ImageFacts = Readonly<
  Record<"DWI_PACKAGES" | "DWI_DISTRIBUTION" | "DWI_SUITES" | "DWI_KEYRINGS" | "DWI_MIRROR", string>
>;

/**
 * Every package a host of the cluster needs, now or after a change of settings: all hosts start from one image that has
 * them, and do not install any later.
 */
export function packagesOf(hosts: readonly Host[]): string {
  const packages = [
    ...hosts.flatMap(({ facts }) => (facts.PACKAGES ?? "").split(" ")),
    ...ETCD_PACKAGES,
    ...PAIR_PACKAGES,
    ...ACME_PACKAGES,
    ...METRICS_PACKAGES,
    ...MONITOR_PACKAGES,
    ...EXPECTED_PACKAGES,
  ];
  return [...new Set(packages)].filter(Boolean).sort().join(" ");
}

function pairs(key: "suite" | "keyring"): string {
  return Object.entries(DISTRIBUTIONS)
    .map(([name, distribution]) => `${name}=${distribution[key]}`)
    .join(" ");
}

/**
 * @param packages of the hosts, separated by spaces
 * @param local the settings of local hosts
 */
export function imageFacts(packages: string, local: ClusterSettings["local"]): ImageFacts {
  return {
    DWI_PACKAGES: packages,
    DWI_DISTRIBUTION: local.distribution,
    DWI_SUITES: pairs("suite"),
    DWI_KEYRINGS: pairs("keyring"),
    DWI_MIRROR: local.mirror ?? "",
  };
}
