import { comparisonWith, type Decision, decide, leaderOf, type View } from "./decide";
import { formatGtidSet, NO_GTIDS, subtract } from "./gtid-set";
import { Lease } from "./lease";
import type { Wait } from "./mysql";
import { Observer } from "./observer";
import { CONNECT_SECONDS } from "./peers";
import { caughtUpName, type Own, type Peer } from "./state";
import type { Identity, Surroundings } from "./surroundings";

/** Between two rounds, in milliseconds: if all is well, after an action, and while waiting for something. */
const ROUND_EVERY = { settled: 2_000, acted: 100, waiting: 200 } as const;

/** Minimum time between two clones of a member, in milliseconds: more clones would overload the primary. */
const CLONE_EVERY = 60_000;

/** Delay before a failed declaration is retried, in milliseconds. */
const DECLARE_EVERY = 60_000;

/** A server that has worked for this long, in milliseconds, did not crash because of its data. */
const SOUND_AFTER = 60_000;

const SETTLED: readonly string[] = ["serve", "follow", "wait-for-primary"];
const ACTS: readonly string[] = [
  "found",
  "clone",
  "apply",
  "part",
  "skip",
  "set-aside",
  "join",
  "ready",
  "reopen",
  "close",
  "retreat",
];

/** The failure of the last decision. */
export interface Failure {
  readonly decision: string;
  readonly message: string;
}

/**
 * The main loop: observes, decides and acts, for ever. A primary must keep looking for a newer one, and a replica for a
 * new source. A separate loop, the observer's, publishes answers during any action.
 */
export class Agent {
  /** The failure of the last decision; `undefined` if it succeeded. */
  failure: Failure | undefined;
  private decidedAt = 0;
  private clonedAt = Number.NEGATIVE_INFINITY;
  private declaredAt = Number.NEGATIVE_INFINITY;
  /** The failure of the last declaration; `undefined` once everything is as declared. */
  private undeclared: Error | undefined = new Error("not declared yet");
  private wakeUp: () => void = () => undefined;
  private isNotedSound = false;
  private lastRound = "";
  private generation: string | undefined;
  /** This host's part in the record of the primary; `undefined` if failover is manual. */
  lease: Lease | undefined;
  readonly observer: Observer;

  constructor(
    private readonly identity: Identity,
    private readonly surroundings: Surroundings,
  ) {
    const { automatic, bootstrap, healthPort, clock, log } = surroundings;
    this.lease =
      automatic &&
      new Lease(identity, {
        ...surroundings,
        ...automatic,
        createStore: () => bootstrap.createStore(),
        publishLease: (until) => {
          healthPort
            .permitPrimary(until - clock.monotonic())
            .catch((error: Error) => log(`no answer at /primary: ${error.message}`));
        },
        ended: () => this.becomeManual(),
        observe: async () => {
          await this.observer.observe();
          this.wake();
        },
      });
    this.observer = new Observer(identity, surroundings, () => this.lease);
  }

  /** Runs the loops; returns only if one throws, which is a bug. */
  async run(): Promise<void> {
    const isManual = this.lease === undefined;
    if (isManual) {
      await this.surroundings.marks.forgetRecord();
    }
    await Promise.all([
      this.observer.run(),
      this.decideForEver(),
      isManual ? this.removeFence() : this.lease?.run(),
    ]);
  }

  private async becomeManual(): Promise<void> {
    this.lease = undefined;
    this.removeFence().catch(() => undefined);
    await this.surroundings.marks.forgetRecord();
    await this.observer.observe();
    this.wake();
  }

  /** Nobody arms it any more. */
  private async removeFence(): Promise<void> {
    const { fence, clock, log } = this.surroundings;
    for (;;) {
      try {
        return await fence.remove();
      } catch (error) {
        log(`the fence is still there: ${(error as Error).message}`);
        await clock.sleep(1_000);
      }
    }
  }

  // --- Deciding and acting

  /** Begins the next round at once. */
  wake(): void {
    this.wakeUp();
  }

  private async decideForEver(): Promise<never> {
    for (;;) {
      const pause = await this.round().catch((error: Error) => {
        this.surroundings.log(`this round failed: ${error.message}`);
        return 1_000;
      });
      await Promise.race([
        this.surroundings.clock.sleep(pause),
        new Promise<void>((resolve) => {
          this.wakeUp = resolve;
        }),
      ]);
    }
  }

  /**
   * One round. Nobody waits for it, so it observes without the lock: an operator's promotion does not wait for a peer
   * that does not answer. The decision is void if somebody acted meanwhile.
   *
   * @returns how long to pause, in milliseconds
   */
  async round(): Promise<number> {
    const { lock, marks } = this.surroundings;
    const before = this.lastRound;
    // Before the server is queried: if it restarts meanwhile, this is no longer its incarnation.
    const incarnation = await marks.incarnation();
    await this.observer.lookForRoom();
    const view = await this.observer.judgeExtra(await this.observer.look(CONNECT_SECONDS.usual));
    const decision = decide(view);
    const release = await lock.wait();
    try {
      // Compared with the generation when a round last held the lock: a round that begins while somebody else holds it
      // sees a half-finished change.
      const generation = await lock.generation();
      if (generation !== this.generation) {
        this.generation = generation;
        this.lastRound = "";
        return ROUND_EVERY.acted;
      }
      this.note(decision, view);
      this.lastRound = decision;
      try {
        await this.act(decision, view, incarnation);
        this.failure = undefined;
      } catch (error) {
        const { message } = error as Error;
        if (this.failure?.decision !== decision || this.failure.message !== message) {
          this.surroundings.log(`${decision} failed, trying again: ${message}`);
        }
        this.failure = { decision, message };
      }
    } finally {
      await release();
    }
    if (ACTS.includes(decision)) {
      await this.observer.observe();
      // An action that did not help at once is not repeated immediately.
      return decision === before ? ROUND_EVERY.settled : ROUND_EVERY.acted;
    }
    // By the record there is a primary, or soon will be.
    const isExpected = decision === "wait-for-primary" && view.own.holder !== undefined;
    return SETTLED.includes(decision) && !isExpected ? ROUND_EVERY.settled : ROUND_EVERY.waiting;
  }

  private note(decision: Decision, view: View): void {
    const { clock, log } = this.surroundings;
    if (decision !== this.observer.decided.decision) {
      log(`${decision} (${describe(view)})`);
      this.observer.decided = { decision, since: clock.now() };
      this.decidedAt = clock.monotonic();
      this.isNotedSound = false;
    }
  }

  private async noteSound(): Promise<void> {
    const { clock, marks } = this.surroundings;
    if (!this.isNotedSound && clock.monotonic() > this.decidedAt + SOUND_AFTER) {
      await marks.noteSound();
      this.isNotedSound = true;
    }
  }

  /** Records that this run of the server has received everything that the primary had executed. */
  private async noteCaughtUp(view: View, incarnation: string | undefined): Promise<void> {
    const { marks } = this.surroundings;
    const leader = leaderOf(view.peers);
    const { hasReceivedAll } = comparisonWith(view);
    if (leader === undefined || !hasReceivedAll) {
      return;
    }
    const text = `${incarnation ?? "none"} ${caughtUpName(leader.name, leader.term)}`;
    if (text !== (await marks.caughtUp())) {
      await marks.noteCaughtUp(text);
    }
  }

  private addressOf(peer: Peer | undefined): string {
    const found = this.identity.peers.find(({ name }) => name === peer?.name);
    if (found === undefined) {
      throw new Error(
        `no database host named ${peer?.name} among ${this.identity.peers.map(({ name }) => name).join(", ")}`,
      );
    }
    return found.address;
  }

  private async act(
    decision: Decision,
    view: View,
    incarnation: string | undefined,
  ): Promise<void> {
    const { server, bootstrap, marks, log } = this.surroundings;
    const leader = leaderOf(view.peers);
    switch (decision) {
      case "found":
        await bootstrap.found();
        return this.becomePrimary(view);
      case "clone":
        if (
          view.own.state === "member" &&
          this.surroundings.clock.monotonic() < this.clonedAt + CLONE_EVERY
        ) {
          return;
        }
        return this.clone(leader);
      case "apply":
      case "part":
        return server.apply();
      case "skip": {
        const { extra } = comparisonWith(view);
        await marks.noteNewLogs();
        if (!(await server.forget(extra, leader?.executed ?? NO_GTIDS))) {
          throw new Error(
            "the server has received more transactions, which were not examined or not applied",
          );
        }
        // The server will reuse these GTIDs for its next writes.
        this.observer.forgetJudged();
        log(`forgot ${formatGtidSet(extra)}, which ${leader?.name} lacks and which changes no row`);
        return;
      }
      case "set-aside": {
        await server.stopReplicating();
        const extra = subtract((await server.look()).executed, leader?.executed ?? NO_GTIDS);
        // The answer that showed extra transactions may be older than what the host holds by now.
        if (extra.size > 0) {
          await bootstrap.setAside(extra, leader?.name ?? "");
          await this.clone(leader);
        }
        return;
      }
      case "join":
        await bootstrap.follow(this.addressOf(leader));
        return marks.release();
      case "ready":
      case "reopen":
        await this.admit(decision === "ready" ? "ready" : "open");
        return marks.release();
      case "close":
      case "retreat":
        return bootstrap.close();
      case "wait-for-space":
        return view.own.writability === "ready" ? undefined : server.refuseWrites();
      case "errant":
      case "behind":
        return server.stopReplicating();
      case "serve":
        await this.serve(view.own);
        return this.noteSound();
      case "follow":
        await this.noteCaughtUp(view, incarnation);
        return this.noteSound();
      default:
        return undefined;
    }
  }

  private async admit(writability: "open" | "ready"): Promise<void> {
    const { server, bootstrap } = this.surroundings;
    const { lease } = this;
    lease?.noteOpening();
    const isGoverned = lease?.governsReplicas === true;
    const wait = isGoverned && !lease.isSyncNeeded ? "no" : this.patience;
    await server.admit(writability, wait);
    // The lease may have ended while the server opened.
    if (lease?.right === "barred") {
      await bootstrap.close();
    }
  }

  private async clone(leader: Peer | undefined): Promise<void> {
    const { clock, marks, server, bootstrap } = this.surroundings;
    this.clonedAt = clock.monotonic();
    this.observer.forgetJudged();
    await marks.noteNewLogs();
    server.hangUp();
    await bootstrap.clone(this.addressOf(leader));
  }

  /**
   * For how long commits wait for a replica, if they do. A second where nobody takes over by itself; with a record,
   * going on without a replica is the agent's decision, as the record has to say so first.
   */
  private get patience(): Wait {
    const isForEver =
      this.identity.durability === "lossless" || this.lease?.governsReplicas === true;
    return isForEver ? "for-ever" : "a-second";
  }

  /**
   * Makes writes wait for a replica as soon as there is one, and for as long as the settings say: the cluster may have
   * got its first since it was opened, or other settings.
   */
  private async serve(own: Own): Promise<void> {
    const { server, bootstrap, clock } = this.surroundings;
    const { peers, durability } = this.identity;
    const { patience } = this;
    const isOtherwise = own.semiSync
      ? own.waitsForEver !== (patience === "for-ever")
      : own.semiSyncReplicas > 0;
    if (this.lease?.governsReplicas !== true && (peers.length === 0 ? own.semiSync : isOtherwise)) {
      await server.waitForReplica(peers.length > 0 ? patience : "no");
    }
    // The declaration is part of the scripts and the facts, and this process restarts when they change. A write that
    // waits for a replica would block everybody else who needs this host, so there has to be a replica.
    const waits = peers.length > 0 && (own.semiSync || durability === "lossless");
    if (this.undeclared === undefined || (waits && own.semiSyncReplicas === 0)) {
      return;
    }
    if (clock.monotonic() < this.declaredAt + DECLARE_EVERY) {
      throw this.undeclared;
    }
    this.declaredAt = clock.monotonic();
    this.undeclared = await bootstrap.declare().then(
      () => undefined,
      (error: Error) => error,
    );
    if (this.undeclared !== undefined) {
      throw this.undeclared;
    }
  }

  /**
   * Writes the next term and opens, in this order. With `lossless` a later round opens, once a replica acknowledges.
   */
  async becomePrimary(view: View): Promise<void> {
    const { server, marks } = this.surroundings;
    if (this.lease?.isLeftToOperator) {
      await this.lease.end();
    }
    if (this.lease !== undefined && this.lease.right !== "any") {
      return this.lease.becomePrimary();
    }
    const isLossless = this.identity.durability === "lossless";
    // From now on this host's data is not a copy of another host's.
    await marks.noteOriginal();
    await server.promote({
      // If no peer that could acknowledge answers, the first write would wait in vain.
      wait: isLossless || view.peers.some(({ state }) => state === "member") ? this.patience : "no",
      open: !isLossless,
      outrankUnheard: view.peers.some(({ state }) => state === "unknown"),
    });
    await marks.release();
  }
}

/** The observations, for the journal and for anyone who wonders what the host waits for. */
function describe({ own, peers }: View): string {
  const seen = peers.map(({ name, state, writability }) =>
    state === "unknown" ? `${name}: unknown` : `${name}: ${state}, ${writability}`,
  );
  const self = `this host: ${own.state}, ${own.writability}, term ${own.term} of ${own.primary ?? "-"}`;
  return [self, ...seen].join("; ");
}
