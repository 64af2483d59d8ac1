import { attemptSync, runSync } from "../../../ops/run";

/** Where hosts find AWS: an address for documentation, outside every cluster's network. */
export const AMAZON = "198.51.100.1";

const METADATA = "169.254.169.254";

/**
 * Redirects what a network's hosts send to the metadata to the stand-in, and limits responses to one hop, like the
 * instances' `http_put_response_hop_limit`.
 */
function metadataRules(bridge: string): string {
  return `table ip ${bridge} {
  chain prerouting {
    type nat hook prerouting priority dstnat;
    iifname "${bridge}" ip daddr ${METADATA} tcp dport 80 dnat to ${AMAZON}:80
  }
  chain output {
    type filter hook output priority mangle;
    ct original ip daddr ${METADATA} ip ttl set 1
  }
}
`;
}

/**
 * Creates the bridge of a cluster's hosts, through which they reach AWS.
 *
 * @param address the machine's own address on it, with the network's prefix length
 */
export function makeNetwork(bridge: string, address: string): void {
  const options = ["ipv4.nat=true", "ipv4.dhcp=false", "ipv6.address=none", "dns.mode=none"];
  const create = ["incus", "network", "create", bridge, "--quiet"];
  runSync([...create, `ipv4.address=${address}`, ...options]);
  runSync(["ip", "address", "add", `${AMAZON}/32`, "dev", bridge]);
  runSync(["nft", "--file", "-"], { input: metadataRules(bridge) });
}

/** Removes the rules of a bridge, which the engine does not know about. */
export function removeRules(bridge: string): void {
  attemptSync(["nft", "delete", "table", "ip", bridge]);
}

/** Creates the certificate of AWS's endpoints in a region. */
export function makeCertificate(region: string, files: { key: string; certificate: string }): void {
  const names = [`ssm.${region}`, `s3.${region}`, `*.s3.${region}`, `*.s3.dualstack.${region}`];
  const alternatives = names.map((name) => `DNS:${name}.amazonaws.com`).join(",");
  const what = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=amazon"];
  const where = ["-keyout", files.key, "-out", files.certificate];
  runSync(["openssl", "req", ...what, ...where, "-addext", `subjectAltName=${alternatives}`]);
}
