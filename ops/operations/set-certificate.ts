import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { siteNames } from "../../topology/tls";
import { GIVEN_CERTIFICATE, hostsOf, type Topology } from "../../topology/topology";
import { OperatorError } from "../operator-error";
import type { HostAccess } from "../platform/host-access";
import type { SecretStore } from "../platform/secret-store";
import { onHost } from "./on-host";

/** How long a load balancer may take to serve it, in seconds. */
const APPLYING = 60;

/** The longest that is stored, in characters of base64: of an SSM parameter of the advanced tier. */
const LONGEST = 8_192;

/** A certificate in two files, both PEM. */
export interface CertificateFiles {
  /** The site's certificate, then those of the authorities between it and the root. */
  readonly certificate: string;
  /** Its key, not encrypted. */
  readonly key: string;
}

function readText(path: string, problems: string[]): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    problems.push(`${path} cannot be read: ${(error as Error).message}`);
    return "";
  }
}

function parseChain(path: string, text: string, problems: string[]): X509Certificate[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0 && text !== "") {
    problems.push(`${path} has no certificate; wanted PEM, the site's certificate first`);
  }
  return blocks.flatMap((block, index) => {
    try {
      return [new X509Certificate(block)];
    } catch (error) {
      problems.push(
        `certificate ${index + 1} of ${path} is not valid: ${(error as Error).message}`,
      );
      return [];
    }
  });
}

function parseKey(path: string, text: string, problems: string[]): KeyObject | undefined {
  try {
    return text === "" ? undefined : createPrivateKey(text);
  } catch (error) {
    problems.push(
      `${path} has no key that can be read: ${(error as Error).message}; wanted PEM, without a passphrase`,
    );
    return undefined;
  }
}

/** A certificate in words: for whom, by whom, from when until when. */
function inWords({ subject, subjectAltName, issuer, validFrom, validTo }: X509Certificate): string {
  const line = (name: string | undefined) => (name ? name.replaceAll("\n", ", ") : "nobody");
  return `subject ${line(subject)}; names ${subjectAltName ?? "none"}; issued by ${line(issuer)}; valid from ${validFrom} until ${validTo}`;
}

/** What is wrong with a certificate for these names, now. */
function problemsOf(
  { certificate, key }: CertificateFiles,
  chain: readonly X509Certificate[],
  privateKey: KeyObject | undefined,
  names: readonly string[],
): string[] {
  const [leaf, ...above] = chain;
  if (leaf === undefined) {
    return [];
  }
  const problems: string[] = [];
  const unnamed = names.filter((name) => leaf.checkHost(name) === undefined);
  if (unnamed.length > 0) {
    problems.push(
      `the certificate is not for ${unnamed.join(", ")}: get one that is, or change domain and tls.alsoFor`,
    );
  }
  if (Date.parse(leaf.validTo) <= Date.now()) {
    problems.push("the certificate has expired: renew it");
  }
  if (Date.parse(leaf.validFrom) > Date.now()) {
    problems.push("the certificate is not valid yet: check this machine's clock, or wait");
  }
  if (privateKey !== undefined && !leaf.checkPrivateKey(privateKey)) {
    problems.push(
      `${key} is not the key of the certificate: look for the one that was made with its request`,
    );
  }
  above.forEach((issuer, index) => {
    if (!(chain[index] as X509Certificate).checkIssued(issuer)) {
      problems.push(
        `certificate ${index + 2} of ${certificate} did not issue certificate ${index + 1}: put them in order, the site's first`,
      );
    }
  });
  return problems.length === 0 ? [] : [...problems, `it is: ${inWords(leaf)}`];
}

/**
 * Reads and checks a certificate for a site.
 *
 * @returns the key and the chain as one text, PEM
 * @throws OperatorError with every problem
 */
export function readCertificate(files: CertificateFiles, names: readonly string[]): string {
  const problems: string[] = [];
  const texts = {
    certificate: readText(files.certificate, problems),
    key: readText(files.key, problems),
  };
  const chain = parseChain(files.certificate, texts.certificate, problems);
  const privateKey = parseKey(files.key, texts.key, problems);
  problems.push(...problemsOf(files, chain, privateKey, names));
  if (problems.length > 0) {
    throw new OperatorError(["Refused. Nothing was changed.", ...problems].join("\n  "));
  }
  const key = (privateKey as KeyObject).export({ type: "pkcs8", format: "pem" });
  return `${key}${chain.map((one) => one.toString()).join("")}`.trim();
}

/**
 * Gives the cluster a certificate for visitors: it is stored as a secret, and every load balancer serves it, on connections
 * that begin from then on.
 *
 * @throws OperatorError if the certificate is refused, or a load balancer does not serve it: the others do, and the same
 *   command continues
 */
export async function setCertificate(
  {
    topology,
    access,
    secrets,
  }: { readonly topology: Topology; readonly access: HostAccess; readonly secrets: SecretStore },
  files: CertificateFiles,
  say: (line: string) => void,
): Promise<void> {
  if (topology.tls.mode !== "files") {
    throw new OperatorError(
      `Refused: the cluster does not take a certificate, because tls.mode is ${topology.tls.mode}. Set tls: { mode: "files" } and domain, and deploy first. Nothing was changed.`,
    );
  }
  const text = readCertificate(files, siteNames(topology.settings, topology.tls));
  const content = Buffer.from(text, "utf8").toString("base64");
  if (content.length > LONGEST) {
    throw new OperatorError(
      `Refused: the certificate with its chain and key has ${content.length} characters as base64; at most ${LONGEST} can be stored. Leave out the root, which browsers have. Nothing was changed.`,
    );
  }
  await secrets.put(GIVEN_CERTIFICATE, content);
  for (const { name } of hostsOf(topology, "load-balancer")) {
    await onHost(access, name, ["host/apply-secret.sh", GIVEN_CERTIFICATE], APPLYING);
    say(`${name} serves the certificate`);
  }
}
