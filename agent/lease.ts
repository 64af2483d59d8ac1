import { CONNECT_SECONDS } from "./peers";
import { Promises } from "./promises";
import {
  hostOf,
  isOwnRecord,
  NO_REVISION,
  nextStep,
  type PrimaryRecord,
  type RecordStore,
  type RecordView,
  type Rivals,
  type ServerCondition,
  type Step,
  type Stored,
  TIMERS,
} from "./record";
import { sentencesOfRecord } from "./record-sentences";
import { Replicas } from "./replicas";
import { compareRivals, rivalsIn } from "./rivals";
import type { LeaseAnswer, Own } from "./state";
import type { Identity, Surroundings } from "./surroundings";

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

/** How long other hosts are not looked at while there is no record, nor this one's tables again, in milliseconds. */
const LOOK_EVERY = 2_000;

/** Between two writes that show whether the data volume takes any, in milliseconds. */
const PROBE_EVERY = 500;

/** The shortest time between two steps, in milliseconds, when something woke the loop. */
const SHORTEST = 20;

/** How long a stop of the server waits until the record is vacant, in milliseconds. */
const LEAVE_WITHIN = 3_000;

/** How long a host that was told to leave does not open again, unless its server was started anew, in milliseconds. */
const LEAVING = 30_000;

/** How long a host that takes over waits for what it received to be applied before it tries anew, in milliseconds. */
const APPLY_WITHIN = 60_000;

/** A host's part in the record, for an operator. */
export type LeaseStatus = ReturnType<Lease["status"]>;

/** For the rules of the main loop, see {@link Own.right}. */
export type Right = Own["right"];

/**
 * This host's part in the record: it renews the record if the record names this host, and otherwise watches it. Its
 * loops wait for no other loop of the agent, nor for the server.
 */
export class Lease {
  private stored: Stored | undefined;
  private isAnswered = false;
  /** Whether a write's outcome is not known, or was refused: the record has to be read before anything else. */
  private isUncertain = true;
  private changedAt: number;
  private readonly startedAt: number;
  private leaseUntil = Number.NEGATIVE_INFINITY;
  private isRecorded = false;
  private isHeld = false;
  /** Until when the kernel keeps MySQL's port open to the web servers. */
  private armedUntil = Number.NEGATIVE_INFINITY;
  private hasRoom = true;
  private leftAt = Number.NEGATIVE_INFINITY;
  private leftIncarnation: string | undefined;
  private successor: string | undefined;
  private step: Step = "wait";
  private saidStep = "";
  private news = "";

  // What is known of the server.
  private own: Own | undefined;
  private condition: ServerCondition = "unseen";
  private answeredAt: number;
  /** Since when the data volume has not answered. */
  private probedAt: number | undefined;
  private probeAgainAt = Number.NEGATIVE_INFINITY;
  private incarnation: string | undefined;
  /** Whether all of its tables are InnoDB; `undefined` until that was looked up. */
  private isWhole: boolean | undefined;
  private lookedAtTablesAt = Number.NEGATIVE_INFINITY;
  private isLookingAtTables = false;

  // Promises.
  private isPromising = false;
  private promise: number;
  private readonly promises = new Promises();
  private isAsking = false;
  private isCreating = false;
  private hasEnded = false;
  private arePeersManual = false;

  private readonly replicas: Replicas;
  private lookedAt = Number.NEGATIVE_INFINITY;
  private isStoreless = false;
  private voter: "none" | "member" | "unknown" = "unknown";
  private rivals: Rivals = "unknown";
  private isTaking = false;
  private isWritingTerm = false;
  private voterAt = Number.NEGATIVE_INFINITY;
  private yieldedAt = Number.NEGATIVE_INFINITY;
  private requests: Promise<unknown> = Promise.resolve();
  /** How many requests to etcd have no answer yet. */
  private asked = 0;
  private wakeUp: () => void = () => undefined;

  constructor(
    private readonly identity: Identity,
    private readonly surroundings: LeaseSurroundings,
  ) {
    this.replicas = new Replicas(identity, { ...surroundings, wake: () => this.wake() });
    const now = surroundings.clock.monotonic();
    this.startedAt = now;
    this.changedAt = now;
    this.answeredAt = now;
    // No number of an earlier run of this process.
    this.promise = surroundings.clock.now() * 1_000;
  }

  // --- For the main loop

  /** What the record allows this host, see {@link Own.right}. */
  get right(): Right {
    if (!this.isRecorded) {
      return "any";
    }
    if (this.isHolding && this.hasLease) {
      return this.lacksTerm ? "pending" : "held";
    }
    const isOthers = this.stored !== undefined && !this.isHolding;
    return isOthers || this.isOverdue ? "barred" : "pending";
  }

  /** The host that the record names, if a record decides. */
  get holder(): string | undefined {
    return this.isRecorded ? this.stored?.record.holder : undefined;
  }

  /** Whether commits have to wait for a replica when this host is opened. */
  get isSyncNeeded(): boolean {
    return this.identity.durability === "lossless" || (this.stored?.record.sync.length ?? 0) > 0;
  }

  /** Whether the main loop leaves it to this one whether commits wait for a replica. */
  get governsReplicas(): boolean {
    return this.isRecorded;
  }

  /** For `status`. */
  status() {
    const { stored, isAnswered } = this;
    return {
      record: stored?.record ?? null,
      isAnswered,
      isRecorded: this.isRecorded,
      hasLease: this.isHolding && this.hasLease,
      /** How long it may stay open if it does not renew the record again. */
      leaseSeconds: Math.max(0, Math.round((this.leaseUntil - this.now) / 100) / 10),
      step: this.step,
      quietSeconds: Math.floor(this.quiet / 1_000),
      says: sentencesOfRecord(this.view(), this.identity.peers.length > 0),
    };
  }

  /**
   * Takes note of what the main loop has observed.
   *
   * @param at when it began to look, milliseconds of the monotonic clock
   */
  noteOwn(own: Own, at: number): void {
    this.own = own;
    this.hasRoom = own.hasRoom;
    this.noteCondition(own.state === "unknown" ? undefined : own.writability, at, own.incarnation);
    if (
      !this.isRecorded &&
      own.state === "member" &&
      this.stored?.record.term === own.term &&
      this.stored.record.holder === own.primary
    ) {
      this.recorded();
    }
  }

  /** The main loop is about to open the server. */
  noteOpening(): void {
    this.condition = "open";
  }

  private recorded(): void {
    this.isRecorded = true;
    this.surroundings.marks
      .noteRecorded()
      .catch((error: Error) => this.surroundings.log(`no note of the record: ${error.message}`));
  }

  private noteCondition(
    writability: Own["writability"] | undefined,
    at: number,
    incarnation: string | undefined,
  ): void {
    if (incarnation !== this.incarnation) {
      this.incarnation = incarnation;
      this.isWhole = undefined;
      this.lookedAtTablesAt = Number.NEGATIVE_INFINITY;
      this.replicas.restarted();
      if (this.condition !== "unseen") {
        this.condition = "gone";
      }
    }
    if (writability !== undefined) {
      this.condition = writability;
      this.answeredAt = Math.max(this.answeredAt, at);
    }
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
    this.changedAt = this.now;
    return ++this.promise;
  }

  /** Has to be called once an answer is published. */
  notePublished(promise: number | undefined): void {
    if (promise !== undefined && promise > 0) {
      this.changedAt = this.now;
    }
  }

  /** What is published beside the server's state, with a promise if this host makes any. */
  answer(own: Own): LeaseAnswer {
    const record = this.stored?.record;
    const isOthers = own.replication === "running" && own.source !== record?.holder;
    return {
      incarnation: own.incarnation ?? "-",
      promise: this.nextPromise(),
      heardTerm: isOthers ? 0 : (record?.term ?? 0),
      voter: this.voter,
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

  private get quiet(): number {
    return this.now - this.changedAt;
  }

  private get isHolding(): boolean {
    const record = this.stored?.record;
    return record?.holder === this.identity.name && record.state === "open";
  }

  /** Whether the record's term still has to be written into MySQL. */
  private get lacksTerm(): boolean {
    return (this.own?.term ?? 0) < (this.stored?.record.term ?? 0);
  }

  private get isEnding(): boolean {
    return this.identity.isEnding === true;
  }

  private get isLeaving(): boolean {
    return this.incarnation === this.leftIncarnation && this.now < this.leftAt + LEAVING;
  }

  private view(): RecordView {
    const { own, condition } = this;
    const hasAnswered = own !== undefined && own.state !== "unknown";
    const isHung = this.probedAt !== undefined && this.now - this.probedAt >= TIMERS.hung;
    const isLate = isHung || this.now - this.answeredAt >= TIMERS.unwell;
    const late = condition === "open" || condition === "ready" ? "silent" : "away";
    return {
      name: this.identity.name,
      record: this.stored?.record,
      isAnswered: this.isAnswered,
      isRecorded: this.isRecorded,
      hasLease: this.isHolding && this.hasLease,
      isOverdue: this.isOverdue,
      quiet: this.quiet,
      server: isLate && ["open", "ready", "closed"].includes(condition) ? late : condition,
      isEnding: this.isEnding,
      arePeersManual: this.arePeersManual,
      isStoreless: this.isStoreless,
      isSound: hasAnswered && own.state === "member" && own.replication !== "failed",
      isWhole: this.isWhole === true,
      isHeld: this.isHeld,
      isLeaving: this.isLeaving,
      hasRoom: this.hasRoom,
      term: own?.term ?? 0,
      isNamed: own?.primary === this.identity.name,
      incarnation: this.incarnation === own?.incarnation ? this.incarnation : undefined,
      rivals: this.rivals,
    };
  }

  // --- The store

  /** One request at a time: no answer overtakes another. */
  private request<Result>(ask: () => Promise<Result>): Promise<Result> {
    this.asked++;
    const asked = this.requests.then(ask).finally(() => {
      this.asked--;
    });
    this.requests = asked.catch(() => undefined);
    return asked;
  }

  /**
   * Waits for what etcd was asked. If that is late, etcd counts as one that does not answer while the request goes on:
   * what has to be done without etcd begins in time, and an answer that comes late still counts.
   */
  private async answered(): Promise<void> {
    const { asked, requests } = this;
    if (asked > 0) {
      await Promise.race([requests, this.surroundings.clock.sleep(TIMERS.late)]);
    }
    if (this.asked > 0) {
      this.noteAnswer(false, `nothing within ${TIMERS.late} ms`);
      this.requests.then(() => this.wake());
    }
  }

  private read(): Promise<void> {
    return this.request(async () => {
      try {
        const stored = await this.surroundings.store.read();
        if (stored?.revision !== this.stored?.revision) {
          this.changedAt = this.now;
        }
        const own = this.stored?.record;
        this.stored = stored;
        this.isUncertain = false;
        this.noteAnswer(true);
        if (!this.isHolding || (own !== undefined && !isOwnRecord(stored?.record, own))) {
          this.leaseUntil = Number.NEGATIVE_INFINITY;
        }
      } catch (error) {
        this.noteAnswer(false, (error as Error).message);
      }
    });
  }

  /** Whether it was written. */
  private write(record: PrimaryRecord, revision = this.stored?.revision): Promise<boolean> {
    return this.request(async () => {
      const sentAt = this.now;
      this.isUncertain = true;
      try {
        const next = await this.surroundings.store.write(record, revision ?? NO_REVISION);
        this.noteAnswer(true);
        if (next === undefined) {
          return false;
        }
        this.isUncertain = false;
        this.stored = { record, revision: next };
        this.changedAt = this.now;
        if (record.holder === this.identity.name && record.state === "open") {
          this.extend(sentAt);
        } else {
          this.leaseUntil = Number.NEGATIVE_INFINITY;
        }
        return true;
      } catch (error) {
        this.noteAnswer(false, (error as Error).message);
        return false;
      }
    });
  }

  private noteAnswer(isAnswered: boolean, why = ""): void {
    if (isAnswered !== this.isAnswered) {
      this.surroundings.log(isAnswered ? "etcd answers" : `etcd does not answer: ${why}`);
    }
    this.isAnswered = isAnswered;
    if (isAnswered) {
      this.isPromising = false;
      this.promises.forget();
    }
  }

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
    if (this.isHolding || this.identity.peers.length === 0) {
      return TIMERS.renew;
    }
    const left = TIMERS.takeOver - this.quiet;
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
      const isDue = this.right === "barred" && ["open", "ready"].includes(this.condition);
      if (isDue && this.isOverdue && !this.isTaking) {
        log("the lease has ended");
        await this.shut();
      }
      const left = this.overdueAt - clock.monotonic();
      await clock.sleep(left > 0 ? Math.min(left, TIMERS.renew) : 100);
    }
  }

  private async senseForEver(): Promise<void> {
    const { clock, log, store } = this.surroundings;
    while (!this.hasEnded) {
      const begun = clock.monotonic();
      await this.sense().catch((error: Error) => log(`the replicas: ${error.stack}`));
      if (this.voter !== "member" && begun >= this.voterAt + YIELD_EVERY) {
        this.voterAt = begun;
        this.voter = await store.voter().catch(() => "unknown" as const);
      }
      await clock.sleep(Math.max(SHORTEST, begun + TIMERS.renew - clock.monotonic()));
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
      !this.isUncertain && this.isAnswered && this.isHolding && nextStep(this.view()) === "renew";
    if (!isRenewing && this.asked === 0) {
      void this.read();
    }
    await this.answered();
    if (this.isTaking) {
      return;
    }
    await this.take(nextStep(this.view()));
    if (this.hasEnded) {
      return;
    }
    this.keepReadable();
    const isNamed = this.own?.primary === this.identity.name;
    if (this.right === "pending" && this.hasLease && this.lacksTerm && isNamed) {
      this.writeTerm().catch((error: Error) => log(`the term: ${error.message}`));
    }
    // The other loops do not wait for their next turn.
    const news = [this.right, this.holder, this.stored?.record.state].join();
    if (this.news !== news) {
      this.news = news;
      this.surroundings.observe().catch(() => undefined);
    }
  }

  private async take(step: Step): Promise<void> {
    const { log } = this.surroundings;
    this.step = step;
    const text = `${step}, ${this.stored?.record.state} of ${this.stored?.record.holder}`;
    if (text !== this.saidStep) {
      this.saidStep = text;
      log(`record: ${text}, term ${this.stored?.record.term}`);
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
        this.isPromising = !this.isUncertain;
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
    const { log } = this.surroundings;
    const revision = this.stored?.revision ?? NO_REVISION;
    await this.request(async () => {
      try {
        const isRemoved = await this.surroundings.store.remove(revision);
        this.noteAnswer(true);
        if (isRemoved) {
          log("removed the record of the primary: failover is manual");
          return this.end();
        }
      } catch (error) {
        this.noteAnswer(false, (error as Error).message);
      }
      this.isUncertain = true;
      this.wake();
    });
  }

  /** Whether an operator decides alone: failover is to be manual, and etcd is no more. */
  get isLeftToOperator(): boolean {
    return this.isEnding && !this.isAnswered;
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
      this.isStoreless = false;
      await this.surroundings.createStore().finally(() => {
        this.isCreating = false;
      });
    }
  }

  /** Reads go on at a host that is closed, and, until there is a record, everything does. */
  private keepReadable(): void {
    const isClosed = this.condition === "closed" || this.condition === "ready";
    if (!this.isTaking && (!this.isRecorded || (isClosed && !this.isHolding))) {
      const until = (this.isRecorded ? this.answeredAt : this.now) + TIMERS.fence;
      // Each time costs a process. Steps are more frequent than this has to be.
      if (until >= this.armedUntil + TIMERS.renew) {
        this.arm(until);
      }
    }
  }

  private async renew(): Promise<void> {
    const { clock, store } = this.surroundings;
    const { record } = this.stored as Stored;
    const { sync, written } = this.replicas.next(record.sync);
    this.write({ ...record, sync, sequence: record.sequence + 1 }).then((isWritten) =>
      isWritten ? written() : this.wake(),
    );
    await this.answered();
    if (clock.monotonic() >= this.yieldedAt + YIELD_EVERY) {
      this.yieldedAt = clock.monotonic();
      store.yieldLeadership().catch(() => undefined);
    }
  }

  /** Closes the server, or at least what leads to it. Whether it is certain that no client is told of a commit. */
  private async shut(): Promise<boolean> {
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
      server.shut(TIMERS.kill).catch(() => false),
    ]);
    if (closed && (this.condition === "open" || this.condition === "ready")) {
      this.condition = "closed";
    }
    observe().catch(() => undefined);
    return fenced || closed;
  }

  private async vacate(): Promise<void> {
    const { record } = this.stored as Stored;
    this.replicas.withdraw();
    if (await this.shut()) {
      const { successor } = this;
      const sequence = record.sequence + 1;
      await this.write({ ...record, state: "vacant", sequence, ...(successor && { successor }) });
    }
  }

  private async claim(step: "write" | "resume" | "take-back"): Promise<void> {
    const { name } = this.identity;
    const before = this.stored?.record;
    const own: PrimaryRecord = {
      term: step === "write" ? (this.own?.term ?? 0) : (before?.term ?? 0) + 1,
      holder: name,
      state: "open",
      sync: [],
      sequence: (before?.sequence ?? 0) + 1,
    };
    const record =
      step === "resume" && before !== undefined
        ? { ...own, term: before.term, sync: before.sync }
        : own;
    if (record.term > 0 && (await this.write(record))) {
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
      if (release !== undefined && this.isHolding && this.hasLease && this.lacksTerm) {
        const wait = this.identity.durability === "lossless" ? "for-ever" : "no";
        const term = this.stored?.record.term ?? 0;
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
      if (this.isAnswered) {
        return;
      }
      const since = this.promises.note(answers, askedAt);
      // A lease that has ended is not prolonged; nor is one while a replica acknowledges that cannot be entered.
      if (
        this.isHolding &&
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
    const { server, marks, peers } = this.surroundings;
    if (this.isEnding) {
      const seen = await peers.look(CONNECT_SECONDS.inHaste);
      this.arePeersManual = seen.every(({ isManual }) => isManual);
    }
    const incarnation = await marks.incarnation();
    const at = this.now;
    if (!this.isHolding) {
      await this.lookAround();
      if (at - this.answeredAt >= TIMERS.unwell && !(await server.isRunning())) {
        this.condition = this.condition === "unseen" ? "unseen" : "gone";
      }
      return;
    }
    this.probe();
    const seen = await server.acknowledgements().catch(() => undefined);
    if (seen === undefined) {
      if (!(await server.isRunning())) {
        this.condition = "gone";
        this.wake();
      } else {
        this.noteCondition(undefined, at, incarnation);
      }
      return;
    }
    this.noteCondition(seen.writability, at, incarnation);
    if (this.condition === "open" || this.condition === "ready") {
      await this.replicas.judge(seen, this.stored?.record.sync ?? [], at);
    } else {
      this.replicas.restarted();
      this.replicas.withdraw();
    }
  }

  /** While the disk hangs, the server answers queries, and no commit. */
  private probe(): void {
    if (this.probedAt === undefined && this.now >= this.probeAgainAt) {
      this.probedAt = this.now;
      this.probeAgainAt = this.now + PROBE_EVERY;
      this.surroundings.marks
        .probe()
        .catch((error: Error) => this.surroundings.log(`the data volume: ${error.message}`))
        .finally(() => {
          this.probedAt = undefined;
        });
    }
  }

  /** What a host that is not the holder has to know of others. */
  private async lookAround(): Promise<void> {
    const { peers, store } = this.surroundings;
    const record = this.stored?.record;
    if (record === undefined && !this.isRecorded) {
      const isNamed = this.own?.primary === this.identity.name;
      if (isNamed && !this.isAnswered && this.now >= this.lookedAt + LOOK_EVERY) {
        this.lookedAt = this.now;
        const seen = await peers.look(CONNECT_SECONDS.inHaste);
        const isNone = seen.every(({ state, voter }) => state !== "unknown" && voter === "none");
        this.isStoreless = isNone && (await store.voter()) === "none";
        this.voter = this.isStoreless ? "none" : this.voter;
      }
      return;
    }
    if (this.quiet > TIMERS.takeOver / 2 || record?.state !== "open") {
      this.lookAtTables();
    }
    const rivals = rivalsIn(record, this.identity.name);
    if (this.identity.peers.every(({ name }) => name === record?.holder)) {
      this.rivals = "behind";
    } else if (this.quiet > TIMERS.takeOver / 2 || record?.state !== "open") {
      const seen = await peers.look(CONNECT_SECONDS.inHaste);
      this.rivals = compareRivals(this.own, rivals, record, seen);
    }
  }

  /** Looks for tables whose rows this host may lack, before it might take over. Nobody waits for the answer. */
  private lookAtTables(): void {
    if (this.isLookingAtTables || this.now < this.lookedAtTablesAt + LOOK_EVERY) {
      return;
    }
    this.isLookingAtTables = true;
    const { incarnation } = this;
    this.surroundings.server
      .otherTables()
      .then(
        (tables) => {
          if (incarnation !== this.incarnation) {
            return;
          }
          const isWhole = tables.length === 0;
          this.lookedAtTablesAt = this.now;
          if (isWhole !== this.isWhole) {
            this.isWhole = isWhole;
            this.wake();
          }
        },
        () => {
          this.isWhole = undefined;
        },
      )
      .finally(() => {
        this.isLookingAtTables = false;
      });
  }

  // --- Taking over

  /** What an operator's promotion needs of the record, beyond what the databases say; empty if nothing is against it. */
  async objections(): Promise<{ override: "nothing" | "time"; sentence: string }[]> {
    await this.read();
    const record = this.stored?.record;
    if (this.isLeftToOperator) {
      return [];
    }
    if (!this.isAnswered) {
      return [
        {
          override: "nothing",
          sentence:
            "etcd has no majority, and without the record of the primary nobody is promoted: bring two of its three members back; or, if two are lost for good, run /opt/cluster/scripts/etcd/restore-quorum.sh on the one that is left, and promote again",
        },
      ];
    }
    const isOthers = record !== undefined && record.holder !== this.identity.name;
    return isOthers && record.state !== "vacant" && this.quiet < TIMERS.takeOver
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
        await this.read();
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
      await this.read();
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
    const own = { ...(this.own as Own), ...seen, incarnation };
    this.noteOwn(own, at);
    return own;
  }

  private async become(isFinish: boolean, isForced: boolean): Promise<boolean> {
    const { server, marks, clock, log } = this.surroundings;
    const { name, durability } = this.identity;
    const before = this.stored?.record;
    const incarnation = this.incarnation;
    if (!isFinish) {
      const taking: PrimaryRecord = {
        term: Math.max(before?.term ?? 0, this.own?.term ?? 0) + 1,
        holder: name,
        state: "taking",
        sync: isForced ? [] : (before?.sync ?? []),
        sequence: (before?.sequence ?? 0) + 1,
      };
      if (!(await this.write(taking))) {
        return false;
      }
    }
    const taking = this.stored?.record as PrimaryRecord;
    log(`becomes primary of term ${taking.term}`);
    const deadline = clock.monotonic() + APPLY_WITHIN;
    let own = await this.look();
    if (own.term !== taking.term) {
      if (own.source !== undefined && own.replication !== "failed") {
        await server.apply();
      }
      for (;;) {
        own = await this.look();
        const isForemost = own.hasApplied && (await this.isForemost(taking, isForced));
        if (this.incarnation !== incarnation || clock.monotonic() > deadline) {
          throw new Error("the server was started anew, or does not come to an end");
        }
        if (!isOwnRecord(this.stored?.record, taking)) {
          throw new Error(`${this.stored?.record.holder} has taken over meanwhile`);
        }
        if (own.hasApplied && isForemost) {
          break;
        }
        await clock.sleep(SHORTEST);
      }
      await marks.noteOriginal();
      await server.promote({
        wait: durability === "lossless" ? "for-ever" : "no",
        open: false,
        outrankUnheard: false,
        term: taking.term,
      });
      await this.look();
    }
    const opened = { ...taking, state: "open" as const, sync: [], sequence: taking.sequence + 1 };
    if (!(await this.write(opened))) {
      return false;
    }
    // From here on the record is renewed.
    this.isTaking = false;
    this.recorded();
    await marks.release();
    this.isHeld = false;
    if (durability === "available" && this.hasRoom && this.hasLease) {
      this.noteOpening();
      await server.admit("open", "no");
    }
    return true;
  }

  /**
   * Whether no other replica in sync has received more, by an answer that it gave after it had stopped receiving from
   * the primary before.
   */
  private async isForemost(taking: PrimaryRecord, isForced: boolean): Promise<boolean> {
    const rivals = rivalsIn(taking, this.identity.name);
    if (this.identity.peers.length === 1 || isForced) {
      return true;
    }
    const seen = await this.surroundings.peers.look(CONNECT_SECONDS.inHaste);
    const hasStopped = rivals.every((entry) =>
      seen.some(({ name, heardTerm }) => name === hostOf(entry) && heardTerm === taking.term),
    );
    const rank = compareRivals(this.own, rivals, taking, seen);
    if (hasStopped && rank === "ahead") {
      await this.write({ ...taking, state: "vacant", sequence: taking.sequence + 1 });
      throw new Error("another replica has received more, and takes over");
    }
    return hasStopped && rank === "behind";
  }

  // --- Leaving

  /**
   * The server or the host is about to be stopped: gives the role away, if a replica is in sync. Returns once the
   * record is vacant, or after three seconds.
   */
  async leave(): Promise<void> {
    this.successor = undefined;
    this.leftAt = this.now;
    this.leftIncarnation = this.incarnation;
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
      this.isHolding &&
      this.stored?.record.state !== "vacant" &&
      (this.isHeld || (this.stored?.record.sync.length ?? 0) > 0) &&
      this.now < until
    ) {
      this.wake();
      await this.surroundings.clock.sleep(SHORTEST);
    }
  }
}
