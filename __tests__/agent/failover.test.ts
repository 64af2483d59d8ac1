import { Chance } from "../../drill/chance";
import type { Link } from "./fakes/cluster";
import { Cluster, STEADY } from "./fakes/cluster";
import type { Transaction } from "./fakes/disk";
import type { Host } from "./fakes/host";
import type { Pace, Written } from "./fakes/mysql";
import { Operator } from "./fakes/operator";

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
  async after(fault: (primary: Host, replica: Host, third?: Host) => void, milliseconds = 15_000) {
    const [primary, replica, third] = this.cluster.hosts as [Host, Host, Host?];
    const from = this.time.now;
    this.cluster.change(() => fault(primary, replica, third));
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
  "%i database hosts: writes resume within 6 s after the primary fails",
  (hosts) => {
    test.each<[string, (one: Site) => (primary: Host, replica: Host) => void]>([
      ["its host is stopped", () => (primary) => primary.powerOff()],
      ["its host freezes", () => (primary) => primary.freeze()],
      [
        "it is cut off from all other hosts",
        (one) => (primary) => one.link("cut", primary, "database-2", "database-3", LB),
      ],
      [
        "its agent and its MySQL server freeze",
        () => (primary) => {
          primary.agentLife?.freeze();
          primary.mysql.run?.freeze();
        },
      ],
      ["its agent freezes", () => (primary) => primary.agentLife?.freeze()],
      ["its MySQL server hangs", () => (primary) => primary.mysql.run?.freeze()],
      ["its disk hangs", () => (primary) => primary.hangDisk()],
    ])("%s", async (_, fault) => {
      const one = await site({ hosts });
      expect(await one.after(fault(one))).toBeLessThan(6_000);
      expect(one.primary).not.toBe("database-1");
      expect(one.missing).toBe(0);
    });

    test("a frozen primary acknowledges no write after it thaws, and becomes a replica", async () => {
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

describe("writes resume within 2 s when the primary gives up its role", () => {
  test.each<[string, (primary: Host) => void]>([
    ["the MySQL process is killed", (primary) => primary.mysql.end()],
    ["MySQL is restarted", (primary) => void primary.restartServer()],
    [
      "an operator closes the primary",
      (primary) => primary.agentLife?.enter(() => void primary.commands?.close()),
    ],
  ])("%s", async (_, fault) => {
    const one = await site();
    expect(await one.after(fault)).toBeLessThan(2_000);
    expect(one.primary).toBe("database-2");
    expect(one.missing).toBe(0);
  });
});

describe("with two replicas", () => {
  const close = (successor: string) => (primary: Host) =>
    primary.agentLife?.enter(() => void primary.commands?.close(successor));

  test.each(["database-2", "database-3"])(
    "%s takes over if it is the named successor",
    async (successor) => {
      const one = await site({ hosts: 3 });
      expect(await one.after(close(successor))).toBeLessThan(2_000);
      expect(one.primary).toBe(successor);
      expect(one.missing).toBe(0);
    },
  );

  test("the other replica takes over if the named successor is frozen", async () => {
    const one = await site({ hosts: 3 });
    const pause = await one.after((primary, _, third) => {
      third?.agentLife?.freeze();
      close("database-3")(primary);
      one.time.after(2_000, () => third?.agentLife?.thaw());
    });
    expect(pause).toBeLessThan(6_000);
    expect(one.primary).toMatch(/database-[23]/);
    expect(one.missing).toBe(0);
  });
});

describe("an operator switches over", () => {
  const switchOver = (one: Site, done: string[]) =>
    new Operator(one.cluster, () => undefined)
      .wishes({ verb: "switchover", acceptLoss: false, fences: false })
      .then((result) => done.push(result));

  test("ten times in a row, without a pause: each one succeeds", async () => {
    const one = await site();
    const done: string[] = [];
    for (let count = 1; count <= 10; count++) {
      void switchOver(one, done);
      await one.time.until(() => done.length === count, 20_000, 10);
    }
    expect(done).toEqual(
      done.map((_, index) => `database-${index % 2 === 0 ? 2 : 1} was promoted`),
    );
    expect(one.missing).toBe(0);
  });

  test("to a replica that is not in the record's sync, and has received everything", async () => {
    const one = await site();
    const done: string[] = [];
    const [, replica] = one.cluster.hosts as [Host, Host];
    await one.after((primary) => {
      one.link("cut", primary, "database-2");
      one.time.after(5_000, () => one.link("open", primary, "database-2"));
    }, 5_000);
    expect(await one.time.until(() => one.cluster.isInSync, 10_000, 10)).toBe(true);
    expect(one.cluster.quorum?.record?.sync).toEqual([]);
    const pause = await one.after(() => void switchOver(one, done), 6_000);
    expect(done).toEqual([`${replica.name} was promoted`]);
    expect(pause).toBeLessThan(2_000);
    expect(one.missing).toBe(0);
  });
});

test("a primary that cannot renew its lease closes itself within the time that the record's rules assume", async () => {
  const one = await site();
  const [primary] = one.cluster.hosts as [Host];
  one.link("cut", primary, "database-2", LB);
  expect(await one.time.until(() => !primary.mysql.takesWrites, 3_250, 10)).toBe(true);
});

describe("there is no failover when", () => {
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
      "etcd does not answer",
      1_500,
      (one) => () => {
        (one.cluster.quorum as { isAway: boolean }).isAway = true;
      },
    ],
    [
      "the primary cannot reach the load balancer",
      1_500,
      (one) => (primary) => one.link("cut", primary, LB),
    ],
    ["the replica is stopped", 3_000, () => (_, replica) => replica.powerOff()],
    [
      "clocks jump forward",
      1_500,
      () => (primary, replica) => {
        primary.clock.skew = 3_600_000;
        replica.clock.skew = 3_600_000;
      },
    ],
    [
      "the primary's clock jumps back and the replica's forward",
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

  test("neither etcd nor the replica answers: the primary closes, and reopens once etcd is back", async () => {
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

describe("after an outage, etcd comes back for the replica only", () => {
  test("the replica waits until its promise expires", async () => {
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

  test("a stale answer does not count as a promise", async () => {
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

test("a replica that lost writes it had acknowledged does not take over", async () => {
  for (let seed = 1; seed <= 5; seed++) {
    const pace = { apply: 2 };
    const one = await site({ pace: { apply: () => pace.apply }, seed });
    pace.apply = 600_000;
    await one.after(() => undefined, 3_000);
    await one.after((...hosts) => hosts.map((host) => host?.powerOff()), 3_000);
    pace.apply = 2;
    await one.after((_, replica) => replica.powerOn());
    expect(one.primary).toBeUndefined();
    await one.after((primary) => primary.powerOn(), 20_000);
    expect(one.missing).toBe(0);
    expect(one.isWell()).toBe(true);
  }
});

describe("with tables that a clone does not copy, no replica takes over by itself", () => {
  const withTables = async () => {
    const one = await site();
    for (const { mysql } of one.cluster.hosts) {
      mysql.otherTables = ["app.old (MyISAM)"];
    }
    return one;
  };

  test("a primary that is stopped is primary again after it starts", async () => {
    const one = await withTables();
    await one.after((primary) => primary.powerOff());
    expect(one.primary).toBeUndefined();
    await one.after((primary) => primary.powerOn());
    expect([one.primary, one.missing]).toEqual(["database-1", 0]);
  });

  test("a restarted server gives up the primary role and gets it back", async () => {
    const one = await withTables();
    await one.after((primary) => void primary.restartServer());
    expect([one.primary, one.missing]).toEqual(["database-1", 0]);
  });

  test("a replica takes over once the tables are InnoDB", async () => {
    const one = await withTables();
    await one.after((primary) => primary.powerOff());
    for (const { mysql } of one.cluster.hosts) {
      mysql.otherTables = [];
    }
    await one.time.pass(5_000);
    expect([one.primary, one.missing]).toEqual(["database-2", 0]);
  });
});

describe("replicas", () => {
  test("a replica that was down gets back in sync by itself", async () => {
    const one = await site();
    await one.after((_, replica) => replica.powerOff(), 10_000);
    expect(one.cluster.quorum?.record?.sync).toEqual([]);
    await one.after((_, replica) => replica.powerOn(), 15_000);
    expect(one.isWell()).toBe(true);
  });

  test("with durability lossless a primary never acknowledges alone: after a failover, writes wait for a replica", async () => {
    const one = await site({ durability: "lossless" });
    const from = one.time.now;
    await one.after((primary) => primary.powerOff(), 15_000);
    expect(one.cluster.quorum?.record).toMatchObject({ holder: "database-2", state: "open" });
    expect(one.acknowledged.filter(({ at }) => at > from)).toEqual([]);
    await one.after((primary) => primary.powerOn(), 20_000);
    expect(one.isWell()).toBe(true);
    expect(one.acknowledged.every(({ how }) => how === "copied")).toBe(true);
  });

  test("no host takes over if no replica is in sync", async () => {
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

describe("all hosts are powered off at once, then on again one after another", () => {
  const ORDERS: Record<number, readonly (readonly number[])[]> = {
    2: [
      [0, 1],
      [1, 0],
    ],
    3: [
      [0, 1, 2],
      [0, 2, 1],
      [1, 0, 2],
      [1, 2, 0],
      [2, 0, 1],
      [2, 1, 0],
    ],
  };
  const cases = ([2, 3] as const).flatMap((hosts) =>
    (ORDERS[hosts] ?? []).flatMap((order) =>
      ([false, true] as const).map((hasFailedOver) => ({ hosts, order, hasFailedOver })),
    ),
  );

  /** What the hosts that are on tell an operator. */
  const said = (one: Site) =>
    one.cluster.hosts.flatMap((host) => host.agent?.lease?.status().says ?? []);

  test.each(cases)(
    "$hosts hosts, order $order, after a failover: $hasFailedOver",
    async ({ hosts, order, hasFailedOver }) => {
      const one = await site({ hosts });
      if (hasFailedOver) {
        await one.after((primary) => primary.powerOff());
        await one.after((primary) => primary.powerOn(), 20_000);
      }
      const before = one.primary;
      expect(before).toMatch(hasFailedOver ? /database-[23]/ : /database-1/);
      // The load balancer, a voter, too.
      await one.after((...all) => {
        one.cluster.isBalancerDown = true;
        for (const host of all) {
          host?.powerOff();
        }
      }, 5_000);
      for (const index of order) {
        const host = one.cluster.hosts[index];
        await one.after(() => host?.powerOn(), 10_000);
        const isThere = one.cluster.named(before as string).isOn;
        const isMajority = one.cluster.hosts.filter(({ isOn }) => isOn).length > 1;
        // The record names the primary before, and no replica's server has run on.
        expect(one.primary).toBe(isThere && isMajority ? before : undefined);
        if (one.primary === undefined) {
          expect(said(one).length).toBeGreaterThan(0);
        }
        if (isMajority && !isThere) {
          expect(said(one)[0]).toContain(`${before} is gone`);
        }
      }
      one.cluster.isBalancerDown = false;
      await one.time.pass(20_000);
      expect(one.isWell()).toBe(true);
      expect(one.primary).toBe(before);
      expect(one.missing).toBe(0);
    },
  );
});

test("a new cluster gets a record and a replica in sync", async () => {
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

describe("failover is set to manual on a running cluster, one host after another", () => {
  const [PRIMARY, REPLICA] = [0, 1];
  const turn = (one: Site, index: number, failover: "manual" | "automatic") =>
    one.after((...hosts) => hosts[index]?.setFailover(failover), 20_000);

  test.each([
    ["the primary first", PRIMARY, false],
    ["the replica first", REPLICA, false],
    ["the replica first, then etcd loses its majority", REPLICA, true],
  ])("%s: writes continue, and no record remains", async (_, first, isLost) => {
    const one = await site();
    const { quorum } = one.cluster;
    const pauses = [await turn(one, first, "manual")];
    if (isLost) {
      pauses.push(
        await one.after(() => {
          (quorum as { isAway: boolean }).isAway = true;
        }, 10_000),
      );
    }
    pauses.push(await turn(one, 1 - first, "manual"));
    expect(Math.max(...pauses)).toBeLessThan(2_000);
    expect(one.primary).toBe("database-1");
    expect(one.cluster.hosts.map(({ isRecorded }) => isRecorded)).toEqual([false, false]);
    if (!isLost) {
      expect(quorum?.record).toBeUndefined();
    }
    // And now a person decides.
    const pause = await one.after((_primary, replica) => replica.powerOff());
    expect(pause).toBeLessThan(2_000);
    expect(one.missing).toBe(0);
  });

  test("a primary that is cut off meanwhile follows the record until the record is removed", async () => {
    const one = await site();
    const pause = await one.after((primary) => {
      primary.setFailover("manual");
      one.link("cut", primary, "database-2", LB);
    }, 20_000);
    expect(pause).toBeLessThan(6_000);
    expect(one.primary).toBe("database-2");
    await one.after((primary) => {
      one.link("open", primary, "database-2", LB);
    }, 30_000);
    expect(one.primary).toBe("database-2");
    await turn(one, REPLICA, "manual");
    expect(one.cluster.isInSync).toBe(true);
    expect(one.cluster.hosts.map(({ isRecorded }) => isRecorded)).toEqual([false, false]);
    expect(one.missing).toBe(0);
  });

  test.each([
    ["the primary first", PRIMARY],
    ["the replica first", REPLICA],
  ])("failover is set back to automatic, %s", async (_, first) => {
    const one = await site();
    await turn(one, PRIMARY, "manual");
    await turn(one, REPLICA, "manual");
    one.cluster.quorum?.dissolve();
    const pauses = [
      await turn(one, first, "automatic"),
      await turn(one, 1 - first, "automatic"),
      await one.after(() => undefined, 10_000),
    ];
    expect(Math.max(...pauses)).toBeLessThan(2_000);
    expect(one.primary).toBe("database-1");
    expect(one.isWell()).toBe(true);
    expect(await one.after((primary) => primary.powerOff())).toBeLessThan(6_000);
    expect(one.missing).toBe(0);
  });

  test("before there is a record, writes do not wait for a replica that is down", async () => {
    const one = await site();
    await turn(one, PRIMARY, "manual");
    await turn(one, REPLICA, "manual");
    one.cluster.quorum?.dissolve();
    await turn(one, PRIMARY, "automatic");
    expect(await one.after((_primary, replica) => replica.powerOff())).toBeLessThan(2_000);
    expect(one.primary).toBe("database-1");
  });
});
