import { ask, type ScratchCluster } from "../../../drill/scratch/scratch-cluster";
import { eventually } from "../../../drill/scratch/workspace";
import { outlivesPrimary, rows, sameRows } from "./rows";
import { write } from "./writing";

const serverId = (cluster: ScratchCluster, host: string) =>
  cluster.query(host, "SELECT @@server_uuid")[0];

/** Replaces resources by Terraform, as `terraform apply -replace` does. */
function replace(cluster: ScratchCluster, resources: readonly string[]): void {
  const flags = resources.map((resource) => `-replace=terraform_data.${resource}`);
  cluster.workspace.terraform(
    cluster.stack,
    ["apply", "-auto-approve", "-no-color", ...flags],
    300,
  );
}

/** The database hosts of a cluster with one replica, by their role, once it is in sync. */
async function rolesOf(cluster: ScratchCluster): Promise<{ primary: string; replica: string }> {
  const primary = await cluster.inSync();
  return { primary, replica: cluster.databases.find((name) => name !== primary) as string };
}

/** The database through replacements and losses. */
export function replication(cluster: ScratchCluster): void {
  const hosts = () => rolesOf(cluster);

  test("replication runs over verified TLS with auto-position, semi-synchronously", async () => {
    const { primary, replica } = await hosts();
    const configured = cluster.query(
      replica,
      "SELECT SSL_ALLOWED, SSL_VERIFY_SERVER_CERTIFICATE, AUTO_POSITION FROM performance_schema.replication_connection_configuration",
    );
    expect(configured).toEqual(["YES\tYES\t1"]);
    expect(cluster.query(primary, "SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_source_status'")).toEqual(
      ["Rpl_semi_sync_source_status\tON"],
    );
    const durable = cluster.query(
      primary,
      "SELECT @@gtid_mode, @@binlog_format, @@sync_binlog, @@innodb_flush_log_at_trx_commit, @@require_secure_transport",
    );
    expect(durable).toEqual(["ON\tROW\t1\t1\t1"]);
  });

  test("a replica refuses a primary whose certificate is of the authority, but for another host", async () => {
    const { primary, replica } = await hosts();
    cluster.on(
      primary,
      `source /opt/cluster/scripts/database/common.sh
       source /opt/cluster/scripts/host/certificates.sh
       HOST_NAME=other HOST_ADDRESS=192.0.2.1
       issue "$MYSQL_CONFIGURATION/certificate-authority.pem" /run/cluster/secrets/certificate-authority.key \\
         "$MYSQL_CONFIGURATION/server.key" "$MYSQL_CONFIGURATION/server.pem" mysql
       mysql --execute 'ALTER INSTANCE RELOAD TLS'`,
    );
    cluster.on(replica, `/opt/cluster/scripts/database/follow.sh ${cluster.address(primary)}`);
    const connects = (pattern: RegExp) =>
      eventually(`the replica's connection is ${pattern}`, () => {
        const [connection = ""] = cluster.query(
          replica,
          "SELECT SERVICE_STATE, LAST_ERROR_MESSAGE FROM performance_schema.replication_connection_status",
        );
        return pattern.test(connection) ? true : undefined;
      });
    await connects(/^CONNECTING\t.*certificate verify failed/);
    // The primary's own certificate is issued again, and the replica connects by itself.
    cluster.on(primary, "rm --force /run/cluster/database/certificates-seen");
    cluster.on(primary, "/opt/cluster/scripts/database/certificates.sh");
    await connects(/^ON\b/);
    await cluster.inSync();
  });

  test("the replica refuses writes, even from its own root", async () => {
    const { replica } = await hosts();
    expect(() => cluster.query(replica, "DELETE FROM app.guestbook_entries")).toThrow(
      /super-read-only|ERROR 1290/,
    );
  });

  test("the app's accounts require TLS, and can access only the app's database", async () => {
    const { primary } = await hosts();
    expect(
      cluster.query(
        primary,
        "SELECT user, ssl_type FROM mysql.user WHERE user IN ('app', 'app_read', 'replication') ORDER BY user",
      ),
    ).toEqual(["app\tANY", "app_read\tANY", "replication\tANY"]);
    const grants = (user: string) => {
      const [account = ""] = cluster.query(
        primary,
        `SELECT CONCAT(QUOTE(user), '@', QUOTE(host)) FROM mysql.user WHERE user = '${user}'`,
      );
      return cluster
        .query(primary, `SHOW GRANTS FOR ${account}`)
        .filter((grant) => !grant.startsWith("GRANT USAGE ON *.*"));
    };
    expect(grants("app")).toEqual([expect.stringMatching(/^GRANT .* ON `app`\.\* TO `app`@/)]);
    expect(grants("app_read")).toEqual([
      expect.stringMatching(/^GRANT SELECT, SHOW VIEW ON `app`\.\* TO `app_read`@/),
    ]);
  });

  test("a replica keeps its data if its host is replaced and its volume kept", async () => {
    await write(cluster, `before-replacement-${Date.now()}`);
    const { replica } = await hosts();
    const before = serverId(cluster, replica);
    replace(cluster, [`host["${replica}"]`]);
    await write(cluster, `after-replacement-${Date.now()}`);
    await sameRows(cluster);
    expect(serverId(cluster, replica)).toBe(before);
  }, 300_000);

  test("a replica gets all rows again if its host is replaced and its volume lost", async () => {
    const { replica } = await hosts();
    const before = serverId(cluster, replica);
    replace(cluster, [`volume["${replica}"]`, `host["${replica}"]`]);
    await write(cluster, `after-loss-${Date.now()}`);
    await sameRows(cluster);
    expect(serverId(cluster, replica)).not.toBe(before);
  }, 300_000);

  test("if the primary's host is replaced and its volume kept, the replica takes over and the old primary follows it", async () => {
    const { primary, replica } = await hosts();
    replace(cluster, [`host["${primary}"]`]);
    expect(await cluster.inSync()).toBe(replica);
    await write(cluster, `after-primary-${Date.now()}`);
    await sameRows(cluster);
  }, 300_000);

  test("reads continue from the primary while there is no replica", async () => {
    const { primary, replica } = await hosts();
    cluster.incus(["stop", "--force", replica]);
    const read = await eventually(
      "the primary serves reads",
      async () => {
        const { status, body } = await ask(`${cluster.url}/api/whoami`);
        return status === 200 && JSON.parse(body).database.read === primary ? primary : undefined;
      },
      20,
    );
    expect(read).toBe(primary);
    await write(cluster, `alone-${Date.now()}`);
    cluster.incus(["start", replica]);
    await sameRows(cluster);
  }, 300_000);

  test("an acknowledged write survives the loss of the primary, and a replica takes over", async () => {
    await outlivesPrimary(cluster, async (_, replica) => {
      await eventually(
        `${replica} has taken over`,
        async () => (await cluster.roles())[replica] === "primary" || undefined,
        20,
      );
    });
  }, 300_000);

  test("a primary that lost its data waits instead of starting afresh", async () => {
    const { primary, replica } = await hosts();
    const before = rows(cluster, replica);
    cluster.incus(["stop", "--force", replica]);
    replace(cluster, [`volume["${primary}"]`, `host["${primary}"]`]);
    await new Promise((resolve) => setTimeout(resolve, 15_000));
    expect((await cluster.roles())[primary]).toBe("closed");
    cluster.incus(["start", replica]);
    await new Promise((resolve) => setTimeout(resolve, 15_000));
    expect(Object.values(await cluster.roles())).not.toContain("primary");
    expect(rows(cluster, replica)).toBe(before);
    // The remaining data can still be read.
    await cluster.serving();
  }, 300_000);
}

/** The cluster through total outages, and boots in any order. */
export function outages(cluster: ScratchCluster): void {
  test.each([
    ["the replica first", ["replica", "primary"]],
    ["the primary first", ["primary", "replica"]],
  ])(
    "the cluster recovers if all hosts are stopped and started again with %s",
    async (_, order) => {
      const roles = await rolesOf(cluster);
      const others = cluster.topology.hosts
        .map(({ name }) => name)
        .filter((name) => !cluster.databases.includes(name));
      cluster.incus(["stop", "--force", ...others, ...cluster.databases]);
      for (const role of order) {
        cluster.incus(["start", roles[role as keyof typeof roles]]);
        await new Promise((resolve) => setTimeout(resolve, 8_000));
      }
      cluster.incus(["start", ...others]);
      expect(await cluster.inSync()).toBe(roles.primary);
      await cluster.serving();
      await write(cluster, `after-start-${Date.now()}`);
      await sameRows(cluster);
    },
    300_000,
  );
}
