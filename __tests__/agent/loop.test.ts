import { subtract } from "../../agent/gtid-set";
import { Chance } from "../../drill/chance";
import { Cluster, STEADY } from "./fakes/cluster";
import { gtidsOf, type Transaction } from "./fakes/disk";
import type { Host } from "./fakes/host";
import type { Pace, Written } from "./fakes/mysql";

// The whole agent, with its loops, in a world of its own: named scenarios.

interface Kind {
  durability?: "available" | "lossless";
  hosts?: number;
  pace?: Partial<Pace>;
}

/** A cluster in which the first host is primary and all others are in sync. */
async function standing({ durability, hosts, pace = {} }: Kind = {}): Promise<Cluster> {
  const cluster = new Cluster(durability, hosts, new Chance(1), { ...STEADY, ...pace });
  cluster.stand();
  for (const host of cluster.hosts) {
    host.powerOn();
  }
  expect(await cluster.time.until(() => cluster.isInSync, 20_000)).toBe(true);
  return cluster;
}

/** How a write ended, if it did within the time. */
async function write(
  cluster: Cluster,
  host: Host,
  milliseconds = 2_000,
): Promise<Written | undefined> {
  let how: Written | undefined;
  host.mysql.write((written) => {
    how = written;
  });
  await cluster.time.until(() => how !== undefined, milliseconds, 5);
  return how;
}

/** What a command comes to; time passes meanwhile. */
async function told(
  cluster: Cluster,
  command: Promise<unknown> | undefined,
  milliseconds = 60_000,
) {
  let said: unknown;
  command?.then(
    (answer) => {
      said = answer;
    },
    (error: Error) => {
      said = error.message;
    },
  );
  await cluster.time.until(() => said !== undefined, milliseconds);
  return said;
}

const powerOff = (cluster: Cluster, host: Host) => cluster.change(() => host.powerOff());
const powerOn = (cluster: Cluster, host: Host) => cluster.change(() => host.powerOn());
const rows = (transactions: readonly Transaction[]) =>
  transactions.filter(({ change }) => change === "row").length;

describe("transactions that a replica has of its own", () => {
  test("are examined again if the server may have reused their GTIDs", async () => {
    const cluster = await standing();
    const replica = cluster.host(3);
    replica.mysql.stray("none");
    await cluster.time.pass(10_000);
    expect(cluster.isInSync).toBe(true);
    const stray = replica.mysql.stray("row");
    await cluster.time.pass(20_000);
    expect(replica.setAside).toEqual([stray]);
    expect(cluster.isInSync).toBe(true);
  });

  test("that came from an old primary and change no row are forgotten, and the host follows the new one", async () => {
    const cluster = await standing();
    const [old, next, other] = cluster.hosts as [Host, Host, Host];
    cluster.setLink(next.name, old.name, "cut");
    old.mysql.flush();
    await cluster.time.pass(100);
    powerOff(cluster, old);
    expect(await told(cluster, next.commands?.promote([old.name], true))).toBe(
      "database-2 is the primary",
    );
    const isFollowing = () => other.disk.source === next.name && other.healthPort.answers?.replica;
    expect(await cluster.time.until(() => isFollowing() === true, 20_000)).toBe(true);
    expect(other.setAside).toEqual([]);
  });

  test("that change no row are forgotten even if the relay log ends in the middle of a transaction", async () => {
    const cluster = await standing();
    const [primary, replica] = cluster.hosts as [Host, Host];
    expect(await write(cluster, primary)).toBe("copied");
    const [cut] = primary.disk.applied.slice(-1);
    powerOff(cluster, replica);
    const { disk } = replica;
    disk.executed = subtract(disk.executed, gtidsOf([cut as Transaction]));
    disk.applied.pop();
    disk.log.pop();
    disk.isCutOff = true;
    replica.mysql.stray("none");
    powerOn(cluster, replica);
    expect(await cluster.time.until(() => cluster.isInSync, 30_000)).toBe(true);
  });

  test("that change rows do not prevent a clone if the primary's transactions do not apply", async () => {
    const cluster = await standing();
    const [primary, replica] = cluster.hosts as [Host, Host];
    replica.mysql.stray("none");
    replica.disk.isDamaged = true;
    expect(await write(cluster, primary)).toBe("copied");
    await cluster.time.pass(30_000);
    expect(replica.mysql.clones).toBe(1);
    expect(cluster.isInSync).toBe(true);
  });
});

describe("what a replica has received and not applied", () => {
  /** A write of which the third host alone has a copy, in its relay log, when the primary ends. */
  async function inRelayLogAlone(applyMilliseconds: number) {
    const pace = { apply: 2 };
    const cluster = await standing({ pace: { apply: () => pace.apply } });
    const [primary, candidate, holder] = cluster.hosts as [Host, Host, Host];
    pace.apply = applyMilliseconds;
    cluster.setLink(candidate.name, primary.name, "cut");
    expect(await write(cluster, primary)).toBe("copied");
    powerOff(cluster, primary);
    await cluster.time.pass(2_000);
    return { cluster, primary, candidate, holder };
  }

  test("prevents the promotion of another replica, and is applied before its own", async () => {
    const { cluster, primary, candidate, holder } = await inRelayLogAlone(8_000);
    const said = await told(cluster, candidate.commands?.promote([primary.name], false));
    expect(said).toContain("database-3 has received transactions that this host lacks");
    expect(await told(cluster, holder.commands?.promote([primary.name], false))).toBe(
      "database-3 is the primary",
    );
    expect(rows(holder.disk.applied)).toBe(2);
  });

  test("does not prevent a promotion that accepts its loss", async () => {
    const { cluster, primary, candidate } = await inRelayLogAlone(600_000);
    expect(await told(cluster, candidate.commands?.promote([primary.name], true))).toBe(
      "database-2 is the primary",
    );
  });

  test("does not prevent a switchover to a replica that is about to receive it", async () => {
    const cluster = await standing();
    const [primary, candidate] = cluster.hosts as [Host, Host];
    cluster.setLink(candidate.name, primary.name, "cut");
    expect(await write(cluster, primary)).toBe("copied");
    await told(cluster, primary.commands?.close());
    const promotion = told(cluster, candidate.commands?.promote([], false));
    cluster.healLinks();
    expect(await promotion).toBe("database-2 is the primary");
  });

  test("is applied before it follows another primary, and set aside", async () => {
    const { cluster, primary, candidate, holder } = await inRelayLogAlone(8_000);
    cluster.setLink(candidate.name, holder.name, "cut");
    expect(
      await told(cluster, candidate.commands?.promote([primary.name, holder.name], true)),
    ).toBe("database-2 is the primary");
    cluster.healLinks();
    await cluster.time.pass(30_000);
    expect(rows(holder.setAside)).toBe(1);
    expect(holder.healthPort.answers?.replica).toBe(true);
  });
  test("is taken into account for a promotion, even if it was received after the last answer", async () => {
    const cluster = await standing();
    const [primary, candidate] = cluster.hosts as [Host, Host];
    cluster.setLink(candidate.name, primary.name, "cut");
    expect(await write(cluster, primary)).toBe("copied");
    powerOff(cluster, primary);
    const said = await told(cluster, candidate.commands?.promote([primary.name], false));
    expect(said).toContain("database-3 holds transactions that this host lacks");
  });
});

describe("a promotion that accepts the loss of acknowledged writes", () => {
  test.each(["available", "lossless"] as const)(
    "is not undone by the closed host that still has them (%s)",
    async (durability) => {
      const cluster = await standing({ durability });
      const [primary, candidate, holder] = cluster.hosts as [Host, Host, Host];
      cluster.setLink(candidate.name, primary.name, "cut");
      expect(await write(cluster, primary)).toBe("copied");
      powerOff(cluster, primary);
      await cluster.time.pass(2_000);
      expect(await told(cluster, candidate.commands?.promote([primary.name], true))).toBe(
        "database-2 is the primary",
      );
      holder.agentLife?.freeze();
      powerOn(cluster, primary);
      cluster.healLinks();
      await cluster.time.pass(5_000);
      holder.agentLife?.thaw();
      expect(await cluster.time.until(() => cluster.isInSync, 60_000)).toBe(true);
      expect(cluster.open).toEqual([candidate]);
      expect(rows(primary.setAside)).toBe(1);
      expect(rows(holder.setAside)).toBe(1);
    },
  );

  test("has a higher term than an earlier one, of a lost host, that no other host has seen", async () => {
    const cluster = await standing();
    const [first, second, third] = cluster.hosts as [Host, Host, Host];
    await told(cluster, first.commands?.close());
    cluster.setLink(second.name, first.name, "cut");
    cluster.setLink(second.name, third.name, "cut");
    expect(await told(cluster, second.commands?.promote([first.name, third.name], true))).toBe(
      "database-2 is the primary",
    );
    powerOff(cluster, second);
    cluster.healLinks();
    expect(await told(cluster, third.commands?.promote([second.name], false))).toBe(
      "database-3 is the primary",
    );
    powerOn(cluster, second);
    expect(await cluster.time.until(() => cluster.isInSync, 30_000)).toBe(true);
    expect(cluster.open).toEqual([third]);
  });
});

describe("the first boot", () => {
  const ORDERS = [
    [1, 2, 3],
    [1, 3, 2],
    [2, 1, 3],
    [2, 3, 1],
    [3, 1, 2],
    [3, 2, 1],
  ];
  test.each(ORDERS)(
    "of hosts %i, %i and %i makes the first one primary, once",
    async (...order) => {
      const cluster = new Cluster();
      for (const number of order) {
        powerOn(cluster, cluster.host(number));
        await cluster.time.pass(5_000);
      }
      expect(await cluster.time.until(() => cluster.isInSync, 30_000)).toBe(true);
      expect(cluster.open).toEqual([cluster.host(1)]);
      expect(cluster.host(1).disk.term).toBe(1);
    },
  );

  test.each(["off", "hanging", "half", "garbage", "another"] as const)(
    "founds nothing while a peer is unknown (%s), and goes on looking",
    async (how) => {
      const cluster = new Cluster();
      const [first, second, third] = cluster.hosts as [Host, Host, Host];
      for (const host of how === "off" ? [first, second] : cluster.hosts) {
        powerOn(cluster, host);
      }
      if (how !== "off") {
        for (const host of [first, second]) {
          cluster.setLink(host.name, third.name, how);
        }
      }
      await cluster.time.pass(60_000);
      expect(cluster.hosts.map(({ disk }) => disk.term)).toEqual([0, 0, 0]);
      expect(first.healthPort.answers?.state.decision).toBe("wait-for-peers");
      cluster.healLinks();
      powerOn(cluster, third);
      expect(await cluster.time.until(() => cluster.isInSync, 30_000)).toBe(true);
    },
  );

  test("of a host whose data is gone founds no cluster while a silent peer may have data", async () => {
    const cluster = await standing();
    const [first, second, third] = cluster.hosts as [Host, Host, Host];
    for (const host of cluster.hosts) {
      powerOff(cluster, host);
    }
    first.loseVolume();
    second.loseVolume();
    powerOn(cluster, first);
    powerOn(cluster, second);
    await cluster.time.pass(60_000);
    expect([first.disk.term, second.disk.term]).toEqual([0, 0]);
    powerOn(cluster, third);
    await cluster.time.pass(30_000);
    expect(first.healthPort.answers?.state.decision).toBe("wait-for-primary");
  });
});

describe("an action", () => {
  test("that takes ten minutes delays no answer", async () => {
    const cluster = await standing({ pace: { clone: () => 600_000 } });
    const [, replica] = cluster.hosts as [Host, Host];
    powerOff(cluster, replica);
    replica.loseVolume();
    powerOn(cluster, replica);
    await cluster.time.pass(10_000);
    for (let second = 0; second < 500; second++) {
      await cluster.time.pass(1_000);
      expect(cluster.time.now - replica.healthPort.toldAt).toBeLessThan(3_000);
      expect(replica.healthPort.answers?.state.decision).toBe("clone");
      expect(replica.healthPort.answers).toMatchObject({ primary: false, replica: false });
    }
    expect(await cluster.time.until(() => cluster.isInSync, 200_000)).toBe(true);
  });

  test("that fails is retried with a pause, and status reports the failure until it succeeds", async () => {
    const cluster = await standing();
    const [, replica] = cluster.hosts as [Host, Host];
    powerOff(cluster, replica);
    replica.loseVolume();
    replica.failing.add("clone");
    powerOn(cluster, replica);
    await cluster.time.pass(5_000);
    const before = replica.runs.clone ?? 0;
    await cluster.time.pass(20_000);
    const tried = (replica.runs.clone ?? 0) - before;
    expect(tried).toBeGreaterThanOrEqual(8);
    expect(tried).toBeLessThanOrEqual(11);
    expect(await told(cluster, replica.commands?.status())).toMatchObject({
      failure: { decision: "clone", message: "clone.sh failed" },
    });
    replica.failing.clear();
    expect(await cluster.time.until(() => cluster.isInSync, 30_000)).toBe(true);
    await cluster.time.pass(3_000);
    expect(await told(cluster, replica.commands?.status())).toMatchObject({ failure: null });
  });

  test("waits for the lock; answers do not, and commands report why they failed", async () => {
    const cluster = await standing();
    const [primary, replica] = cluster.hosts as [Host, Host];
    const release = await replica.lock.take(replica.machine, 0);
    cluster.change(() => replica.mysql.end());
    await cluster.time.pass(15_000);
    expect(replica.disk.source).toBe(primary.name);
    expect(replica.mysql.state().replication).toBe("stopped");
    expect(cluster.time.now - replica.healthPort.toldAt).toBeLessThan(3_000);
    expect(await told(cluster, replica.commands?.close())).toContain(
      "another operation on this host is in progress",
    );
    release?.();
    expect(await cluster.time.until(() => cluster.isInSync, 10_000)).toBe(true);
  });

  test("is dropped if somebody else has acted since the decision", async () => {
    const cluster = await standing();
    const [primary] = cluster.hosts as [Host];
    cluster.change(() => primary.mysql.end());
    const isLooking = () => primary.mysql.isUp;
    expect(await cluster.time.until(isLooking, 10_000, 5)).toBe(true);
    // Its peers take half a second to answer now; meanwhile a script holds it closed.
    for (const peer of primary.identity.peers) {
      cluster.setLink(primary.name, peer.name, "late");
    }
    await cluster.time.pass(300);
    const release = await primary.lock.take(primary.machine, 0);
    await cluster.time.pass(2_000);
    primary.isHeld = true;
    release?.();
    await cluster.time.pass(20_000);
    expect(cluster.open).toEqual([]);
    expect(primary.healthPort.answers?.state.decision).toBe("wait-for-release");
  });

  test("clones a member at most once a minute", async () => {
    const cluster = await standing();
    const [primary, replica] = cluster.hosts as [Host, Host];
    for (let times = 1; times <= 2; times++) {
      replica.disk.isDamaged = true;
      await write(cluster, primary);
      await cluster.time.pass(20_000);
      expect(replica.runs.clone).toBe(1);
    }
    await cluster.time.pass(40_000);
    expect(replica.runs.clone).toBe(2);
    expect(cluster.isInSync).toBe(true);
  });

  test("that failed to declare accounts is retried after a minute", async () => {
    const cluster = new Cluster();
    cluster.stand();
    const [primary] = cluster.hosts as [Host];
    primary.failing.add("declare");
    for (const host of cluster.hosts) {
      powerOn(cluster, host);
    }
    await cluster.time.pass(50_000);
    expect(primary.runs.declare).toBe(1);
    expect(await told(cluster, primary.commands?.status())).toMatchObject({
      failure: { decision: "serve", message: "declare.sh failed" },
    });
    primary.failing.clear();
    await cluster.time.pass(30_000);
    expect(primary.runs.declare).toBe(2);
    expect(await told(cluster, primary.commands?.status())).toMatchObject({ failure: null });
    await cluster.time.pass(300_000);
    expect(primary.runs.declare).toBe(2);
  });
});

describe("answers", () => {
  test("have the time at which the server was queried, however late they are published", async () => {
    const pace = { look: 2 };
    const cluster = await standing({ pace: { look: () => pace.look } });
    const [primary] = cluster.hosts as [Host];
    pace.look = 500;
    const life = primary.agentLife;
    await cluster.time.pass(4_000);
    const { toldAt } = primary.healthPort;
    await cluster.time.until(() => primary.healthPort.toldAt > toldAt, 5_000, 1);
    expect(primary.healthPort.answers?.primary).toBe(true);
    // It stands still while it waits for what the server says, and that is another one afterwards.
    await cluster.time.pass(1_150);
    life?.freeze();
    await cluster.time.pass(500);
    cluster.change(() => primary.mysql.end());
    await cluster.time.pass(10_000);
    life?.thaw();
    for (let step = 0; step < 100; step++) {
      await cluster.time.pass(1);
      expect(primary.healthPort.answers?.primary ?? false).toBe(false);
    }
  });

  test("expire three seconds after the agent has stopped", async () => {
    const cluster = await standing();
    const [primary] = cluster.hosts as [Host];
    primary.agentLife?.freeze();
    await cluster.time.pass(5_000);
    expect(primary.healthPort.answers).toBeUndefined();
    primary.agentLife?.thaw();
    await cluster.time.pass(100);
    expect(primary.healthPort.answers?.primary).toBe(true);
  });

  test("are negative while a restore is in progress", async () => {
    const cluster = await standing();
    const [primary, replica] = cluster.hosts as [Host, Host];
    for (const host of [primary, replica]) {
      host.isRestoring = true;
    }
    await cluster.time.pass(3_000);
    for (const host of [primary, replica]) {
      expect(host.healthPort.answers).toMatchObject({
        primary: false,
        replica: false,
        readable: false,
        state: { decision: "restoring" },
      });
    }
    primary.isRestoring = false;
    await cluster.time.pass(3_000);
    expect(primary.healthPort.answers?.primary).toBe(true);
  });

  test("of a peer are accepted only if complete and from that peer", async () => {
    const cluster = await standing();
    const [primary, replica, other] = cluster.hosts as [Host, Host, Host];
    for (const link of ["half", "garbage", "another"] as const) {
      cluster.setLink(replica.name, primary.name, link);
      await cluster.time.pass(5_000);
      expect(replica.seen.map(({ name, state }) => `${name} ${state}`)).toEqual([
        `${primary.name} unknown`,
        `${other.name} member`,
      ]);
    }
  });
});

describe("a primary", () => {
  test("that restarts accepts no write while a peer is unknown, because that peer may be the primary now", async () => {
    const cluster = await standing();
    const [primary, replica] = cluster.hosts as [Host, Host];
    cluster.setLink(primary.name, replica.name, "cut");
    cluster.change(() => primary.mysql.end());
    await cluster.time.pass(60_000);
    expect(cluster.open).toEqual([]);
    expect(primary.healthPort.answers?.state.decision).toBe("wait-for-peers");
    cluster.healLinks();
    expect(await cluster.time.until(() => cluster.isInSync, 10_000)).toBe(true);
    expect(cluster.open).toEqual([primary]);
  });

  test("that comes back after a promotion sets aside the transactions that only it has, and follows", async () => {
    const cluster = await standing();
    const [old, next] = cluster.hosts as [Host, Host];
    for (const { name } of old.identity.peers) {
      cluster.setLink(old.name, name, "cut");
    }
    expect(await write(cluster, old)).toBe("alone");
    powerOff(cluster, old);
    cluster.healLinks();
    expect(await told(cluster, next.commands?.promote([old.name], true))).toBe(
      "database-2 is the primary",
    );
    powerOn(cluster, old);
    expect(await cluster.time.until(() => cluster.isInSync, 30_000)).toBe(true);
    expect(cluster.open).toEqual([next]);
    expect(rows(old.setAside)).toBe(1);
  });

  test("that was frozen while another was promoted closes when it continues", async () => {
    const cluster = await standing();
    const [old, next] = cluster.hosts as [Host, Host];
    cluster.change(() => old.freeze());
    await cluster.time.pass(5_000);
    expect(await told(cluster, next.commands?.promote([old.name], true))).toBe(
      "database-2 is the primary",
    );
    cluster.change(() => old.thaw());
    expect(await cluster.time.until(() => !old.mysql.takesWrites, 3_000)).toBe(true);
    expect(await cluster.time.until(() => cluster.isInSync, 30_000)).toBe(true);
    expect(cluster.open).toEqual([next]);
  });

  test("with a full volume refuses writes and still reports that it is the primary, until there is space", async () => {
    const cluster = await standing();
    const [primary] = cluster.hosts as [Host];
    primary.hasRoom = false;
    await cluster.time.pass(10_000);
    expect(cluster.open).toEqual([]);
    expect(primary.healthPort.answers).toMatchObject({
      primary: true,
      state: { decision: "wait-for-space", writability: "ready" },
    });
    primary.hasRoom = true;
    await cluster.time.pass(3_000);
    expect(cluster.open).toEqual([primary]);
  });

  test("with lossless durability does not open before a replica acknowledges, even after its promotion", async () => {
    const cluster = await standing({ durability: "lossless", hosts: 2 });
    const [lost, next] = cluster.hosts as [Host, Host];
    powerOff(cluster, lost);
    expect(await told(cluster, next.commands?.promote([lost.name], false))).toMatch(
      /^database-2 is the primary\n.*lossless.*: writes wait/,
    );
    await cluster.time.pass(30_000);
    expect(cluster.open).toEqual([]);
    expect(next.healthPort.answers?.primary).toBe(false);
    powerOn(cluster, lost);
    expect(await cluster.time.until(() => cluster.isInSync, 30_000)).toBe(true);
    expect(cluster.open).toEqual([next]);
  });

  test("with lossless durability accepts writes when a replica acknowledges, and acknowledges none without", async () => {
    const cluster = await standing({ durability: "lossless" });
    const [primary, second, third] = cluster.hosts as [Host, Host, Host];
    powerOff(cluster, second);
    powerOff(cluster, third);
    expect(await write(cluster, primary, 120_000)).toBeUndefined();
    powerOn(cluster, second);
    powerOn(cluster, third);
    expect(await cluster.time.until(() => cluster.isInSync, 60_000)).toBe(true);
  });

  test("in lossless, once it follows another and its server goes on, waits for no replica of its own", async () => {
    const cluster = await standing({ durability: "lossless", hosts: 2 });
    const [first, second] = cluster.hosts as [Host, Host];
    for (const [from, to] of [
      [first, second],
      [second, first],
    ] as const) {
      await told(cluster, from.commands?.close());
      expect(await told(cluster, to.commands?.promote([], false))).toBe(
        `${to.name} is the primary`,
      );
      expect(await cluster.time.until(() => cluster.isInSync, 30_000)).toBe(true);
      expect(await write(cluster, to)).toBe("copied");
      expect(await cluster.time.until(() => cluster.isInSync, 5_000)).toBe(true);
    }
  });
});

describe("operators' commands", () => {
  test("a closed host stays closed across a restart, until it is released", async () => {
    const cluster = await standing();
    const [primary] = cluster.hosts as [Host];
    expect(await told(cluster, primary.commands?.close())).toBe("database-1 is closed");
    expect(primary.healthPort.answers?.primary).toBe(false);
    powerOff(cluster, primary);
    powerOn(cluster, primary);
    await cluster.time.pass(30_000);
    expect(cluster.open).toEqual([]);
    expect(primary.healthPort.answers?.state.decision).toBe("wait-for-release");
    expect(await told(cluster, primary.commands?.candidate())).toMatchObject({ held: true });
    expect(await told(cluster, primary.commands?.release())).toBe("database-1 may open again");
    expect(await cluster.time.until(() => cluster.isInSync, 10_000)).toBe(true);
  });

  test("closing acknowledges no write that waits for a replica", async () => {
    const cluster = await standing({ durability: "lossless" });
    const [primary, second, third] = cluster.hosts as [Host, Host, Host];
    cluster.setLink(primary.name, second.name, "cut");
    cluster.setLink(primary.name, third.name, "cut");
    let how: Written | undefined;
    primary.mysql.write((written) => {
      how = written;
    });
    expect(await told(cluster, primary.commands?.close())).toBe("database-1 is closed");
    expect(how).toBe("failed");
    expect(cluster.open).toEqual([]);
  });

  test("a switchover loses nothing and is short", async () => {
    const cluster = await standing({ durability: "lossless" });
    const [old, next] = cluster.hosts as [Host, Host];
    expect(await write(cluster, old)).toBe("copied");
    const acknowledged = old.disk.applied.at(-1);
    const begun = cluster.time.now;
    await told(cluster, old.commands?.close());
    expect(await told(cluster, next.commands?.promote([], false))).toBe(
      "database-2 is the primary",
    );
    expect(await cluster.time.until(() => cluster.open.length === 1, 10_000)).toBe(true);
    expect(cluster.time.now - begun).toBeLessThan(3_000);
    expect(await cluster.time.until(() => cluster.isInSync, 10_000)).toBe(true);
    expect(next.disk.applied).toContain(acknowledged);
    expect(old.isHeld).toBe(false);
  });

  test("a promotion with objections reports all of them and changes nothing", async () => {
    const cluster = await standing();
    const [primary, candidate, third] = cluster.hosts as [Host, Host, Host];
    expect(await told(cluster, candidate.commands?.promote(["database-9"], false))).toContain(
      "no other database host named database-9",
    );
    expect(await told(cluster, candidate.commands?.promote([], true))).toContain(
      "database-1 is the primary, and open: switch over instead",
    );
    powerOff(cluster, primary);
    powerOff(cluster, third);
    await cluster.time.pass(2_000);
    const begun = cluster.time.now;
    const said = await told(cluster, candidate.commands?.promote([], false));
    expect(said).toContain("database-1 does not answer: whether it is closed cannot be known");
    expect(said).toContain("a write that was acknowledged may be there alone");
    expect(cluster.time.now - begun).toBeLessThan(2_000);
    expect(
      await told(cluster, candidate.commands?.promote([primary.name, third.name], false)),
    ).toContain("a write that was acknowledged may be there alone");
    candidate.mysql.otherTables = ["app.old (MyISAM)"];
    expect(
      await told(cluster, candidate.commands?.promote([primary.name, third.name], false)),
    ).toContain("app.old (MyISAM)");
    expect(candidate.disk.term).toBe(1);
    expect(await told(cluster, candidate.commands?.promote([primary.name, third.name], true))).toBe(
      "database-2 is the primary",
    );
    expect(await told(cluster, candidate.commands?.promote([], false))).toBe(
      "database-2 is the primary already",
    );
  });

  test("a promotion of the last known primary names hosts that may have been promoted since", async () => {
    const cluster = await standing({ durability: "lossless" });
    const [first, second, third] = cluster.hosts as [Host, Host, Host];
    await told(cluster, first.commands?.close());
    expect(await told(cluster, second.commands?.promote([], false))).toBe(
      "database-2 is the primary",
    );
    powerOff(cluster, first);
    expect(await cluster.time.until(() => cluster.open.length === 1, 20_000)).toBe(true);
    expect(await write(cluster, second)).toBe("copied");
    powerOff(cluster, second);
    powerOff(cluster, third);
    first.disk.term = 1;
    powerOn(cluster, first);
    await cluster.time.pass(5_000);
    const lost = [second.name, third.name];
    expect(await told(cluster, first.commands?.promote(lost, false))).toContain(
      "database-2 and database-3 do not answer: one of them may have been promoted since",
    );
    expect(await told(cluster, first.commands?.promote(lost, true))).toContain(
      "database-1 is the primary",
    );
  });

  test("a promotion does not wait for a host whose clone was interrupted for good", async () => {
    const cluster = await standing({ pace: { clone: () => 10_000 } });
    const [primary, empty, candidate] = cluster.hosts as [Host, Host, Host];
    powerOff(cluster, empty);
    empty.loseVolume();
    powerOn(cluster, empty);
    await cluster.time.until(() => empty.disk.isBeingCloned, 20_000);
    powerOff(cluster, primary);
    await cluster.time.pass(20_000);
    expect(empty.healthPort.answers?.state.writability).toBe("closed");
    expect(await told(cluster, candidate.commands?.promote([primary.name], true))).toBe(
      "database-3 is the primary",
    );
  });

  test("a promotion waits ten seconds for temporary objections to pass, and no longer", async () => {
    const pace = { apply: 2 };
    const cluster = await standing({ hosts: 2, pace: { apply: () => pace.apply } });
    const [primary, candidate] = cluster.hosts as [Host, Host];
    pace.apply = 20_000;
    expect(await write(cluster, primary)).toBe("copied");
    powerOff(cluster, primary);
    const begun = cluster.time.now;
    const said = await told(cluster, candidate.commands?.promote([primary.name], false));
    expect(said).toContain("this host has not applied all it received");
    expect(said).toContain("that did not change within 10 s");
    expect(cluster.time.now - begun).toBeGreaterThan(9_900);
    expect(cluster.time.now - begun).toBeLessThan(12_000);
    await cluster.time.pass(10_000);
    expect(await told(cluster, candidate.commands?.promote([primary.name], false))).toBe(
      "database-2 is the primary",
    );
    expect(rows(candidate.disk.applied)).toBe(2);
  });

  test("a promotion applies what a server had received before its restart, if told to accept loss", async () => {
    const pace = { apply: 2 };
    const cluster = await standing({ hosts: 2, pace: { apply: () => pace.apply } });
    const [primary, candidate] = cluster.hosts as [Host, Host];
    pace.apply = 3_000;
    expect(await write(cluster, primary)).toBe("copied");
    powerOff(cluster, primary);
    cluster.change(() => candidate.mysql.end());
    await cluster.time.until(() => candidate.mysql.isUp, 5_000);
    const said = await told(cluster, candidate.commands?.promote([primary.name], false));
    expect(said).toContain("this host's server was started anew");
    expect(await told(cluster, candidate.commands?.promote([primary.name], true))).toBe(
      "database-2 is the primary",
    );
    expect(rows(candidate.disk.applied)).toBe(2);
  });

  test("that a server has caught up is recorded for that run of the server only", async () => {
    const cluster = await standing();
    const [primary, replica] = cluster.hosts as [Host, Host];
    await cluster.time.pass(5_000);
    expect(replica.healthPort.answers?.state.caughtUpWith).toBe("database-1:1");
    powerOff(cluster, primary);
    cluster.change(() => replica.mysql.end());
    await cluster.time.pass(5_000);
    expect(replica.healthPort.answers?.state.caughtUpWith).toBe("-");
    powerOn(cluster, primary);
    await cluster.time.pass(10_000);
    expect(replica.healthPort.answers?.state.caughtUpWith).toBe("database-1:1");
  });

  test("having caught up before a restart is not recorded for the new run", async () => {
    const cluster = await standing();
    const [primary, replica] = cluster.hosts as [Host, Host];
    await write(cluster, primary);
    replica.caughtUp = undefined;
    // The round that sees it has begun before the server starts anew, and ends after it.
    cluster.setLink(replica.name, primary.name, "late");
    for (let step = 0; step < 40; step++) {
      await cluster.time.pass(100);
      if (step === 20) {
        cluster.change(() => replica.mysql.end());
      }
      const { caughtUpWith, replication } = replica.healthPort.answers?.state ?? {};
      if (step > 20 && replication !== "running") {
        expect(caughtUpWith).toBe("-");
      }
    }
  });
});
