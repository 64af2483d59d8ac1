import { execFileSync } from "node:child_process";
import { createHash, createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import { HostFolder } from "./host-folder";
import { runVisitorsCertificate } from "./visitors-certificate";

// A certificate of an authority. openssl is the real one; dehydrated is a stand-in, which signs as an authority would, and
// so is HAProxy, which does not run. Against the real one, and Pebble: integration/local/acme.ts.

const FILE = "etc/cluster/visitors/certificate.pem";
const MAP = "etc/cluster/visitors/certificate.map";
const KEY = "run/cluster/secrets/acme-account.key";
const NAMES = "DNS:www.example.org DNS:example.org";
const SEED = "s".repeat(48);

jest.setTimeout(60_000);

let host: HostFolder;

beforeEach(() => {
  host = new HostFolder(
    `CLUSTER_NAME=demo HOST_NAME=load-balancer-1 HOST_ROLE=load-balancer TLS_NAMES='${NAMES}' ACME_ACCOUNT_SEED=acme-account-seed`,
  );
  const facts = {
    VISITORS_CERTIFICATE: FILE,
    VISITORS_MAP: MAP,
    ACME_CONFIGURATION: "etc/cluster/acme",
    ACME_DIRECTORY: "var/lib/cluster/acme",
  };
  host.put(
    "etc/cluster/host.env",
    `${host.read("etc/cluster/host.env")}${Object.entries(facts)
      .map(([name, path]) => `${name}=${host.at(path)}\n`)
      .join("")}`,
  );
  configure("https://one.example/dir");
  host.put("run/cluster/secrets/acme-account-seed", SEED);
  // There may be no such group where it is tested.
  host.standIn("install", 'mkdir --parents "$ROOT/etc/cluster/visitors"', { quiet: true });
  host.standIn("chown", "", { quiet: true });
  host.standIn("socat", "exit 1", { quiet: true });
  execFileSync(
    "openssl",
    [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
      ...["-keyout", host.at("authority.key"), "-out", host.at("authority.pem")],
      ...["-days", "100", "-subj", "/CN=authority"],
    ],
    { stdio: "ignore" },
  );
  host.put("days", "90");
  host.standIn(
    "dehydrated",
    `if [[ -e $ROOT/says ]]; then cat "$ROOT/says" >&2; exit 1; fi
    if [[ -e $ROOT/says-once ]]; then cat "$ROOT/says-once" >&2; rm "$ROOT/says-once"; exit 1; fi
    while (($# > 0)); do
      case $1 in
        --privkey) key=$2 ;;
        --register) echo '{}' >"$key.json"; exit ;;
        --signcsr)
          echo "Using private key $key"
          openssl x509 -req -in "$2" -CA "$ROOT/authority.pem" -CAkey "$ROOT/authority.key" -CAcreateserial \\
            -days "$(<"$ROOT/days")" -copy_extensions copy 2>/dev/null
          cat "$ROOT/authority.pem" ;;
      esac
      shift
    done`,
  );
});
afterEach(() => host.remove());

/** A certificate by the authority for a key and names, PEM. */
function signed(key: string, names: string, days: string): string {
  execFileSync("openssl", [
    ...["req", "-new", "-key", host.at(key), "-subj", "/", "-out", host.at("csr")],
    ...["-addext", `subjectAltName=${names.replaceAll(" ", ",")}`],
  ]);
  return execFileSync(
    "openssl",
    [
      ...["x509", "-req", "-in", host.at("csr"), "-CA", host.at("authority.pem")],
      ...["-CAkey", host.at("authority.key"), "-days", days, "-copy_extensions", "copy"],
    ],
    { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
  );
}

const configure = (directory: string, profile = "") =>
  host.put("etc/cluster/acme/config", `CA='${directory}'\nACME_PROFILE='${profile}'\n`);

const run = (...args: string[]) => runVisitorsCertificate(host, args);
const certificate = () => new X509Certificate(host.read(FILE));
const asked = () => host.calls().map((call) => /--(register|signcsr)/.exec(call)?.[1]);
const map = () =>
  Object.fromEntries(
    host
      .read(MAP)
      .trim()
      .split("\n")
      .map((line) => line.split(" ")),
  );

test("without an answer of the authority HAProxy has a certificate of its own, and trusts nothing to it", async () => {
  expect(await run()).toMatchObject({ status: 0 });
  expect(certificate().subject).toBe("O=demo\nCN=load-balancer-1");
  expect(certificate().subjectAltName).toBe("DNS:www.example.org, DNS:example.org");
  expect(asked()).toEqual([]);
  expect(map().trusted).toBe("no");
});

test("the account's key is the secret's, and the map has its thumbprint (RFC 7638)", async () => {
  await run();
  const key = createPrivateKey(host.read(KEY));
  const { d, x, y } = key.export({ format: "jwk" });
  expect(Buffer.from(d as string, "base64url")).toEqual(createHash("sha256").update(SEED).digest());
  expect(createPublicKey(key).asymmetricKeyDetails).toEqual({ namedCurve: "prime256v1" });
  const jwk = JSON.stringify({ crv: "P-256", kty: "EC", x, y });
  expect(map().thumbprint).toBe(createHash("sha256").update(jwk).digest("base64url"));
});

test("the authority's takes its place, with its chain and the key, and is kept while it is good", async () => {
  await run();
  expect((await run("--renew")).stderr).toContain("got a certificate: ");
  expect(certificate().issuer).toBe("CN=authority");
  expect(host.read(FILE).match(/BEGIN [A-Z ]+/g)).toEqual([
    "BEGIN PRIVATE KEY",
    "BEGIN CERTIFICATE",
    "BEGIN CERTIFICATE",
  ]);
  expect(certificate().checkPrivateKey(createPrivateKey(host.read(FILE)))).toBe(true);
  expect(map().trusted).toBe("yes");
  expect(await run("--renew")).toMatchObject({ status: 0, stderr: "" });
  expect(await run()).toMatchObject({ status: 0, stderr: "" });
  expect(asked()).toEqual(["register", "signcsr"]);
});

test.each<[string, () => void]>([
  ["another directory", () => configure("https://two.example/dir")],
  ["another profile", () => configure("https://one.example/dir", "shortlived")],
  ["other names", () => changeNames("DNS:www.example.org")],
  ["a certificate whose last third has begun", () => undefined],
])("%s makes it ask again, by the unit alone", async (what, change) => {
  host.put("days", what.startsWith("a certificate") ? "0" : "90");
  await run("--renew");
  const before = certificate().fingerprint256;
  host.put("days", "90");
  change();
  await run();
  expect(certificate().fingerprint256).toBe(before);
  expect((await run("--renew")).status).toBe(0);
  expect(certificate().fingerprint256).not.toBe(before);
  // Another directory does not know the account.
  expect(asked().filter((command) => command === "register")).toHaveLength(
    what.startsWith("another") ? 2 : 1,
  );
});

const changeNames = (names: string) =>
  host.put("etc/cluster/host.env", host.read("etc/cluster/host.env").replace(NAMES, names));

test.each([
  [
    '{"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many certificates", "status": 429}',
    "no certificate for www.example.org example.org: too many certificates",
  ],
  [
    "ERROR: Problem connecting to server (get for https://one.example/dir; curl returned with 7)\nEXPECTED value GOT EOF\n",
    "example.org: Problem connecting to server (get for https://one.example/dir; curl returned with 7)",
  ],
])(
  "an authority that refuses leaves what is there, and the reason is kept: %s",
  async (says, why) => {
    await run("--renew");
    const before = host.read(FILE);
    configure("https://one.example/dir", "other");
    host.put("says", says);
    const { status, stderr } = await run("--renew");
    expect(status).toBe(1);
    expect(stderr).toContain(why);
    expect(host.read("run/cluster/visitors-certificate.failure")).toContain(why);
    expect(host.read(FILE)).toBe(before);
    expect(host.list("etc/cluster/visitors")).not.toContain("certificate.pem.new");
    host.drop("says");
    expect((await run("--renew")).status).toBe(0);
    expect(host.has("run/cluster/visitors-certificate.failure")).toBe(false);
  },
);

test("an account that the authority has forgotten is created anew", async () => {
  await run("--renew");
  configure("https://one.example/dir", "");
  changeNames("DNS:www.example.org");
  host.put("says-once", '{"type": "urn:ietf:params:acme:error:accountDoesNotExist"}');
  expect((await run("--renew")).status).toBe(0);
  expect(asked()).toEqual(["register", "signcsr", "signcsr", "register", "signcsr"]);
});

describe("one that an operator gives", () => {
  beforeEach(() => {
    const facts = host
      .read("etc/cluster/host.env")
      .split("\n")
      .filter((line) => !line.startsWith("ACME_"))
      .join("\n")
      .replace("ACME_ACCOUNT_SEED=acme-account-seed", "GIVEN_CERTIFICATE=visitors-certificate");
    host.put("etc/cluster/host.env", facts);
    // What is generated until it is given.
    give("x".repeat(48));
  });
  const give = (text: string) => host.put("run/cluster/secrets/visitors-certificate", text);

  /** Base64 of a key and its certificate by the authority. */
  function issued({ names = NAMES, days = "30", keyOf = "given.key" } = {}): string {
    for (const key of ["given.key", "other.key"]) {
      execFileSync(
        "openssl",
        [
          ...["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
          ...["-out", host.at(key)],
        ],
        { stdio: "ignore" },
      );
    }
    return Buffer.from(`${host.read(keyOf)}${signed("given.key", names, days)}`.trim()).toString(
      "base64",
    );
  }

  test("is waited for with a certificate of its own, and status is told", async () => {
    expect((await run()).status).toBe(0);
    expect(certificate().subject).toBe("O=demo\nCN=load-balancer-1");
    expect((await run("--renew")).status).toBe(1);
    expect(host.read("run/cluster/visitors-certificate.failure")).toContain(
      "none was given yet: npm run cluster -- STACK set-certificate",
    );
    expect(map()).toEqual({ thumbprint: "-", trusted: "no" });
  });

  test("is taken as it is, and stays", async () => {
    await run();
    give(issued());
    expect((await run("--renew")).stderr).toContain("took the certificate that was given");
    expect(certificate().issuer).toBe("CN=authority");
    expect(map().trusted).toBe("yes");
    expect(await run("--renew")).toMatchObject({ status: 0, stderr: "" });
    expect(host.has("run/cluster/visitors-certificate.failure")).toBe(false);
  });

  test.each([
    ["of another key", { keyOf: "other.key" }, "the key that was given is not the certificate's"],
    ["for other names", { names: "DNS:example.net" }, "not for all of these names"],
    ["that has expired", { days: "-1" }, "what was given has expired"],
  ])(
    "one %s leaves the one from before, and says why with its names and dates",
    async (_what, how, why) => {
      give(issued());
      await run("--renew");
      const before = host.read(FILE);
      give(issued(how));
      expect((await run("--renew")).status).toBe(1);
      expect(host.read(FILE)).toBe(before);
      const failure = host.read("run/cluster/visitors-certificate.failure");
      expect(failure).toContain(why);
      expect(failure).toMatch(/notAfter=.*DNS:/);
      expect(map().trusted).toBe("yes");
    },
  );
});

test("a certificate that has expired is not relied on any more", async () => {
  await run("--renew");
  expect(map().trusted).toBe("yes");
  host.put("says", "away\n");
  const key = host.read(FILE).replace(/-----BEGIN CERTIFICATE[\s\S]*/, "");
  host.put("expired.key", key);
  host.put(FILE, `${key}${signed("expired.key", NAMES, "-1")}`);
  await run();
  expect(map().trusted).toBe("no");
});
