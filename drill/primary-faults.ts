import { runSync } from "../ops/run";
import { AWAY, cutOff, dropPackets, type Fault, kill } from "./fault";
import type { Bounds } from "./measure";
import { eventually } from "./scratch/workspace";
import type { Stage } from "./stage";

// Faults that the cluster answers by itself, with automatic failover: of the primary, and of etcd.

/** The first write within six seconds, and no request fails: a write waits until there is a primary. */
const FAILOVER: Bounds = { failed: 0, readGap: 3, writeGap: 6 };

/** What an operator or the system does in an orderly way costs two seconds at most. */
const ORDERLY: Bounds = { failed: 0, readGap: 1, writeGap: 2 };

/** Nothing fails over. */
const NONE: Bounds = { failed: 0, readGap: 1, writeGap: 2 };

/** Waits until another host is the primary, and the one before is its replica. */
async function succeeded(stage: Stage, before: string): Promise<void> {
  const { primary } = await stage.databases();
  if (primary === before) {
    throw new Error(`${before} is the primary again: no other host took over`);
  }
}

/** @throws Error if the primary has changed */
async function unchanged(stage: Stage, before: string, term: string): Promise<void> {
  const { primary } = await stage.databases();
  const now = termOf(stage, primary);
  if (primary !== before || now !== term) {
    throw new Error(
      `${primary} is primary of term ${now}; before it was ${before}, of term ${term}`,
    );
  }
}

const termOf = (stage: Stage, host: string) =>
  stage.cluster.query(host, "SELECT MAX(term) FROM cluster.primary_term")[0] ?? "";

/** The voters, and which of them leads. */
function voters(stage: Stage): { names: string[]; leader: string } {
  const names = stage.cluster.topology.voters.map(({ name }) => name);
  const { members } = JSON.parse(
    stage.cluster.on(names[0] as string, "/opt/cluster/scripts/etcd/status.sh"),
  );
  const leader = members.find((member: { leader: boolean }) => member.leader)?.name;
  if (leader === undefined) {
    throw new Error(`etcd has no leader: ${JSON.stringify(members)}`);
  }
  return { names, leader };
}

/** A fault of etcd, during which the primary stays what it is. */
const ofEtcd = (
  name: string,
  what: string,
  inject: (stage: Stage, names: readonly string[], leader: string) => Promise<void>,
): Fault => ({
  name,
  what,
  bounds: NONE,
  async inject(stage) {
    const { primary } = await stage.databases();
    const term = termOf(stage, primary);
    const { names, leader } = voters(stage);
    stage.begin();
    await inject(stage, names, leader);
    await unchanged(stage, primary, term);
  },
});

/**
 * Puts a replica's data volume into a pool of its own, whose file system can be frozen. Returns how to freeze it, and how
 * to put the volume back.
 */
async function ownDisk(stage: Stage, host: string) {
  const { cluster } = stage;
  const pool = `dwi-${cluster.topology.clusterName}`;
  const move = async (from: string, to: string) => {
    cluster.incus(["stop", host]);
    cluster.attemptIncus(["storage", "volume", "delete", to, host]);
    cluster.incus(["storage", "volume", "copy", `${from}/${host}`, `${to}/${host}`], 120);
    cluster.incus(["config", "device", "set", host, "data", `pool=${to}`]);
    cluster.incus(["start", host]);
    await cluster.inSync(180);
  };
  cluster.incus(["storage", "create", pool, "btrfs", "size=3GiB"]);
  await move("dwi", pool);
  const path = `/var/lib/incus/storage-pools/${pool}`;
  return {
    freeze: () => runSync(["fsfreeze", "--freeze", path]),
    thaw: () => runSync(["fsfreeze", "--unfreeze", path]),
    async putBack() {
      await move(pool, "dwi");
      cluster.incus(["storage", "volume", "delete", pool, host]);
      cluster.incus(["storage", "delete", pool]);
    },
  };
}

export const PRIMARY_FAULTS: readonly Fault[] = [
  {
    name: "primary-killed",
    what: "The primary's MySQL server is killed",
    short: true,
    bounds: FAILOVER,
    async inject(stage) {
      const { primary } = await stage.databases();
      stage.begin();
      kill(stage, primary, "mysql.service");
      await stage.wait(5);
      await succeeded(stage, primary);
    },
  },
  {
    name: "primary-host-stopped",
    what: "The primary's host is powered off, and on again later",
    bounds: FAILOVER,
    async inject(stage) {
      const { primary } = await stage.databases();
      stage.begin();
      stage.cluster.incus(["stop", "--force", primary]);
      await stage.wait(AWAY);
      stage.note("started again");
      stage.cluster.incus(["start", primary]);
      await succeeded(stage, primary);
    },
  },
  {
    name: "primary-host-frozen",
    what: "The primary's host freezes, and resumes with clients still connected",
    bounds: FAILOVER,
    async inject(stage) {
      const { primary } = await stage.databases();
      const end = await stage.writeDirectly(primary);
      stage.begin();
      stage.cluster.incus(["pause", primary]);
      await stage.wait(AWAY);
      stage.note("resumed");
      stage.cluster.incus(["resume", primary]);
      await stage.wait(5);
      end();
      await succeeded(stage, primary);
    },
  },
  {
    name: "primary-host-paused-shortly",
    what: "The primary's host freezes for three seconds, again and again, with clients connected",
    bounds: { ...FAILOVER, writeGap: 8 },
    async inject(stage) {
      const { primary } = await stage.databases();
      const end = await stage.writeDirectly(primary);
      stage.begin();
      for (let count = 0; count < 4; count++) {
        stage.cluster.incus(["pause", primary]);
        await stage.wait(3);
        stage.cluster.incus(["resume", primary]);
        await stage.wait(1);
      }
      end();
    },
  },
  {
    name: "primary-cut-off",
    what: "The primary's host loses its network, and gets it back",
    bounds: FAILOVER,
    async inject(stage) {
      const { primary } = await stage.databases();
      const end = await stage.writeDirectly(primary);
      stage.begin();
      const join = cutOff(stage, primary);
      await stage.wait(AWAY);
      const { stdout } = stage.cluster.attemptOn(primary, "mysql -N -e 'SELECT @@super_read_only'");
      stage.note("reconnected");
      join();
      if (stdout.trim() !== "1") {
        throw new Error(
          `${primary} has to be up and closed ${AWAY} s after it lost its network; super_read_only is: ${stdout}`,
        );
      }
      await stage.wait(2);
      end();
      await succeeded(stage, primary);
    },
  },
  {
    name: "primary-cut-off-from-replica",
    what: "The primary and the replica no longer reach each other, and everything else does",
    bounds: FAILOVER,
    async inject(stage) {
      const { primary, replica } = await stage.databases();
      stage.begin();
      const heal = dropPackets(stage, primary, [replica]);
      await stage.wait(AWAY);
      stage.note("they reach each other again");
      heal();
    },
  },
  {
    name: "primary-disk-hangs",
    what: "The disk of the primary's data volume hangs, and goes on later",
    bounds: FAILOVER,
    async inject(stage) {
      const { replica } = await stage.databases();
      const disk = await ownDisk(stage, replica);
      try {
        stage.cluster.operate("switchover");
        await stage.databases();
        stage.begin();
        disk.freeze();
        await stage.wait(AWAY).finally(disk.thaw);
        stage.note("the disk goes on");
        await succeeded(stage, replica);
      } finally {
        await disk.putBack();
      }
    },
  },
  {
    name: "primary-host-restarted",
    what: "The primary's host is restarted in an orderly way",
    bounds: ORDERLY,
    async inject(stage) {
      const { primary } = await stage.databases();
      stage.begin();
      stage.cluster.incus(["restart", primary], 120);
      await succeeded(stage, primary);
    },
  },
  {
    name: "databases-stopped",
    what: "Both database hosts are powered off at once, and on again, the replica first",
    bounds: {},
    async inject(stage) {
      const { primary, replica } = await stage.databases();
      stage.begin();
      stage.cluster.incus(["stop", "--force", primary, replica]);
      stage.cluster.incus(["start", replica]);
      await stage.wait(8);
      stage.cluster.incus(["start", primary]);
    },
  },
  ofEtcd("etcd-leader-killed", "etcd's leader is killed", async (stage, _, leader) => {
    kill(stage, leader, "cluster-etcd.service");
    await stage.wait(8);
  }),
  ofEtcd(
    "etcd-voter-stopped",
    "One member of etcd is stopped, and started later",
    async (stage, _, leader) => {
      stage.cluster.on(leader, "systemctl stop cluster-etcd.service");
      await stage.wait(AWAY);
      stage.cluster.on(leader, "systemctl start --no-block cluster-etcd.service");
      await stage.wait(3);
    },
  ),
  ofEtcd(
    "etcd-stopped",
    "All members of etcd are stopped, and started later",
    async (stage, names) => {
      for (const name of names) {
        stage.cluster.on(name, "systemctl stop cluster-etcd.service");
      }
      await stage.wait(AWAY);
      stage.note("started again");
      for (const name of names) {
        stage.cluster.on(name, "systemctl start --no-block cluster-etcd.service");
      }
      await stage.wait(8);
    },
  ),
  ofEtcd("etcd-frozen", "All members of etcd freeze, and resume later", async (stage, names) => {
    const signal = (name: string) => {
      for (const host of names) {
        stage.cluster.on(host, `systemctl kill --signal=${name} cluster-etcd.service`);
      }
    };
    signal("STOP");
    await stage.wait(AWAY);
    stage.note("resumed");
    signal("CONT");
    await stage.wait(8);
  }),
  ofEtcd(
    "etcd-slow",
    "etcd's leader stands still for half of each second, as one whose disk is slow does",
    async (stage, _, leader) => {
      stage.cluster.on(
        leader,
        `for turn in $(seq 20); do
           systemctl kill --signal=STOP cluster-etcd.service; sleep 0.5
           systemctl kill --signal=CONT cluster-etcd.service; sleep 0.5
         done`,
      );
    },
  ),
  {
    name: "hosts-busy",
    what: "Each database host has eight processes that only compute, under twenty times the load",
    bounds: { failed: 0, writeGap: 3 },
    load: { readsPerSecond: 60, writesPerSecond: 20 },
    async inject(stage) {
      const { primary } = await stage.databases();
      const term = termOf(stage, primary);
      stage.begin();
      for (const host of stage.cluster.databases) {
        stage.cluster.on(
          host,
          "for turn in $(seq 8); do timeout 20 sh -c 'while :; do :; done' </dev/null >/dev/null 2>&1 & done",
        );
      }
      await stage.wait(22);
      await unchanged(stage, primary, term);
    },
  },
  {
    name: "web-servers-cut-off-from-primary",
    what: "The web servers no longer reach the primary, and everything else does",
    bounds: { failedReads: 0 },
    async inject(stage) {
      const { primary } = await stage.databases();
      const term = termOf(stage, primary);
      stage.begin();
      const heal = ["web-1", "web-2"].map((host) => dropPackets(stage, host, [primary]));
      try {
        await eventually(
          "status says that the web servers do not reach the primary",
          () =>
            /web-\d.*(not reach|reach).*primary/.test(
              stage.cluster.attemptToOperate("status").stdout,
            ),
          AWAY,
        );
      } finally {
        heal.map((end) => end());
      }
      await unchanged(stage, primary, term);
    },
  },
];
