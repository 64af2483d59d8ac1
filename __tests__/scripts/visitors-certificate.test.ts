import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { HostFolder } from "./host-folder";
import { runVisitorsCertificate } from "./visitors-certificate";

// The certificate that visitors get. openssl is the real one; HAProxy is a stand-in, which answers as the real one does:
// https://docs.haproxy.org/3.2/management.html#9.3

const FILE = "etc/cluster/visitors/certificate.pem";
const NAMES = "DNS:localhost IP:127.0.0.1 IP:10.90.0.4";
const DAY = 24 * 60 * 60 * 1000;

jest.setTimeout(60_000);

let host: HostFolder;

/** What is in the file, or what HAProxy serves. */
const certificate = (name = FILE) => new X509Certificate(host.read(name));

beforeEach(() => {
  host = new HostFolder(
    `CLUSTER_NAME=demo HOST_NAME=load-balancer-1 HOST_ROLE=load-balancer TLS_NAMES='${NAMES}'`,
  );
  host.put(
    "etc/cluster/host.env",
    `${host.read("etc/cluster/host.env")}VISITORS_CERTIFICATE=${host.at(FILE)}\n`,
  );
  // There may be no such group where it is tested.
  host.standIn("install", 'mkdir --parents "$ROOT/etc/cluster/visitors"', { quiet: true });
  host.standIn("chown", "");
  // It runs while there is a file "served".
  host.standIn(
    "socat",
    `[[ -e $ROOT/served ]] || exit 1
    read -r command
    case $command in
      "show ssl cert "*)
        print=$(openssl x509 -in "$ROOT/served" -noout -fingerprint -sha1)
        print=\${print#*=}
        printf 'Filename: x\\nStatus: Used\\nSHA1 FingerPrint: %s\\n\\n' "\${print//:/}" ;;
      "set ssl cert "*" <<")
        echo set >>"$ROOT/commands"
        [[ ! -e $ROOT/refuses ]] || { echo "unable to load certificate"; exit; }
        sed '/^$/,$d' >"$ROOT/transaction"
        echo "Transaction created for certificate x!" ;;
      "commit ssl cert "*)
        echo commit >>"$ROOT/commands"
        [[ ! -e $ROOT/fails ]] || { echo "Can't commit"; exit; }
        mv "$ROOT/transaction" "$ROOT/served"
        printf 'Committing x\\nSuccess!\\n' ;;
      "abort ssl cert "*) echo abort >>"$ROOT/commands" ;;
    esac`,
    { quiet: true },
  );
  host.put("commands", "");
});
afterEach(() => host.remove());

const renew = () => runVisitorsCertificate(host);
const commands = () => host.read("commands").split("\n").filter(Boolean);

/** A key and its certificate, as an earlier run has made them, or something has changed since. */
function putCertificate(name: string, { days = 60, names = NAMES, keyOf = "" } = {}): void {
  const pem = execFileSync(
    "openssl",
    [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
      ...["-keyout", "-", "-days", String(days), "-subj", "/CN=earlier"],
      ...["-addext", `subjectAltName=${names.replaceAll(" ", ",")}`],
    ],
    { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
  );
  const KEY = /^.*?-----END PRIVATE KEY-----\n/s;
  const key = KEY.exec(keyOf === "" ? pem : host.read(keyOf))?.[0];
  host.put(name, `${key}${pem.replace(KEY, "")}`);
}

test("the first one is for the load balancer's names, self-signed, and valid for 90 days", async () => {
  const { status, stderr } = await renew();
  expect(status).toBe(0);
  expect(stderr).toContain("made a certificate for DNS:localhost, IP:127.0.0.1, IP:10.90.0.4");
  const made = certificate();
  expect(made.subject).toBe("O=demo\nCN=load-balancer-1");
  expect(made.issuer).toBe(made.subject);
  expect(made.subjectAltName).toBe("DNS:localhost, IP Address:127.0.0.1, IP Address:10.90.0.4");
  expect(Date.parse(made.validTo) - Date.parse(made.validFrom)).toBe(90 * DAY);
  expect(made.ca).toBe(false);
  expect(host.read(FILE)).toMatch(/^-----BEGIN PRIVATE KEY-----/);
  // HAProxy reads a certificate up to an empty line.
  expect(host.read(FILE)).not.toMatch(/\n\n/);
  expect(host.calls()).toEqual([`chown root:haproxy ${host.at(FILE)}.new`]);
  expect(host.list("etc/cluster/visitors")).toEqual(["certificate.pem"]);
});

test("one that is good stays, and HAProxy is told nothing", async () => {
  await renew();
  host.put("served", host.read(FILE));
  const before = host.read(FILE);
  expect(await renew()).toMatchObject({ status: 0, stderr: "" });
  expect(host.read(FILE)).toBe(before);
  expect(commands()).toEqual([]);
});

test.each<[string, () => void]>([
  ["expires within 30 days", () => putCertificate(FILE, { days: 29 })],
  ["is for other names", () => putCertificate(FILE, { names: "DNS:localhost IP:127.0.0.1" })],
  [
    "is not that of the key",
    () => {
      putCertificate("other");
      putCertificate(FILE, { keyOf: "other" });
    },
  ],
  ["is no certificate", () => host.put(FILE, "nonsense\n")],
  ["is empty", () => host.put(FILE, "")],
])("one that %s is replaced, in the file and in HAProxy", async (_what, prepare) => {
  prepare();
  putCertificate("served");
  expect((await renew()).stderr).toContain("HAProxy serves the new certificate");
  expect(certificate().subject).toBe("O=demo\nCN=load-balancer-1");
  expect(certificate("served").fingerprint256).toBe(certificate().fingerprint256);
  expect(commands()).toEqual(["set", "commit"]);
});

test("one that HAProxy does not serve yet is installed, also by a later run", async () => {
  putCertificate(FILE);
  putCertificate("served");
  expect((await renew()).status).toBe(0);
  expect(certificate("served").fingerprint256).toBe(certificate().fingerprint256);
  expect(certificate().subject).toBe("CN=earlier");
});

test.each([
  ["refuses", "unable to load certificate", ["set"]],
  ["fails", "Can't commit", ["set", "commit", "abort"]],
])("one that HAProxy rejects leaves it with the old one: %s", async (how, why, said) => {
  putCertificate(FILE, { days: 1 });
  putCertificate("served");
  const served = host.read("served");
  host.put(how, "");
  const { status, stderr } = await renew();
  expect(status).toBe(1);
  expect(stderr).toContain(
    `HAProxy rejects the new certificate and goes on with the old one: ${why}`,
  );
  expect(host.read("served")).toBe(served);
  expect(commands()).toEqual(said);
});

test("nothing is asked of an HAProxy that does not run", async () => {
  putCertificate(FILE, { days: 1 });
  expect((await renew()).status).toBe(0);
  expect(commands()).toEqual([]);
});

test("no key is passed as an argument", async () => {
  await renew();
  expect(host.textOf("load-balancer/visitors-certificate.sh")).not.toMatch(/-subj.*KEY/);
  expect(host.calls().join()).not.toContain("PRIVATE");
});
