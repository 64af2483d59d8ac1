import { Chance } from "../../drill/chance";
import type { Link } from "./fakes/cluster";
import { Cluster, STEADY } from "./fakes/cluster";
import type { Host } from "./fakes/host";
import type { Pace, Transaction, Written } from "./fakes/mysql";

// Automatic failover, with the whole agent, in named scenarios: how long writes wait, and who ends up as primary. A
// client's view: web servers ask for /primary twice a second, and writes go to nobody while two hosts claim it.

interface Kind {
  durability?: "available" | "lossless";
  hosts?: number;
  pace?: Partial<Pace>;
  seed?: number;
}

/** A cluster with a primary, a record, and replicas in sync; writes are made all the time. */
class Site {
  readonly cluster: Cluster;
  /** When writes were acknowledged, and which. */
  readonly acknowledged: { at: number; host: Host; transaction: Transaction; how: Written }[] = [];

  constructor({ durability, hosts = 2, pace = {}, seed = 1 }: Kind) {
    this.cluster = new Cluster(durability, hosts, new Chance(seed), { ...STEADY, ...pace }, true);
    const { cluster } = this;
    cluster.time.betweenSteps = () => {
      const writable = cluster.hosts.filter(
        (host) => host.mysql.takesWrites && host.fence.isOpen && !host.isFrozen,
      );
      if (writable.length > 1) {
        throw new Error(`two hosts take writes at ${cluster.time.now / 1000}`);
      }
    };
  }

  get time() {
    return this.cluster.time;
  }

  async start(): Promise<this> {
    const { cluster } = this;
    cluster.stand();
    for (const host of cluster.hosts) {
      host.powerOn();
    }
    this.writeForEver();
    const isReady = () =>
      cluster.isInSync && cluster.quorum?.record?.sync.length === cluster.hosts.length - 1;
    expect(await this.time.until(isReady, 30_000)).toBe(true);
    return this;
  }

  private writeForEver(): void {
    const { cluster } = this;
    const write = () => {
      const claims = cluster.hosts.filter(
        (host) => host.isOn && !host.isFrozen && host.healthPort.isPrimary,
      );
      const [host] = claims;
      if (host !== undefined && claims.length === 1 && host.fence.isOpen) {
        host.mysql.write((how, transaction) => {
          if (how !== "failed" && host.fence.isOpen) {
            this.acknowledged.push({ at: this.time.now, host, transaction, how });
          }
        });
      }
      this.time.after(500, write);
    };
    write();
  }

  /** The longest time without an acknowledged write from a moment on, in milliseconds. */
  longestPauseSince(from: number): number {
    const times = [from, ...this.acknowledged.map(({ at }) => at).filter((at) => at > from)];
    times.push(this.time.now);
    return Math.max(...times.slice(1).map((at, index) => at - (times[index] as number)));
  }

  /** Makes something happen, and waits; the longest pause of the writes. */
  async after(fault: (primary: Host, replica: Host) => void, milliseconds = 15_000) {
    const [primary, replica] = this.cluster.hosts as [Host, Host];
    const from = this.time.now;
    this.cluster.change(() => fault(primary, replica));
    await this.time.pass(milliseconds);
    return this.longestPauseSince(from);
  }

  get primary(): string | undefined {
    const [one, ...more] = this.cluster.open.filter(
      (host) => host.fence.isOpen && host.healthPort.isPrimary,
    );
    return more.length === 0 ? one?.name : "several";
  }

  /** Acknowledged writes that the primary lacks. */
  get missing(): number {
    const primary = this.cluster.hosts.find(({ name }) => name === this.primary);
    const here = new Set(primary?.disk.applied);
    return this.acknowledged.filter(({ transaction }) => !here.has(transaction)).length;
  }

  link(link: Link, from: Host, ...to: readonly string[]): void {
    for (const other of to) {
      this.cluster.setLink(from.name, other, link);
    }
  }

  /** Whether all is as at the beginning, with a replica that may take over. */
  isWell(): boolean {
    return this.cluster.isInSync && (this.cluster.quorum?.record?.sync.length ?? 0) > 0;
  }
}

const site = (kind: Kind = {}) => new Site(kind).start();
const LB = "load-balancer-1";

describe.each([2, 3])(
  "%i database hosts: the primary fails, and writes go on within 6 s",
  (hosts) => {
    test.each<[string, (one: Site) => (primary: Host, replica: Host) => void]>([
      ["its host is stopped", () => (primary) => primary.powerOff()],
      ["its host freezes", () => (primary) => primary.freeze()],
      [
        "it is cut off from everything",
        (one) => (primary) => one.link("cut", primary, "database-2", "database-3", LB),
      ],
      [
        "its agent freezes, and its server with it",
        () => (primary) => {
          primary.agentLife?.freeze();
          primary.mysql.run?.freeze();
        },
      ],
      ["its agent freezes", () => (primary) => primary.agentLife?.freeze()],
      ["its server hangs", () => (primary) => primary.mysql.run?.freeze()],
      ["its disk hangs", () => (primary) => primary.hangDisk()],
    ])("%s", async (_, fault) => {
      const one = await site({ hosts });
      expect(await one.after(fault(one))).toBeLessThan(6_000);
      expect(one.primary).not.toBe("database-1");
      expect(one.missing).toBe(0);
    });

    test("what was frozen acknowledges nothing when it goes on, and follows", async () => {
      const one = await site({ hosts });
      await one.after((primary) => primary.freeze());
      const before = one.acknowledged.length;
      await one.after((primary) => primary.thaw(), 30_000);
      expect(one.acknowledged.slice(before).every(({ host }) => host.name !== "database-1")).toBe(
        true,
      );
      expect(one.isWell()).toBe(true);
      expect(one.missing).toBe(0);
    });
  },
);

describe("an orderly end, and writes go on within 2 s", () => {
  test.each<[string, (primary: Host) => void]>([
    ["the server's process is killed", (primary) => primary.mysql.end()],
    ["the server is restarted", (primary) => void primary.restartServer()],
    [
      "an operator closes it",
      (primary) => primary.agentLife?.enter(() => void primary.agent?.close()),
    ],
  ])("%s", async (_, fault) => {
    const one = await site();
    expect(await one.after(fault)).toBeLessThan(2_000);
    expect(one.primary).toBe("database-2");
    expect(one.missing).toBe(0);
  });
});

test("a primary that cannot renew closes itself, with the time that the rules of the record count on", async () => {
  const one = await site();
  const [primary] = one.cluster.hosts as [Host];
  one.link("cut", primary, "database-2", LB);
  expect(await one.time.until(() => !primary.mysql.takesWrites, 3_250, 10)).toBe(true);
});

describe("nothing fails over", () => {
  test.each<[string, number, (one: Site) => (primary: Host, replica: Host) => void]>([
    [
      "the load balancer is down",
      1_500,
      (one) => () => {
        one.cluster.isBalancerDown = true;
      },
    ],
    [
      "etcd's leader is killed",
      1_500,
      (one) => () => {
        one.cluster.quorum?.lead(LB);
        one.cluster.isBalancerDown = true;
      },
    ],
    [
      "etcd is away",
      1_500,
      (one) => () => {
        (one.cluster.quorum as { isAway: boolean }).isAway = true;
      },
    ],
    [
      "the primary does not reach the load balancer",
      1_500,
      (one) => (primary) => one.link("cut", primary, LB),
    ],
    ["the replica is stopped", 3_000, () => (_, replica) => replica.powerOff()],
    [
      "clocks jump forth",
      1_500,
      () => (primary, replica) => {
        primary.clock.skew = 3_600_000;
        replica.clock.skew = 3_600_000;
      },
    ],
    [
      "clocks jump back",
      1_500,
      () => (primary, replica) => {
        primary.clock.skew = -3_600_000;
        replica.clock.skew = 3_600_000;
      },
    ],
  ])("%s", async (_, pause, fault) => {
    const one = await site();
    expect(await one.after(fault(one), 30_000)).toBeLessThan(pause);
    expect(one.primary).toBe("database-1");
    expect(one.cluster.quorum?.record?.term).toBe(1);
  });

  test("etcd away, and the replica too: the primary closes, and opens once etcd is back", async () => {
    const one = await site();
    const { quorum } = one.cluster;
    if (quorum === undefined) throw new Error("no quorum");
    await one.after(() => {
      quorum.isAway = true;
    }, 10_000);
    await one.after((_, replica) => replica.freeze(), 6_000);
    expect(one.primary).toBeUndefined();
    quorum.isAway = false;
    await one.time.pass(5_000);
    expect(one.primary).toBe("database-1");
  });
});

describe("etcd is away, and comes back for the replica alone", () => {
  test("the replica waits until what it promised is over", async () => {
    const one = await site();
    const { quorum } = one.cluster;
    await one.after(() => {
      (quorum as { isAway: boolean }).isAway = true;
    }, 10_000);
    expect(one.primary).toBe("database-1");
    await one.after((primary) => {
      (quorum as { isAway: boolean }).isAway = false;
      one.link("cut", primary, "database-2", LB);
    });
    expect(one.primary).toBe("database-2");
    expect(one.missing).toBe(0);
  });

  test("an answer that is not new is no promise", async () => {
    // Also between two requests.
    for (let offset = 0; offset < 500; offset += 50) {
      const one = await site();
      const { quorum } = one.cluster;
      await one.after((_, replica) => {
        (quorum as { isAway: boolean }).isAway = true;
        one.time.after(8_000 + offset, () => replica.agentLife?.freeze());
      }, 11_500 + offset);
      await one.after((primary, replica) => {
        (quorum as { isAway: boolean }).isAway = false;
        one.link("cut", primary, "database-2", LB);
        replica.agentLife?.thaw();
      });
      expect(one.primary).toBe("database-2");
      expect(one.missing).toBe(0);
    }
  });
});

test("a replica that lost what it had acknowledged does not take over", async () => {
  for (let seed = 1; seed <= 5; seed++) {
    const pace = { apply: 2 };
    const one = await site({ pace: { apply: () => pace.apply }, seed });
    pace.apply = 600_000;
    await one.after(() => undefined, 3_000);
    await one.after((...hosts) => hosts.map((host) => host.powerOff()), 3_000);
    pace.apply = 2;
    await one.after((_, replica) => replica.powerOn());
    expect(one.primary).toBeUndefined();
    await one.after((primary) => primary.powerOn(), 20_000);
    expect(one.missing).toBe(0);
    expect(one.isWell()).toBe(true);
  }
});

describe("replicas", () => {
  test("one that was away is in sync again by itself", async () => {
    const one = await site();
    await one.after((_, replica) => replica.powerOff(), 10_000);
    expect(one.cluster.quorum?.record?.sync).toEqual([]);
    await one.after((_, replica) => replica.powerOn(), 15_000);
    expect(one.isWell()).toBe(true);
  });

  test("lossless never acknowledges alone, and after a failover writes wait", async () => {
    const one = await site({ durability: "lossless" });
    const from = one.time.now;
    await one.after((primary) => primary.powerOff(), 15_000);
    expect(one.cluster.quorum?.record).toMatchObject({ holder: "database-2", state: "open" });
    expect(one.acknowledged.filter(({ at }) => at > from)).toEqual([]);
    await one.after((primary) => primary.powerOn(), 20_000);
    expect(one.isWell()).toBe(true);
    expect(one.acknowledged.every(({ how }) => how === "copied")).toBe(true);
  });

  test("without one in sync nobody takes over", async () => {
    const one = await site();
    await one.after((_, replica) => replica.powerOff(), 10_000);
    await one.after((primary, replica) => {
      primary.powerOff();
      replica.powerOn();
    }, 20_000);
    expect(one.primary).toBeUndefined();
    await one.after((primary) => primary.powerOn(), 20_000);
    expect(one.primary).toBe("database-1");
    expect(one.missing).toBe(0);
  });
});

test("all hosts are switched off and on again, in any order, also after a failover", async () => {
  const one = await site();
  await one.after((primary) => primary.powerOff());
  await one.after((primary) => primary.powerOn(), 20_000);
  expect(one.primary).toBe("database-2");
  for (const order of [
    [0, 1],
    [1, 0],
  ]) {
    await one.after((...hosts) => hosts.map((host) => host.powerOff()), 5_000);
    for (const index of order) {
      await one.after(() => one.cluster.hosts[index]?.powerOn(), 8_000);
    }
    await one.time.pass(20_000);
    expect(one.isWell()).toBe(true);
    expect(one.missing).toBe(0);
  }
});

test("a cluster is founded, and has a record and a replica in sync", async () => {
  const cluster = new Cluster("available", 2, new Chance(1), STEADY, true);
  for (const host of cluster.hosts) {
    host.powerOn();
  }
  const isRecorded = () =>
    cluster.isInSync &&
    cluster.quorum?.record?.sync.length === 1 &&
    cluster.hosts.every((one) => one.isRecorded);
  expect(await cluster.time.until(isRecorded, 60_000)).toBe(true);
  expect(cluster.quorum?.record).toMatchObject({ term: 1, holder: "database-1", state: "open" });
});
