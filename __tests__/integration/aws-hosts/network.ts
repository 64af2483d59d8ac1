import { attemptSync, runSync } from "../../../ops/run";

/** Where AWS is found: an address for documentation, outside of every cluster's network. */
export const AMAZON = "198.51.100.1";

const METADATA = "169.254.169.254";

/**
 * Brings what a network's hosts send to the metadata to where it is answered, and lets an answer travel one hop, as the
 * instances' `http_put_response_hop_limit` has it.
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
 * Makes the bridge of a cluster's hosts, from which they reach AWS.
 *
 * @param address the machine's own in it, with the length of the network's prefix
 */
export function makeNetwork(bridge: string, address: string): void {
  const options = ["ipv4.nat=true", "ipv4.dhcp=false", "ipv6.address=none", "dns.mode=none"];
  const create = ["incus", "network", "create", bridge, "--quiet"];
  runSync([...create, `ipv4.address=${address}`, ...options]);
  runSync(["ip", "address", "add", `${AMAZON}/32`, "dev", bridge]);
  runSync(["nft", "--file", "-"], { input: metadataRules(bridge) });
}

/** Removes what the engine does not know of a bridge. */
export function removeRules(bridge: string): void {
  attemptSync(["nft", "delete", "table", "ip", bridge]);
}

/** Makes the certificate that AWS shows in a region. */
export function makeCertificate(region: string, files: { key: string; certificate: string }): void {
  const names = [`ssm.${region}`, `s3.${region}`, `*.s3.${region}`, `*.s3.dualstack.${region}`];
  const alternatives = names.map((name) => `DNS:${name}.amazonaws.com`).join(",");
  const what = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=amazon"];
  const where = ["-keyout", files.key, "-out", files.certificate];
  runSync(["openssl", "req", ...what, ...where, "-addext", `subjectAltName=${alternatives}`]);
}
