import type { Commands } from "../../../agent/commands";
import { type Candidate, decide, type Found, isPassing } from "../../../ops/operations/promotion";
import type { Cluster } from "./cluster";
import type { Host } from "./host";

// An operator, who decides as ops/operations/promotion.ts does and reaches every host that runs.

/** What was asked of a host that should become primary. */
export interface Promotion {
  readonly host: string;
  readonly lost: readonly string[];
  readonly acceptLoss: boolean;
  /** Milliseconds; infinite while it is under way. */
  endedAt: number;
}

export interface Wish {
  readonly verb: "promote" | "switchover";
  readonly candidate?: string | undefined;
  readonly acceptLoss: boolean;
  /** Whether he stops a host of which nobody knows whether it is closed. */
  readonly fences: boolean;
}

export class Operator {
  isBusy = false;
  readonly promotions: Promotion[] = [];
  /** Hosts that were frozen, and not stopped, when somebody vouched for them: they may be open when they go on. */
  readonly vouched = new Set<Host>();

  constructor(
    private readonly cluster: Cluster,
    private readonly say: (step: string) => void,
  ) {}

  /** Asks the agent of a host; one that does not answer in time may still do it later. */
  private ask<Result>(
    host: Host,
    seconds: number,
    command: (commands: Commands) => Promise<Result>,
  ): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.cluster.time.after(seconds * 1000, () => reject(new Error(`${host.name}: no answer`)));
      const { commands, agentLife } = host;
      if (commands !== undefined) {
        agentLife?.enter(() => command(commands).then(resolve, reject));
      } else {
        this.cluster.time.after(100, () => reject(new Error(`${host.name}: no agent`)));
      }
    });
  }

  private async gather(): Promise<Found[]> {
    return Promise.all(
      this.cluster.hosts.map(async (host) => {
        const isReachable = host.isOn && !host.isFrozen;
        const state = isReachable
          ? await this.ask(host, 8, (commands) => commands.candidate()).catch(() => undefined)
          : undefined;
        return {
          host: host.name,
          power: host.isOn ? ("running" as const) : ("stopped" as const),
          state: state as Candidate | undefined,
        };
      }),
    );
  }

  /** Does what is wished, as far as it can be done; tells how it went. */
  async wishes(wish: Wish): Promise<string> {
    this.isBusy = true;
    try {
      for (let attempt = 1; ; attempt++) {
        const hosts = await this.gather();
        const frozen = this.cluster.hosts
          .filter(({ isOn, isFrozen }) => isOn && isFrozen)
          .map(({ name }) => name);
        const objections = hosts.flatMap(({ state }) => state?.objections ?? []);
        const unreachable = objections
          .filter(({ override, host }) => override === "lost" && this.cluster.named(host).isOn)
          .map(({ host }) => host);
        const decision = decide(hosts, {
          verb: wish.verb,
          candidate: wish.candidate,
          lost: wish.fences ? [] : frozen,
          fence: wish.fences ? unreachable : [],
          acceptLoss: wish.acceptLoss,
        });
        if (decision.kind === "refuse") {
          if (attempt < 3 && isPassing(decision)) {
            await new Promise<void>((resolve) => this.cluster.time.after(500, resolve));
            continue;
          }
          return `refused: ${decision.refusals.map(({ reason }) => reason).join("; ")}`;
        }
        if (decision.kind === "nothing") {
          return decision.because;
        }
        if (decision.kind === "release") {
          await this.ask(this.cluster.named(decision.primary), 60, (commands) =>
            commands.release(),
          );
          return `${decision.primary} was released`;
        }
        // Nor is one held whose agent does not answer, while its last answer still counts.
        const silent = hosts.find(
          ({ host, state, power }) =>
            state === undefined &&
            power === "running" &&
            !decision.lost.includes(host) &&
            host !== decision.close,
        );
        if (silent !== undefined) {
          return `refused: ${silent.host} cannot be held closed`;
        }
        // A primary that is closed and answers may be about to open again: one that is not held could do so while
        // another host is being promoted.
        const reopening = hosts
          .filter(
            ({ host, state }) =>
              host !== decision.candidate &&
              host !== decision.close &&
              state?.state === "member" &&
              state.primary === host,
          )
          .map(({ host }) => host);
        return await this.act({ ...decision, hold: [...decision.hold, ...reopening] }, wish);
      }
    } catch (error) {
      return `failed: ${(error as Error).message}`;
    } finally {
      this.isBusy = false;
    }
  }

  private async act(
    decision: Extract<ReturnType<typeof decide>, { kind: "act" }>,
    { acceptLoss }: Wish,
  ): Promise<string> {
    const { candidate, close, fence, hold, lost } = decision;
    this.say(
      `operator: ${candidate} shall be primary; close ${close}, hold ${hold}, fence ${fence}, lost ${lost}`,
    );
    for (const name of fence) {
      this.cluster.change(() => this.cluster.named(name).powerOff());
    }
    for (const host of lost.map((name) => this.cluster.named(name))) {
      if (host.isFrozen) {
        this.vouched.add(host);
      } else if (host.isOn && !hold.includes(host.name)) {
        return `${host.name} goes on: nobody vouches for it any more`;
      }
    }
    const closing = (name: string) =>
      this.ask(this.cluster.named(name), 60, (commands) => commands.close());
    await Promise.all(hold.map(closing));
    if (close !== undefined) {
      await closing(close);
    }
    const promotion: Promotion = {
      host: candidate,
      lost,
      acceptLoss,
      endedAt: Number.POSITIVE_INFINITY,
    };
    this.promotions.push(promotion);
    try {
      await this.ask(this.cluster.named(candidate), 60, (commands) =>
        commands.promote(lost, acceptLoss),
      );
      return `${candidate} was promoted`;
    } catch (error) {
      for (const name of [...(close === undefined ? [] : [close]), ...hold]) {
        await this.ask(this.cluster.named(name), 60, (commands) => commands.release()).catch(
          () => undefined,
        );
      }
      return `not promoted: ${(error as Error).message.replaceAll("\n", "; ")}`;
    } finally {
      promotion.endedAt = this.cluster.time.now;
    }
  }
}
