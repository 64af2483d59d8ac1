import { request } from "node:http";
import { request as requestOverTls } from "node:https";
import { join } from "node:path";
import { DATABASE_ACCOUNTS } from "../../hosts/agreed";
import type { CheckedServer } from "../../ops/operations/checks";
import { attemptSync, run, runSync } from "../../ops/run";
import { localNames } from "../../topology/names";
import { PORTS } from "../../topology/ports";
import { tlsPortOf } from "../../topology/publication";
import { type ClusterSettingsInput, parseClusters } from "../../topology/settings";
import { buildTopology, hostsOf, type Topology } from "../../topology/topology";
import { eventually, Workspace } from "./workspace";

/** What one HTTP request was answered. */
export interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
}

/** The app's access to its database. */
export interface AppAccount {
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  /** The address of this machine to ask from. */
  readonly from?: string;
  /** How long it may take. Default 10. */
  readonly seconds?: number;
}

/** A connection of its own for each request, so that each is balanced anew. Any certificate is accepted. */
export function ask(
  url: string,
  { method = "GET", headers, body, from, seconds = 10 }: Ask = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const send = url.startsWith("https:") ? requestOverTls : request;
    const outgoing = send(
      url,
      {
        method,
        headers,
        agent: false,
        timeout: seconds * 1000,
        localAddress: from,
        rejectUnauthorized: false,
      },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk) => chunks.push(chunk));
        incoming.on("error", reject);
        incoming.on("end", () =>
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            body: Buffer.concat(chunks).toString(),
          }),
        );
      },
    );
    outgoing.on("timeout", () =>
      outgoing.destroy(new Error(`${url} gave no answer in ${seconds} s`)),
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

/** How many of so many requests each web server answered. */
export async function tally(url: string, requests: number, from?: string) {
  const counts: Record<string, number> = {};
  for (let index = 0; index < requests; index++) {
    const { status, headers } = await ask(url, { from });
    const server = status === 200 ? String(headers["x-served-by"]) : `status ${status}`;
    counts[server] = (counts[server] ?? 0) + 1;
  }
  return counts;
}

/** Seconds for which HAProxy sends a server that has come up less than its share (hosts/load-balancer.ts). */
const SLOWSTART = 10;

/** A cluster of containers on this machine, brought up by `cdktf deploy` and judged from outside. */
export class ScratchCluster {
  readonly workspace: Workspace;
  topology: Topology;
  /** The settings of the last deploy that worked, as JSON; `undefined` where the last one did not. */
  private deployed: string | undefined;

  /**
   * @param base the settings it begins with
   * @param directory of a workspace made before, with what is deployed from it; default a new one
   * @param beside clusters before it in the same settings, which leave it the stack local-<name>
   */
  constructor(
    readonly base: ClusterSettingsInput,
    private readonly beside: readonly ClusterSettingsInput[] = [],
    directory?: string,
  ) {
    this.workspace = new Workspace([], directory);
    this.topology = this.topologyOf(base);
    this.set();
  }

  get stack(): string {
    return this.beside.length === 0 ? "local" : `local-${this.base.name}`;
  }

  private topologyOf(settings: ClusterSettingsInput): Topology {
    return buildTopology(parseClusters([settings])[0] as never, "local");
  }

  /** Changes the settings without deploying them. */
  set(change: Partial<ClusterSettingsInput> = {}): void {
    const backup = { localDirectory: join(this.workspace.directory, "backups") };
    const settings = { backup, ...this.base, ...change };
    this.workspace.set([...this.beside, settings]);
    this.topology = this.topologyOf(settings);
  }

  /** Whether the last deploy worked, and was of the settings as they are now. */
  get isDeployed(): boolean {
    return this.deployed === JSON.stringify(this.topology.settings);
  }

  /** Deploys, with a change of the settings it began with; returns what was printed. */
  deploy(change: Partial<ClusterSettingsInput> = {}): string {
    this.beginDeploy(change);
    const printed = this.workspace.cdktf(["deploy", this.stack, "--auto-approve"], 600);
    this.endDeploy();
    return printed;
  }

  /** The same without cdktf's command line, which takes some five seconds of its own. */
  apply(change: Partial<ClusterSettingsInput> = {}): void {
    this.beginDeploy(change);
    this.workspace.apply(this.stack, 600);
    this.endDeploy();
  }

  /** The same where it is not what was deployed last. */
  ensure(change: Partial<ClusterSettingsInput>): void {
    this.set(change);
    if (!this.isDeployed) {
      this.apply(change);
    }
  }

  /** Deploys where that may fail. */
  attemptToDeploy(change: Partial<ClusterSettingsInput> = {}) {
    this.beginDeploy(change);
    const outcome = this.workspace.attemptCdktf(["deploy", this.stack, "--auto-approve"], 600);
    if (outcome.status === 0) {
      this.endDeploy();
    }
    return outcome;
  }

  /** Deploys while the test goes on. */
  async deployInBackground(change: Partial<ClusterSettingsInput> = {}): Promise<string> {
    this.beginDeploy(change);
    const printed = await this.workspace.cdktfInBackground([
      "deploy",
      this.stack,
      "--auto-approve",
    ]);
    this.endDeploy();
    return printed;
  }

  /** Begins a deploy, and kills it as soon as it has printed something that matches. */
  async interruptDeploy(when: RegExp): Promise<void> {
    this.beginDeploy({});
    await this.workspace.interruptCdktf(["deploy", this.stack, "--auto-approve"], when);
  }

  private beginDeploy(change: Partial<ClusterSettingsInput>): void {
    this.set(change);
    this.deployed = undefined;
  }

  private endDeploy(): void {
    this.deployed = JSON.stringify(this.topology.settings);
  }

  /** `npm run cluster -- STACK ARGUMENTS...`; returns what was printed. */
  operate(...args: string[]): string {
    const { status, stdout, stderr } = this.attemptToOperate(...args);
    if (status !== 0) {
      throw new Error(`${args.join(" ")} exited with ${status}:\n${stdout}${stderr}`);
    }
    return stdout;
  }

  attemptToOperate(...args: string[]) {
    return this.workspace.operate([this.stack, ...args]);
  }

  /** Begins an operation, and kills it as soon as it has printed something that matches. */
  interruptOperation(args: readonly string[], when: RegExp): Promise<void> {
    return this.workspace.interruptOperation([this.stack, ...args], when);
  }

  destroy(): string {
    this.deployed = undefined;
    return this.workspace.cdktf(["destroy", this.stack, "--auto-approve"], 300);
  }

  /** Destroys what there is of it, which may be nothing, or half of it. */
  attemptToDestroy(): void {
    this.deployed = undefined;
    this.workspace.attemptCdktf(["destroy", this.stack, "--auto-approve"]);
  }

  /** The same, and removes its workspace. */
  remove(): void {
    this.attemptToDestroy();
    this.workspace.remove();
  }

  get url(): string {
    return `http://127.0.0.1:${this.topology.settings.localPort}`;
  }

  get tlsUrl(): string {
    return `https://127.0.0.1:${tlsPortOf(this.topology.settings)}`;
  }

  get incusProject(): string {
    return localNames(this.topology.clusterName).project;
  }

  address(host: string): string {
    const found = this.topology.hosts.find(({ name }) => name === host);
    if (found === undefined) {
      throw new Error(`the topology has no host ${host}`);
    }
    return found.address;
  }

  get databases(): string[] {
    return hostsOf(this.topology, "database").map(({ name }) => name);
  }

  incus(args: readonly string[], seconds = 60): string {
    return runSync(["incus", "--project", this.incusProject, ...args], { seconds });
  }

  attemptIncus(args: readonly string[], seconds = 60) {
    return attemptSync(["incus", "--project", this.incusProject, ...args], { seconds });
  }

  /** Runs a command line on a host, as root. */
  on(host: string, commandLine: string, seconds = 60): string {
    return this.incus(["exec", host, "--", "bash", "-c", commandLine], seconds);
  }

  /**
   * What a command line prints on a host that only reads, and always prints something: the engine now and then loses what a
   * short program printed, so it is run again if that was nothing.
   */
  readOn(host: string, commandLine: string): string {
    for (let attempt = 1; ; attempt++) {
      const printed = this.on(host, commandLine);
      if (printed !== "" || attempt === 3) {
        return printed;
      }
    }
  }

  attemptOn(host: string, commandLine: string, seconds = 60) {
    return this.attemptIncus(["exec", host, "--", "bash", "-c", commandLine], seconds);
  }

  /** What a command line prints on a host, however it ends, while other things go on. */
  async printedOn(host: string, commandLine: string): Promise<string> {
    const exec = ["incus", "--project", this.incusProject, "exec", host, "--"];
    const { stdout } = await run([...exec, "bash", "-c", commandLine], {
      capture: true,
      attempt: true,
    });
    return stdout;
  }

  /** Rows of a query on a database host, as its root. */
  query(host: string, sql: string): string[] {
    return runSync(
      ["incus", "--project", this.incusProject, "exec", host, "--", "mysql", "-N", "-B"],
      {
        input: sql,
      },
    )
      .trim()
      .split("\n");
  }

  /** Reads the password from a web server. */
  appAccount(): AppAccount {
    return {
      user: DATABASE_ACCOUNTS.app,
      password: this.on("web-1", "cat /run/cluster/secrets/mysql-app-password").trim(),
      database: this.topology.settings.database.name,
    };
  }

  /** What each database host says of its role: `primary`, `replica` or neither; all are asked at once. */
  async roles(): Promise<Record<string, "primary" | "replica" | "closed">> {
    const ask = async (host: string) => {
      const printed = await this.printedOn(
        host,
        `for path in primary replica; do curl -s -o /dev/null -m 2 -w '%{http_code} ' http://${this.address(host)}:${PORTS.databaseHealth}/$path; done`,
      );
      const [primary, replica] = printed.split(" ");
      return [
        host,
        primary === "200" ? "primary" : replica === "200" ? "replica" : "closed",
      ] as const;
    };
    return Object.fromEntries(await Promise.all(this.databases.map(ask)));
  }

  /**
   * Waits until there is one primary, every other database host is a fresh replica, and, with automatic failover, may
   * take over.
   */
  inSync(seconds = 90): Promise<string> {
    return eventually(
      "one primary, and every other database host a fresh replica",
      async () => {
        const roles = Object.entries(await this.roles());
        const [primary, ...more] = roles.flatMap(([host, role]) =>
          role === "primary" ? [host] : [],
        );
        const settled = roles.every(([, role]) => role !== "closed");
        return primary !== undefined && more.length === 0 && settled && this.isRecorded(primary)
          ? primary
          : undefined;
      },
      seconds,
      () => this.databases.map((host) => `\n${host}: ${this.describeDatabase(host)}`).join(""),
    );
  }

  /** Whether a primary's record, if it has one, lists every other database host as in sync. */
  private isRecorded(primary: string): boolean {
    const { stdout } = this.attemptOn(
      primary,
      `/opt/cluster/scripts/database/agent.sh status | jq '.lease.record.sync | values | length'`,
    );
    return stdout.trim() === "" || Number(stdout) === this.databases.length - 1;
  }

  /** What a database host says of itself, and the last of what its units logged. */
  private describeDatabase(host: string): string {
    const { stdout, stderr } = this.attemptOn(
      host,
      `/opt/cluster/scripts/database/status.sh
       journalctl --boot --lines 12 --output cat --unit 'cluster-*' --unit mysql.service`,
    );
    return `${stdout}${stderr}`;
  }

  /** Waits until every web server takes its share through the load balancer. */
  async serving(path = "/api/whoami", seconds = 60): Promise<void> {
    const active =
      this.topology.settings.webServers.mode === "active-passive"
        ? 1
        : this.topology.settings.webServers.count;
    await eventually(
      `${active} web servers answer`,
      async () => {
        const counts = await tally(`${this.url}${path}`, 10 * active);
        const settled = Object.keys(counts).every((name) => name.startsWith("web-"));
        return settled && Object.keys(counts).length === active ? true : undefined;
      },
      seconds,
    );
  }

  /**
   * Waits until the web servers answer strictly in turn: for ten seconds after it has come up
   * (HAProxy's slowstart) one takes less than its share.
   */
  async inTurn(): Promise<void> {
    const { count } = this.topology.settings.webServers;
    await this.serving();
    await eventually("web servers have been up for long enough", () => {
      const { servers }: { servers: CheckedServer[] } = JSON.parse(
        this.on("load-balancer-1", "/opt/cluster/scripts/load-balancer/status.sh"),
      );
      return servers.every(({ changedSecondsAgo }) => changedSecondsAgo > SLOWSTART) || undefined;
    });
    await eventually("web servers answer in turn", async () => {
      const counts = Object.values(await tally(`${this.url}/api/whoami`, 100 * count));
      return counts.length === count && counts.every((one) => one === 100) ? true : undefined;
    });
  }
}
