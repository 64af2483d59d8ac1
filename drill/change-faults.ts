import type { Fault } from "./fault";
import { eventually } from "./scratch/workspace";
import type { Stage } from "./stage";

// Changes of settings that concern who becomes primary, on a running cluster (drill/faults.ts lists all faults).

/** What a host's agent and its member of etcd say: `SYNC MEMBERS`, each a list with commas in the order of names. */
const SAYS = `
  sync=$(/opt/cluster/scripts/database/agent.sh status |
    jq -r '[.lease.record.sync // [] | .[] | sub("@.*"; "")] | sort | join(",")')
  members=$(/opt/cluster/scripts/etcd/status.sh |
    jq -r '[.members // [] | .[] | select(.learner | not) | .name] | sort | join(",")')
  echo "\${sync:--} \${members:--}"`;

/** Waits until the record names all replicas, and etcd's members are the voters; the load goes on. */
async function isRecorded(stage: Stage, ...voters: readonly string[]): Promise<void> {
  const { cluster } = stage;
  await eventually(
    `a record with all replicas in sync, and ${voters.join(", ")} as members of etcd`,
    async () => {
      const primary = await cluster.inSync();
      const replicas = cluster.databases.filter((host) => host !== primary).sort();
      const [sync, members] = (await cluster.printedOn(primary, SAYS)).trim().split(" ");
      const isSame = sync === replicas.join() && members === [...voters].sort().join();
      return isSame || undefined;
    },
    180,
  );
}

/** Waits until no agent knows of a record, and no host has data of a member of etcd. */
async function isManual(stage: Stage): Promise<void> {
  const { cluster } = stage;
  for (const host of [...cluster.databases, "load-balancer-1"]) {
    await eventually(
      `nothing of automatic failover on ${host}`,
      async () => {
        const left = await cluster.printedOn(
          host,
          "ls -d /srv/data/recorded {/srv/data,/var/lib/cluster}/etcd/data 2>/dev/null; echo .",
        );
        return left.trim() === "." || undefined;
      },
      120,
    );
  }
}

const SMALL = ["database-1", "database-2", "load-balancer-1"];
const LARGE = ["database-1", "database-2", "database-3"];

/** Changes of settings, each of which has to be as good as not noticed. */
export const CHANGE_FAULTS: readonly Fault[] = [
  {
    name: "replicas-changed",
    what: "With automatic failover a second replica is added, and removed again",
    bounds: { failed: 0, readGap: 1, writeGap: 2 },
    async inject(stage) {
      await isRecorded(stage, ...SMALL);
      stage.begin();
      stage.note("two replicas");
      stage.cluster.deploy({ database: { replicas: 2 } });
      await isRecorded(stage, ...LARGE);
      stage.note("one replica");
      stage.cluster.deploy();
      await isRecorded(stage, ...SMALL);
      await stage.wait(5);
    },
  },
  {
    name: "failover-changed",
    what: "Failover becomes automatic, and manual again",
    bounds: { failed: 0, readGap: 1, writeGap: 2 },
    settings: { database: { failover: "manual" } },
    async inject(stage) {
      await isManual(stage);
      stage.begin();
      stage.note("automatic");
      stage.cluster.deploy({ database: { failover: "automatic" } });
      await isRecorded(stage, ...SMALL);
      stage.note("manual");
      stage.cluster.deploy({ database: { failover: "manual" } });
      await isManual(stage);
      await stage.wait(5);
    },
  },
];
