import { Cluster, STEADY } from "./fakes/cluster";
import type { Host } from "./fakes/host";
import type { Pace, Transaction, Written } from "./fakes/mysql";
import { Chance } from "./fakes/random";

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
  test("what was judged once is judged anew when the server gives its name to another", async () => {
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

  test("what came from an old primary and changes no row is forgotten, and the host follows the new one", async () => {
    const cluster = await standing();
    const [old, next, other] = cluster.hosts as [Host, Host, Host];
    cluster.setLink(next.name, old.name, "cut");
    old.mysql.flush();
    await cluster.time.pass(100);
    powerOff(cluster, old);
    expect(await told(cluster, next.agent?.promote([old.name], true))).toBe(
      "database-2 is the primary",
    );
    const isFollowing = () => other.disk.source === next.name && other.healthPort.answers?.replica;
    expect(await cluster.time.until(() => isFollowing() === true, 20_000)).toBe(true);
    expect(other.setAside).toEqual([]);
  });

  test("none that changes a row keeps it from a clone when what arrives does not fit", async () => {
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

  test("keeps another from being promoted, and the one that has it is promoted once it is applied", async () => {
    const { cluster, primary, candidate, holder } = await inRelayLogAlone(8_000);
    const said = await told(cluster, candidate.agent?.promote([primary.name], false));
    expect(said).toContain("database-3 has received transactions that this host lacks");
    expect(await told(cluster, holder.agent?.promote([primary.name], false))).toBe(
      "database-3 is the primary",
    );
    expect(rows(holder.disk.applied)).toBe(2);
  });

  test("keeps nobody from being promoted who is told that it may be lost", async () => {
    const { cluster, primary, candidate } = await inRelayLogAlone(600_000);
    expect(await told(cluster, candidate.agent?.promote([primary.name], true))).toBe(
      "database-2 is the primary",
    );
  });

  test("keeps nobody from a switchover who is about to receive it", async () => {
    const cluster = await standing();
    const [primary, candidate] = cluster.hosts as [Host, Host];
    cluster.setLink(candidate.name, primary.name, "cut");
    expect(await write(cluster, primary)).toBe("copied");
    await told(cluster, primary.agent?.close());
    const promotion = told(cluster, candidate.agent?.promote([], false));
    cluster.healLinks();
    expect(await promotion).toBe("database-2 is the primary");
  });

  test("is applied before it follows another primary, and set aside", async () => {
    const { cluster, primary, candidate, holder } = await inRelayLogAlone(4_000);
    cluster.setLink(candidate.name, holder.name, "cut");
    expect(await told(cluster, candidate.agent?.promote([primary.name, holder.name], true))).toBe(
      "database-2 is the primary",
    );
    cluster.healLinks();
    await cluster.time.pass(30_000);
    expect(rows(holder.setAside)).toBe(1);
    expect(holder.healthPort.answers?.replica).toBe(true);
  });
  test("is known before another is promoted, although it was received after the last answer", async () => {
    const cluster = await standing();
    const [primary, candidate] = cluster.hosts as [Host, Host];
    cluster.setLink(candidate.name, primary.name, "cut");
    expect(await write(cluster, primary)).toBe("copied");
    powerOff(cluster, primary);
    const said = await told(cluster, candidate.agent?.promote([primary.name], false));
    expect(said).toContain("database-3 holds transactions that this host lacks");
  });
});

describe("a promotion that lets acknowledged writes go", () => {
  test.each(["available", "lossless"] as const)(
    "is not undone by the closed host that still has them (%s)",
    async (durability) => {
      const cluster = await standing({ durability });
      const [primary, candidate, holder] = cluster.hosts as [Host, Host, Host];
      cluster.setLink(candidate.name, primary.name, "cut");
      expect(await write(cluster, primary)).toBe("copied");
      powerOff(cluster, primary);
      await cluster.time.pass(2_000);
      expect(await told(cluster, candidate.agent?.promote([primary.name], true))).toBe(
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

  test("outranks an earlier one of a lost host, of which nobody heard", async () => {
    const cluster = await standing();
    const [first, second, third] = cluster.hosts as [Host, Host, Host];
    await told(cluster, first.agent?.close());
    cluster.setLink(second.name, first.name, "cut");
    cluster.setLink(second.name, third.name, "cut");
    expect(await told(cluster, second.agent?.promote([first.name, third.name], true))).toBe(
      "database-2 is the primary",
    );
    powerOff(cluster, second);
    cluster.healLinks();
    expect(await told(cluster, third.agent?.promote([second.name], false))).toBe(
      "database-3 is the primary",
    );
    powerOn(cluster, second);
    expect(await cluster.time.until(() => cluster.isInSync, 30_000)).toBe(true);
    expect(cluster.open).toEqual([third]);
  });
});
