import { attemptSync } from "../ops/run";
import { CHANGE_FAULTS } from "./change-faults";
import { changedApp, rollOut, withApp } from "./changed-app";
import { AWAY, comesBackAsReplica, cutOff, type Fault, kill, replace } from "./fault";
import { LOAD_BALANCER_FAULTS } from "./load-balancer-faults";
import { PRIMARY_FAULTS } from "./primary-faults";
import { eventually } from "./scratch/workspace";
import type { Stage } from "./stage";

/** Waits until a web server answers requests again. */
async function answersAgain(stage: Stage, host: string): Promise<void> {
  await eventually(
    `${host} answers again`,
    async () => (await stage.answeredBy(host, 2)) > 0 || undefined,
    90,
  );
}

/** A high write load. */
const BUSY = { readsPerSecond: 12, writesPerSecond: 50 };

/** An operator decides who is primary. */
const MANUAL = { database: { failover: "manual" } } as const;

/** Switches over several times, without a pause. None may be refused. */
async function switchOver(stage: Stage, times: number): Promise<void> {
  await stage.databases();
  stage.begin();
  for (let count = 0; count < times; count++) {
    stage.command("switchover");
  }
  await stage.wait(2);
}

const OTHER_FAULTS: readonly Fault[] = [
  {
    name: "app-killed",
    what: "An app's process is killed",
    short: true,
    bounds: { failed: 0, readGap: 1, writeGap: 1 },
    async inject(stage) {
      stage.begin();
      kill(stage, "web-1", "app.service");
      await stage.wait(5);
    },
  },
  {
    name: "nginx-killed",
    what: "Nginx is killed on a web server",
    short: true,
    bounds: { failed: 0, readGap: 3, writeGap: 3 },
    async inject(stage) {
      stage.begin();
      kill(stage, "web-1", "nginx.service");
      await stage.wait(5);
    },
  },
  {
    name: "web-host-stopped",
    what: "A web server's host is powered off, and on again later",
    bounds: { failed: 0, readGap: 3, writeGap: 3 },
    async inject(stage) {
      stage.begin();
      stage.cluster.incus(["stop", "--force", "web-1"]);
      await stage.wait(AWAY);
      stage.note("started again");
      stage.cluster.incus(["start", "web-1"]);
      await answersAgain(stage, "web-1");
    },
  },
  {
    name: "web-host-frozen",
    what: "A web server's host freezes, and resumes",
    bounds: { failed: "under-way", readGap: 3, writeGap: 3 },
    async inject(stage) {
      stage.begin();
      stage.cluster.incus(["pause", "web-1"]);
      stage.happened();
      await stage.wait(AWAY);
      stage.note("resumed");
      stage.cluster.incus(["resume", "web-1"]);
      await answersAgain(stage, "web-1");
    },
  },
  {
    name: "web-host-cut-off",
    what: "A web server's host loses its network, and gets it back",
    bounds: { failed: "under-way", readGap: 3, writeGap: 3 },
    async inject(stage) {
      stage.begin();
      const join = cutOff(stage, "web-1");
      stage.happened();
      await stage.wait(AWAY);
      stage.note("reconnected");
      join();
      await answersAgain(stage, "web-1");
    },
  },
  {
    name: "web-host-back",
    what: "A web server comes back: it gets less traffic at first",
    bounds: { failed: 0 },
    async inject(stage) {
      stage.cluster.incus(["stop", "--force", "web-1"]);
      await stage.wait(5);
      stage.begin();
      stage.cluster.incus(["start", "web-1"]);
      await answersAgain(stage, "web-1");
      const early = await stage.answeredBy("web-1", 3);
      await stage.wait(12);
      const late = await stage.answeredBy("web-1", 3);
      stage.note(`share of web-1: ${early} % at first, ${late} % ten seconds later`);
      if (early > 40 || late < 40) {
        throw new Error(
          `web-1 got ${early} % of the requests at first and ${late} % later; wanted at most 40 % at first and at least 40 % later`,
        );
      }
    },
  },
  {
    name: "release-rolling",
    what: "A release of the app is rolled out",
    short: true,
    bounds: { failed: 0 },
    inject: (stage) => rollOut(stage),
  },
  {
    name: "release-broken",
    what: "A release that does not start is rolled out, and rolled back",
    bounds: { failed: 0 },
    async inject(stage) {
      const changed = changedApp((source) => `throw new Error("broken");\n${source}`);
      try {
        stage.cluster.set(withApp(changed.directory));
        stage.begin();
        const { status, stderr } = stage.cluster.attemptToOperate("release");
        if (status === 0 || !/stopped at web-1 and rolled back/.test(stderr)) {
          throw new Error(`a release that does not start was not rolled back at web-1: ${stderr}`);
        }
      } finally {
        changed.remove();
        stage.cluster.set();
      }
    },
  },
  {
    name: "load-balancer-changed",
    what: "The balancing algorithm is changed, twice",
    bounds: { failed: 0 },
    async inject(stage) {
      stage.begin();
      stage.note("leastconn");
      stage.cluster.deploy({ loadBalancer: { algorithm: "leastconn" } });
      stage.note("roundrobin");
      stage.cluster.deploy();
    },
  },
  {
    name: "web-server-added-and-removed",
    what: "A web server is added, and removed again",
    bounds: { failed: 0 },
    async inject(stage) {
      stage.begin();
      stage.note("three web servers");
      stage.cluster.deploy({ webServers: { count: 3 } });
      await answersAgain(stage, "web-3");
      stage.note("two web servers");
      stage.cluster.deploy();
    },
  },
  {
    name: "replica-killed",
    what: "The replica's MySQL server is killed",
    short: true,
    bounds: { failed: 0, readGap: 1 },
    async inject(stage) {
      const { replica } = await stage.databases();
      stage.begin();
      kill(stage, replica, "mysql.service");
      await stage.wait(5);
    },
  },
  {
    name: "replica-replaced",
    what: "The replica's host is replaced; its volume stays",
    bounds: { failed: 0, readGap: 1 },
    async inject(stage) {
      const { replica } = await stage.databases();
      stage.begin();
      replace(stage, replica);
    },
  },
  {
    name: "replica-cut-off",
    what: "The replica loses its network for a minute",
    bounds: { failed: 0, readGap: 1 },
    async inject(stage) {
      const { replica } = await stage.databases();
      stage.begin();
      const join = cutOff(stage, replica);
      await stage.wait(60);
      join();
    },
  },
  {
    name: "replica-damaged",
    what: "The replica's data files are overwritten with random bytes",
    bounds: { failed: 0, readGap: 1 },
    async inject(stage) {
      const { replica } = await stage.databases();
      const before = stage.cluster.query(replica, "SELECT @@server_uuid")[0];
      stage.begin();
      stage.cluster.on(
        replica,
        `systemctl stop mysql.service
         file=/srv/data/mysql/app/guestbook_entries.ibd
         dd if=/dev/urandom of=$file bs=16k seek=3 conv=notrunc \\
           count=$(($(stat --format=%s $file) / 16384 - 3)) 2>/dev/null
         systemctl start --no-block mysql.service`,
      );
      await eventually(
        `${replica} has cloned`,
        () => {
          const { stdout } = stage.cluster.attemptOn(replica, "mysql -N -e 'SELECT @@server_uuid'");
          const now = stdout.trim();
          return (now !== "" && now !== before) || undefined;
        },
        120,
      );
    },
  },
  {
    name: "switchover",
    what: "An operator switches over to the replica",
    bounds: { failed: 0, writeGap: 2 },
    inject: (stage) => switchOver(stage, 1),
  },
  {
    name: "switchover-busy",
    what: "Three switchovers in a row, with 50 writes a second",
    short: true,
    bounds: { failed: 0 },
    load: BUSY,
    inject: (stage) => switchOver(stage, 3),
  },
  {
    name: "switchover-twenty-times",
    what: "Twenty switchovers in a row, with 50 writes a second",
    bounds: { failed: 0 },
    load: BUSY,
    inject: (stage) => switchOver(stage, 20),
  },
  {
    name: "upgrade",
    what: "All hosts are upgraded, and all but the load balancer rebooted",
    bounds: { failed: 0, writeGap: 2 },
    async inject(stage) {
      // Everywhere but on the load balancer, whose reboot would interrupt service.
      const hosts = stage.cluster.topology.hosts.filter(({ role }) => role !== "load-balancer");
      for (const { name } of hosts) {
        stage.cluster.on(name, "touch /run/reboot-required");
      }
      stage.begin();
      stage.command("upgrade");
    },
  },
  {
    name: "manual-primary-restarts",
    what: "The primary's MySQL server is killed, and restarts",
    bounds: { failedReads: 0 },
    settings: MANUAL,
    async inject(stage) {
      const { primary } = await stage.databases();
      stage.begin();
      kill(stage, primary, "mysql.service");
      await stage.wait(5);
    },
  },
  {
    name: "manual-primary-killed",
    what: "The primary's MySQL server is killed and stays down; an operator promotes the replica",
    bounds: { failedReads: 0, commandToWrite: 3 },
    settings: MANUAL,
    async inject(stage) {
      const { primary } = await stage.databases();
      stage.begin();
      stage.cluster.on(
        primary,
        "systemctl kill --signal=KILL mysql.service; systemctl stop mysql.service",
      );
      await stage.wait(4);
      stage.command("promote");
      await stage.wait(3);
      stage.note("the old primary is started again");
      stage.cluster.on(primary, "systemctl start --no-block mysql.service");
      await comesBackAsReplica(stage, primary, undefined);
    },
  },
  {
    name: "manual-primary-stopped",
    what: "The primary's host is powered off; an operator promotes the replica",
    bounds: { failedReads: 0, commandToWrite: 3 },
    settings: MANUAL,
    async inject(stage) {
      const { primary } = await stage.databases();
      stage.begin();
      stage.cluster.incus(["stop", "--force", primary]);
      await stage.wait(4);
      stage.command("promote");
      await stage.wait(3);
      stage.note("the old primary is started again");
      stage.cluster.incus(["start", primary]);
      await comesBackAsReplica(stage, primary, undefined);
    },
  },
  {
    name: "manual-primary-cut-off",
    what: "The primary loses its network; an operator promotes the replica",
    bounds: { failedReads: 0, commandToWrite: 3 },
    settings: MANUAL,
    async inject(stage) {
      const { primary, replica } = await stage.databases();
      stage.begin();
      const join = cutOff(stage, primary);
      await stage.wait(4);
      // A write on the isolated primary, which reaches no other host.
      const key = `stranded-${Date.now()}`;
      stage.cluster.query(
        primary,
        `INSERT INTO app.guestbook_entries
         (request_key, name, message, written_at, web_server, database_host)
         VALUES ('${key}', 'stranded', '${key}', UTC_TIMESTAMP(3), 'none', '${primary}')`,
      );
      stage.command("promote", replica, "--lost", primary);
      await stage.wait(3);
      stage.note("the old primary is reconnected");
      join();
      await comesBackAsReplica(stage, primary, key);
      stage.cluster.on(primary, "rm --recursive /srv/data/set-aside");
    },
  },
  {
    name: "primary-replaced",
    what: "The primary's host is replaced; its volume stays",
    bounds: { failedReads: 0 },
    async inject(stage) {
      const { primary } = await stage.databases();
      stage.begin();
      replace(stage, primary);
    },
  },
  {
    name: "all-stopped",
    what: "Every host is powered off, and started in the least helpful order",
    bounds: {},
    async inject(stage) {
      const { primary, replica } = await stage.databases();
      stage.begin();
      const others = stage.cluster.topology.hosts
        .map(({ name }) => name)
        .filter((name) => !stage.cluster.databases.includes(name));
      stage.cluster.incus(["stop", "--force", ...stage.cluster.databases, ...others]);
      // In an unfavourable order: the load balancer first, and the replica before the primary.
      for (const host of ["load-balancer-1", replica, "web-1", "web-2", primary]) {
        stage.cluster.incus(["start", host]);
        await stage.wait(3);
      }
    },
  },
  {
    name: "all-stopped-after-switchover",
    what: "After a switchover, both database hosts are powered off, and started",
    bounds: {},
    async inject(stage) {
      const before = await stage.databases();
      stage.command("switchover");
      const { primary, replica } = await stage.databases();
      if (primary === before.primary) {
        throw new Error(`${primary} is still the primary after the switchover`);
      }
      stage.begin();
      stage.cluster.incus(["stop", "--force", ...stage.cluster.databases]);
      // The old primary first: it must not become the primary again.
      stage.cluster.incus(["start", replica]);
      await stage.wait(15);
      stage.cluster.incus(["start", primary]);
      if ((await stage.databases()).primary !== primary) {
        throw new Error(`${replica}, the old primary, became the primary again`);
      }
    },
  },
  {
    name: "disk-full",
    what: "The primary's data volume is full, and gets space again",
    bounds: { failedReads: 0 },
    async inject(stage) {
      const { primary } = await stage.databases();
      stage.begin();
      const free = stage.fill(primary);
      try {
        await eventually(
          "a write gets a clear 503",
          async () => {
            const { status, body } = await stage.tryToWrite();
            return (status === 503 && /no room/.test(body)) || undefined;
          },
          30,
        );
        await stage.wait(5);
      } finally {
        stage.note("disk space freed");
        free();
      }
    },
  },
  {
    name: "load-balancer-restarted",
    what: "HAProxy is restarted",
    short: true,
    bounds: { readGap: 2, writeGap: 2 },
    async inject(stage) {
      stage.begin();
      stage.cluster.on("load-balancer-1", "systemctl restart haproxy.service");
      await stage.wait(3);
    },
  },
];

/** All faults, in the order in which they are injected: changes of the settings take time. */
export const FAULTS: readonly Fault[] = [
  ...OTHER_FAULTS.filter(({ settings }) => settings !== MANUAL),
  ...PRIMARY_FAULTS,
  ...CHANGE_FAULTS,
  ...OTHER_FAULTS.filter(({ settings }) => settings === MANUAL),
  ...LOAD_BALANCER_FAULTS,
];

/** Why this machine cannot run the drill, or undefined if it can. */
export const unfit = (): string | undefined =>
  attemptSync(["sh", "-c", "command -v incus && command -v ip"]).status === 0
    ? undefined
    : "the programs incus and ip are needed for local hosts: npm run setup installs them";
