import { OtherHosts } from "./other-hosts";
import { CONNECT_SECONDS } from "./peers";
import { Promises } from "./promises";
import {
  nextStep,
  type PrimaryRecord,
  type RecordStore,
  type RecordView,
  type Step,
  type Stored,
  TIMERS,
} from "./record";
import { RecordCopy } from "./record-copy";
import { sentencesOfRecord } from "./record-sentences";
import { Replicas } from "./replicas";
import { ServerWatch } from "./server-watch";
import type { LeaseAnswer, Own } from "./state";
import type { Identity, Surroundings } from "./surroundings";
import { Takeover } from "./takeover";

/** What the lease depends on; tests replace it. */
export interface LeaseSurroundings
  extends Omit<Surroundings, "bootstrap" | "healthPort" | "automatic"> {
  readonly store: RecordStore;
  /** Starts etcd as a cluster of this host alone. @throws Error */
  readonly createStore: () => Promise<void>;
  /** Lets `/primary` be answered with 200 until this moment of the monotonic clock. */
  readonly publishLease: (until: number) => void;
  /** Failover is manual from now on, and this host's part in the record is over. */
  readonly ended: () => Promise<void>;
  /** Observes this host again, publishes that, and wakes the main loop. */
  readonly observe: () => Promise<void>;
}

/** Between two requests to move etcd's leader away, in milliseconds. */
const YIELD_EVERY = 5_000;

/** The shortest time between two steps, in milliseconds, when something woke the loop. */
const SHORTEST = 20;

/** How long a stop of the server waits until the record is vacant, in milliseconds. */
const LEAVE_WITHIN = 3_000;

/** How long a host that was told to leave does not open again, unless its server was started anew, in milliseconds. */
const LEAVING = 30_000;

/** A host's part in the record, for an operator. */
export type LeaseStatus = ReturnType<Lease["status"]>;

/** For the rules of the main loop, see {@link Own.right}. */
export type Right = Own["right"];

/**
 * This host's part in the record: it renews the record if the record names this host, and otherwise watches it. Its
 * loops wait for no other loop of the agent, nor for the server.
 */
export class Lease {
  private readonly copy: RecordCopy;
  private readonly watch: ServerWatch;
  private readonly others: OtherHosts;
  private readonly takeover: Takeover;
  private readonly startedAt: number;
  private leaseUntil = Number.NEGATIVE_INFINITY;
  private isRecorded = false;
  private isHeld = false;
  /** Until when the kernel keeps MySQL's port open to the web servers. */
  private armedUntil = Number.NEGATIVE_INFINITY;
  private leftAt = Number.NEGATIVE_INFINITY;
  private leftIncarnation: string | undefined;
  private successor: string | undefined;
  private step: Step = "wait";
  private saidStep = "";
  private news = "";

  // Promises.
  private isPromising = false;
  private promise: number;
  private readonly promises = new Promises();
  private isAsking = false;
  private isCreating = false;
  private hasEnded = false;

  private readonly replicas: Replicas;
  private isTaking = false;
  private isWritingTerm = false;
  private yieldedAt = Number.NEGATIVE_INFINITY;
  private wakeUp: () => void = () => undefined;

  constructor(
    private readonly identity: Identity,
    private readonly surroundings: LeaseSurroundings,
  ) {
    this.replicas = new Replicas(identity, { ...surroundings, wake: () => this.wake() });
    this.watch = new ServerWatch(surroundings, {
      restarted: () => this.replicas.restarted(),
      wake: () => this.wake(),
    });
    const { store, clock, log } = surroundings;
    this.copy = new RecordCopy(identity.name, store, clock, log, {
      answered: () => {
        this.isPromising = false;
        this.promises.forget();
      },
      renewed: (sentAt) => this.extend(sentAt),
      lost: () => {
        this.leaseUntil = Number.NEGATIVE_INFINITY;
      },
      wake: () => this.wake(),
    });
    this.others = new OtherHosts(identity, surroundings, this.copy, this.watch);
    this.takeover = new Takeover(identity, surroundings, this.copy, this.watch, () => this.look());
    this.startedAt = clock.monotonic();
    // No number of an earlier run of this process.
    this.promise = surroundings.clock.now() * 1_000;
  }

  // --- For the main loop

  /** What the record allows this host, see {@link Own.right}. */
  get right(): Right {
    if (!this.isRecorded) {
      return "any";
    }
    if (this.copy.isHolding && this.hasLease) {
      return this.lacksTerm ? "pending" : "held";
    }
    const isOthers = this.copy.record !== undefined && !this.copy.isHolding;
    return isOthers || this.isOverdue ? "barred" : "pending";
  }

  /** The host that the record names, if a record decides. */
  get holder(): string | undefined {
    return this.isRecorded ? this.copy.record?.holder : undefined;
  }

  /** Whether commits have to wait for a replica when this host is opened. */
  get isSyncNeeded(): boolean {
    return this.identity.durability === "lossless" || (this.copy.record?.sync.length ?? 0) > 0;
  }

  /** Whether the main loop leaves it to this one whether commits wait for a replica. */
  get governsReplicas(): boolean {
    return this.isRecorded;
  }

  /** For `status`. */
  status() {
    const { record, isAnswered } = this.copy;
    return {
      record: record ?? null,
      isAnswered,
      isRecorded: this.isRecorded,
      hasLease: this.copy.isHolding && this.hasLease,
      /** How long it may stay open if it does not renew the record again. */
      leaseSeconds: Math.max(0, Math.round((this.leaseUntil - this.now) / 100) / 10),
      step: this.step,
      quietSeconds: Math.floor(this.copy.quiet / 1_000),
      says: sentencesOfRecord(this.view(), this.identity.peers.length > 0),
    };
  }

  /**
   * Takes note of what the main loop has observed.
   *
   * @param at when it began to look, milliseconds of the monotonic clock
   */
  noteOwn(own: Own, at: number): void {
    this.watch.noteOwn(own, at);
    if (
      !this.isRecorded &&
      own.state === "member" &&
      this.copy.record?.term === own.term &&
      this.copy.record.holder === own.primary
    ) {
      this.recorded();
    }
  }

  /** The main loop is about to open the server. */
  noteOpening(): void {
    this.watch.condition = "open";
  }

  private recorded(): void {
    this.isRecorded = true;
    this.surroundings.marks
      .noteRecorded()
      .catch((error: Error) => this.surroundings.log(`no note of the record: ${error.message}`));
  }

  // --- For the answers

  /**
   * A promise not to take over for `TIMERS.takeOver`, from when it is published; 0 if this host promises nothing. Its
   * number is new each time.
   */
  private nextPromise(): number {
    if (!this.isPromising || this.isTaking) {
      return 0;
    }
    this.copy.changedAt = this.now;
    return ++this.promise;
  }

  /** Has to be called once an answer is published. */
  notePublished(promise: number | undefined): void {
    if (promise !== undefined && promise > 0) {
      this.copy.changedAt = this.now;
    }
  }

  /** What is published beside the server's state, with a promise if this host makes any. */
  answer(own: Own): LeaseAnswer {
    const record = this.copy.record;
    const isOthers = own.replication === "running" && own.source !== record?.holder;
    return {
      incarnation: own.incarnation ?? "-",
      promise: this.nextPromise(),
      heardTerm: isOthers ? 0 : (record?.term ?? 0),
      voter: this.others.voter,
      failover: "automatic",
    };
  }

  // --- Time

  private get now(): number {
    return this.surroundings.clock.monotonic();
  }

  private get hasLease(): boolean {
    return this.now < this.leaseUntil;
  }

  /** An agent that was started anew does not know how long its lease is, and has the time to renew it. */
  private get overdueAt(): number {
    return Math.max(this.leaseUntil, this.startedAt + TIMERS.close);
  }

  private get isOverdue(): boolean {
    return this.now >= this.overdueAt;
  }

  /** Whether the record's term still has to be written into MySQL. */
  private get lacksTerm(): boolean {
    return (this.watch.own?.term ?? 0) < (this.copy.record?.term ?? 0);
  }

  private get isEnding(): boolean {
    return this.identity.isEnding === true;
  }

  private get hasRoom(): boolean {
    return this.watch.own?.hasRoom ?? true;
  }

  private get isLeaving(): boolean {
    return this.watch.incarnation === this.leftIncarnation && this.now < this.leftAt + LEAVING;
  }

  private view(): RecordView {
    const { own, incarnation } = this.watch;
    const hasAnswered = own !== undefined && own.state !== "unknown";
    return {
      name: this.identity.name,
      record: this.copy.record,
      isAnswered: this.copy.isAnswered,
      isRecorded: this.isRecorded,
      hasLease: this.copy.isHolding && this.hasLease,
      isOverdue: this.isOverdue,
      quiet: this.copy.quiet,
      server: this.watch.conditionNow,
      isEnding: this.isEnding,
      arePeersManual: this.others.areManual,
      isStoreless: this.others.isStoreless,
      isSound: hasAnswered && own.state === "member" && own.replication !== "failed",
      isWhole: this.watch.isWhole === true,
      isHeld: this.isHeld,
      isLeaving: this.isLeaving,
      hasRoom: this.hasRoom,
      term: own?.term ?? 0,
      isNamed: own?.primary === this.identity.name,
      incarnation: incarnation === own?.incarnation ? incarnation : undefined,
      rivals: this.others.rivals,
    };
  }

  // --- How long this host may stay open

  /** @param since when the holder knew that nobody takes over before `TIMERS.takeOver` */
  private extend(since: number): void {
    this.leaseUntil = since + TIMERS.close;
    this.surroundings.publishLease(this.leaseUntil);
    this.arm(since + TIMERS.fence);
  }

  private arm(until: number): void {
    const left = until - this.now;
    if (left > 0) {
      this.armedUntil = until;
      this.surroundings.fence
        .arm(left)
        .catch((error: Error) => this.surroundings.log(`the fence is not open: ${error.message}`));
    }
  }

  // --- The loops

  /** Runs the loops; returns only once failover has become manual, or if one throws, which is a bug. */
  async run(): Promise<void> {
    await Promise.all([this.keepForEver(), this.guardForEver(), this.senseForEver()]);
  }

  private wake(): void {
    this.wakeUp();
  }

  /** The time from one step to the next, in milliseconds. */
  private get untilNextStep(): number {
    if (this.copy.isHolding || this.identity.peers.length === 0) {
      return TIMERS.renew;
    }
    const left = TIMERS.takeOver - this.copy.quiet;
    return left > 0 ? Math.min(TIMERS.watch, left) : TIMERS.watch;
  }

  private async keepForEver(): Promise<void> {
    const { clock, log } = this.surroundings;
    while (!this.hasEnded) {
      const begun = clock.monotonic();
      await this.keep().catch((error: Error) => log(`the record: ${error.stack}`));
      const pause = Math.max(SHORTEST, begun + this.untilNextStep - clock.monotonic());
      await Promise.race([
        clock.sleep(pause),
        new Promise<void>((resolve) => {
          this.wakeUp = resolve;
        }),
      ]);
    }
  }

  /** Closes this host when its lease ends, whatever the other loops are doing. */
  private async guardForEver(): Promise<void> {
    const { clock, log } = this.surroundings;
    while (!this.hasEnded) {
      const isDue = this.right === "barred" && this.watch.mayBeOpen;
      if (isDue && this.isOverdue && !this.isTaking) {
        log("the lease has ended");
        await this.shut();
      }
      const left = this.overdueAt - clock.monotonic();
      await clock.sleep(left > 0 ? Math.min(left, TIMERS.renew) : 100);
    }
  }

  private async senseForEver(): Promise<void> {
    const { clock, log } = this.surroundings;
    while (!this.hasEnded) {
      const begun = clock.monotonic();
      await this.sense().catch((error: Error) => log(`the replicas: ${error.stack}`));
      await this.others.lookForVoter();
      // A look that comes late is a time in which writes wait.
      const pause = Math.min(begun + TIMERS.renew - clock.monotonic(), this.replicas.untilDegrade);
      await clock.sleep(Math.max(SHORTEST, pause));
    }
  }

  /** One step about the record. */
  async keep(): Promise<void> {
    const { marks, log } = this.surroundings;
    // The data volume may have been mounted only now.
    this.isRecorded ||= await marks.isRecorded();
    this.isRecorded &&= !this.hasEnded;
    this.isHeld = await marks.isHeld();
    const isRenewing =
      !this.copy.isUncertain &&
      this.copy.isAnswered &&
      this.copy.isHolding &&
      nextStep(this.view()) === "renew";
    if (!isRenewing && !this.copy.isWaiting) {
      void this.copy.read();
    }
    await this.copy.answered();
    if (this.isTaking) {
      return;
    }
    await this.take(nextStep(this.view()));
    if (this.hasEnded) {
      return;
    }
    this.keepReadable();
    const isNamed = this.watch.own?.primary === this.identity.name;
    if (this.right === "pending" && this.hasLease && this.lacksTerm && isNamed) {
      this.writeTerm().catch((error: Error) => log(`the term: ${error.message}`));
    }
    // The other loops do not wait for their next turn.
    const news = [this.right, this.holder, this.copy.record?.state].join();
    if (this.news !== news) {
      this.news = news;
      this.surroundings.observe().catch(() => undefined);
    }
  }

  private async take(step: Step): Promise<void> {
    const { log } = this.surroundings;
    this.step = step;
    const text = `${step}, ${this.copy.record?.state} of ${this.copy.record?.holder}`;
    if (text !== this.saidStep) {
      this.saidStep = text;
      log(`record: ${text}, term ${this.copy.record?.term}`);
    }
    switch (step) {
      case "renew":
        return this.renew();
      case "vacate":
        return this.vacate();
      case "close":
        await this.shut();
        return;
      case "ask":
        this.askForPromises().catch((error: Error) => log(`no promises: ${error.message}`));
        return;
      case "promise":
        // While the outcome of a write is open, this host may be the holder without knowing.
        this.isPromising = !this.copy.isUncertain;
        this.surroundings.observe().catch(() => undefined);
        return;
      case "create":
        this.create().catch((error: Error) => log(`etcd's cluster: ${error.message}`));
        return;
      case "retire":
        return this.retire();
      case "end":
        return this.end();
      case "write":
      case "resume":
      case "take-back":
        return this.claim(step);
      case "take-over":
      case "finish":
        this.takeOver(step === "finish").catch((error: Error) =>
          log(`taking over failed: ${error.message}`),
        );
        return;
      default:
        return undefined;
    }
  }

  /** Removes the record of this host. The next step then ends its part. */
  private async retire(): Promise<void> {
    if (await this.copy.remove()) {
      this.surroundings.log("removed the record of the primary: failover is manual");
      await this.end();
    } else {
      this.wake();
    }
  }

  /** Whether an operator decides alone: failover is to be manual, and etcd is no more. */
  get isLeftToOperator(): boolean {
    return this.isEnding && !this.copy.isAnswered;
  }

  /** From now on the rules without a record apply. */
  async end(): Promise<void> {
    if (!this.hasEnded) {
      this.hasEnded = true;
      this.isRecorded = false;
      await this.surroundings.ended();
    }
  }

  /** This takes seconds, while the port has to stay open. */
  private async create(): Promise<void> {
    if (!this.isCreating) {
      this.isCreating = true;
      this.others.isStoreless = false;
      await this.surroundings.createStore().finally(() => {
        this.isCreating = false;
      });
    }
  }

  /** Reads go on at a host that is closed, and, until there is a record, everything does. */
  private keepReadable(): void {
    const isClosed = this.watch.condition === "closed" || this.watch.condition === "ready";
    if (!this.isTaking && (!this.isRecorded || (isClosed && !this.copy.isHolding))) {
      const until = (this.isRecorded ? this.watch.answeredAt : this.now) + TIMERS.fence;
      // Each time costs a process. Steps are more frequent than this has to be.
      if (until >= this.armedUntil + TIMERS.renew) {
        this.arm(until);
      }
    }
  }

  private async renew(): Promise<void> {
    const { clock, store } = this.surroundings;
    const { record } = this.copy.stored as Stored;
    const { sync, written } = this.replicas.next(record.sync);
    this.copy
      .write({ ...record, sync, sequence: record.sequence + 1 })
      .then((isWritten) => (isWritten ? written() : this.wake()));
    await this.copy.answered();
    if (clock.monotonic() >= this.yieldedAt + YIELD_EVERY) {
      this.yieldedAt = clock.monotonic();
      store.yieldLeadership().catch(() => undefined);
    }
  }

  /**
   * Closes the server, or at least what leads to it. Whether it is certain that no client is told of a commit.
   *
   * @param patience how long the server may take before it is killed, in milliseconds
   */
  private async shut(patience: number = TIMERS.kill): Promise<boolean> {
    const { fence, server, log, observe } = this.surroundings;
    this.armedUntil = Number.NEGATIVE_INFINITY;
    const [fenced, closed] = await Promise.all([
      fence.disarm().then(
        () => true,
        (error: Error) => {
          log(`the fence: ${error.message}`);
          return false;
        },
      ),
      server.shut(patience).catch(() => false),
    ]);
    if (closed && this.watch.mayBeOpen) {
      this.watch.condition = "closed";
    }
    observe().catch(() => undefined);
    return fenced || closed;
  }

  private async vacate(): Promise<void> {
    const { record } = this.copy.stored as Stored;
    this.replicas.withdraw();
    // Nobody takes over before its lease has ended, and a server that is killed takes seconds to come back: commits in
    // progress may end.
    const left = this.leaseUntil - this.surroundings.clock.monotonic();
    if (await this.shut(Math.max(0, left) + TIMERS.kill)) {
      const { successor } = this;
      const sequence = record.sequence + 1;
      await this.copy.write({
        ...record,
        state: "vacant",
        sequence,
        ...(successor && { successor }),
      });
    }
  }

  private async claim(step: "write" | "resume" | "take-back"): Promise<void> {
    const { name } = this.identity;
    const before = this.copy.record;
    const own: PrimaryRecord = {
      term: step === "write" ? (this.watch.own?.term ?? 0) : (before?.term ?? 0) + 1,
      holder: name,
      state: "open",
      sync: [],
      sequence: (before?.sequence ?? 0) + 1,
    };
    const record =
      step === "resume" && before !== undefined
        ? { ...own, term: before.term, sync: before.sync }
        : own;
    if (record.term > 0 && (await this.copy.write(record))) {
      this.recorded();
    }
  }

  /** Writes the record's term into MySQL, where a role was taken back; the main loop then opens. */
  private async writeTerm(): Promise<void> {
    if (this.isWritingTerm) {
      return;
    }
    this.isWritingTerm = true;
    const { lock, server, clock } = this.surroundings;
    const release = await lock.take(TIMERS.takeOver / 1_000);
    try {
      await this.look();
      if (release !== undefined && this.copy.isHolding && this.hasLease && this.lacksTerm) {
        const wait = this.identity.durability === "lossless" ? "for-ever" : "no";
        const term = this.copy.record?.term ?? 0;
        await server.promote({ wait, open: false, outrankUnheard: false, term });
        await this.look();
      }
    } finally {
      await release?.();
      await clock.sleep(TIMERS.renew);
      this.isWritingTerm = false;
    }
  }

  // --- etcd is away

  private async askForPromises(): Promise<void> {
    if (this.isAsking) {
      return;
    }
    this.isAsking = true;
    try {
      const askedAt = this.now;
      const answers = await this.surroundings.peers.look(CONNECT_SECONDS.inHaste);
      if (this.copy.isAnswered) {
        return;
      }
      const since = this.promises.note(answers, askedAt);
      // A lease that has ended is not prolonged; nor is one while a replica acknowledges that cannot be entered.
      if (
        this.copy.isHolding &&
        this.hasLease &&
        !this.replicas.hasStrangers &&
        since + TIMERS.close > this.leaseUntil
      ) {
        this.extend(since);
      }
    } finally {
      this.isAsking = false;
    }
  }

  // --- The server and its replicas

  private async sense(): Promise<void> {
    const { server, marks } = this.surroundings;
    if (this.isEnding) {
      await this.others.lookForManual();
    }
    const incarnation = await marks.incarnation();
    const at = this.now;
    if (!this.copy.isHolding) {
      const isUnrecorded = this.copy.record === undefined && !this.isRecorded;
      await (isUnrecorded ? this.others.lookForStore() : this.others.lookForRivals());
      if (at - this.watch.answeredAt >= TIMERS.unwell && !(await server.isRunning())) {
        this.watch.condition = this.watch.condition === "unseen" ? "unseen" : "gone";
      }
      return;
    }
    this.watch.probe();
    const seen = await server.acknowledgements().catch(() => undefined);
    if (seen === undefined) {
      if (!(await server.isRunning())) {
        this.watch.condition = "gone";
        this.wake();
      } else {
        this.watch.note(undefined, at, incarnation);
      }
      return;
    }
    this.watch.note(seen.writability, at, incarnation);
    if (this.watch.mayBeOpen) {
      await this.replicas.judge(seen, this.copy.record?.sync ?? [], at);
    } else {
      this.replicas.restarted();
      this.replicas.withdraw();
    }
  }

  // --- Taking over

  /** What an operator's promotion needs of the record, beyond what the databases say; empty if nothing is against it. */
  async objections(): Promise<{ override: "nothing" | "time"; sentence: string }[]> {
    await this.copy.read();
    const record = this.copy.record;
    if (this.isLeftToOperator) {
      return [];
    }
    if (!this.copy.isAnswered) {
      return [
        {
          override: "nothing",
          sentence:
            "etcd has no majority, and without the record of the primary nobody is promoted: bring two of its three members back; or, if two are lost for good, run /opt/cluster/scripts/etcd/restore-quorum.sh on the one that is left, and promote again",
        },
      ];
    }
    const isOthers = record !== undefined && record.holder !== this.identity.name;
    return isOthers && record.state !== "vacant" && this.copy.quiet < TIMERS.takeOver
      ? [
          {
            override: "time",
            sentence: `${record.holder} has renewed the record of the primary within ${TIMERS.takeOver / 1_000} s`,
          },
        ]
      : [];
  }

  private async takeOver(isFinish: boolean): Promise<void> {
    this.isTaking = true;
    try {
      const release = await this.surroundings.lock.take(TIMERS.takeOver / 1_000);
      if (release === undefined) {
        throw new Error(
          "another operation on this host holds the lock: a clone, a switchover or a restore",
        );
      }
      try {
        await this.look();
        await this.copy.read();
        const step = nextStep(this.view());
        if (step === (isFinish ? "finish" : "take-over")) {
          await this.become(isFinish, false);
        }
      } finally {
        await release();
      }
    } finally {
      this.isTaking = false;
      await this.surroundings.observe();
    }
  }

  /**
   * Makes this host the primary, through the record; an operator has decided that it may be. The lock is held.
   *
   * @throws Error if the record was changed meanwhile
   */
  async becomePrimary(): Promise<void> {
    this.isTaking = true;
    try {
      await this.look();
      await this.copy.read();
      if (!(await this.become(false, true))) {
        throw new Error("the record of the primary was changed meanwhile, or etcd does not answer");
      }
    } finally {
      this.isTaking = false;
    }
  }

  private async look(): Promise<Own> {
    const incarnation = await this.surroundings.marks.incarnation();
    const at = this.now;
    const seen = await this.surroundings.server.look();
    const own = { ...(this.watch.own as Own), ...seen, incarnation };
    this.noteOwn(own, at);
    return own;
  }

  private async become(isFinish: boolean, isForced: boolean): Promise<boolean> {
    if (!(await this.takeover.run(isFinish, isForced))) {
      return false;
    }
    const { server, marks } = this.surroundings;
    // From here on the record is renewed.
    this.isTaking = false;
    this.recorded();
    await marks.release();
    this.isHeld = false;
    if (this.identity.durability === "available" && this.hasRoom && this.hasLease) {
      this.noteOpening();
      await server.admit("open", "no");
    }
    return true;
  }

  // --- Leaving

  /**
   * The server or the host is about to be stopped: gives the role away, if a replica is in sync. Returns once the
   * record is vacant, or after three seconds.
   */
  async leave(): Promise<void> {
    this.successor = undefined;
    this.leftAt = this.now;
    this.leftIncarnation = this.watch.incarnation;
    await this.handOver();
  }

  /** Which replica is to take over when this host is closed; any if omitted. */
  prefer(successor: string | undefined): void {
    this.successor = successor;
  }

  /** Waits until this host no longer holds the record, if it is to give it away. */
  async handOver(): Promise<void> {
    const until = this.now + LEAVE_WITHIN;
    this.isHeld = await this.surroundings.marks.isHeld();
    while (
      this.isRecorded &&
      this.copy.isHolding &&
      (this.isHeld || (this.copy.record?.sync.length ?? 0) > 0) &&
      this.now < until
    ) {
      this.wake();
      await this.surroundings.clock.sleep(SHORTEST);
    }
  }
}
