import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const SCRIPTS = join(__dirname, "../../scripts");

/** A host's own folders, where a script names them: behind a letter or a closing bracket they are part of a longer path. */
const OWN =
  /(?<![\w}/.)])\/(?=(?:opt\/cluster|etc|run|srv|var|dev\/incus|proc\/uptime|usr\/sbin\/policy-rc\.d)\b)/g;

/** Where a script lies on a host. The archive of scripts has the others. */
const PLACES: Readonly<Record<string, string>> = {
  "platform/aws.sh": "opt/cluster/platform.sh",
  "platform/local.sh": "opt/cluster/platform.sh",
  "boot/boot.sh": "opt/cluster/boot/boot.sh",
  "boot/fetch-archive.sh": "opt/cluster/boot/fetch-archive.sh",
};

export interface Ran {
  /** Null where a signal ended it. */
  status: number | null;
  stdout: string;
  stderr: string;
}

interface Options {
  input?: string;
  env?: Readonly<Record<string, string>>;
}

/**
 * A host as far as its scripts see one: a folder that holds what they find at the root of a host. They are those of the
 * repository, with their own folders moved there. What would change this machine, or is not on it, is a stand-in.
 *
 * A stand-in is told to bash as $ROOT where that folder is; each call of one is a line of `calls()`.
 */
export class HostFolder {
  readonly root = mkdtempSync(join(tmpdir(), "host-"));

  constructor(facts = "HOST_NAME=web-1 HOST_ROLE=web HOST_ADDRESS=10.0.0.4") {
    this.put("etc/cluster/host.env", `HAPROXY_SOCKET=/run/haproxy/admin.sock ${facts}\n`);
    for (const folder of ["bin", "tmp", "run/cluster", "var/lib/cluster", "srv", "proc"]) {
      mkdirSync(join(this.root, folder), { recursive: true });
    }
    this.put("calls", "");
    // A clock that stands still but for those who sleep: patience costs a test no time.
    this.put("proc/uptime", "100.00 100.00\n");
    this.standIn(
      "sleep",
      `read -r up _ <"$ROOT/proc/uptime"
      [[ $1 == *.* ]] && nap=$1 || nap=$1.
      part=\${nap#*.}00
      later=$((10#\${up/./} + 10#\${nap%.*}\${part:0:2}))
      printf '%d.%02d 0.00\\n' $((later / 100)) $((later % 100)) >"$ROOT/proc/uptime"`,
      { quiet: true },
    );
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }

  at(name: string): string {
    return join(this.root, name);
  }

  put(name: string, content: string | Buffer, mode = 0o644): void {
    mkdirSync(dirname(this.at(name)), { recursive: true });
    rmSync(this.at(name), { force: true });
    writeFileSync(this.at(name), content);
    chmodSync(this.at(name), mode);
  }

  drop(name: string): void {
    rmSync(this.at(name), { recursive: true });
  }

  read(name: string): string {
    return readFileSync(this.at(name), "utf8");
  }

  bytes(name: string): Buffer {
    return readFileSync(this.at(name));
  }

  /** Writes a file anew where it is, as cloud-init does: whoever reads it reads on in the new one. */
  overwrite(name: string, content: string): void {
    writeFileSync(this.at(name), content);
  }

  has(name: string): boolean {
    return existsSync(this.at(name));
  }

  list(name: string): string[] {
    return this.has(name) ? readdirSync(this.at(name)).sort() : [];
  }

  /** Brings scripts of the repository, and tells where on the host the first of them is. */
  bring(...names: [string, ...string[]]): string {
    for (const name of names) {
      this.put(PLACES[name] ?? `opt/cluster/scripts/${name}`, this.textOf(name), 0o755);
    }
    return PLACES[names[0]] ?? `opt/cluster/scripts/${names[0]}`;
  }

  /** A script of the repository, as it is brought. */
  textOf(name: string): string {
    return readFileSync(join(SCRIPTS, name), "utf8").replace(OWN, `${this.root}/`);
  }

  /** A program that the scripts find on their path, or at another place. */
  standIn(name: string, code: string, { quiet = false } = {}): void {
    const path = name.includes("/") ? name : `bin/${name}`;
    const note = quiet
      ? ""
      : `printf '%s\\n' "${name.split("/").at(-1)}\${*:+ }$*" >>"$ROOT/calls"\n`;
    this.put(path, `#!/usr/bin/env bash\n${note}${code}\n`, 0o755);
  }

  /** Packs files, by name, to `store/KIND/SHA256.tar.gz`; tells the SHA-256. */
  archive(kind: "scripts" | "releases", files: Readonly<Record<string, string>>): string {
    const folder = mkdtempSync(this.at("tmp/pack-"));
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), content, { mode: 0o700 });
    }
    const packed = execFileSync("tar", ["--create", "--gzip", "--directory", folder, "."]);
    rmSync(folder, { recursive: true });
    const sha256 = createHash("sha256").update(packed).digest("hex");
    this.put(`store/${kind}/${sha256}.tar.gz`, packed);
    return sha256;
  }

  /** The programs that were called, each with its arguments. */
  calls(): string[] {
    return this.read("calls").split("\n").filter(Boolean);
  }

  /** Runs a script that was brought. */
  run(script: string, args: readonly string[] = [], options: Options = {}): Promise<Ran> {
    return this.spawned([this.at(script), ...args], options);
  }

  /** Runs lines of bash where scripts were sourced. */
  shell(sources: readonly string[], lines: string, options: Options = {}): Promise<Ran> {
    const program = [...sources.map((name) => `source "$ROOT/${name}"`), lines].join("\n");
    return this.spawned(["-c", program], options);
  }

  private spawned(args: readonly string[], { input = "", env = {} }: Options): Promise<Ran> {
    return new Promise((resolve, reject) => {
      // A shell whose standard input is a socket, as node's are, would read the files of whoever tests.
      const child = spawn("bash", ["--norc", ...args], {
        env: {
          PATH: `${this.root}/bin:/usr/local/bin:/usr/bin:/bin`,
          ROOT: this.root,
          TMPDIR: this.at("tmp"),
          ...env,
        },
      });
      const ran: Ran = { status: null, stdout: "", stderr: "" };
      for (const stream of ["stdout", "stderr"] as const) {
        child[stream].setEncoding("utf8").on("data", (text: string) => {
          ran[stream] += text;
        });
      }
      child.on("error", reject);
      child.on("close", (status) => resolve({ ...ran, status }));
      // It may end without having read it.
      child.stdin.on("error", () => {});
      child.stdin.end(input);
    });
  }
}
