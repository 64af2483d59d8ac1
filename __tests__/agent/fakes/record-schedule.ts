import { Cluster, type Link } from "./cluster";
import type { Transaction } from "./disk";
import { type Counts, FaultSchedule, type WeightedFault } from "./fault-schedule";
import type { Host } from "./host";

// One schedule of faults over database hosts that fail over by themselves, drawn by a seed, and what must hold all the
// while: docs/invariants.md and docs/failover.md.

interface Acknowledged {
  readonly transaction: Transaction;
  readonly at: number;
  /** Whether a replica that the record names had it, or whether the record names none. */
  readonly isCovered: boolean;
}

/** How long the cluster may take until all is well again after the last fault, in milliseconds. */
const WELL_WITHIN = 90_000;

/** How long a write may wait if the only fault is one that the cluster answers by a failover, in milliseconds. */
const FIRST_WRITE_WITHIN = 6_000;

export class RecordSchedule extends FaultSchedule {
  readonly cluster: Cluster;
  private readonly acknowledged: Acknowledged[] = [];
  private readonly holders = new Map<number, string>();

  constructor(seed: number, counts: Counts) {
    super(seed, counts, 12_000);
    const { chance } = this;
    const isLagging = chance.happens(0.2);
    const isSlow = chance.happens(0.4);
    const durability = chance.happens(0.4) ? "lossless" : "available";
    this.cluster = new Cluster(
      durability,
      chance.happens(0.7) ? 2 : 3,
      chance,
      {
        look: () => (chance.happens(0.1) ? 2 : chance.happens(0.01) ? chance.between(100, 900) : 0),
        statement: () => chance.between(1, 20),
        deliver: () =>
          isSlow && chance.happens(0.05) ? chance.between(100, 2_000) : chance.between(1, 3),
        apply: () => (isLagging && chance.happens(0.2) ? chance.between(100, 1_000) : 1),
        clone: () => chance.between(300, 2_000),
        start: () => chance.between(100, 600),
        boot: () => chance.between(200, 900),
      },
      true,
    );
    const { cluster } = this;
    for (const { clock } of cluster.hosts) {
      clock.rate = 1 + chance.between(-50, 50) / 10_000;
    }
    if (cluster.quorum !== undefined) {
      cluster.quorum.luck.slow = chance.happens(0.3) ? 0.05 : 0.002;
      cluster.quorum.luck.unknown = chance.happens(0.3) ? 0.05 : 0.002;
      cluster.quorum.written = ({ term, holder, state }) => {
        const before = this.holders.get(term);
        if (before !== undefined && before !== holder) {
          this.fail(`${before} and ${holder} both hold term ${term}`);
        }
        this.holders.set(term, holder);
        this.count(`written ${state}`);
      };
    }
    cluster.time.betweenSteps = () => this.check();
    cluster.whenOpened = (host) => {
      this.count("opened");
      this.checkWrites(host);
    };
  }

  protected override stateOf(host: Host): string {
    const { record } = this.cluster.quorum ?? {};
    const lease = JSON.stringify(host.agent?.lease?.status());
    return `${super.stateOf(host)}, fence ${host.fence.isOpen}, record ${JSON.stringify(record)}\n${lease}`;
  }

  // --- What must hold

  private check(): void {
    this.throwIfWrong();
    let one: Host | undefined;
    for (const host of this.cluster.hosts) {
      // Even if none of its commits would be acknowledged, as no replica listens to it any more.
      if (host.mysql.takesWrites && host.fence.isOpen && !host.isFrozen) {
        if (one !== undefined) {
          this.fail(`${one.name} and ${host.name} both take writes`);
        }
        one = host;
      }
    }
  }

  /** Every acknowledged write is on the primary. */
  private checkWrites(primary: Host): void {
    if (!primary.fence.isOpen) {
      return;
    }
    this.failIfLost(
      primary,
      this.acknowledged.filter(({ isCovered }) => isCovered),
    );
  }

  /** With two replicas one that has just come back may acknowledge before it is entered: docs/record.md. */
  private isCovered(transaction: Transaction): boolean {
    const sync = this.cluster.quorum?.record?.sync ?? [];
    const holds = ({ disk }: Host) =>
      disk.applied.includes(transaction) ||
      disk.relay.some((one) => one.transaction === transaction);
    const { hosts } = this.cluster;
    return (
      hosts.length === 2 ||
      sync.length === 0 ||
      hosts.some((host) => sync.includes(host.syncEntry) && holds(host))
    );
  }

  private get lastWrite(): number {
    return this.acknowledged.at(-1)?.at ?? 0;
  }

  // --- What happens

  private writeForEver(): void {
    const { cluster, chance } = this;
    let claims: Host[] = [];
    const write = () => {
      const before = claims;
      claims = cluster.hosts.filter(
        (host) => host.isOn && !host.isFrozen && host.healthPort.isPrimary,
      );
      // The web servers' checks are up to half a second old.
      const [host, ...more] = chance.happens(0.5) ? before : claims;
      // Some connections are older than any check.
      const old = chance.happens(0.2) ? cluster.open[0] : undefined;
      const target = old ?? (more.length === 0 ? host : undefined);
      if (target?.isOn && !target.isFrozen && target.fence.isOpen) {
        target.mysql.write((written, transaction) => {
          // What the fence holds back nobody hears.
          if (written !== "failed" && target.fence.isOpen && !target.isFrozen) {
            this.count(written === "copied" ? "acknowledged by a replica" : "acknowledged alone");
            const isCovered = this.isCovered(transaction);
            if (!isCovered) {
              this.count("acknowledged by a replica that is not entered");
            }
            this.acknowledged.push({ transaction, at: cluster.time.now, isCovered });
          }
        });
      }
      cluster.time.after(chance.between(50, 400), write);
    };
    write();
  }

  private powerOff(host: Host): void {
    this.say(`${host.name} is powered off`);
    this.cluster.change(() => host.powerOff());
    const later = this.chance.between(500, 12_000);
    this.cluster.time.after(later, () => {
      if (!host.isOn) {
        this.say(`${host.name} is powered on`);
        this.cluster.change(() => host.powerOn());
      }
    });
  }

  private fault(): void {
    const { chance, cluster } = this;
    const primary = cluster.open[0];
    const host =
      primary !== undefined && chance.happens(0.5) ? primary : chance.oneOf(cluster.hosts);
    const others = [
      ...cluster.hosts.filter((one) => one !== host).map(({ name }) => name),
      ...(cluster.hosts.length === 2 ? ["load-balancer-1"] : []),
    ];
    const other = chance.oneOf(others);
    const { clock } = host;
    const { quorum } = cluster;
    const isRunning = host.isOn && !host.isFrozen;
    const cut = (names: readonly string[], link: Link) => {
      for (const name of names) {
        cluster.setLink(host.name, name, link);
      }
    };
    const kinds: WeightedFault[] = [
      [5, () => this.powerOff(host)],
      [
        2,
        () => {
          for (const one of cluster.hosts) {
            this.powerOff(one);
          }
        },
      ],
      [3, () => this.killServer(host)],
      [2, () => this.restartServer(host)],
      [3, () => this.hangServer(host)],
      [5, () => this.freeze(host)],
      [4, () => this.hangAgent(host)],
      [2, () => this.hangDisk(host)],
      [2, () => this.killAgent(host)],
      [
        4,
        () => {
          const link = chance.oneOf<Link>(["cut", "cut", "cut", "hanging", "slow", "late"]);
          this.forAWhile(
            `from ${host.name} to ${other} it is ${link}`,
            () => cut([other], link),
            () => cut([other], "open"),
          );
        },
      ],
      [
        4,
        () =>
          this.forAWhile(
            `${host.name} is cut off`,
            () => cut(others, "cut"),
            () => cut(others, "open"),
          ),
      ],
      [
        2,
        () =>
          this.forAWhile(
            "etcd is away",
            () => {
              if (quorum !== undefined) {
                quorum.isAway = true;
              }
            },
            () => {
              if (quorum !== undefined) {
                quorum.isAway = false;
              }
            },
          ),
      ],
      [
        2,
        () =>
          this.forAWhile(
            "the load balancer is down",
            () => {
              cluster.isBalancerDown = true;
            },
            () => {
              cluster.isBalancerDown = false;
            },
          ),
      ],
      [1, () => quorum?.lead(host.name)],
      [
        2,
        () => {
          clock.skew += chance.oneOf([3_600_000, -3_600_000]);
          this.say(`the clock of ${host.name} jumps, and shows ${clock.skew / 1000} s too much`);
        },
      ],
      [
        1,
        () => {
          const { commands, agentLife } = host;
          if (commands !== undefined && isRunning) {
            this.say(`an operator closes ${host.name}`);
            agentLife?.enter(() => {
              commands
                .close()
                .catch(() => undefined)
                .then(() => commands.release())
                .catch(() => undefined);
            });
          }
        },
      ],
    ];
    this.draw(kinds);
  }

  // --- How it ends

  private isWell(): boolean {
    const { cluster } = this;
    return (
      cluster.isInSync &&
      cluster.open[0]?.fence.isOpen === true &&
      cluster.quorum?.record?.sync.length === cluster.hosts.length - 1
    );
  }

  /** One that was set aside waits for its clone; what a person has to judge does not happen here. */
  private async untilWell(): Promise<void> {
    const { cluster } = this;
    const { time } = cluster;
    const until = time.now + WELL_WITHIN;
    while (!this.isWell()) {
      if (time.now > until) {
        const record = cluster.quorum?.record;
        if (record?.state !== "open" && this.isLeftToPerson()) {
          this.count("left to a person");
          return;
        }
        this.fail(`not well after ${WELL_WITHIN / 1000} s`);
      }
      await time.pass(200);
    }
  }

  /** Whether the run of the server that was in sync is over, and the primary before cannot take back its role. */
  private isLeftToPerson(): boolean {
    const record = this.cluster.quorum?.record;
    const runs = this.cluster.hosts.map(({ syncEntry }) => syncEntry);
    return record?.sync.some((entry) => !runs.includes(entry)) === true;
  }

  /** One host is lost while all is well: a write is acknowledged in time. */
  private async failOver(): Promise<void> {
    const { cluster, chance } = this;
    const primary = cluster.open[0];
    if (primary === undefined) {
      return;
    }
    const others = [...cluster.hosts.map(({ name }) => name), "load-balancer-1"];
    const { luck } = cluster.quorum ?? { luck: { slow: 0, unknown: 0 } };
    luck.slow = 0;
    luck.unknown = 0;
    // What waits in a queue of etcd's is a change of the record, too.
    await cluster.time.pass(7_000);
    if (!this.isWell()) {
      return;
    }
    const kind = chance.between(0, 3);
    this.say(`the primary ${primary.name} is lost: ${kind}`);
    const from = cluster.time.now;
    cluster.change(() => {
      switch (kind) {
        case 0:
          return primary.powerOff();
        case 1:
          return primary.freeze();
        case 2:
          return primary.agentLife?.freeze();
        default:
          for (const name of others.filter((one) => one !== primary.name)) {
            cluster.setLink(primary.name, name, "cut");
          }
      }
    });
    const isWritable = () =>
      cluster.hosts.some(
        (host) =>
          host !== primary &&
          host.healthPort.isPrimary &&
          host.fence.isOpen &&
          host.mysql.takesWrites,
      );
    const isDone =
      cluster.durability === "lossless"
        ? () => cluster.quorum?.record?.holder !== primary.name
        : isWritable;
    if (!(await cluster.time.until(isDone, FIRST_WRITE_WITHIN))) {
      this.fail(`no primary ${FIRST_WRITE_WITHIN / 1000} s after ${from / 1000}`);
    }
    this.count("failed over in time");
  }

  protected async go(): Promise<void> {
    const { cluster, chance } = this;
    const { time } = cluster;
    cluster.stand();
    for (const host of cluster.hosts) {
      time.after(chance.between(0, 200), () => cluster.change(() => host.powerOn()));
    }
    this.writeForEver();
    await time.until(() => this.isWell(), 10_000);
    if (chance.happens(0.3) && this.isWell()) {
      await this.failOver();
    }
    const faults = chance.between(1, 5);
    for (let index = 0; index < faults; index++) {
      this.fault();
      await time.pass(chance.between(50, chance.happens(0.4) ? 8_000 : 1_500));
    }
    await time.pass(chance.between(0, 3_000));
    this.say("all faults end");
    cluster.healLinks();
    cluster.isBalancerDown = false;
    if (cluster.quorum !== undefined) {
      cluster.quorum.isAway = false;
    }
    for (const host of cluster.hosts) {
      cluster.change(() => {
        host.thaw();
        host.powerOn();
      });
    }
    const before = this.lastWrite;
    await this.untilWell();
    if (!(await time.until(() => this.lastWrite > before || !this.isWell(), 8_000))) {
      this.fail("no write is acknowledged");
    }
    const [primary] = cluster.open;
    if (primary !== undefined) {
      this.checkWrites(primary);
    }
    this.check();
    this.count("ended");
  }
}
