import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { get } from "node:https";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { eventually } from "../drill/scratch/workspace";

// Pebble, an ACME authority for tests (https://github.com/letsencrypt/pebble), and the name server that it asks.

const PORTS = { directory: 14_000, management: 15_000, names: 8_053 };

function programs(): { pebble: string; names: string } | undefined {
  const folders = [process.env.PEBBLE_DIRECTORY ?? "", "/usr/bin", "/usr/local/bin"];
  return folders
    .filter(Boolean)
    .map((folder) => ({
      pebble: join(folder, "pebble"),
      names: join(folder, "pebble-challtestsrv"),
    }))
    .find(({ pebble, names }) => existsSync(pebble) && existsSync(names));
}

/** An address of this machine that hosts reach as they reach the internet. */
export function addressOfMachine(): string {
  const found = Object.entries(networkInterfaces())
    .filter(([name]) => !name.startsWith("dwi-"))
    .flatMap(([, addresses]) => addresses ?? [])
    .find(({ family, internal }) => family === "IPv4" && !internal);
  if (found === undefined) {
    throw new Error("the tests of ACME need an IPv4 address of this machine besides 127.0.0.1");
  }
  return found.address;
}

function started(program: string, args: readonly string[], folder: string): ChildProcess {
  return spawn(program, args, {
    cwd: folder,
    stdio: "ignore",
    // Without its pauses before a check, and without refusing requests at random.
    env: { ...process.env, PEBBLE_VA_NOSLEEP: "1", PEBBLE_WFE_NONCEREJECT: "0" },
  });
}

/** An authority on this machine, which can be started and stopped. Its root is another one after each start. */
export class Pebble {
  readonly directory: string;
  /** PEM by which its directory is verified. */
  readonly trust: string;
  private readonly address = addressOfMachine();
  private readonly running: ChildProcess[] = [];

  /**
   * @param folder for its files
   * @param site the address that every host name leads to
   * @param seconds how long its certificates are valid, by profile
   */
  constructor(
    private readonly folder: string,
    private readonly site: string,
    seconds: Readonly<Record<string, number>>,
  ) {
    mkdirSync(folder, { recursive: true });
    this.directory = `https://${this.address}:${PORTS.directory}/dir`;
    execFileSync(
      "openssl",
      [
        ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
        ...["-keyout", "key.pem", "-out", "certificate.pem", "-days", "2", "-subj", "/CN=pebble"],
        ...["-addext", `subjectAltName=IP:${this.address}`],
      ],
      { cwd: folder, stdio: "pipe" },
    );
    this.trust = readFileSync(join(folder, "certificate.pem"), "utf8");
    const profiles = Object.entries(seconds).map(([name, validityPeriod]) => [
      name,
      { description: `valid for ${validityPeriod} s`, validityPeriod },
    ]);
    const pebble = {
      listenAddress: `${this.address}:${PORTS.directory}`,
      managementListenAddress: `${this.address}:${PORTS.management}`,
      certificate: "certificate.pem",
      privateKey: "key.pem",
      httpPort: 80,
      tlsPort: 443,
      keyAlgorithm: "ecdsa",
      profiles: Object.fromEntries(profiles),
    };
    writeFileSync(join(folder, "pebble.json"), JSON.stringify({ pebble }));
  }

  async start(): Promise<void> {
    const { pebble, names } = programs() as NonNullable<ReturnType<typeof programs>>;
    const dns = `127.0.0.1:${PORTS.names}`;
    const off = ["-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "", "-management", ""];
    this.running.push(
      started(
        names,
        ["-dnsserver", dns, "-defaultIPv4", this.site, "-defaultIPv6", "", ...off],
        this.folder,
      ),
      started(pebble, ["-config", "pebble.json", "-dnsserver", dns], this.folder),
    );
    await eventually("the authority answers", () => this.root().catch(() => undefined), 20);
  }

  stop(): void {
    for (const child of this.running.splice(0)) {
      child.kill("SIGKILL");
    }
  }

  /** PEM of the root of the certificates that it issues. */
  root(): Promise<string> {
    const url = `https://${this.address}:${PORTS.management}/roots/0`;
    return new Promise((resolve, reject) => {
      get(url, { rejectUnauthorized: false }, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("end", () => resolve(text));
      }).on("error", reject);
    });
  }
}

/** Tests that need Pebble; without it they are skipped, which a run that requires all of them counts as failed. */
export function describeWithPebble(name: string, tests: () => void): void {
  const declare = programs() === undefined ? describe.skip : describe;
  declare(`${name} (needs Pebble: apt-get install pebble)`, tests);
}
