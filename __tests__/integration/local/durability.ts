import { spawn } from "node:child_process";
import type { ScratchCluster } from "../../../drill/scratch/scratch-cluster";
import { eventually } from "../../../drill/scratch/workspace";
import { write } from "./writing";

type Durability = "available" | "lossless";

/**
 * What happens to acknowledged writes when servers stop, and to statements that run on a closed server.
 *
 * @param durabilities the settings of `database.durability` to try it with
 */
export function durability(
  cluster: ScratchCluster,
  durabilities: readonly Durability[] = ["available", "lossless"],
): void {
  const hosts = async () => {
    const primary = await cluster.inSync();
    return { primary, replica: cluster.databases.find((name) => name !== primary) as string };
  };
  const executed = (host: string) => cluster.query(host, "SELECT @@gtid_executed")[0];
  /** When the last completed clone began; `NULL` if there is none, or one is under way. */
  const lastClone = (host: string) =>
    cluster.query(
      host,
      "SELECT MAX(begin_time) FROM performance_schema.clone_status WHERE state = 'Completed'",
    )[0];
  const count = (host: string, message: string) =>
    cluster.query(
      host,
      `SELECT COUNT(*) FROM app.guestbook_entries WHERE message = '${message}'`,
    )[0];

  /** A MySQL client on a host, which runs while the test goes on. */
  function client(host: string, sql: string) {
    const child = spawn(
      "incus",
      ["--project", cluster.incusProject, "exec", host, "--", "mysql", "--batch"],
      { stdio: ["pipe", "ignore", "ignore"] },
    );
    child.stdin.end(sql);
    return new Promise((resolve) => child.on("close", resolve));
  }

  const insertion = (host: string, message: string) =>
    `INSERT INTO app.guestbook_entries
       (request_key, name, message, written_at, web_server, database_host)
       VALUES ('${message}', 'durability', '${message}', UTC_TIMESTAMP(3), 'none', '${host}')`;

  /** Deploys, and waits until the primary uses the setting: the deploy restarts the agents, and no server. */
  async function deployed(wanted: Durability) {
    const processes = () => cluster.databases.map((host) => cluster.on(host, "pgrep -x mysqld"));
    await cluster.inSync();
    const before = processes();
    cluster.ensure({ database: { durability: wanted, failover: "manual" } });
    const primary = await cluster.inSync();
    const timeout = wanted === "lossless" ? "4294967295" : "1000";
    await eventually(
      `${primary} uses durability ${wanted}`,
      () =>
        cluster.query(primary, "SELECT @@rpl_semi_sync_source_timeout")[0] === timeout || undefined,
    );
    expect(processes()).toEqual(before);
  }

  test.each([
    "REPAIR TABLE app.guestbook_entries",
    "ANALYZE TABLE app.guestbook_entries UPDATE HISTOGRAM ON name WITH 8 BUCKETS",
    "FLUSH TABLES; FLUSH STATUS; FLUSH OPTIMIZER_COSTS; FLUSH USER_RESOURCES",
  ])("%s on a replica leaves no trace, and the replica keeps its data", async (statement) => {
    const { primary, replica } = await hosts();
    const before = lastClone(replica);
    const forgotten = () =>
      cluster.on(
        replica,
        "journalctl --boot --unit cluster-database-agent | grep --count 'forgot' || true",
      );
    const forgottenBefore = forgotten();
    cluster.attemptOn(replica, `mysql -e '${statement}'`);
    // Otherwise the statement proves nothing.
    await eventually(
      `${replica} has forgotten what the statement wrote`,
      () => forgotten() !== forgottenBefore || undefined,
      30,
    );
    await eventually(
      "both hosts have executed the same transactions",
      () => executed(replica) === executed(primary) || undefined,
      30,
    );
    await cluster.inSync();
    expect(lastClone(replica)).toBe(before);
    const message = `after-trace-${Date.now()}`;
    await write(cluster, message);
    await eventually(
      "the write is replicated",
      () => count(replica, message) === "1" || undefined,
      10,
    );
  });

  test("a replica also forgets statements that arrive while it forgets earlier ones", async () => {
    const { primary, replica } = await hosts();
    const before = lastClone(replica);
    // Without a pause, so that some statements come between the agent's check and its action.
    cluster.on(
      replica,
      `end=$((SECONDS + 8))
       while ((SECONDS < end)); do
         mysql -e 'FLUSH TABLES; ANALYZE TABLE app.guestbook_entries; REPAIR TABLE app.guestbook_entries' || true
       done >/dev/null 2>&1`,
    );
    await eventually(
      "both hosts have executed the same transactions",
      () => executed(replica) === executed(primary) || undefined,
      30,
    );
    expect(await cluster.inSync()).toBe(primary);
    expect(lastClone(replica)).toBe(before);
  });

  test("a primary that restarts reopens despite statements that ran on a replica meanwhile", async () => {
    const { primary, replica } = await hosts();
    cluster.on(primary, "systemctl stop mysql.service");
    cluster.attemptOn(replica, "mysql -e 'FLUSH TABLES; REPAIR TABLE app.guestbook_entries'");
    cluster.on(primary, "systemctl start mysql.service");
    expect(await cluster.inSync()).toBe(primary);
    // It may be a fresh replica before the agent has checked.
    await eventually(
      "both hosts have executed the same transactions",
      () => executed(replica) === executed(primary) || undefined,
      30,
    );
    expect(await cluster.inSync()).toBe(primary);
  });

  test("rows that were written only on a replica are set aside, and the replica clones", async () => {
    const { primary, replica } = await hosts();
    const before = lastClone(replica);
    cluster.on(
      replica,
      `mysql -e 'SET GLOBAL super_read_only = OFF; SET GLOBAL read_only = OFF;
         CREATE TABLE app.strayed (id INT PRIMARY KEY); INSERT INTO app.strayed VALUES (4711);
         SET GLOBAL super_read_only = ON'`,
    );
    await eventually(
      `${replica} has cloned`,
      () => !["NULL", before].includes(lastClone(replica)) || undefined,
      60,
    );
    expect(await cluster.inSync()).toBe(primary);
    expect(cluster.on(replica, "grep --recursive 4711 /srv/data/set-aside")).toContain("@1=4711");
    cluster.on(replica, "rm --recursive /srv/data/set-aside");
    expect(cluster.query(replica, "SHOW TABLES FROM app LIKE 'strayed'")).toEqual([""]);
  });

  test("a prepared XA transaction can be committed on the new primary after a switchover", async () => {
    const { primary, replica } = await hosts();
    const message = `xa-${Date.now()}`;
    cluster.query(
      primary,
      `XA START '${message}'; INSERT INTO app.guestbook_entries
         (request_key, name, message, written_at, web_server, database_host)
         VALUES ('${message}', 'xa', '${message}', UTC_TIMESTAMP(3), 'none', '${primary}');
       XA END '${message}'; XA PREPARE '${message}'`,
    );
    cluster.operate("switchover");
    expect(await cluster.inSync()).toBe(replica);
    cluster.query(replica, `XA COMMIT '${message}'`);
    for (const host of cluster.databases) {
      await eventually(
        `${host} has the committed row`,
        () => count(host, message) === "1" || undefined,
        10,
      );
    }
    cluster.operate("switchover");
    expect(await cluster.inSync()).toBe(primary);
  });

  describe.each(durabilities)("with durability %s", (wanted) => {
    // Before each test: after a failed one the cluster has its original settings.
    beforeEach(() => deployed(wanted), 300_000);

    test("stopping the primary acknowledges no write that waits for a replica", async () => {
      const { primary, replica } = await hosts();
      const message = `waiting-${wanted}-${Date.now()}`;
      const archived = "/run/cluster/database/archived";
      // Waits for the write, so that the stop interrupts it.
      const archive = `rm --force ${archived}
             systemctl start --no-block cluster-database-log-archive.service
             for _ in {1..100}; do
               if mysql -Ne 'SELECT info FROM performance_schema.processlist' | grep --quiet '^FLUSH BINARY'; then break; fi
             done`;
      cluster.incus(["pause", replica]);
      try {
        // All of it runs on the host: a write that does not wait for ever waits for a second.
        const [outcome, seconds] = cluster
          .on(
            primary,
            `waiting() { mysql -Ne "SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_source_wait_sessions'" | cut -f2; }
             began=$(date +%s%3N)
             mysql -e "${insertion(primary, message)}" 2>/dev/null & client=$!
             for _ in {1..100}; do if [[ $(waiting) == 1 ]]; then break; fi; done
             ${wanted === "lossless" ? archive : ""}
             systemctl stop mysql.service
             if wait "$client"; then echo acknowledged; else echo refused; fi
             echo "$(($(date +%s%3N) - began))"`,
          )
          .trim()
          .split("\n");
        // With the other durability the primary goes on alone after a second, as documented; never because it is
        // stopped.
        expect({ outcome, late: Number(seconds) >= 1000 }).toEqual({
          outcome: wanted === "lossless" ? "refused" : "acknowledged",
          late: true,
        });
        expect(cluster.on(primary, "journalctl --boot --unit mysql.service")).not.toContain(
          "Forced shutdown",
        );
      } finally {
        cluster.incus(["resume", replica]);
        cluster.on(primary, "systemctl start mysql.service");
      }
      expect(await cluster.inSync()).toBe(primary);
      if (wanted === "lossless") {
        expect(
          cluster.on(primary, "journalctl --boot --unit cluster-database-log-archive"),
        ).toContain("the binary logs were not archived");
        await eventually(
          "the interrupted archive of the logs is repeated",
          () => cluster.attemptOn(primary, `test -s ${archived}`).status === 0 || undefined,
        );
      }
      expect(cluster.on(primary, "systemctl list-units --failed --plain --no-legend")).toBe("");
    });

    // The same for the whole host; the client's result is kept on the volume.
    if (wanted === "lossless") {
      test("stopping the primary's host acknowledges no write that waits for a replica", async () => {
        const { primary, replica } = await hosts();
        const message = `host-stopped-${Date.now()}`;
        cluster.incus(["pause", replica]);
        try {
          cluster.on(
            primary,
            `waiting() { mysql -Ne "SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_source_wait_sessions'" | cut -f2; }
             { if mysql -e "${insertion(primary, message)}"; then echo acknowledged; else echo refused; fi
             } >/srv/data/outcome 2>/dev/null &
             for _ in {1..100}; do if [[ $(waiting) == 1 ]]; then exit 0; fi; done; exit 1`,
          );
          cluster.incus(["stop", primary]);
        } finally {
          cluster.incus(["resume", replica]);
          cluster.incus(["start", primary]);
        }
        expect(await cluster.inSync()).toBe(primary);
        expect(cluster.on(primary, "cat /srv/data/outcome; rm /srv/data/outcome")).toBe(
          "refused\n",
        );
      });
    }

    test("a replica killed between receiving and applying a write still has it, and a promotion requires --accept-loss", async () => {
      const { primary, replica } = await hosts();
      const message = `received-${wanted}-${Date.now()}`;
      // The applier waits for this lock.
      const lock = client(
        replica,
        "FLUSH TABLES app.guestbook_entries WITH READ LOCK; SELECT SLEEP(60)",
      );
      await eventually(
        "the lock is held",
        () =>
          cluster
            .query(replica, "SELECT state FROM performance_schema.processlist")
            .includes("User sleep") || undefined,
        10,
      );
      cluster.query(primary, insertion(primary, message));
      cluster.incus(["stop", "--force", primary]);
      cluster.on(replica, "systemctl kill --signal=SIGKILL mysql.service");
      await lock;
      await eventually(
        "the restarted server applies what it had received",
        () => count(replica, message) === "1" || undefined,
        30,
      );
      const refused = cluster.attemptToOperate("promote");
      expect([refused.status, refused.stderr]).toEqual([
        1,
        expect.stringMatching(/server was started anew.*\n.*--accept-loss/),
      ]);
      cluster.operate("promote", "--accept-loss");
      expect(count(replica, message)).toBe("1");
      cluster.incus(["start", primary]);
      expect(await cluster.inSync(120)).toBe(replica);
      expect(count(primary, message)).toBe("1");
      await write(cluster, `after-received-${wanted}-${Date.now()}`);
    });
  });

  test("durability is set back to available", () => deployed("available"), 300_000);
}
