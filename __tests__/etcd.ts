import { execFileSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

// A real etcd for tests, and certificates for it.

/** The etcd of this machine, or of the folder `ETCD_DIRECTORY`; `undefined` where there is none of version 3.5. */
function etcdProgram(): string | undefined {
  const folders = [process.env.ETCD_DIRECTORY ?? "", "/usr/bin", "/usr/local/bin"];
  return folders
    .filter(Boolean)
    .map((folder) => join(folder, "etcd"))
    .find(
      (path) =>
        existsSync(path) && / 3\.5\./.test(execFileSync(path, ["--version"], { encoding: "utf8" })),
    );
}

/** Tests that need etcd itself; without it they are skipped, which a run that requires all of them counts as failed. */
export function describeWithEtcd(name: string, tests: (etcd: string) => void): void {
  const etcd = etcdProgram();
  const declare = etcd === undefined ? describe.skip : describe;
  declare(`${name} (needs etcd 3.5: apt-get install etcd-server)`, () => tests(etcd ?? ""));
}

/** A member's configuration, without what its first start needs besides. */
export function memberSettings(member: {
  readonly name: string;
  readonly address: string;
  readonly ports: { readonly clients: number; readonly peers: number };
  readonly data: string;
  readonly certificate: string;
  readonly key: string;
  readonly authority: string;
}) {
  const { name, address, ports, data, certificate, key, authority } = member;
  const clients = `https://${address}:${ports.clients}`;
  const peers = `https://${address}:${ports.peers}`;
  const security = {
    "cert-file": certificate,
    "key-file": key,
    "trusted-ca-file": authority,
    "client-cert-auth": true,
  };
  return {
    name,
    "data-dir": data,
    "listen-client-urls": clients,
    "advertise-client-urls": clients,
    "listen-peer-urls": peers,
    "initial-advertise-peer-urls": peers,
    "client-transport-security": security,
    "peer-transport-security": security,
    "log-level": "warn",
    "log-outputs": ["stderr"],
  };
}

const NO_ADDITIONS = "[req]\ndistinguished_name = name\n[name]\n";

function openssl(folder: string, args: readonly string[]): void {
  execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
}

/** Makes authority.pem and authority.key in a folder. */
export function makeAuthority(folder: string): void {
  writeFileSync(join(folder, "openssl.cnf"), NO_ADDITIONS);
  openssl(folder, ["genpkey", "-algorithm", "ed25519", "-out", "authority.key"]);
  openssl(folder, [
    ...["req", "-x509", "-new", "-config", "openssl.cnf", "-key", "authority.key"],
    ...["-subj", "/CN=demo etcd authority", "-days", "2", "-out", "authority.pem"],
    ...["-addext", "basicConstraints=critical,CA:TRUE,pathlen:0"],
    ...["-addext", "keyUsage=critical,keyCertSign,cRLSign"],
  ]);
}

/** Makes NAME.pem and NAME.key of that authority, for server and client. */
export function makeCertificate(folder: string, name: string, address: string): void {
  writeFileSync(
    join(folder, `${name}.ext`),
    [
      "basicConstraints=critical,CA:FALSE",
      "keyUsage=critical,digitalSignature",
      "extendedKeyUsage=serverAuth,clientAuth",
      // Whatever address of the loopback is asked, who asks does so from the first.
      `subjectAltName=IP:${address},IP:127.0.0.1,DNS:${name}\n`,
    ].join("\n"),
  );
  const key = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", `${name}.key`];
  openssl(folder, ["genpkey", ...key]);
  openssl(folder, [
    ...["req", "-new", "-config", "openssl.cnf", "-key", `${name}.key`],
    ...["-subj", `/CN=${name}`, "-out", `${name}.csr`],
  ]);
  openssl(folder, [
    ...["x509", "-req", "-in", `${name}.csr`, "-CA", "authority.pem", "-CAkey", "authority.key"],
    ...["-CAcreateserial", "-days", "2", "-extfile", `${name}.ext`, "-out", `${name}.pem`],
  ]);
}
