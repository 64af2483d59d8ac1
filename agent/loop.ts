import { type Answers, answersOf, type Decided, isPrimary, statusOf } from "./answers";
import type { Bootstrap } from "./bootstrap";
import type { Clock } from "./clock";
import { comparisonWith, type Decision, decide, leaderOf, type View } from "./decide";
import type { Fence } from "./fence";
import { formatGtidSet, NO_GTIDS, subtract } from "./gtid-set";
import type { HealthPort } from "./health-port";
import { Lease } from "./lease";
import type { Lock } from "./lock";
import type { Marks } from "./marks";
import type { Server, Wait } from "./mysql";
import {
  isPassing,
  type Objection,
  objections,
  type Promotion,
  tableObjections,
} from "./objections";
import { CONNECT_SECONDS, type Peers } from "./peers";
import type { RecordStore } from "./record";
import { type Comparison, compare } from "./relation";
import {
  type Address,
  caughtUpName,
  type Own,
  type Peer,
  type ServerState,
  UNKNOWN_SERVER,
} from "./state";
import { firstChange } from "./transactions";

/** The agent's dependencies; tests replace them. */
export interface Surroundings {
  readonly server: Server;
  readonly peers: Peers;
  readonly marks: Marks;
  readonly bootstrap: Bootstrap;
  readonly lock: Lock;
  readonly healthPort: HealthPort;
  readonly clock: Clock;
  readonly log: (line: string) => void;
  /** What automatic failover needs; `undefined` if failover is manual, and no record can be left. */
  readonly automatic?: { readonly store: RecordStore };
  readonly fence: Fence;
}

/** This host, as defined in the topology. */
export interface Identity {
  readonly name: string;
  readonly number: number;
  readonly peers: readonly Address[];
  readonly durability: "available" | "lossless";
  /** Whether failover is manual by the settings, and was automatic before; default false. */
  readonly isEnding?: boolean;
}

/** Between two answers, in milliseconds. */
const ANSWER_EVERY = 900;

/**
 * How long `/primary` is permitted with each answer where no lease decides, in milliseconds: as long as an answer counts
 * (hosts/database.ts).
 */
const PRIMARY_FOR = 4_000;

/** Between two rounds, in milliseconds: if all is well, after an action, and while waiting for something. */
const ROUND_EVERY = { settled: 2_000, acted: 100, waiting: 200 } as const;

/** Milliseconds until the data volume is checked again, while it has space. */
const ROOM_EVERY = 5_000;

/** Minimum time between two clones of a member, in milliseconds: more clones would overload the primary. */
const CLONE_EVERY = 60_000;

/** Delay before a failed declaration is retried, in milliseconds. */
const DECLARE_EVERY = 60_000;

/** A server that has worked for this long, in milliseconds, did not crash because of its data. */
const SOUND_AFTER = 60_000;

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

/** Transactions that were examined, and the first change in them, if any. */
interface Judged {
  readonly extra: string;
  readonly change: string | undefined;
}

const NOTHING_JUDGED: Judged = { extra: "", change: undefined };

/** The error that an operator gets if the request is refused. */
export class Refusal extends Error {}

/** The failure of the last decision. */
export interface Failure {
  readonly decision: string;
  readonly message: string;
}

/**
 * The main loop: observes, decides, acts and answers, for ever. A primary must keep looking for a newer one, and a
 * replica for a new source. A separate loop publishes answers during any action.
 */
export class Agent {
  private decided: Decided = { decision: "wait-for-server", since: 0 };
  private failure: Failure | undefined;
  private decidedAt = 0;
  private own: Own;
  private hasRoom = false;
  private roomLookedAt = Number.NEGATIVE_INFINITY;
  private clonedAt = Number.NEGATIVE_INFINITY;
  private declaredAt = Number.NEGATIVE_INFINITY;
  /** The failure of the last declaration; `undefined` once everything is as declared. */
  private undeclared: Error | undefined = new Error("not declared yet");
  private wake: () => void = () => undefined;
  private isNotedSound = false;
  private judged = NOTHING_JUDGED;
  private lastRound = "";
  private generation: string | undefined;
  /** This host's part in the record of the primary; `undefined` if failover is manual. */
  lease: Lease | undefined;

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
          await this.observe();
          this.wake();
        },
      });
    this.own = this.ownOf(UNKNOWN_SERVER, false, undefined);
  }

  /** Runs the loops; returns only if one throws, which is a bug. */
  async run(): Promise<void> {
    const isManual = this.lease === undefined;
    if (isManual) {
      await this.surroundings.marks.forgetRecord();
    }
    await Promise.all([
      this.answerForEver(),
      this.decideForEver(),
      isManual ? this.removeFence() : this.lease?.run(),
    ]);
  }

  private async becomeManual(): Promise<void> {
    this.lease = undefined;
    this.removeFence().catch(() => undefined);
    await this.surroundings.marks.forgetRecord();
    await this.observe();
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

  // --- Observing

  private ownOf(server: ServerState, isHeld: boolean, incarnation: string | undefined): Own {
    const { name, number, peers, durability } = this.identity;
    // With the spread in front of the other properties, Node takes thirty times as long.
    return {
      name,
      number,
      isHeld,
      lacksReplica: durability === "lossless" && peers.length > 0 && server.semiSyncReplicas === 0,
      hasRoom: this.hasRoom,
      right: this.lease?.right ?? "any",
      holder: this.lease?.holder,
      incarnation,
      ...server,
    };
  }

  private async lookForRoom(): Promise<void> {
    const { clock, marks } = this.surroundings;
    if (!this.hasRoom || clock.monotonic() >= this.roomLookedAt + ROOM_EVERY) {
      this.roomLookedAt = clock.monotonic();
      this.hasRoom = await marks.hasRoom();
    }
  }

  private async lookAtOwn(): Promise<Own> {
    const { server, marks, clock } = this.surroundings;
    if (this.lease === undefined) {
      return this.ownOf(await server.look(), await marks.isHeld(), undefined);
    }
    // Before the server is queried: if it restarts meanwhile, this is no longer its incarnation.
    const incarnation = await marks.incarnation();
    const at = clock.monotonic();
    const own = this.ownOf(await server.look(), await marks.isHeld(), incarnation);
    this.lease.noteOwn(own, at);
    return own;
  }

  /** Retries if a running server is slow to answer: it must not be taken for gone. */
  private async lookPatiently<Seen>(
    look: () => Promise<Seen>,
    ownIn: (seen: Seen) => Own,
  ): Promise<Seen> {
    for (let attempt = 1; ; attempt++) {
      const seen = await look();
      if (
        ownIn(seen).state !== "unknown" ||
        attempt === 3 ||
        !(await this.surroundings.server.isRunning())
      ) {
        return seen;
      }
    }
  }

  /** Queries the peers first and then this host, so that their transactions are never newer than its own. */
  private async look(connectSeconds: number): Promise<View> {
    const { peers, marks, clock } = this.surroundings;
    const at = clock.now();
    const seen = await peers.look(connectSeconds);
    for (const peer of seen) {
      if (peer.writability === "open" && peer.primary === peer.name) {
        const { name, term, semiSync } = peer;
        await marks.notePrimary({ name, term, semiSync, at });
      }
    }
    const own = await this.lookAtOwn();
    const comparisons = new Map(
      seen.map((peer) => [peer.name, compare(own, this.identity.name, peer)]),
    );
    return { own, peers: seen, comparisons };
  }

  /**
   * If this host holds transactions that the primary lacks, checks whether any changes a row. On a host that
   * replicates, such transactions will show up at the primary with its next answer, except for the host's own.
   */
  private async judgeExtra(view: View): Promise<View> {
    const leader = leaderOf(view.peers);
    if (leader === undefined) {
      return view;
    }
    const comparison = comparisonWith(view, leader);
    const { relation, extra } = comparison;
    const isOnItsWay = view.own.replication === "running" && view.own.source === leader.name;
    const isToBeJudged =
      relation === "strayed" || (["behind", "diverged"].includes(relation) && !isOnItsWay);
    if (!isToBeJudged) {
      return view;
    }
    const text = formatGtidSet(extra);
    if (text !== this.judged.extra) {
      const printed = await this.surroundings.bootstrap.logged(extra);
      const change = printed === undefined ? "it is in no binary log" : firstChange(printed);
      this.judged = { extra: text, change };
    }
    if (this.judged.change !== undefined) {
      return view;
    }
    const rowless: Comparison = { ...comparison, relation: "rowless" };
    return { ...view, comparisons: new Map(view.comparisons).set(leader.name, rowless) };
  }

  // --- Answering

  private async answerForEver(): Promise<never> {
    for (;;) {
      await this.answer().catch((error: Error) =>
        this.surroundings.log(`no answer: ${error.message}`),
      );
      await this.surroundings.clock.sleep(ANSWER_EVERY);
    }
  }

  /** An empty server that clones restarts at the end, and waits two seconds for open connections. */
  private isCloning(): boolean {
    return (
      (this.own.state === "empty" || this.own.state === "partial") &&
      this.decided.decision === "clone"
    );
  }

  private async answer(): Promise<void> {
    if (!this.isCloning()) {
      await this.observe();
    } else {
      await this.publish(this.own, this.surroundings.clock.now());
    }
    if (this.own.state !== "member") {
      this.surroundings.server.hangUp();
    }
  }

  /** Queries the server once, and publishes its state on the health port. */
  private async observe(): Promise<void> {
    // Taken before the query: however long this process is stalled meanwhile, the observation is no newer than this.
    const at = this.surroundings.clock.now();
    this.own = await this.lookAtOwn();
    await this.publish(this.own, at);
  }

  private async publish(own: Own, at: number): Promise<void> {
    const { healthPort } = this.surroundings;
    const answers = await this.answers(own);
    if (own.right === "any") {
      await healthPort.permitPrimary(PRIMARY_FOR);
    }
    await healthPort.publish(answers, at);
    this.lease?.notePublished(answers.state.promise);
  }

  /** The primary that this run of the server has caught up with, see `Peer.caughtUpWith`. */
  private async caughtUpWith(): Promise<string | undefined> {
    const { marks } = this.surroundings;
    const [incarnation, caughtUp] = await Promise.all([marks.incarnation(), marks.caughtUp()]);
    // An earlier version recorded it differently.
    const [run, primary] = /^(\S+) ([a-z0-9-]+:\d+)$/.exec(caughtUp ?? "")?.slice(1) ?? [];
    return incarnation !== undefined && run === incarnation ? primary : undefined;
  }

  private async answers(own: Own): Promise<Answers> {
    const { marks } = this.surroundings;
    const caughtUpWith = await this.caughtUpWith();
    const isRestoring = await marks.isRestoring();
    return answersOf(own, this.decided, isRestoring, caughtUpWith, this.lease?.answer(own));
  }

  // --- Deciding and acting

  private async decideForEver(): Promise<never> {
    for (;;) {
      const pause = await this.round().catch((error: Error) => {
        this.surroundings.log(`this round failed: ${error.message}`);
        return 1_000;
      });
      await Promise.race([
        this.surroundings.clock.sleep(pause),
        new Promise<void>((resolve) => {
          this.wake = resolve;
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
    await this.lookForRoom();
    const view = await this.judgeExtra(await this.look(CONNECT_SECONDS.usual));
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
      await this.observe();
      // An action that did not help at once is not repeated immediately.
      return decision === before ? ROUND_EVERY.settled : ROUND_EVERY.acted;
    }
    // By the record there is a primary, or soon will be.
    const isExpected = decision === "wait-for-primary" && view.own.holder !== undefined;
    return SETTLED.includes(decision) && !isExpected ? ROUND_EVERY.settled : ROUND_EVERY.waiting;
  }

  private note(decision: Decision, view: View): void {
    const { clock, log } = this.surroundings;
    if (decision !== this.decided.decision) {
      log(`${decision} (${describe(view)})`);
      this.decided = { decision, since: clock.now() };
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
      throw new Error(`${peer?.name} is no database host that this one knows`);
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
          throw new Error("the server has more by now, which was not judged or not applied");
        }
        // The server will reuse these GTIDs for its next writes.
        this.judged = NOTHING_JUDGED;
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
    this.judged = NOTHING_JUDGED;
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
  private async becomePrimary(view: View): Promise<void> {
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

  // --- Commands from operators

  /** Does something with the lock held, and changes its generation. */
  private async alone<Result>(act: () => Promise<Result>): Promise<Result> {
    const release = await this.surroundings.lock.take(LOCK_SECONDS);
    if (release === undefined) {
      throw new Refusal("this host is in the middle of something, a clone perhaps");
    }
    try {
      return await act();
    } finally {
      await release();
      // The reaction to this does not wait for the next round.
      this.wake();
    }
  }

  /** Writes may be waiting for the answer: the volume is assumed to have space, which is checked elsewhere. */
  private async lookInHaste(): Promise<View> {
    const seen = await this.lookPatiently(
      () => this.look(CONNECT_SECONDS.inHaste),
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
      hasRunOn: (await this.caughtUpWith()) === caughtUpName(own.primary, own.term),
    };
    const tables = await server.otherTables().catch(() => undefined);
    const recorded = own.right === "any" ? [] : ((await this.lease?.objections()) ?? []);
    return [
      ...objections(view, promotion),
      ...tableObjections(view, tables),
      ...recorded.map((one) => ({ ...one, host: own.name })),
    ];
  }

  /** The facts about this host that a decision about the primary needs. */
  async candidate() {
    const view = await this.lookInHaste();
    const { state } = await this.answers(view.own);
    return {
      ...state,
      held: view.own.isHeld,
      objections: await this.objectionsIn(view, []),
    };
  }

  /** Facts that only an operator needs. */
  async status() {
    const { server } = this.surroundings;
    const own = await this.lookPatiently(
      () => this.lookAtOwn(),
      (seen) => seen,
    );
    await this.lookForRoom();
    const { primary, replica, readable, state } = await this.answers(own);
    return {
      ...state,
      held: own.isHeld,
      hasRoom: this.hasRoom,
      durability: this.identity.durability,
      answers: {
        primary: statusOf(primary),
        replica: statusOf(replica),
        readable: statusOf(readable),
      },
      otherTables: await server.otherTables().catch(() => []),
      lease: this.lease?.status() ?? null,
      failure: this.failure ?? null,
      versions: { mysql: await server.version().catch(() => "unknown") },
    };
  }

  /** The current state of this host's server, queried again; for scripts on this host. */
  async state() {
    return (await this.answers(await this.lookAtOwn())).state;
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
      this.lease?.prefer(successor);
      await marks.hold();
      await bootstrap.close();
      // A server that is down reports nothing, and that is published within a second anyway.
      if (await server.isRunning()) {
        await this.observe();
      }
      await this.lease?.handOver();
      return `${this.identity.name} is closed`;
    });
  }

  /** The server, or the host, is about to be stopped: a replica takes over first, if one may. */
  async leave(): Promise<string> {
    await this.lease?.leave();
    return "";
  }

  /** Allows it to reopen by itself. */
  async release(): Promise<string> {
    await this.surroundings.marks.release();
    return `${this.identity.name} may open again`;
  }

  /** Publishes the server's current state, after a script has changed something. */
  async publishNow(): Promise<string> {
    await this.observe();
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
          await this.becomePrimary(view);
          await this.observe();
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

/** The observations, for the journal and for anyone who wonders what the host waits for. */
function describe({ own, peers }: View): string {
  const seen = peers.map(({ name, state, writability }) =>
    state === "unknown" ? `${name}: unknown` : `${name}: ${state}, ${writability}`,
  );
  const self = `this host: ${own.state}, ${own.writability}, term ${own.term} of ${own.primary ?? "-"}`;
  return [self, ...seen].join("; ");
}
