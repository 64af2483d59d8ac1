import { setTimeout as pause } from "node:timers/promises";
import { secondsToNotice } from "../../hosts/load-balancer";
import { hostsOf, type Topology } from "../../topology/topology";
import { OperatorError } from "../operator-error";
import type { Platform } from "../platform/platform";
import type { ReleaseStore } from "../platform/release-store";
import { awaitChecks } from "./await-checks";
import { outOfService } from "./drain";
import { onHost } from "./on-host";
import {
  askHost,
  factsOf,
  gatherStatus,
  heldByLoadBalancers,
  silencesOf,
  type WebFacts,
} from "./status";

// A release goes from web server to web server: each is taken out of service, gets it, proves healthy
// and comes back. What serves is the cluster's own state, like who is primary: Terraform gives a
// cluster its first release, and operators every later one.

/** How many releases are remembered, the one that is to run included. */
const REMEMBERED = 5;

/**
 * For so long a release answers without a break before it counts as healthy, in seconds: first asked by its
 * own host, then by the load balancer. Either is longer than the load balancer takes to notice a fault.
 */
const STEADY = secondsToNotice();

/** For how long the load balancer then sends it requests before the next web server's turn, in seconds. */
const IN_SERVICE = 2;

/** How long systemd lets an app stop (TimeoutStopSec in hosts/web.ts), in seconds. */
const STOPPING = 15;

/** How long a release may take to be fetched, in seconds. */
const FETCHING = 180;

const short = (release: string) => release.slice(0, 12);

/** The releases to remember once `release` runs: it first, and no other twice. */
export function rememberedReleases(release: string, before: readonly string[]): string[] {
  return [release, ...before.filter((other) => other !== release)].slice(0, REMEMBERED);
}

/**
 * The releases to remember once the first of them has been taken back for the second. The one that
 * was taken back is forgotten: rolling back again goes one further back.
 *
 * @throws OperatorError when there is none before it
 */
export function rolledBack(releases: readonly string[]): string[] {
  if (releases.length < 2) {
    throw new OperatorError("There is no release before the one that runs.");
  }
  return releases.slice(1);
}

const reasonOf = (error: unknown) => (error as Error).message;

const indented = (text: string) => text.split("\n").map((line) => `  ${line}`);

/** The last lines that a web server's app printed, for a message; never a failure. */
export async function linesOfApp(platform: Platform, host: string): Promise<string> {
  return (await onHost(platform, host, ["web/app-lines.sh"]).catch(reasonOf)).trim();
}

/**
 * Has a web server fetch a release, which nobody notices.
 *
 * @returns how long it may take to serve it, or to find out that it does not and to go back, in seconds
 */
async function fetched(platform: Platform, host: string, release: string): Promise<number> {
  const limits: { startTimeout: number; startTimeoutBefore: number } = JSON.parse(
    await onHost(platform, host, ["web/install-release.sh", release], FETCHING),
  );
  // Stop, start and look, and the same again for the one before; half a minute for the host itself.
  return 2 * STOPPING + 10 * STEADY + limits.startTimeout + limits.startTimeoutBefore + 30;
}

/** One web server's part of a release. */
interface Part {
  readonly host: string;
  /** What it goes back to; `undefined` when there is nothing before. */
  readonly before: string | undefined;
  /** Whether visitors would miss it. */
  readonly serves: boolean;
}

/** Goes from web server to web server, and back. */
class Rolling {
  /** Those that have the release, and the run in which its app has proved healthy. */
  private readonly done: Array<Part & { readonly run: string }> = [];
  private readonly notBack: string[] = [];

  constructor(
    private readonly topology: Topology,
    private readonly platform: Platform,
    private readonly release: string,
  ) {}

  private async runOf(host: string): Promise<string> {
    return (await askHost<WebFacts>(this.platform, host))?.run ?? "";
  }

  /** @throws OperatorError when the app was started anew since `run` began, or does not answer */
  private async stillRuns(host: string, run: string): Promise<void> {
    const { healthPath } = this.topology.settings.app;
    // As the load balancer, which does not give up a web server for one bad answer.
    for (let looks = 1; ; looks++) {
      const facts = await askHost<WebFacts>(this.platform, host);
      if (facts?.run === run && facts.healthy) {
        return;
      }
      if (facts !== undefined && facts.run !== run) {
        throw new OperatorError(
          `${host}: ${healthPath} was answered 200, but the app has ended since and was started anew`,
        );
      }
      if (looks === 3) {
        throw new OperatorError(
          `${host}: ${facts === undefined ? "it does not answer" : `${healthPath} is answered 200 no more`}`,
        );
      }
      await pause(500);
    }
  }

  /** What the load balancer says of a release that the web server itself finds healthy. */
  private async prove(host: string, seconds: number, inService: boolean): Promise<string> {
    const started = Date.now();
    const run = await this.runOf(host);
    try {
      await awaitChecks(this.topology, this.platform, host, { seconds, inService });
      await this.stillRuns(host, run);
    } catch (error) {
      throw new OperatorError(
        [
          `release ${short(this.release)} is not healthy on ${host}, ${Math.round((Date.now() - started) / 1000)} s after it seemed so: ${reasonOf(error)}`,
          await linesOfApp(this.platform, host),
        ].join("\n"),
      );
    }
    return run;
  }

  private async goBack({ host, before }: Part): Promise<void> {
    if (before === undefined) {
      this.notBack.push(`${host}: there is no release to go back to`);
      return;
    }
    try {
      const facts = await askHost<WebFacts>(this.platform, host);
      // Where it was the host itself that found it unhealthy, it has gone back already.
      if (facts?.release !== before || !facts.healthy) {
        const seconds = await fetched(this.platform, host, before);
        const again = ["web/activate-release.sh", before, String(STEADY), "--take-back"] as const;
        await onHost(this.platform, host, again, seconds);
      }
    } catch (error) {
      this.notBack.push(reasonOf(error));
    }
  }

  /** Waits for one that went back. */
  private async isBack({ host, before }: Part): Promise<void> {
    if (before !== undefined) {
      await awaitChecks(this.topology, this.platform, host, {
        seconds: IN_SERVICE,
        inService: true,
      }).catch((error) => this.notBack.push(reasonOf(error)));
    }
  }

  private async takeBack(part: Part): Promise<void> {
    try {
      await outOfService(this.topology, this.platform, { ...part, serves: false }, () =>
        this.goBack(part),
      );
    } catch (error) {
      this.notBack.push(reasonOf(error));
    }
    await this.isBack(part);
  }

  /** @throws OperatorError once it has what it had before */
  async bring(part: Part): Promise<void> {
    const { host } = part;
    const seconds = await fetched(this.platform, host, this.release);
    const run = await outOfService(this.topology, this.platform, part, async () => {
      try {
        const switched = ["web/activate-release.sh", this.release, String(STEADY)] as const;
        await onHost(this.platform, host, switched, seconds);
        return await this.prove(host, STEADY, false);
      } catch (error) {
        await this.goBack(part);
        throw error;
      }
    }).catch(async (error) => {
      await this.isBack(part);
      throw error;
    });
    try {
      await this.prove(host, IN_SERVICE, true);
      await this.stillRuns(host, run);
    } catch (error) {
      await this.takeBack(part);
      throw error;
    }
    this.done.push({ ...part, run });
  }

  /** One that has the release already goes back with the others. */
  has(part: Part, run: string): void {
    this.done.push({ ...part, run });
  }

  /**
   * Looks at all of them once more: by the time the last one has the release, the first has had it for long.
   *
   * @throws OperatorError naming the first that did not stay healthy
   */
  async lookAgain(): Promise<void> {
    for (const { host, run } of this.done) {
      try {
        await this.stillRuns(host, run);
      } catch (error) {
        const lines = await linesOfApp(this.platform, host);
        throw Object.assign(new OperatorError(`${reasonOf(error)}\n${lines}`), { host });
      }
    }
  }

  /** Takes the release back everywhere, and says how that ended. */
  async end(host: string, error: unknown, say: (line: string) => void): Promise<OperatorError> {
    say(`${host} does not become healthy with ${short(this.release)}`);
    for (const part of this.done.reverse()) {
      await this.takeBack(part);
      say(`${part.host} is brought back to ${short(part.before ?? "nothing")}`);
    }
    const outcome =
      this.notBack.length === 0 ? "and taken back." : "and could not be taken back everywhere:";
    return new OperatorError(
      [
        `Release ${short(this.release)} was stopped at ${host} ${outcome}`,
        ...this.notBack.flatMap(indented),
        "Why it was stopped:",
        ...indented(reasonOf(error)),
      ].join("\n"),
    );
  }
}

/**
 * Brings every web server to a release, one at a time. At the first that does not become healthy with
 * it, all that have it go back to what they served before.
 *
 * @param current the cluster's release so far, to which those that have the new one already go back
 * @throws OperatorError that says which one, and why
 */
async function roll(
  topology: Topology,
  platform: Platform,
  release: string,
  current: string | undefined,
  say: (line: string) => void,
): Promise<void> {
  const hosts = hostsOf(topology, "web").map(({ name }) => name);
  const status = await gatherStatus(topology, platform, ["load-balancer", "web"]);
  const served = new Map(factsOf(status, "web").map(({ host, facts }) => [host, facts]));
  const silent = hosts.filter((host) => !served.has(host));
  if (silent.length > 0) {
    throw new OperatorError(
      [
        `${silent.join(", ")} cannot be reached. Nothing was changed: start it, or remove it from the settings and deploy.`,
        ...silencesOf(status),
      ].join("\n  "),
    );
  }
  const rolling = new Rolling(topology, platform, release);
  for (const host of hosts) {
    const facts = served.get(host) as WebFacts;
    const candidates = [facts.release, current].filter((one) => one && one !== release);
    const part: Part = {
      host,
      before: candidates[0],
      serves: facts.healthy && heldByLoadBalancers(status, host) === "up",
    };
    if (facts.release === release && part.serves) {
      say(`${host} serves ${short(release)} already`);
      if (current !== release) {
        rolling.has(part, facts.run);
      }
      continue;
    }
    try {
      await rolling.bring(part);
    } catch (error) {
      throw await rolling.end(host, error, say);
    }
    say(`${host} serves ${short(release)}`);
  }
  try {
    await rolling.lookAgain();
  } catch (error) {
    throw await rolling.end((error as { host?: string }).host ?? "the last look", error, say);
  }
}

async function remember(store: ReleaseStore, releases: readonly string[]): Promise<void> {
  await store.set(releases).catch((error) => {
    throw new OperatorError(
      `Every web server serves ${short(releases[0] as string)}, but that it is to run could not be written down: one that boots serves the release before. Run the same again.\n  ${reasonOf(error)}`,
    );
  });
}

/** A cluster whose app is released, with the way to its hosts and to its releases. */
interface Target {
  readonly topology: Topology;
  readonly platform: Platform;
  readonly releases: ReleaseStore;
}

/**
 * Brings a new release of the app to every web server, one at a time.
 *
 * @param archive the packed release
 */
export async function release(
  { topology, platform, releases }: Target,
  archive: { readonly sha256: string; readonly name: string; readonly file: string },
  say: (line: string) => void,
): Promise<void> {
  const before = await releases.list();
  await releases.put(archive.name, archive.file);
  await roll(topology, platform, archive.sha256, before[0], say);
  // Said last: a web server that boots meanwhile serves what it is known to be able to.
  await remember(releases, rememberedReleases(archive.sha256, before));
}

/** Brings every web server back to the release before the one that runs. */
export async function rollback(
  { topology, platform, releases }: Target,
  say: (line: string) => void,
): Promise<void> {
  const before = await releases.list();
  const wanted = rolledBack(before);
  await roll(topology, platform, wanted[0] as string, before[0], say);
  await remember(releases, wanted);
}
