import { isPrimary, statusOf } from "./answers";
import type { View } from "./decide";
import type { Agent } from "./loop";
import {
  isPassing,
  type Objection,
  objections,
  type Promotion,
  tableObjections,
} from "./objections";
import type { Observer } from "./observer";
import { CONNECT_SECONDS } from "./peers";
import { caughtUpName } from "./state";
import type { Identity, Surroundings } from "./surroundings";

/** How long an operator's command waits for the lock, in seconds. */
const LOCK_SECONDS = 10;

/**
 * How long to wait for received transactions to be applied, as they may be the only copy of an acknowledged write, and
 * for a host that answered just before; in milliseconds.
 */
const PATIENCE = 10_000;

/**
 * Maximum age of a peer's answer, in milliseconds: the maximum age that the health port accepts (hosts/database.ts),
 * plus a second for a clock that was set back.
 */
const OLDEST_ANSWER = 4_000;

/** The error that an operator gets if the request is refused. */
export class Refusal extends Error {}

/** What operators, and scripts on this host, ask of the agent. */
export class Commands {
  private readonly observer: Observer;

  constructor(
    private readonly identity: Identity,
    private readonly surroundings: Surroundings,
    private readonly agent: Agent,
  ) {
    this.observer = agent.observer;
  }

  /** Does something with the lock held, and changes its generation. */
  private async alone<Result>(act: () => Promise<Result>): Promise<Result> {
    const release = await this.surroundings.lock.take(LOCK_SECONDS);
    if (release === undefined) {
      throw new Refusal(
        "another operation on this host is in progress, perhaps a clone: try again when it has finished",
      );
    }
    try {
      return await act();
    } finally {
      await release();
      // The reaction to this does not wait for the next round.
      this.agent.wake();
    }
  }

  /** Writes may be waiting for the answer: the volume is assumed to have space, which is checked elsewhere. */
  private async lookInHaste(): Promise<View> {
    const seen = await this.observer.lookPatiently(
      () => this.observer.look(CONNECT_SECONDS.inHaste),
      ({ own }) => own,
    );
    return { ...seen, own: { ...seen.own, hasRoom: true } };
  }

  private async objectionsIn(view: View, lost: readonly string[]): Promise<Objection[]> {
    const { server, marks } = this.surroundings;
    const { own } = view;
    const seen = await marks.lastSeenPrimary();
    const isOfThisPrimary = seen?.name === own.primary && seen?.term === own.term;
    // The source was heard until its replication stream broke off.
    const wasHeard =
      isOfThisPrimary && this.surroundings.clock.now() - (seen?.at ?? 0) <= own.silentSeconds + 5;
    const promotion: Promotion = {
      lost,
      durability: this.identity.durability,
      lastSeenSemiSync: wasHeard ? seen?.semiSync : undefined,
      hasRunOn: (await this.observer.caughtUpWith()) === caughtUpName(own.primary, own.term),
    };
    const tables = await server.otherTables().catch(() => undefined);
    const recorded = own.right === "any" ? [] : ((await this.agent.lease?.objections()) ?? []);
    return [
      ...objections(view, promotion),
      ...tableObjections(view, tables),
      ...recorded.map((one) => ({ ...one, host: own.name })),
    ];
  }

  /** The facts about this host that a decision about the primary needs. */
  async candidate() {
    const view = await this.lookInHaste();
    const { state } = await this.observer.answers(view.own);
    return {
      ...state,
      held: view.own.isHeld,
      objections: await this.objectionsIn(view, []),
    };
  }

  /** Facts that only an operator needs. */
  async status() {
    const { server } = this.surroundings;
    const own = await this.observer.lookPatiently(
      () => this.observer.lookAtOwn(),
      (seen) => seen,
    );
    await this.observer.lookForRoom();
    const { primary, replica, readable, state } = await this.observer.answers(own);
    return {
      ...state,
      held: own.isHeld,
      hasRoom: this.observer.hasRoom,
      durability: this.identity.durability,
      answers: {
        primary: statusOf(primary),
        replica: statusOf(replica),
        readable: statusOf(readable),
      },
      otherTables: await server.otherTables().catch(() => []),
      lease: this.agent.lease?.status() ?? null,
      failure: this.agent.failure ?? null,
      versions: { mysql: await server.version().catch(() => "unknown") },
    };
  }

  /** The current state of this host's server, queried again; for scripts on this host. */
  async state() {
    return (await this.observer.answers(await this.observer.lookAtOwn())).state;
  }

  /**
   * Closes this host to writes and keeps it from reopening by itself, until it is promoted, follows another primary, or
   * is released. The first half of a switchover.
   *
   * @param successor the replica that is to take over; with automatic failover it does so at once
   */
  async close(successor?: string): Promise<string> {
    const { marks, bootstrap, server } = this.surroundings;
    return this.alone(async () => {
      this.agent.lease?.prefer(successor);
      await marks.hold();
      await bootstrap.close();
      // A server that is down reports nothing, and that is published within a second anyway.
      if (await server.isRunning()) {
        await this.observer.observe();
      }
      await this.agent.lease?.handOver();
      return `${this.identity.name} is closed`;
    });
  }

  /** The server, or the host, is about to be stopped: a replica takes over first, if one may. */
  async leave(): Promise<string> {
    await this.agent.lease?.leave();
    return "";
  }

  /** Allows it to reopen by itself. */
  async release(): Promise<string> {
    await this.surroundings.marks.release();
    return `${this.identity.name} may open again`;
  }

  /** Publishes the server's current state, after a script has changed something. */
  async publishNow(): Promise<string> {
    await this.observer.observe();
    return "";
  }

  /**
   * Whether a peer may have acknowledged a write of the lost primary after it gave the answer at hand: the last writes
   * may exist only on that peer.
   */
  private mayHaveAcknowledged({ own, peers }: View, begun: number): boolean {
    const isLost = peers.some(({ name, state }) => name === own.primary && state === "unknown");
    const isOld = this.surroundings.clock.monotonic() < begun + OLDEST_ANSWER;
    return isLost && isOld && peers.some(({ state }) => state === "member");
  }

  /**
   * Promotes this host. Every other database host must answer and be closed, and none may hold transactions that this
   * one lacks; nor may acknowledged writes be on a host that is gone.
   *
   * @param lost hosts that an operator declares to be permanently lost, or at least closed. If one comes back open with
   *   an older term, it closes itself
   * @param acceptLoss acknowledged writes that are not here may be lost. Those that another host holds are set aside in
   *   a file there, when it joins. Transactions that are still arriving are waited for nevertheless
   * @throws Refusal with the objections
   */
  async promote(lost: readonly string[], acceptLoss: boolean): Promise<string> {
    const { clock, server } = this.surroundings;
    const { name } = this.identity;
    const strangers = lost.filter((host) =>
      this.identity.peers.every((peer) => peer.name !== host),
    );
    if (strangers.length > 0) {
      throw new Refusal(`--lost: no other database host named ${strangers.join(" and ")}`);
    }
    return this.alone(async () => {
      const begun = clock.monotonic();
      const deadline = begun + PATIENCE;
      for (;;) {
        const view = await this.lookInHaste();
        const { own } = view;
        if (!own.hasApplied && own.replication === "stopped") {
          await server.apply().catch(() => undefined);
        }
        if (isPrimary(own)) {
          return `${name} is the primary already`;
        }
        const found = (await this.objectionsIn(view, lost)).filter(
          ({ override }) => !(acceptLoss && ["accept-loss", "tables"].includes(override)),
        );
        if (found.length === 0 && this.mayHaveAcknowledged(view, begun)) {
          await clock.sleep(100);
          continue;
        }
        if (found.length === 0) {
          await this.agent.becomePrimary(view);
          await this.observer.observe();
          const isAlone =
            view.peers.length > 0 && view.peers.every(({ state }) => state === "unknown");
          return this.identity.durability === "lossless" && isAlone
            ? `${name} is the primary\ndurability is lossless, and no other database host answers: writes wait until one is back and has them`
            : `${name} is the primary`;
        }
        if (!isPassing(found) || clock.monotonic() >= deadline) {
          const sentences = found.map(({ sentence }) => sentence);
          const patience = isPassing(found)
            ? [`that did not change within ${PATIENCE / 1000} s`]
            : [];
          throw new Refusal([...sentences, ...patience, "not promoted"].join("\n"));
        }
        await clock.sleep(100);
      }
    });
  }
}
