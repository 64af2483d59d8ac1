import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rotateSecret } from "../../ops/operations/rotate-secret";
import { readCertificate, setCertificate } from "../../ops/operations/set-certificate";
import type { HostAccess } from "../../ops/platform/host-access";
import type { SecretStore } from "../../ops/platform/secret-store";
import { topologyOf } from "../hosts/rendered";

const NAMES = ["www.example.org", "example.org"];
const SETTINGS = {
  domain: "www.example.org",
  loadBalancer: { count: 2 },
  tls: { mode: "files" as const, alsoFor: ["example.org"] },
} satisfies Parameters<typeof topologyOf>[0];

const folder = mkdtempSync(join(tmpdir(), "certificates-"));
const at = (name: string) => join(folder, name);
const openssl = (...args: string[]) => execFileSync("openssl", args, { stdio: "pipe" });
const EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

/** A certificate of the authority, for names. */
function issue(name: string, names: readonly string[], days = "30"): void {
  openssl("req", ...EC, "-nodes", "-keyout", at(`${name}.key`), "-out", at("csr"), "-subj", "/");
  writeFileSync(at("ext"), `subjectAltName=${names.map((one) => `DNS:${one}`).join(",")}\n`);
  openssl(
    ...["x509", "-req", "-in", at("csr"), "-CA", at("authority.pem"), "-CAkey"],
    ...[at("authority.key"), "-CAcreateserial", "-days", days, "-extfile", at("ext")],
    ...["-out", at(`${name}.leaf`)],
  );
  writeFileSync(
    at(`${name}.pem`),
    `${readFileSync(at(`${name}.leaf`), "utf8")}${readFileSync(at("authority.pem"), "utf8")}`,
  );
}

beforeAll(() => {
  openssl(
    ...["req", "-x509", ...EC, "-nodes", "-keyout", at("authority.key")],
    ...["-out", at("authority.pem"), "-days", "90", "-subj", "/CN=an authority"],
  );
  issue("good", NAMES);
  issue("wildcard", ["*.example.org", "example.org"]);
  issue("other", ["www.example.net"]);
  issue("expired", NAMES, "-1");
  writeFileSync(
    at("disordered.pem"),
    `${readFileSync(at("good.leaf"), "utf8")}${readFileSync(at("other.leaf"), "utf8")}`,
  );
  writeFileSync(at("empty"), "nonsense\n");
  openssl(
    ...["pkcs8", "-topk8", "-in", at("good.key"), "-out", at("encrypted.key")],
    ...["-passout", "pass:secret"],
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

const files = (certificate: string, key: string) => ({
  certificate: at(certificate),
  key: at(key),
});

test.each(["good", "wildcard"])("one that is %s is the key and the chain as one text", (name) => {
  const text = readCertificate(files(`${name}.pem`, `${name}.key`), NAMES);
  expect(text.match(/BEGIN [A-Z ]+/g)).toEqual([
    "BEGIN PRIVATE KEY",
    "BEGIN CERTIFICATE",
    "BEGIN CERTIFICATE",
  ]);
});

test.each([
  ["for other names", "other.pem", "other.key", [/not for www\.example\.org, example\.org/]],
  ["that has expired", "expired.pem", "expired.key", [/has expired: renew it/]],
  ["with another key", "good.pem", "other.key", [/other\.key is not the key of the certificate/]],
  ["with an encrypted key", "good.pem", "encrypted.key", [/wanted PEM, without a passphrase/]],
  ["without a certificate", "empty", "good.key", [/empty has no certificate; wanted PEM/]],
  ["that is not there", "missing.pem", "good.key", [/missing\.pem cannot be read: ENOENT/]],
  [
    "whose chain is another's",
    "disordered.pem",
    "good.key",
    [/certificate 2 of .*disordered\.pem did not issue certificate 1/],
  ],
  [
    "with two things wrong",
    "other.pem",
    "good.key",
    [
      /not for www\.example\.org/,
      /is not the key/,
      /it is: subject .*DNS:www\.example\.net.*until/,
    ],
  ],
])("one %s is refused, with all that is wrong", (_what, certificate, key, reasons) => {
  const attempt = () => readCertificate(files(certificate, key), NAMES);
  expect(attempt).toThrow(/^Refused\. Nothing was changed\./);
  for (const reason of reasons) {
    expect(attempt).toThrow(reason);
  }
});

/** A cluster in memory: what is stored, and what hosts were told. */
function clusterWith(settings: Parameters<typeof topologyOf>[0]) {
  const done: string[] = [];
  const stored = new Map<string, string>();
  const secrets: SecretStore = {
    phase: async () => "steady",
    advance: async () => undefined,
    put: async (name, content) => {
      done.push("stored");
      stored.set(name, content);
    },
  };
  const access = {
    run: async (host: string, command: readonly string[]) => {
      done.push(`${host}: ${command.join(" ")}`);
      return { exitCode: 0, stdout: "", stderr: "" };
    },
  } as unknown as HostAccess;
  return { target: { topology: topologyOf(settings), secrets, access }, done, stored };
}

test("it is stored, and then served by one load balancer after the other", async () => {
  const { target, done, stored } = clusterWith(SETTINGS);
  const said: string[] = [];
  await setCertificate(target, files("good.pem", "good.key"), (line) => said.push(line));
  const apply = "/opt/cluster/scripts/host/apply-secret.sh visitors-certificate";
  expect(done).toEqual(["stored", `load-balancer-1: ${apply}`, `load-balancer-2: ${apply}`]);
  expect(said).toEqual([
    "load-balancer-1 serves the certificate",
    "load-balancer-2 serves the certificate",
  ]);
  const text = Buffer.from(stored.get("visitors-certificate") as string, "base64").toString();
  expect(text).toBe(readCertificate(files("good.pem", "good.key"), NAMES));
});

test.each([
  {},
  { tls: { mode: "off" } },
  { domain: "www.example.org", tls: { mode: "acme" } },
] as const)("a cluster with other settings refuses it: %j", async (settings) => {
  const { target, done } = clusterWith(settings);
  await expect(
    setCertificate(target, files("good.pem", "good.key"), () => undefined),
  ).rejects.toThrow(/tls\.mode is (self-signed|off|acme)\. Set tls: \{ mode: "files" \}/);
  expect(done).toEqual([]);
});

test("it cannot be rotated: nobody but the operator has another one", async () => {
  const { target } = clusterWith(SETTINGS);
  await expect(
    rotateSecret(target, "visitors-certificate", { dryRun: false }, () => undefined),
  ).rejects.toThrow(/is not generated, it is given: .* set-certificate/);
});
