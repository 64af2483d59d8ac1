import { isSubset, subtract, writtenBy } from "../../../agent/gtid-set";
import { Cluster, type Link } from "./cluster";
import type { Transaction } from "./disk";
import { type Counts, FaultSchedule, type WeightedFault } from "./fault-schedule";
import type { Host } from "./host";
import { Operator } from "./operator";
import { secondsAt } from "./time";

// One schedule of faults over three hosts, drawn by a seed, and what must hold all the while (docs/invariants.md).

/** A write whose writer was told that it is done. */
interface Acknowledged {
  readonly transaction: Transaction;
  readonly at: number;
  /** Whether a replica had it when it was acknowledged. */
  readonly isCopied: boolean;
  /** Whether it was taken by a host that somebody had vouched for to be closed. */
  readonly isVouchedAway: boolean;
}

const LINKS: readonly Link[] = [
  "cut",
  "cut",
  "cut",
  "hanging",
  "slow",
  "half",
  "garbage",
  "another",
];

/** How long a host that was vouched for, and goes on, may take to close once it can see the newer primary, in milliseconds. */
const CLOSES_WITHIN = 12_000;

/** How long the cluster may take until all is well again, in milliseconds. */
const WELL_WITHIN = 150_000;

export class Schedule extends FaultSchedule {
  readonly cluster: Cluster;
  private readonly operator: Operator;
  private readonly acknowledged: Acknowledged[] = [];
  /** Rows that somebody wrote where he should not have. */
  private readonly strays: Transaction[] = [];
  /** What was on volumes that were lost. */
  private readonly gone = new Set<Transaction>();
  /** When all faults had ended, in milliseconds. */
  private endedAt = Number.POSITIVE_INFINITY;

  constructor(seed: number, counts: Counts) {
    super(seed, counts, 8_000);
    const { chance } = this;
    const isLagging = chance.happens(0.3);
    this.cluster = new Cluster(chance.happens(0.5) ? "lossless" : "available", 3, chance, {
      look: () => (chance.happens(0.1) ? 2 : chance.happens(0.02) ? chance.between(100, 1_100) : 0),
      statement: () => chance.between(1, 20),
      deliver: () => chance.between(1, 3),
      apply: () => (isLagging && chance.happens(0.3) ? chance.between(200, 4_000) : 1),
      clone: () => chance.between(300, 2_000),
      start: () => chance.between(100, 600),
      boot: () => chance.between(200, 900),
    });
    this.operator = new Operator(this.cluster, (step) => this.say(step));
    const { cluster } = this;
    cluster.time.betweenSteps = () => this.check();
    cluster.whenOpened = (host) => {
      this.count("opened");
      this.checkWrites(host);
    };
    cluster.whenFounding = (host, seen) => {
      this.count("founded");
      if (seen.some(({ state }) => state !== "empty")) {
        this.fail(`${host.name} founds while a peer is unknown or holds data`);
      }
      if (cluster.hosts.some(({ disk }) => disk.applied.length > 0)) {
        this.fail(`${host.name} founds a second cluster`);
      }
    };
  }

  // --- What must hold

  private check(): void {
    this.throwIfWrong();
    const { cluster, operator } = this;
    let open: Host | undefined;
    for (const host of cluster.hosts) {
      const isAnswering =
        host.agentLife !== undefined &&
        !host.agentLife.isFrozen &&
        host.mysql.run?.isFrozen !== true;
      if (!isAnswering) {
        host.healthPort.toldAt = cluster.time.now;
      } else if (cluster.time.now - host.healthPort.toldAt > 3_000) {
        this.fail(`${host.name} has answered nothing for three seconds`);
      }
      // One that goes on may be open until it sees the newer primary.
      if (operator.vouched.has(host) && !host.isFrozen) {
        const hasClosed = !host.mysql.takesWrites && host.mysql.run?.isFrozen !== true;
        if (hasClosed || cluster.time.now > this.endedAt + CLOSES_WITHIN) {
          operator.vouched.delete(host);
        }
      }
      if (host.mysql.takesWrites && !operator.vouched.has(host)) {
        if (open !== undefined) {
          this.fail(`${open.name} and ${host.name} both take writes`);
        }
        open = host;
      }
    }
  }

  /** Whether a promotion that ended after the write was acknowledged may have lost it. */
  private mayBeLost({ at, isCopied, isVouchedAway }: Acknowledged): boolean {
    return this.operator.promotions.some(
      ({ endedAt, acceptLoss, lost }) =>
        (endedAt >= at && (acceptLoss || (!isCopied && lost.length > 0))) || isVouchedAway,
    );
  }

  /** Every acknowledged write is on the primary, but where somebody let it go. */
  private checkWrites(primary: Host): void {
    this.failIfLost(
      primary,
      this.acknowledged.filter((write) => !this.mayBeLost(write)),
    );
  }

  private checkEnd(): void {
    const [primary] = this.cluster.open;
    if (primary === undefined) {
      throw new Error("no primary");
    }
    this.checkWrites(primary);
    for (const { name, disk } of this.cluster.hosts) {
      const data = new Set(disk.applied);
      if (primary.disk.applied.some((one) => !data.has(one))) {
        this.fail(`${name} follows ${primary.name}, and holds other data`);
      }
    }
    const kept = new Set(
      this.cluster.hosts.flatMap(({ setAside, disk }) => [...setAside, ...disk.applied]),
    );
    const lost = [...this.acknowledged.map(({ transaction }) => transaction), ...this.strays].find(
      (one) => !kept.has(one) && !this.gone.has(one),
    );
    if (lost !== undefined) {
      this.fail(`${lost.source}:${lost.number} is on no host, nor set aside in a file`);
    }
  }

  // --- What happens

  private writeForEver(): void {
    const { cluster, chance } = this;
    let claims: Host[] = [];
    const write = () => {
      const before = claims;
      claims = cluster.hosts.filter(
        (host) => host.isOn && !host.isFrozen && host.healthPort.answers?.primary === true,
      );
      // The balancer's checks are up to half a second old.
      const known = chance.happens(0.5) ? before : claims;
      const [host, ...more] = known;
      if (host !== undefined && more.length === 0 && host.isOn && !host.isFrozen) {
        const isVouchedAway = this.operator.vouched.has(host);
        host.mysql.write((written, transaction) => {
          if (written !== "failed") {
            this.count(written === "copied" ? "acknowledged by a replica" : "acknowledged alone");
            this.acknowledged.push({
              transaction,
              at: cluster.time.now,
              isCopied: written === "copied",
              isVouchedAway: isVouchedAway || this.operator.vouched.has(host),
            });
          }
        });
      }
      cluster.time.after(chance.between(300, 900), write);
    };
    write();
  }

  private powerOff(host: Host): void {
    this.say(`${host.name} is powered off`);
    this.cluster.change(() => host.powerOff());
    this.powerOnLater(host, this.chance.between(500, 12_000));
  }

  /** Nobody switches on what somebody vouches for to be off. */
  private powerOnLater(host: Host, milliseconds: number): void {
    this.cluster.time.after(milliseconds, () => {
      if (this.operator.isBusy) {
        this.powerOnLater(host, 500);
      } else if (!host.isOn) {
        this.say(`${host.name} is powered on`);
        this.cluster.change(() => host.powerOn());
      }
    });
  }

  private loseVolume(host: Host): void {
    const others = this.cluster.hosts.filter((one) => one !== host);
    if (host.isOn || !others.every(({ disk }) => disk.term > 0)) {
      return;
    }
    this.say(`${host.name} loses its volume`);
    this.discard(host);
  }

  private discard(host: Host): void {
    const { disk, setAside } = host;
    for (const one of [...disk.applied, ...disk.log, ...setAside]) {
      this.gone.add(one);
    }
    for (const { transaction } of disk.relay) {
      this.gone.add(transaction);
    }
    host.loseVolume();
  }

  private wish(verb: "promote" | "switchover", acceptLoss: boolean, fences: boolean): void {
    const { operator, chance, cluster } = this;
    if (operator.isBusy) {
      return;
    }
    const candidate = chance.happens(0.6) ? chance.oneOf(cluster.hosts).name : undefined;
    this.say(`operator: ${verb} ${candidate ?? ""}${acceptLoss ? " --accept-loss" : ""}`);
    operator.wishes({ verb, candidate, acceptLoss, fences }).then((how) => {
      this.count(/(promoted|refused|failed|released)/.exec(how)?.[1] ?? "nothing to do");
      this.say(`operator: ${how}`);
    });
  }

  private fault(): void {
    const { chance, cluster } = this;
    const primary = cluster.open[0];
    const host =
      primary !== undefined && chance.happens(0.3) ? primary : chance.oneOf(cluster.hosts);
    const other = chance.oneOf(cluster.hosts.filter((one) => one !== host));
    const { mysql } = host;
    const kinds: WeightedFault[] = [
      [4, () => this.powerOff(host)],
      [
        4,
        () => {
          // What a promotion is for.
          if (primary !== undefined) {
            this.powerOff(primary);
            cluster.time.after(chance.between(200, 3_000), () =>
              this.wish("promote", false, chance.happens(0.5)),
            );
          }
        },
      ],
      [2, () => this.killServer(host)],
      [2, () => this.restartServer(host)],
      [2, () => this.hangServer(host)],
      [3, () => this.freeze(host)],
      [2, () => this.hangAgent(host)],
      [1, () => this.killAgent(host)],
      [
        6,
        () => {
          const link = chance.oneOf(LINKS);
          this.forAWhile(
            `from ${host.name} to ${other.name} it is ${link}`,
            () => cluster.setLink(host.name, other.name, link),
            () => cluster.setLink(host.name, other.name, "open"),
          );
        },
      ],
      [
        1,
        () =>
          this.forAWhile(
            `${host.name} has no room`,
            () => {
              host.hasRoom = false;
            },
            () => {
              host.hasRoom = true;
            },
          ),
      ],
      [
        1,
        () => {
          const isReplica = host.disk.term > 0 && host.disk.primary !== host.name;
          if (mysql.isUp && !mysql.isCloning && mysql.writability === "closed" && isReplica) {
            const change = chance.oneOf(["row", "none"] as const);
            this.say(`somebody writes on ${host.name}: ${change}`);
            const stray = mysql.stray(change);
            if (change === "row") {
              this.strays.push(stray);
            }
          }
        },
      ],
      [
        1,
        () => {
          if (host.disk.primary !== host.name && host.disk.source !== undefined) {
            this.say(`the data of ${host.name} no longer fits`);
            host.disk.isDamaged = true;
          }
        },
      ],
      [1, () => this.loseVolume(host)],
      [3, () => this.wish("switchover", false, false)],
      [4, () => this.wish("promote", chance.happens(0.2), chance.happens(0.5))],
    ];
    this.draw(kinds);
  }

  // --- How it ends

  /** Whether the design leaves it to a person who is to be primary. */
  private get needsOperator(): boolean {
    const members = this.cluster.hosts.filter(({ disk }) => disk.term > 0);
    const newest = Math.max(...members.map(({ disk }) => disk.term));
    const named = members.find(({ name, disk }) => disk.term === newest && disk.primary === name);
    if (members.length === 0) {
      return false;
    }
    if (named === undefined || named.isHeld) {
      return true;
    }
    return members.some(({ disk }) => {
      const elsewhere = subtract(disk.executed, writtenBy(disk.executed, disk.uuid));
      return !isSubset(elsewhere, named.disk.executed);
    });
  }

  /** What a person has to judge before a host can go on: its data is replaced. */
  private get stuck(): Host | undefined {
    return this.cluster.hosts.find(({ healthPort }) => {
      const state = healthPort.answers?.state;
      const isStuck = state?.decision === "errant" || state?.decision === "set-aside";
      return isStuck && secondsAt(this.cluster.time) - state.since > 15;
    });
  }

  private async untilWell(): Promise<void> {
    const { cluster, operator } = this;
    const { time } = cluster;
    const until = time.now + WELL_WITHIN;
    let leftSince = time.now;
    let helps = 0;
    for (;;) {
      if (cluster.isInSync && !operator.isBusy) {
        return;
      }
      if (time.now > until) {
        this.fail(`not well after ${WELL_WITHIN / 1000} s, and a person helped ${helps} times`);
      }
      // Somebody who was vouched for is open by an older term, and its successor is not.
      const waitsForClose = cluster.hosts.some(
        ({ healthPort }) => healthPort.answers?.state.decision === "wait-for-close",
      );
      const isLeftToUs = cluster.open.length > 0 ? waitsForClose : this.needsOperator;
      if (operator.isBusy || !isLeftToUs) {
        leftSince = time.now;
      } else if (time.now - leftSince > 4_000) {
        this.count("needed a person");
        helps++;
        leftSince = time.now;
        this.wish("promote", true, false);
      }
      for (const host of cluster.hosts) {
        // Whoever was stopped to be known closed is wanted back.
        if (!host.isOn && !operator.isBusy) {
          this.say(`${host.name} is powered on`);
          cluster.change(() => host.powerOn());
        }
      }
      const { stuck } = this;
      if (stuck !== undefined) {
        this.count("volume replaced");
        this.say(`a person replaces the volume of ${stuck.name}`);
        cluster.change(() => stuck.powerOff());
        this.discard(stuck);
        cluster.change(() => stuck.powerOn());
      }
      await time.pass(200);
    }
  }

  protected async go(): Promise<void> {
    const { cluster, chance } = this;
    const { time } = cluster;
    const isNew = chance.happens(0.15);
    if (!isNew) {
      cluster.stand();
    }
    for (const host of cluster.hosts) {
      time.after(chance.between(0, isNew ? 3_000 : 200), () =>
        cluster.change(() => host.powerOn()),
      );
    }
    this.writeForEver();
    if (!isNew) {
      await time.pass(1_700);
    }
    const faults = chance.between(2, 6);
    for (let index = 0; index < faults; index++) {
      this.fault();
      await time.pass(chance.between(50, chance.happens(0.3) ? 3_000 : 800));
    }
    // What is to end by itself ends sooner or later; here it is the end of all of it.
    await time.pass(chance.between(0, 1_000));
    this.say("all faults end");
    this.endedAt = time.now;
    cluster.healLinks();
    for (const host of cluster.hosts) {
      cluster.change(() => {
        host.thaw();
        host.hasRoom = true;
      });
    }
    await this.untilWell();
    this.checkEnd();
    this.check();
    this.count("well");
    this.count("set aside", cluster.hosts.filter(({ setAside }) => setAside.length > 0).length);
    this.count(
      "cloned",
      cluster.hosts.reduce((sum, { mysql }) => sum + mysql.clones, 0),
    );
    this.count("virtual seconds", time.now / 1000);
  }
}
