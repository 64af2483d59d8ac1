import { execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { PROJECT } from "../../hosts/project";
import { database, loadBalancer, primary, web } from "./statuses";

/** An error that AWS's command line answers with, instead of doing what it is asked for. */
export interface Fault {
  /** As AWS names it, for example `SendCommand`; default all. */
  readonly operation?: string;
  readonly host?: string;
  /** How often; default always. */
  readonly times?: number;
  /** How often it does what it is asked for, before. */
  readonly after?: number;
  /** Code and sentence of AWS. */
  readonly code?: string;
  readonly message?: string;
  /** Or all that the command line says itself, and what it ends with; default 255. */
  readonly text?: string;
  readonly exit?: number;
}

/** What SSM says of the commands of a host, without any of them having run. */
export interface SaidInvocation {
  readonly host: string;
  readonly Status: string;
  readonly StatusDetails: string;
  readonly ResponseCode: number;
  readonly StandardOutputContent: string;
  readonly StandardErrorContent: string;
}

interface Instance {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  /** Whether its SSM agent answers. */
  readonly agent?: boolean;
  /** Whether EC2 tells of it when it is not asked about such. */
  readonly stray?: boolean;
}

interface World {
  /** Whether SSM does not know a command at first, and then says that it is in progress. */
  readonly slow?: boolean;
  readonly faults?: readonly Fault[];
  readonly invocations?: readonly SaidInvocation[];
  /** In the place of the one of the same name, or beside it. */
  readonly instances?: readonly Instance[];
  /** Scripts of hosts, in the place of those that every host has: `database-1/agent/candidate`, which the agent is asked for. */
  readonly scripts?: Readonly<Record<string, string>>;
  /** What the object `release` holds; `undefined` when there is none. */
  readonly releases?: string | undefined;
  readonly parameters?: Readonly<Record<string, string>>;
}

export const [A, B] = ["a".repeat(64), "b".repeat(64)] as [string, string];

const HOSTS = [
  loadBalancer(),
  web(1, { release: A }),
  web(2, { release: A }),
  primary(),
  database(2),
];

/** A script that prints something, however long, and ends. */
export const printing = (text: string, { to = 1, exit = 0 } = {}) =>
  `cat >&${to} <<'END OF TEXT'\n${text}\nEND OF TEXT\nexit ${exit}\n`;

/** What a database host says of itself to whoever decides, as JSON. */
export function candidate(status: ReturnType<typeof database>, objections: object[] = []): string {
  return JSON.stringify({ ...status.facts, objections });
}

export const DENIED = "User: arn:aws:iam::123456789012:user/op is not authorized to perform: it";
export const throttled = (operation: string, more: Partial<Fault> = {}): Fault => ({
  operation,
  code: "ThrottlingException",
  message: "Rate exceeded",
  ...more,
});
/** How database-2 speaks of a primary that does not answer it. */
export const LOST = [
  { override: "lost", host: "database-1", sentence: "database-1 does not answer" },
];
export const silentPrimary = {
  "database-2/agent/candidate": printing(candidate(database(2), LOST)),
};
/** The primary runs, and SSM does not reach it. */
export const OFF = {
  id: "i-33333333333333333",
  name: "database-1",
  state: "running",
  agent: false,
};

/** What the table of a status says of each host. */
export const table = (stdout: string) =>
  Object.fromEntries(
    stdout
      .split("\n")
      .slice(1, 6)
      .map((line) => line.split(/ {2,}/))
      .map(([host, , state]) => [host, state]),
  );
/** The lines of a status that say what is not as it should be. */
export const problems = (stdout: string) =>
  stdout.split("\n").filter((line) => line.startsWith("! "));

/** What SSM says of a command that printed nothing. */
export const said = (host: string, Status: string, StatusDetails: string): SaidInvocation => ({
  host,
  Status,
  StatusDetails,
  ResponseCode: -1,
  StandardOutputContent: "",
  StandardErrorContent: "",
});

/** The default cluster on AWS, where a stand-in answers for AWS. */
export class OperatorOnAws {
  private readonly directory = mkdtempSync(join(tmpdir(), "operator-"));
  private readonly settings = join(this.directory, "clusters.json");

  /** @param settings of the cluster besides its name */
  constructor(settings: object = {}) {
    // As `npm run cluster` does it.
    execFileSync("bash", ["ops/cluster-command.sh", "--help"], { cwd: PROJECT, stdio: "ignore" });
    writeFileSync(this.settings, JSON.stringify([{ name: "demo", ...settings }]));
    mkdirSync(join(this.directory, "bin"));
    // What an operator's shell reads is nothing to a command.
    writeFileSync(join(this.directory, ".bashrc"), "PATH=/nonexistent\n");
    const aws = join(this.directory, "bin", "aws");
    const text = readFileSync(join(PROJECT, "__tests__", "fixtures", "aws-stand-in.js"), "utf8");
    writeFileSync(aws, `#!${process.execPath}\n${text}`);
    chmodSync(aws, 0o755);
  }

  /** How many worlds there have been. */
  private worlds = 0;

  private path(...names: string[]): string {
    return join(this.directory, `world-${this.worlds}`, ...names);
  }

  private write(path: string, text: string, mode = 0o644): void {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    chmodSync(path, mode);
  }

  /**
   * Makes another world; without more all is well in it. The one before stays: what an operation stopped may
   * still write into it for a moment.
   */
  set({
    slow = false,
    faults = [],
    invocations = [],
    instances = [],
    scripts = {},
    parameters = { "/demo/bucket": "demo-store-1" },
    ...more
  }: World = {}): void {
    this.worlds += 1;
    for (const name of ["counts", "commands", "objects"]) {
      mkdirSync(this.path(name), { recursive: true });
    }
    this.write(this.path("world.json"), JSON.stringify({ slow, faults, invocations, parameters }));
    // What is packed on its way to a host names its scripts as well.
    this.write(
      this.path("tools", "gunzip"),
      `#!/bin/sh\ngzip -cd | sed 's,/opt/cluster/scripts,${this.path("hosts")}/'"$STAND_IN_HOST"',g'\n`,
      0o755,
    );
    const own = HOSTS.map(({ host }, index) => ({
      id: `i-${String(index).repeat(17)}`,
      name: host,
      state: "running",
    }));
    const all = [
      ...own.filter(({ id }) => !instances.some((other) => other.id === id)),
      ...instances,
    ];
    this.write(this.path("instances.json"), JSON.stringify(all));
    const releases = "releases" in more ? more.releases : `${B} ${A}\n`;
    if (releases !== undefined) {
      this.write(this.path("objects", "release"), releases);
    }
    for (const { host, role, facts } of HOSTS) {
      const others: Record<string, string> = {
        "host/status.sh": printing(JSON.stringify(facts)),
        "host/apply-secret.sh": "",
        "web/install-release.sh": printing('{"startTimeout":30,"startTimeoutBefore":30}'),
        "web/activate-release.sh": "",
        "web/app-lines.sh": "",
        "load-balancer/drain.sh": "",
        "load-balancer/await-checks.sh": "",
        ...(role === "database"
          ? { "agent/candidate": printing(JSON.stringify({ ...facts, objections: [] })) }
          : {}),
        "agent/close": "",
        "agent/release": "",
        "agent/promote": `echo ${host} is the primary`,
      };
      for (const [name, text] of Object.entries(others)) {
        this.script(`${host}/${name}`, text);
      }
      this.write(
        this.path("hosts", host, "database", "agent.sh"),
        `#!/bin/bash\nexec "\${0%/*}/../agent/$1" "\${@:2}"\n`,
        0o755,
      );
    }
    for (const [name, text] of Object.entries(scripts)) {
      this.script(name, text);
    }
  }

  private script(name: string, text: string): void {
    const [host, folder, file] = name.split("/") as [string, string, string];
    const ran = `printf '%s\\n' "${host} ${file} $(printf '%.40s ' "$@")" >>'${this.path("ran")}'\n`;
    this.write(this.path("hosts", host, folder, file), `#!/bin/bash\n${ran}${text}\n`, 0o755);
  }

  /** The scripts that ran on hosts, but for those that only look: host, script and arguments. */
  ran(): string[] {
    const file = this.path("ran");
    const lines = existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
    return lines
      .map((line) => line.trim())
      .filter((line) => !/ (status\.sh|candidate|app-lines\.sh)/.test(line));
  }

  /** What AWS was asked for: the operation and its arguments. */
  calls(operation: string): string[][] {
    const file = this.path("calls");
    return (existsSync(file) ? readFileSync(file, "utf8") : "")
      .trim()
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as string[])
      .filter(([name]) => name === operation);
  }

  /** What a parameter was changed to; `undefined` if it was not. */
  parameter(name: string): string | undefined {
    const file = this.path("parameters", encodeURIComponent(name));
    return existsSync(file) ? readFileSync(file, "utf8") : undefined;
  }

  object(name: string): string | undefined {
    const file = this.path("objects", name);
    return existsSync(file) ? readFileSync(file, "utf8") : undefined;
  }

  /** A file that a host's script has written. */
  file(name: string): string {
    return join(this.directory, name);
  }

  /** Runs `npm run cluster -- aws VERB...`. */
  run(
    words: readonly string[],
    { path }: { path?: string } = {},
  ): Promise<{ exitCode: number | null; stdout: string; stderr: string; seconds: number }> {
    const started = Date.now();
    return new Promise((resolve, reject) => {
      const child = spawn(
        process.execPath,
        [join(PROJECT, ".cache", "cluster.cjs"), "aws", ...words],
        {
          cwd: PROJECT,
          env: {
            ...process.env,
            HOME: this.directory,
            SHLVL: "0",
            CLUSTERS: this.settings,
            PATH: path ?? `${join(this.directory, "bin")}:${process.env.PATH}`,
            STAND_IN_WORLD: this.path(),
          },
        },
      );
      let [stdout, stderr] = ["", ""];
      child.stdout.setEncoding("utf8").on("data", (chunk) => {
        stdout += chunk;
      });
      child.stderr.setEncoding("utf8").on("data", (chunk) => {
        stderr += chunk;
      });
      child.on("error", reject);
      child.on("close", (exitCode) =>
        resolve({ exitCode, stdout, stderr, seconds: (Date.now() - started) / 1000 }),
      );
    });
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}
