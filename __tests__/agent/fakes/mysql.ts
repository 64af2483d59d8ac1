import { isSubset, NO_GTIDS, subtract, union, writtenBy } from "../../../agent/gtid-set";
import type { PrimaryState, Server, Wait } from "../../../agent/mysql";
import { type ServerState, UNKNOWN_SERVER } from "../../../agent/state";
import type { Chance } from "../../../drill/chance";
import { ask } from "./ask";
import { contains, type Disk, type Transaction } from "./disk";
import { type ReplicatingServer, Replication } from "./replication";
import { Life, millisecondsAt, type VirtualTime } from "./time";

// A model of a MySQL server: what it has executed, what it writes into its log and sends to its replicas, when it waits
// for them, and what of all this outlives its end. What the model says of MySQL is in docs/database.md.

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

/** The server of a host, over all its runs. */
export class FakeMysql implements ReplicatingServer {
  run: Life | undefined;
  readonly replication: Replication;
  isUp = false;
  isReadOnly = true;
  isSuperReadOnly = true;
  /** While it closes, no further write begins. */
  private isClosing = false;
  private isSemiSyncEnabled = false;
  private isSemiSyncOn = false;
  private waitsForEver = true;
  private waiters: Waiter[] = [];
  private acknowledgedCount = 0;
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
    private readonly pace: Pace,
    private readonly network: Network,
    private readonly chance: Chance,
  ) {
    this.replication = new Replication(this, time, pace, network);
  }

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
    this.waitsForEver = true;
    const { waiters } = this;
    this.waiters = [];
    this.isDonating = false;
    this.isCloning = false;
    this.replication.end();
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
    this.replication.send();
    if (!this.isSemiSyncEnabled || !this.isSemiSyncOn) {
      disk.execute(transaction);
      done("alone", transaction);
      return;
    }
    const waiter = { transaction, position, done };
    this.waiters.push(waiter);
    if (!this.waitsForEver) {
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

  acknowledged(position: number): void {
    this.acknowledgedCount += this.waiters.filter((waiter) => waiter.position <= position).length;
    this.release(
      this.waiters.filter((waiter) => waiter.position <= position),
      "copied",
    );
    if (this.isSemiSyncEnabled && position >= this.disk.log.length) {
      this.isSemiSyncOn = true;
    }
  }

  /** Whether no commit ends without a replica, however long that takes. */
  get waitsWithoutEnd(): boolean {
    return this.isSemiSyncEnabled && this.isSemiSyncOn && this.waitsForEver;
  }

  private setSemiSync(wait: Wait): void {
    const isEnabled = wait !== "no";
    this.waitsForEver = isEnabled ? wait === "for-ever" : this.waitsForEver;
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

  // --- What it says

  state(): ServerState {
    const { disk, replication } = this;
    const hasAllApplied = isSubset(disk.received, disk.executed);
    this.replication.noteHeard();
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
      replication: replication.status,
      hasApplied: hasAllApplied || replication.isCutOff,
      silentSeconds: replication.silentSeconds,
      lagSeconds: hasAllApplied ? 0 : Math.floor((this.time.now - (disk.relay[0]?.at ?? 0)) / 1000),
      semiSync: this.isSemiSyncOn,
      waitsForEver: this.waitsForEver,
      semiSyncReplicas: replication.replicas.size,
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
        this.replication.stop();
        this.refuse(run, true, () => {
          this.replication.reset();
          this.setSemiSync("no");
          this.disk.source = source;
          this.replication.start();
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
        this.replication.reset();
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
              isOn: this.waitsWithoutEnd,
              clients: this.replication.replicas.size,
              waiting: this.waiters.length,
              acknowledged: this.acknowledgedCount,
            })),
          ),
        ),
      promote: ({ wait, open, outrankUnheard, term: given }) =>
        ask<void>(life, this.connectable, 30_000, (run, done) =>
          run.after(this.pace.statement(), () => {
            this.replication.reset();
            this.setSemiSync("no");
            this.isSuperReadOnly = false;
            const next = this.disk.term + 1;
            const counted = outrankUnheard ? Math.max(next, millisecondsAt(this.time)) : next;
            const term = given ?? counted;
            const transaction = this.own("term", { term, host: this.host });
            this.disk.log.push(transaction);
            this.disk.execute(transaction);
            run.after(this.pace.statement(), () => {
              if (wait !== "no") {
                this.setSemiSync(wait);
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
          this.replication.reset();
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
          this.replication.applyReceived();
        }),
      stopReplicating: () => statement(10_000, () => this.replication.stop()),
      forget: (transactions, executedByPrimary) =>
        ask<boolean>(life, this.connectable, 30_000, (run, done) =>
          run.after(this.pace.statement(), () =>
            done(() => {
              this.replication.stop();
              const { disk } = this;
              const rest = subtract(disk.executed, transactions);
              if (writtenBy(subtract(rest, executedByPrimary), disk.uuid).size > 0) {
                return false;
              }
              if (!isSubset(disk.received, union(disk.executed, executedByPrimary))) {
                return false;
              }
              this.replication.reset();
              disk.executed = rest;
              disk.purged = rest;
              disk.log = [];
              disk.applied = disk.applied.filter((one) => contains(rest, one));
              this.replication.dropReplicas();
              return true;
            }),
          ),
        ),
    };
  }
}
