import {
  type GtidSet,
  isSubset,
  NO_GTIDS,
  subtract,
  union,
  writtenBy,
} from "../../../agent/gtid-set";
import type { PrimaryState, Server } from "../../../agent/mysql";
import { type ServerState, UNKNOWN_SERVER } from "../../../agent/state";
import type { Chance } from "../../../drill/chance";
import { Life, millisecondsAt, type VirtualTime } from "./time";

// A model of a MySQL server: what it has executed, what it writes into its log and sends to its replicas, when it waits
// for them, and what of all this outlives its end. What the model says of MySQL is in docs/database.md.

/** A transaction. Two of one identifier may be different ones where a server was made to forget: data, not names, count. */
export interface Transaction {
  readonly source: string;
  readonly number: number;
  /** A promotion, a row that changes, or nothing that changes a row. */
  readonly change: "term" | "row" | "none";
  readonly term?: number;
  readonly host?: string;
}

const setOf = ({ source, number }: Transaction): GtidSet =>
  new Map([[source, [[number, number] as const]]]);

function contains(set: GtidSet, { source, number }: Transaction): boolean {
  return (set.get(source) ?? []).some(([first, last]) => first <= number && number <= last);
}

function added(set: GtidSet, transaction: Transaction): GtidSet {
  const intervals = set.get(transaction.source);
  const last = intervals?.at(-1);
  if (intervals === undefined || last === undefined || last[1] + 1 !== transaction.number) {
    return union(set, setOf(transaction));
  }
  const longer = [...intervals.slice(0, -1), [last[0], transaction.number] as const];
  return new Map(set).set(transaction.source, longer);
}

export const gtidsOf = (transactions: readonly Transaction[]): GtidSet =>
  transactions.reduce(added, NO_GTIDS);

/** What is in a server's data directory, and outlives its process. */
export class Disk {
  executed: GtidSet = NO_GTIDS;
  purged: GtidSet = NO_GTIDS;
  /** All that the data is made of. */
  applied: Transaction[] = [];
  /** The binary log; a transaction that waits for a replica is in it, and not yet executed. */
  log: Transaction[] = [];
  /** What was received and is not applied, and when it was received. */
  relay: { readonly transaction: Transaction; readonly at: number }[] = [];
  received: GtidSet = NO_GTIDS;
  /** Whether the relay log ends in the middle of a transaction. */
  isCutOff = false;
  /** The host it is set to replicate from. */
  source: string | undefined;
  /** Whether what arrives next will not fit the data. */
  isDamaged = false;
  /** Whether its data was dropped for a clone that did not end. */
  isBeingCloned = false;
  term = 0;
  primary: string | undefined;

  constructor(readonly uuid: string) {}

  execute(transaction: Transaction): void {
    this.executed = added(this.executed, transaction);
    this.applied.push(transaction);
    if (transaction.term !== undefined && transaction.term > this.term) {
      this.term = transaction.term;
      this.primary = transaction.host;
    }
  }

  forgetRelayLog(): void {
    this.relay = [];
    this.received = NO_GTIDS;
    this.isCutOff = false;
  }

  drop(): void {
    this.applied = [];
    this.log = [];
    this.purged = this.executed;
    this.term = 0;
    this.primary = undefined;
    this.isBeingCloned = true;
  }

  copy(donor: Disk): void {
    this.executed = donor.executed;
    this.purged = donor.executed;
    this.applied = [...donor.applied];
    this.log = [];
    this.term = donor.term;
    this.primary = donor.primary;
    this.isBeingCloned = false;
    this.isDamaged = false;
    this.source = undefined;
    this.forgetRelayLog();
  }

  /** A host that lost its power keeps what was synced: of the relay log some of the end may be missing. */
  losePower(now: number, chance: Chance): void {
    const kept = this.relay.filter(({ at }) => now - at > 10_000 || chance.happens(0.3)).length;
    const lost = this.relay.slice(kept);
    if (lost.length === 0) {
      return;
    }
    this.relay = this.relay.slice(0, kept);
    this.received = subtract(this.received, gtidsOf(lost.map(({ transaction }) => transaction)));
    const half = lost[0];
    if (half !== undefined && chance.happens(0.5)) {
      this.received = union(this.received, setOf(half.transaction));
      this.isCutOff = true;
    }
  }
}

/** How long things take, in milliseconds. */
export interface Pace {
  look(): number;
  statement(): number;
  deliver(): number;
  apply(): number;
  clone(): number;
  start(): number;
  boot(): number;
}

/** What a server sees of the world. */
export interface Network {
  isOpen(from: string, to: string): boolean;
  server(host: string): FakeMysql | undefined;
}

/** How a write ended: acknowledged, by a replica as well or by the primary alone; or not, as far as its writer knows. */
export type Written = "copied" | "alone" | "failed";

interface Waiter {
  readonly transaction: Transaction;
  readonly position: number;
  readonly done: (written: Written, transaction: Transaction) => void;
}

interface Connection {
  readonly replica: FakeMysql;
  readonly source: FakeMysql;
  position: number;
  isPumping: boolean;
  isAlive: boolean;
}

/**
 * Asks a process something.
 *
 * @param life whoever asks
 * @param run the server's process
 * @param limit milliseconds after which nobody waits any more; what was asked for is done all the same
 */
function ask<Result>(
  life: Life,
  run: Life | undefined,
  limit: number,
  work: (run: Life, done: (get: () => Result) => void) => void,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    if (run === undefined) {
      life.after(1, () => reject(new Error("there is no server")));
      return;
    }
    let isOver = false;
    const over = (settle: () => void) => {
      if (!isOver) {
        isOver = true;
        forgetEnd();
        forgetLimit();
        life.enter(settle);
      }
    };
    const forgetEnd = run.whenEnded(() => over(() => reject(new Error("the server is gone"))));
    const forgetLimit = Number.isFinite(limit)
      ? life.time.after(limit, () =>
          over(() => reject(new Error(`the server gave no answer within ${limit / 1000} s`))),
        )
      : () => undefined;
    work(run, (get) => {
      try {
        const result = get();
        over(() => resolve(result));
      } catch (error) {
        over(() => reject(error));
      }
    });
  });
}

/** The server of a host, over all its runs. */
export class FakeMysql {
  run: Life | undefined;
  isUp = false;
  isReadOnly = true;
  isSuperReadOnly = true;
  /** While it closes, no further write begins. */
  private isClosing = false;
  private isSemiSyncEnabled = false;
  private isSemiSyncOn = false;
  private waiters: Waiter[] = [];
  private isReceiving = false;
  private isApplying = false;
  private isApplyPlanned = false;
  private hasReceiverFailed = false;
  private applierError: "conflict" | "cut off" | undefined;
  private connection: Connection | undefined;
  /** Those who replicate from it, as far as it knows. */
  private readonly replicas = new Set<Connection>();
  private acknowledgedCount = 0;
  private heardAt: number | undefined;
  private isDonating = false;
  private whenUp: (() => void)[] = [];
  isCloning = false;
  /** How often it was filled by a clone. */
  clones = 0;
  /** Whether no commit ends, because the disk takes no write. */
  isDiskHung = false;
  /** What its tables beyond InnoDB are called. */
  otherTables: string[] = [];
  /** Called when it begins to take the app's writes. */
  opened: () => void = () => undefined;
  /** Called when its process ends. */
  ended: () => void = () => undefined;

  constructor(
    readonly host: string,
    readonly time: VirtualTime,
    public disk: Disk,
    private readonly durability: "available" | "lossless",
    private readonly pace: Pace,
    private readonly network: Network,
    private readonly chance: Chance,
    private readonly isAutomatic = false,
  ) {}

  // --- Its process

  get takesWrites(): boolean {
    return this.isUp && !this.isReadOnly && this.run?.isFrozen === false;
  }

  get writability(): "open" | "ready" | "closed" {
    return this.isSuperReadOnly ? "closed" : this.isReadOnly ? "ready" : "open";
  }

  start(): void {
    const run = new Life(this.time);
    this.run = run;
    run.after(this.pace.start(), () => {
      const { disk } = this;
      if (disk.isBeingCloned) {
        disk.isBeingCloned = false;
        if (this.chance.happens(0.5)) {
          disk.executed = NO_GTIDS;
          disk.purged = NO_GTIDS;
        }
      }
      // What is in the log was committed, whether or not anybody was told.
      for (const transaction of disk.log) {
        if (!contains(disk.executed, transaction)) {
          disk.execute(transaction);
        }
      }
      this.isUp = true;
      const { whenUp } = this;
      this.whenUp = [];
      for (const tell of whenUp) {
        tell();
      }
    });
  }

  /** Ends its process at once. Whoever waits for a commit is told nothing. */
  end(): void {
    const { run } = this;
    if (run === undefined) {
      return;
    }
    this.run = undefined;
    this.isUp = false;
    this.isReadOnly = true;
    this.isSuperReadOnly = true;
    this.isClosing = false;
    this.isSemiSyncEnabled = false;
    this.isSemiSyncOn = false;
    const { waiters } = this;
    this.waiters = [];
    this.isReceiving = false;
    this.isApplying = false;
    this.isApplyPlanned = false;
    this.hasReceiverFailed = false;
    this.applierError = undefined;
    this.heardAt = undefined;
    this.isDonating = false;
    this.isCloning = false;
    this.disconnect();
    for (const connection of [...this.replicas]) {
      connection.replica.lostSource(connection);
    }
    this.replicas.clear();
    run.end();
    for (const { done, transaction } of waiters) {
      done("failed", transaction);
    }
    this.ended();
  }

  /** What SIGTERM does: whoever waits for a commit is told that it is done. */
  terminate(): void {
    this.release(this.waiters, "alone");
    this.end();
  }

  // --- Writing

  private nextNumber(): number {
    const { uuid, executed, log } = this.disk;
    const last = executed.get(uuid)?.at(-1)?.[1] ?? 0;
    return (
      log.reduce(
        (most, { source, number }) => (source === uuid ? Math.max(most, number) : most),
        last,
      ) + 1
    );
  }

  private own(change: Transaction["change"], more: Partial<Transaction> = {}): Transaction {
    return { source: this.disk.uuid, number: this.nextNumber(), change, ...more };
  }

  /** A write of the app's. */
  write(done: (written: Written, transaction: Transaction) => void): void {
    // A commit that waits for the disk when the server is killed was not done.
    if (this.takesWrites && !this.isClosing && !this.isDiskHung) {
      this.commit("row", done);
    }
  }

  private commit(
    change: Transaction["change"],
    done: (written: Written, transaction: Transaction) => void,
  ): void {
    const transaction = this.own(change);
    const { disk } = this;
    const position = disk.log.push(transaction);
    for (const connection of this.replicas) {
      this.pump(connection);
    }
    if (!this.isSemiSyncEnabled || !this.isSemiSyncOn) {
      disk.execute(transaction);
      done("alone", transaction);
      return;
    }
    const waiter = { transaction, position, done };
    this.waiters.push(waiter);
    if (this.durability === "available" && !this.isAutomatic) {
      this.run?.after(1_000, () => {
        if (this.waiters.includes(waiter)) {
          this.isSemiSyncOn = false;
          this.release(this.waiters, "alone");
        }
      });
    }
  }

  /** What somebody writes here who lifted its protection. */
  stray(change: "row" | "none"): Transaction {
    const transaction = this.own(change);
    this.disk.log.push(transaction);
    this.disk.execute(transaction);
    return transaction;
  }

  /** A statement that is noted in the log and changes no row, on the primary. */
  flush(): void {
    this.commit("none", () => undefined);
  }

  private release(released: readonly Waiter[], written: Written): void {
    this.waiters = this.waiters.filter((waiter) => !released.includes(waiter));
    for (const { transaction, done } of released) {
      this.disk.execute(transaction);
      done(written, transaction);
    }
  }

  private setSemiSync(isEnabled: boolean): void {
    this.isSemiSyncEnabled = isEnabled;
    this.isSemiSyncOn = isEnabled;
    if (!isEnabled) {
      this.release(this.waiters, "alone");
    }
  }

  private open(): void {
    const wasOpen = !this.isReadOnly;
    this.isSuperReadOnly = false;
    this.isReadOnly = false;
    if (!wasOpen) {
      this.opened();
    }
  }

  /** Refuses writes once none waits any more; gives up after two seconds. */
  private refuse(run: Life, isSuper: boolean, done: (hasDone: boolean) => void): void {
    const until = this.time.now + 2_000;
    this.isClosing = true;
    const look = () => {
      if (this.waiters.length === 0) {
        this.isClosing = false;
        this.isReadOnly = true;
        this.isSuperReadOnly ||= isSuper;
        done(true);
      } else if (this.time.now >= until) {
        this.isClosing = false;
        done(false);
      } else {
        run.after(50, look);
      }
    };
    run.after(this.pace.statement(), look);
  }

  // --- Replicating

  private isHealthy(connection: Connection): boolean {
    const { source, replica } = connection;
    return (
      connection.isAlive &&
      source.isUp &&
      source.run?.isFrozen === false &&
      replica.run?.isFrozen === false &&
      this.network.isOpen(replica.host, source.host)
    );
  }

  /** Notes what it hears before something in the world changes. */
  noteHeard(): void {
    if (this.connection !== undefined && this.isHealthy(this.connection)) {
      this.heardAt = this.time.now;
    }
  }

  /** Looks what became of its connection after something in the world has changed. */
  noteChange(): void {
    const { connection, run } = this;
    if (connection === undefined || run === undefined) {
      return;
    }
    if (this.isHealthy(connection)) {
      this.pump(connection);
      return;
    }
    const { heardAt } = this;
    run.after(5_000, () => {
      if (
        this.connection === connection &&
        !this.isHealthy(connection) &&
        this.heardAt === heardAt
      ) {
        this.disconnect();
        this.connectLater(0);
      }
    });
  }

  private disconnect(): void {
    const { connection } = this;
    this.connection = undefined;
    if (connection !== undefined) {
      connection.isAlive = false;
      const { source } = connection;
      const forget = () => source.replicas.delete(connection);
      if (this.network.isOpen(this.host, source.host) && this.run !== undefined) {
        forget();
      } else {
        // Nobody told the source.
        source.run?.after(10_000, forget);
      }
    }
  }

  private lostSource(connection: Connection): void {
    if (this.connection === connection) {
      this.heardAt = this.time.now;
      this.connection = undefined;
      connection.isAlive = false;
      this.connectLater(1_000);
    }
  }

  private connectLater(milliseconds: number): void {
    this.run?.after(milliseconds, () => this.connect());
  }

  private connect(): void {
    const { disk } = this;
    if (!this.isReceiving || this.connection !== undefined || disk.source === undefined) {
      return;
    }
    const source = this.network.server(disk.source);
    if (
      source === undefined ||
      !source.isUp ||
      source.run?.isFrozen !== false ||
      !this.network.isOpen(this.host, source.host)
    ) {
      this.connectLater(1_000);
      return;
    }
    const here = union(disk.executed, disk.received);
    const { uuid, executed, log, purged } = source.disk;
    const isThere = union(executed, gtidsOf(log));
    if (!isSubset(purged, here) || !isSubset(writtenBy(here, uuid), writtenBy(isThere, uuid))) {
      this.hasReceiverFailed = true;
      this.isReceiving = false;
      return;
    }
    for (const old of [...source.replicas]) {
      if (old.replica === this) {
        source.replicas.delete(old);
      }
    }
    const connection = { replica: this, source, position: 0, isPumping: false, isAlive: true };
    this.connection = connection;
    this.heardAt = this.time.now;
    source.replicas.add(connection);
    this.pump(connection);
  }

  /** Brings what the source has in its log to the replica, and its acknowledgement back. */
  private pump(connection: Connection): void {
    const { replica, source } = connection;
    if (connection.isPumping || replica.run === undefined) {
      return;
    }
    connection.isPumping = true;
    replica.run.after(this.pace.deliver(), () => {
      connection.isPumping = false;
      if (!this.isHealthy(connection)) {
        return;
      }
      const { disk } = replica;
      for (const transaction of source.disk.log.slice(connection.position)) {
        if (!contains(disk.executed, transaction) && !contains(disk.received, transaction)) {
          disk.relay.push({ transaction, at: this.time.now });
          disk.received = added(disk.received, transaction);
        }
      }
      connection.position = source.disk.log.length;
      replica.applyLater();
      const position = connection.position;
      source.run?.after(this.pace.deliver(), () => {
        if (this.isHealthy(connection)) {
          source.acknowledged(position);
        }
      });
    });
  }

  private acknowledged(position: number): void {
    this.acknowledgedCount += this.waiters.filter((waiter) => waiter.position <= position).length;
    this.release(
      this.waiters.filter((waiter) => waiter.position <= position),
      "copied",
    );
    if (this.isSemiSyncEnabled && position >= this.disk.log.length) {
      this.isSemiSyncOn = true;
    }
  }

  private applyLater(): void {
    if (
      !this.isApplying ||
      this.isApplyPlanned ||
      (this.disk.relay.length === 0 && !this.disk.isCutOff)
    ) {
      return;
    }
    this.isApplyPlanned = true;
    this.run?.after(this.pace.apply(), () => {
      this.isApplyPlanned = false;
      const { disk } = this;
      while (this.isApplying && disk.relay.length > 0) {
        if (disk.isDamaged) {
          this.applierError = "conflict";
          this.isApplying = false;
          return;
        }
        const { transaction } = disk.relay.shift() as (typeof disk.relay)[number];
        if (!contains(disk.executed, transaction)) {
          disk.execute(transaction);
          disk.log.push(transaction);
          for (const connection of this.replicas) {
            this.pump(connection);
          }
        }
      }
      if (this.isApplying && disk.isCutOff) {
        this.applierError = "cut off";
        this.isApplying = false;
      }
    });
  }

  private stopReplica(): void {
    this.noteHeard();
    this.isReceiving = false;
    this.isApplying = false;
    this.disconnect();
  }

  private resetReplica(): void {
    this.stopReplica();
    this.disk.source = undefined;
    this.disk.forgetRelayLog();
    this.applierError = undefined;
    this.hasReceiverFailed = false;
    this.heardAt = undefined;
  }

  // --- What it says

  state(): ServerState {
    const { disk } = this;
    const isRunning = this.isReceiving && this.isApplying;
    const hasFailed = this.hasReceiverFailed || this.applierError === "conflict";
    const replication = isRunning ? "running" : hasFailed ? "failed" : "stopped";
    const hasAllApplied = isSubset(disk.received, disk.executed);
    this.noteHeard();
    return {
      state: disk.term > 0 ? "member" : disk.executed.size === 0 ? "empty" : "partial",
      writability: this.writability,
      term: disk.term,
      primary: disk.primary,
      serverUuid: disk.uuid,
      executed: disk.executed,
      purged: disk.purged,
      received: disk.received,
      source: disk.source,
      replication,
      hasApplied: hasAllApplied || (this.applierError === "cut off" && replication !== "running"),
      silentSeconds:
        this.heardAt === undefined
          ? Number.POSITIVE_INFINITY
          : Math.floor((this.time.now - this.heardAt) / 1000),
      lagSeconds: hasAllApplied ? 0 : Math.floor((this.time.now - (disk.relay[0]?.at ?? 0)) / 1000),
      semiSync: this.isSemiSyncOn,
      semiSyncReplicas: this.replicas.size,
    };
  }

  // --- What scripts ask of it

  /** Whether it closed; one that does not is to be killed. */
  close(life: Life): Promise<boolean> {
    return ask<boolean>(life, this.run, 3_000, (run, done) => {
      if (this.isUp) {
        this.refuse(run, true, (hasDone) => done(() => hasDone));
      }
    }).catch(() => false);
  }

  follow(life: Life, source: string): Promise<void> {
    return ask(life, this.connectable, 30_000, (run, done) =>
      run.after(this.pace.statement(), () => {
        this.stopReplica();
        this.refuse(run, true, () => {
          this.resetReplica();
          this.disk.source = source;
          this.isReceiving = true;
          this.isApplying = true;
          this.connectLater(5);
          done(() => undefined);
        });
      }),
    );
  }

  /** Ends in a restart of the server. */
  async clone(life: Life, donor: FakeMysql | undefined): Promise<void> {
    let isCloned = false;
    this.isCloning = true;
    await ask<void>(life, this.connectable, Number.POSITIVE_INFINITY, (run, done) =>
      run.after(this.pace.statement(), () => {
        const fail = (because: string) =>
          done(() => {
            throw new Error(`the clone failed: ${because}`);
          });
        this.resetReplica();
        this.isSuperReadOnly = false;
        const donorRun = donor?.run;
        const canReach = () =>
          donor?.isUp &&
          donor.run === donorRun &&
          donorRun?.isFrozen === false &&
          this.network.isOpen(this.host, donor.host);
        if (donor === undefined || !canReach() || donor.writability === "closed") {
          return fail("no donor");
        }
        if (donor.isDonating) {
          return fail("concurrent clone");
        }
        donor.isDonating = true;
        const end = run.whenEnded(() => {
          donor.isDonating = false;
        });
        const parts = 4;
        const duration = this.pace.clone();
        const goOn = (part: number) =>
          run.after(duration / parts, () => {
            if (!canReach()) {
              donor.isDonating = false;
              end();
              return fail("the donor is gone");
            }
            if (part === 1) {
              this.disk.drop();
            }
            if (part < parts) {
              return goOn(part + 1);
            }
            // The donor's commits and the clone wait for each other.
            if (donor.waiters.length > 0) {
              return goOn(part);
            }
            donor.isDonating = false;
            this.disk.copy(donor.disk);
            isCloned = true;
            this.clones++;
            this.end();
          });
        goOn(1);
      }),
    )
      .catch((error: Error) => {
        if (!isCloned) {
          throw error;
        }
      })
      .finally(() => {
        this.isCloning = false;
      });
    await this.up(life);
  }

  private up(life: Life): Promise<void> {
    return new Promise((resolve) => {
      const tell = () => life.enter(resolve);
      if (this.isUp) {
        tell();
      } else {
        this.whenUp.push(tell);
      }
    });
  }

  /** An ordinary transaction of root's. */
  record(life: Life): Promise<void> {
    return ask(life, this.connectable, 20_000, (run, done) =>
      run.after(this.pace.statement(), () => {
        if (this.isSuperReadOnly) {
          done(() => {
            throw new Error("it is closed");
          });
        } else {
          this.commit("row", () => done(() => undefined));
        }
      }),
    );
  }

  private lookSlowly(life: Life): Promise<ServerState> {
    return ask<ServerState>(life, this.connectable, 1_000, (run, done) =>
      run.after(this.pace.look(), () => done(() => this.state())),
    ).catch(() => UNKNOWN_SERVER);
  }

  private get connectable(): Life | undefined {
    return this.isUp ? this.run : undefined;
  }

  // --- What the agent asks of it

  /** @param life the agent's */
  askedBy(life: Life): Server {
    const statement = (limit: number, act: () => void) =>
      ask<void>(life, this.connectable, limit, (run, done) =>
        run.after(this.pace.statement(), () => done(act)),
      );
    return {
      look: () =>
        this.pace.look() === 0 && this.isUp && this.run?.isFrozen === false
          ? Promise.resolve(this.state())
          : this.lookSlowly(life),
      hangUp: () => undefined,
      isRunning: async () => this.run !== undefined,
      otherTables: async () => {
        if (this.connectable?.isFrozen !== false) {
          throw new Error("there is no server");
        }
        return this.otherTables;
      },
      version: async () => "8.4.0",
      shut: (milliseconds) =>
        ask<boolean>(life, this.run, milliseconds, (run, done) => {
          if (this.isUp) {
            this.refuse(run, true, (hasDone) => done(() => hasDone));
          } else {
            done(() => true);
          }
        })
          .catch(() => false)
          .then((isClosed) => {
            if (!isClosed) {
              this.end();
            }
            return true;
          }),
      acknowledgements: () =>
        ask<PrimaryState>(life, this.connectable, 900, (run, done) =>
          run.after(1, () =>
            done(() => ({
              writability: this.writability,
              executed: this.disk.executed,
              isOn: this.isSemiSyncEnabled && this.isSemiSyncOn,
              clients: this.replicas.size,
              waiting: this.waiters.length,
              acknowledged: this.acknowledgedCount,
            })),
          ),
        ),
      promote: ({ waitForReplica, open, outrankUnheard, term: given }) =>
        ask<void>(life, this.connectable, 30_000, (run, done) =>
          run.after(this.pace.statement(), () => {
            this.resetReplica();
            this.setSemiSync(false);
            this.isSuperReadOnly = false;
            const next = this.disk.term + 1;
            const counted = outrankUnheard ? Math.max(next, millisecondsAt(this.time)) : next;
            const term = given ?? counted;
            const transaction = this.own("term", { term, host: this.host });
            this.disk.log.push(transaction);
            this.disk.execute(transaction);
            run.after(this.pace.statement(), () => {
              if (waitForReplica) {
                this.setSemiSync(true);
              }
              if (open) {
                this.open();
              }
              done(() => undefined);
            });
          }),
        ),
      admit: (writability, wait) =>
        statement(30_000, () => {
          this.resetReplica();
          this.setSemiSync(wait);
          if (writability === "open") {
            this.open();
          } else {
            this.isSuperReadOnly = false;
          }
        }),
      refuseWrites: () =>
        ask<void>(life, this.connectable, 5_000, (run, done) =>
          this.refuse(run, false, (hasDone) =>
            done(() => {
              if (!hasDone) {
                throw new Error("Lock wait timeout exceeded");
              }
            }),
          ),
        ),
      waitForReplica: (wait) => statement(5_000, () => this.setSemiSync(wait)),
      apply: () =>
        statement(10_000, () => {
          if (this.disk.source === undefined) {
            throw new Error("The server is not configured as replica");
          }
          this.noteHeard();
          this.isReceiving = false;
          this.disconnect();
          this.isApplying = true;
          this.applierError = undefined;
          this.applyLater();
        }),
      stopReplicating: () => statement(10_000, () => this.stopReplica()),
      forget: (transactions, executedByPrimary) =>
        ask<boolean>(life, this.connectable, 30_000, (run, done) =>
          run.after(this.pace.statement(), () =>
            done(() => {
              this.stopReplica();
              const { disk } = this;
              const rest = subtract(disk.executed, transactions);
              if (writtenBy(subtract(rest, executedByPrimary), disk.uuid).size > 0) {
                return false;
              }
              if (!isSubset(disk.received, union(disk.executed, executedByPrimary))) {
                return false;
              }
              this.resetReplica();
              disk.executed = rest;
              disk.purged = rest;
              disk.log = [];
              disk.applied = disk.applied.filter((one) => contains(rest, one));
              for (const connection of [...this.replicas]) {
                connection.replica.lostSource(connection);
              }
              this.replicas.clear();
              return true;
            }),
          ),
        ),
    };
  }
}
