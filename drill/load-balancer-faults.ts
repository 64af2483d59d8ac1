import { floatingAddress } from "../topology/topology";
import { rollOut } from "./changed-app";
import { cutOff, type Fault, replace } from "./fault";
import type { ScratchCluster } from "./scratch/scratch-cluster";
import { eventually } from "./scratch/workspace";
import type { Stage } from "./stage";

// Faults of one of two load balancers (drill/faults.ts lists all faults).

const PAIR = ["load-balancer-1", "load-balancer-2"];

const SETTINGS = { loadBalancer: { count: 2 } } as const;

/** How long a load balancer is away, in seconds. */
const AWAY = 8;

/** The load balancers that hold the floating address, seen on each of them. */
function holders(cluster: ScratchCluster): string[] {
  const address = floatingAddress(cluster.topology);
  return PAIR.filter((host) => {
    const { stdout } = cluster.attemptOn(host, `ip -oneline -4 address show to ${address}/32`);
    return stdout.trim() !== "";
  });
}

/** Waits until exactly one load balancer holds the address, and both could. */
async function oneHolder(stage: Stage): Promise<string> {
  const { cluster } = stage;
  return eventually(
    "exactly one load balancer holds the visitors' address, and the other one can take it",
    () => {
      const stands = PAIR.map((host) => {
        const { stdout } = cluster.attemptOn(host, "/opt/cluster/scripts/load-balancer/status.sh");
        return {
          host,
          pair: JSON.parse(stdout).pair as { holds: boolean; obstacle: string | null },
        };
      });
      const holding = stands.filter(({ pair }) => pair.holds);
      return holding.length === 1 && stands.every(({ pair }) => pair.obstacle === null)
        ? holding[0]?.host
        : undefined;
    },
    60,
  );
}

/** Takes the holder away and brings it back, and checks that the other one has taken over. */
async function away(stage: Stage, go: (holder: string) => () => void): Promise<void> {
  const holder = await oneHolder(stage);
  stage.begin();
  const back = go(holder);
  stage.happened();
  await stage.wait(AWAY);
  const other = PAIR.find((host) => host !== holder) as string;
  if (!holders(stage.cluster).includes(other)) {
    throw new Error(`${other} has not taken the visitors' address over from ${holder}`);
  }
  stage.note(`${holder} comes back`);
  back();
  await oneHolder(stage);
}

/** Drops what the load balancers say to each other by VRRP, in both directions. */
function split(cluster: ScratchCluster): () => void {
  const both = (command: string) => PAIR.map((host) => cluster.on(host, command));
  both(
    `nft --file - <<'RULES'
table inet split {
  chain input {
    type filter hook input priority filter - 1; policy accept;
    ip protocol 112 drop
  }
}
RULES`,
  );
  return () => both("nft delete table inet split");
}

/**
 * The requests of the drill's load in the 1.5 seconds until another load balancer has noticed that one is silent: those
 * that reach a frozen container's kernel, which still accepts them, count as under way.
 */
const UNTIL_NOTICED = 24;

/** Each needs a cluster with two load balancers. */
export const LOAD_BALANCER_FAULTS: readonly Fault[] = [
  {
    name: "load-balancer-killed",
    what: "Of two load balancers, HAProxy is killed on the one that serves, and stays down for a while",
    settings: SETTINGS,
    bounds: { failed: "under-way", readGap: 2, writeGap: 2 },
    inject: (stage) =>
      away(stage, (holder) => {
        stage.cluster.on(
          holder,
          "systemctl kill --signal=KILL haproxy.service; systemctl stop haproxy.service",
        );
        return () => stage.cluster.on(holder, "systemctl start haproxy.service");
      }),
  },
  {
    name: "load-balancer-stopped",
    what: "Of two load balancers, the host of the one that serves is powered off, and on again later",
    settings: SETTINGS,
    bounds: { failed: "under-way", readGap: 2, writeGap: 2 },
    inject: (stage) =>
      away(stage, (holder) => {
        stage.cluster.incus(["stop", "--force", holder]);
        return () => stage.cluster.incus(["start", holder]);
      }),
  },
  {
    name: "load-balancer-frozen",
    what: "Of two load balancers, the host of the one that serves freezes, and resumes",
    settings: SETTINGS,
    bounds: { failed: UNTIL_NOTICED, readGap: 2, writeGap: 2 },
    inject: (stage) =>
      away(stage, (holder) => {
        stage.cluster.incus(["pause", holder]);
        return () => stage.cluster.incus(["resume", holder]);
      }),
  },
  {
    name: "load-balancer-cut-off",
    what: "Of two load balancers, the one that serves loses its network, and gets it back",
    settings: SETTINGS,
    bounds: { failed: "under-way", readGap: 2, writeGap: 2 },
    inject: (stage) => away(stage, (holder) => cutOff(stage, holder)),
  },
  {
    name: "load-balancer-split",
    what: "Two load balancers no longer hear each other, and both serve; then they do again",
    settings: SETTINGS,
    bounds: { readGap: 2, writeGap: 2 },
    async inject(stage) {
      await oneHolder(stage);
      stage.begin();
      const heal = split(stage.cluster);
      try {
        await eventually(
          "both hold the address",
          () => holders(stage.cluster).length === 2 || undefined,
          10,
        );
        await stage.wait(5);
      } finally {
        heal();
      }
      stage.note("they hear each other again");
      await oneHolder(stage);
    },
  },
  {
    name: "load-balancer-handed-over",
    what: "Of two load balancers, the one that serves hands over to the other one, there and back",
    settings: SETTINGS,
    bounds: { failed: 0, readGap: 2, writeGap: 3 },
    async inject(stage) {
      await oneHolder(stage);
      stage.begin();
      for (let count = 0; count < 2; count++) {
        const holder = await oneHolder(stage);
        const script = "/opt/cluster/scripts/load-balancer/hand-over.sh";
        stage.cluster.on(holder, `${script} begin && ${script} end`);
        if ((await oneHolder(stage)) === holder) {
          throw new Error(`${holder} still holds the visitors' address`);
        }
        await stage.wait(2);
      }
    },
  },
  {
    name: "load-balancers-changed",
    what: "Of two load balancers, the balancing algorithm is changed, twice",
    settings: SETTINGS,
    bounds: { failed: 0, readGap: 3, writeGap: 3 },
    async inject(stage) {
      await oneHolder(stage);
      stage.begin();
      stage.cluster.deploy({ loadBalancer: { count: 2, algorithm: "leastconn" } });
      await oneHolder(stage);
      stage.cluster.deploy(SETTINGS);
      await oneHolder(stage);
    },
  },
  {
    name: "load-balancer-added-and-removed",
    what: "A second load balancer is added, and removed again",
    bounds: { failed: 0, readGap: 4, writeGap: 4 },
    async inject(stage) {
      stage.begin();
      stage.cluster.deploy(SETTINGS);
      await oneHolder(stage);
      stage.note("two load balancers");
      stage.cluster.deploy();
      await stage.wait(2);
    },
  },
  {
    name: "load-balancers-released",
    what: "A release of the app is rolled out behind two load balancers",
    settings: SETTINGS,
    bounds: { failed: 0, readGap: 3, writeGap: 3 },
    async inject(stage) {
      await oneHolder(stage);
      await rollOut(stage, SETTINGS);
    },
  },
  {
    name: "load-balancers-upgraded",
    what: "Of two load balancers, both are upgraded and rebooted",
    settings: SETTINGS,
    bounds: { failed: 0, readGap: 3, writeGap: 3 },
    async inject(stage) {
      for (const host of PAIR) {
        stage.cluster.on(host, "touch /run/reboot-required");
      }
      await oneHolder(stage);
      stage.begin();
      stage.command("upgrade");
      await oneHolder(stage);
    },
  },
  {
    name: "load-balancer-replaced",
    what: "Of two load balancers, the host of one is replaced while a web server is drained",
    settings: SETTINGS,
    bounds: { failed: "under-way", readGap: 3, writeGap: 3 },
    async inject(stage) {
      const holder = await oneHolder(stage);
      stage.command("drain", "web-1");
      stage.begin();
      try {
        replace(stage, holder);
        await oneHolder(stage);
        const states = stage.cluster.on(
          holder,
          "echo 'show servers state' | socat - UNIX-CONNECT:/run/haproxy/admin.sock",
        );
        // The seventh field is what operators decided: 8 is drained (HAProxy's management guide, 9.3).
        const drained = states.split("\n").find((line) => line.split(" ")[3] === "web-1");
        if (drained?.split(" ")[6] !== "8") {
          throw new Error(`${holder} does not know that web-1 is drained: ${drained}`);
        }
      } finally {
        stage.command("undrain", "web-1");
      }
    },
  },
];
