import { setTimeout as pause } from "node:timers/promises";
import { secondsToNotice } from "../../hosts/load-balancer";
import { hostsOf, type Topology } from "../../topology/topology";
import { OperatorError } from "../operator-error";
import type { HostAccess } from "../platform/host-access";
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

// A release is rolled out to one web server at a time: each is drained, gets the release, proves healthy and is
// undrained. Which release serves is the cluster's own state, like which host is primary: Terraform gives a cluster its
// first release, and operators every later one.

/** How many releases are remembered, including the current one. */
const REMEMBERED = 5;

/**
 * How long a release must answer without a failure before it counts as healthy, in seconds: first checked by its own
 * host, then by the load balancer. Either is longer than the load balancer takes to detect a fault.
 */
const STEADY = secondsToNotice();

/** How long the load balancer then sends it requests before the next web server's turn, in seconds. */
const IN_SERVICE = 2;

/** How long systemd gives an app to stop (TimeoutStopSec in hosts/web.ts), in seconds. */
const STOPPING = 15;

/** Timeout for fetching a release, in seconds. */
const FETCHING = 180;

const short = (release: string) => release.slice(0, 12);

/** The releases to remember once `release` is current: it first, without duplicates. */
export function rememberedReleases(release: string, before: readonly string[]): string[] {
  return [release, ...before.filter((other) => other !== release)].slice(0, REMEMBERED);
}

/**
 * The releases to remember after a rollback from the first to the second. The one that was rolled back is forgotten: a
 * further rollback goes one further back.
 *
 * @throws OperatorError if there is no previous release
 */
export function rolledBack(releases: readonly string[]): string[] {
  if (releases.length < 2) {
    throw new OperatorError("There is no previous release to roll back to.");
  }
  return releases.slice(1);
}

const reasonOf = (error: unknown) => (error as Error).message;

const indented = (text: string) => text.split("\n").map((line) => `  ${line}`);

/** The last lines that a web server's app printed, for a message; never throws. */
export async function linesOfApp(access: HostAccess, host: string): Promise<string> {
  return (await onHost(access, host, ["web/app-lines.sh"]).catch(reasonOf)).trim();
}

/**
 * Makes a web server fetch a release, without effect on visitors.
 *
 * @returns how long it may take to serve it, or to find it unhealthy and roll back, in seconds
 */
async function fetched(access: HostAccess, host: string, release: string): Promise<number> {
  const limits: { startTimeout: number; startTimeoutBefore: number } = JSON.parse(
    await onHost(access, host, ["web/install-release.sh", release], FETCHING),
  );
  // Stop, start and check, and the same again for the previous release; half a minute for the host itself.
  return 2 * STOPPING + 10 * STEADY + limits.startTimeout + limits.startTimeoutBefore + 30;
}

/** The rollout of a release on one web server. */
interface Part {
  readonly host: string;
  /** The release to roll back to; `undefined` if there is none. */
  readonly before: string | undefined;
  /** Whether it serves visitors. */
  readonly serves: boolean;
}

/** Rolls a release out to the web servers one by one, and back. */
class Rolling {
  /** The web servers that have the release, and the run in which the app has proved healthy. */
  private readonly done: Array<Part & { readonly run: string }> = [];
  private readonly notBack: string[] = [];

  constructor(
    private readonly topology: Topology,
    private readonly access: HostAccess,
    private readonly release: string,
  ) {}

  private async runOf(host: string): Promise<string> {
    return (await askHost<WebFacts>(this.access, host))?.run ?? "";
  }

  /** @throws OperatorError if the app has been restarted since `run` began, or does not answer */
  private async stillRuns(host: string, run: string): Promise<void> {
    const { healthPath } = this.topology.settings.app;
    // Like the load balancer, which does not take a web server out for one failed check.
    for (let looks = 1; ; looks++) {
      const facts = await askHost<WebFacts>(this.access, host);
      if (facts?.run === run && facts.healthy) {
        return;
      }
      if (facts !== undefined && facts.run !== run) {
        throw new OperatorError(
          `${host}: ${healthPath} returned 200, but the app has exited since and was restarted`,
        );
      }
      if (looks === 3) {
        throw new OperatorError(
          `${host}: ${facts === undefined ? "it does not answer" : `${healthPath} no longer returns 200`}`,
        );
      }
      await pause(500);
    }
  }

  /** The load balancer's checks of a release that the web server itself finds healthy. */
  private async prove(host: string, seconds: number, inService: boolean): Promise<string> {
    const started = Date.now();
    const run = await this.runOf(host);
    try {
      await awaitChecks(this.topology, this.access, host, { seconds, inService });
      await this.stillRuns(host, run);
    } catch (error) {
      throw new OperatorError(
        [
          `release ${short(this.release)} is no longer healthy on ${host}, ${Math.round((Date.now() - started) / 1000)} s after its own checks succeeded: ${reasonOf(error)}`,
          await linesOfApp(this.access, host),
        ].join("\n"),
      );
    }
    return run;
  }

  private async goBack({ host, before }: Part): Promise<void> {
    if (before === undefined) {
      this.notBack.push(`${host}: there is no release to roll back to`);
      return;
    }
    try {
      const facts = await askHost<WebFacts>(this.access, host);
      // If the host itself found it unhealthy, it has already rolled back.
      if (facts?.release !== before || !facts.healthy) {
        const seconds = await fetched(this.access, host, before);
        const again = ["web/activate-release.sh", before, String(STEADY), "--take-back"] as const;
        await onHost(this.access, host, again, seconds);
      }
    } catch (error) {
      this.notBack.push(reasonOf(error));
    }
  }

  /** Waits for a web server that rolled back. */
  private async isBack({ host, before }: Part): Promise<void> {
    if (before !== undefined) {
      await awaitChecks(this.topology, this.access, host, {
        seconds: IN_SERVICE,
        inService: true,
      }).catch((error) => this.notBack.push(reasonOf(error)));
    }
  }

  private async takeBack(part: Part): Promise<void> {
    try {
      await outOfService(this.topology, this.access, { ...part, serves: false }, () =>
        this.goBack(part),
      );
    } catch (error) {
      this.notBack.push(reasonOf(error));
    }
    await this.isBack(part);
  }

  /** @throws OperatorError once the web server has its previous release again */
  async bring(part: Part): Promise<void> {
    const { host } = part;
    const seconds = await fetched(this.access, host, this.release);
    const run = await outOfService(this.topology, this.access, part, async () => {
      try {
        const switched = ["web/activate-release.sh", this.release, String(STEADY)] as const;
        await onHost(this.access, host, switched, seconds);
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

  /** A web server that already has the release rolls back with the others. */
  has(part: Part, run: string): void {
    this.done.push({ ...part, run });
  }

  /**
   * Checks all of them once more: by the time the last one has the release, the first has had it for long.
   *
   * @throws OperatorError naming the first that did not stay healthy
   */
  async lookAgain(): Promise<void> {
    for (const { host, run } of this.done) {
      try {
        await this.stillRuns(host, run);
      } catch (error) {
        const lines = await linesOfApp(this.access, host);
        throw Object.assign(new OperatorError(`${reasonOf(error)}\n${lines}`), { host });
      }
    }
  }

  /** Rolls the release back everywhere, and reports the result. */
  async end(host: string, error: unknown, say: (line: string) => void): Promise<OperatorError> {
    say(`${host} is not healthy with release ${short(this.release)}`);
    for (const part of this.done.reverse()) {
      await this.takeBack(part);
      say(`${part.host} was rolled back to ${short(part.before ?? "nothing")}`);
    }
    const outcome =
      this.notBack.length === 0 ? "and rolled back." : "and could not be rolled back everywhere:";
    return new OperatorError(
      [
        `Release ${short(this.release)} was stopped at ${host} ${outcome}`,
        ...this.notBack.flatMap(indented),
        "The reason:",
        ...indented(reasonOf(error)),
      ].join("\n"),
    );
  }
}

/**
 * Rolls a release out to every web server, one at a time. If one does not become healthy with it, all that have it roll
 * back to their previous release.
 *
 * @param current the cluster's release so far, to which those that already have the new one roll back
 * @throws OperatorError that says which one failed, and why
 */
async function roll(
  topology: Topology,
  access: HostAccess,
  release: string,
  current: string | undefined,
  say: (line: string) => void,
): Promise<void> {
  const hosts = hostsOf(topology, "web").map(({ name }) => name);
  const status = await gatherStatus(topology, access, ["load-balancer", "web"]);
  const served = new Map(factsOf(status, "web").map(({ host, facts }) => [host, facts]));
  const silent = hosts.filter((host) => !served.has(host));
  if (silent.length > 0) {
    throw new OperatorError(
      [
        `${silent.join(", ")} cannot be reached. Nothing was changed. Start it, or remove it from the settings and deploy.`,
        ...silencesOf(status),
      ].join("\n  "),
    );
  }
  const rolling = new Rolling(topology, access, release);
  for (const host of hosts) {
    const facts = served.get(host) as WebFacts;
    const candidates = [facts.release, current].filter((one) => one && one !== release);
    const part: Part = {
      host,
      before: candidates[0],
      serves: facts.healthy && heldByLoadBalancers(status, host) === "up",
    };
    if (facts.release === release && part.serves) {
      say(`${host} already serves ${short(release)}`);
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
      `Every web server serves ${short(releases[0] as string)}, but it could not be recorded as the current release: a web server that boots serves the previous one. Run the same command again.\n  ${reasonOf(error)}`,
    );
  });
}

/** A cluster whose app is released, with access to its hosts and to its releases. */
interface Target {
  readonly topology: Topology;
  readonly access: HostAccess;
  readonly releases: ReleaseStore;
}

/**
 * Rolls a new release of the app out to every web server, one at a time.
 *
 * @param archive the packed release
 */
export async function release(
  { topology, access, releases }: Target,
  archive: { readonly sha256: string; readonly name: string; readonly file: string },
  say: (line: string) => void,
): Promise<void> {
  const before = await releases.list();
  await releases.put(archive.name, archive.file);
  await roll(topology, access, archive.sha256, before[0], say);
  // Recorded last: a web server that boots meanwhile serves a release that is known to work.
  await remember(releases, rememberedReleases(archive.sha256, before));
}

/** Rolls every web server back to the previous release. */
export async function rollback(
  { topology, access, releases }: Target,
  say: (line: string) => void,
): Promise<void> {
  const before = await releases.list();
  const wanted = rolledBack(before);
  await roll(topology, access, wanted[0] as string, before[0], say);
  await remember(releases, wanted);
}
