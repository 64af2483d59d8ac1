import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { ScratchCluster } from "../../../drill/scratch/scratch-cluster";
import { Stage } from "../../../drill/stage";
import { DATABASE_ACCOUNTS, ETCD, MYSQL, QUIC_CONFIGURATION } from "../../../hosts/agreed";
import { attemptSync, runSync } from "../../../ops/run";
import { backupDirectory } from "../../../topology/names";
import { parseClusters } from "../../../topology/settings";
import { buildTopology, hostsOf, QUIC_SEED } from "../../../topology/topology";

function everyFile(directory: string): string[] {
  return readdirSync(directory).flatMap((name) => {
    const path = join(directory, name);
    return statSync(path).isDirectory() ? everyFile(path) : [path];
  });
}

/** The accounts of MySQL, by the secret that is their password; the last one's has at most 32 characters. */
const ACCOUNTS: Readonly<Record<string, { user: string; length: number }>> = {
  "mysql-app-password": { user: DATABASE_ACCOUNTS.app, length: 48 },
  "mysql-read-password": { user: DATABASE_ACCOUNTS.reads, length: 48 },
  "mysql-replication-password": { user: "replication", length: 32 },
};

/** The files of an authority and of a certificate of it, by the secret that it is derived from. */
const AUTHORITIES: Readonly<Record<string, { authority: string; certificate: string }>> = {
  "certificate-authority-seed": {
    authority: `${MYSQL.configuration}/certificate-authority.pem`,
    certificate: `${MYSQL.configuration}/server.pem`,
  },
  "etcd-authority-seed": {
    authority: `${ETCD.configuration}/authority.pem`,
    certificate: `${ETCD.configuration}/host.pem`,
  },
};

const NAMES = buildTopology(parseClusters([{ name: "any" }])[0] as never, "local").secrets.map(
  ({ name }) => name,
);

/**
 * The rotation of secrets under load, and the search for their values where they must not be.
 *
 * @param rotated the secrets that are rotated; by default all, one of them interrupted again and again, which takes some seven
 *   minutes
 */
export function secrets(cluster: ScratchCluster, rotated: readonly string[] = NAMES): void {
  /** Every value that a secret had, and has, in this group of tests. */
  const values = new Map<string, Set<string>>();
  const note = (name: string, value: string) =>
    values.set(name, (values.get(name) ?? new Set()).add(value));

  const secretOf = (name: string) =>
    cluster.topology.secrets.find((secret) => secret.name === name) as {
      readers: readonly string[];
      outlivesCluster?: boolean;
    };

  /** A secret as the platform tells it to a host. */
  function stored(name: string): string {
    const [reader] = cluster.topology.hosts.filter(({ role }) =>
      secretOf(name).readers.includes(role),
    );
    return cluster.on(reader?.name ?? "", `/opt/cluster/platform.sh secret ${name}`).trim();
  }

  /** Runs a command line on a host, with a text as standard input. */
  const feed = (host: string, commandLine: string, input: string) =>
    attemptSync(
      ["incus", "--project", cluster.incusProject, "exec", host, "--", "bash", "-c", commandLine],
      { input, seconds: 120 },
    );

  /** Whether a database host accepts a password. */
  function accepts(host: string, user: string, password: string): boolean {
    const client = `mysql --defaults-file=<(printf '[client]\\nuser=${user}\\npassword=%s\\n' "$(cat)") --protocol=TCP --host=${cluster.address(host)} --ssl-mode=REQUIRED -e 'DO 0' 2>&1`;
    const { status, stdout } = feed(host, client, password);
    if (status !== 0) {
      expect(stdout).toContain("ERROR 1045");
    }
    return status === 0;
  }

  /** Whether a password opens the repository of backups. */
  const opens = (password: string) =>
    feed(
      cluster.databases[0] as string,
      `RESTIC_PASSWORD_FILE=<(cat) restic --quiet --no-lock --repo "$(/opt/cluster/platform.sh backup-repository)" cat config >/dev/null 2>&1`,
      password,
    ).status === 0;

  /** A file that only root can read, for what was an authority. */
  const kept = (name: string) => `/run/former-${name}.pem`;

  const holdersOf = (name: string) =>
    name === "etcd-authority-seed"
      ? [...new Set([...cluster.databases, ...cluster.topology.voters.map((host) => host.name)])]
      : cluster.databases;

  function beforeRotation(name: string): void {
    const own = AUTHORITIES[name];
    if (own !== undefined) {
      for (const host of holdersOf(name)) {
        cluster.on(host, `cp ${own.authority} ${kept(name)}`);
      }
    }
  }

  /** Every host accepts the new value, and none the former one. */
  function expectRotated(name: string, former: string, value: string): void {
    expect(value).toMatch(/^[A-Za-z0-9]{48}$/);
    expect(value).not.toBe(former);
    const account = ACCOUNTS[name];
    const own = AUTHORITIES[name];
    if (account !== undefined) {
      const { user, length } = account;
      for (const host of cluster.databases) {
        const found = [former, value].map((one) => accepts(host, user, one.slice(0, length)));
        expect([host, ...found]).toEqual([host, false, true]);
      }
    } else if (own !== undefined) {
      for (const host of holdersOf(name)) {
        const isOf = (authority: string) =>
          cluster.attemptOn(host, `openssl verify -CAfile ${authority} ${own.certificate}`)
            .status === 0;
        expect([host, isOf(kept(name)), isOf(own.authority)]).toEqual([host, false, true]);
        expect(cluster.on(host, `grep -c BEGIN ${own.authority}`).trim()).toBe("1");
      }
    } else if (name === QUIC_SEED) {
      const derived = createHash("sha256").update(value).digest("hex");
      for (const { name: host } of hostsOf(cluster.topology, "load-balancer")) {
        const secret = cluster.on(host, `grep cluster-secret ${QUIC_CONFIGURATION}`).trim();
        expect([host, secret]).toEqual([host, `cluster-secret ${derived}`]);
      }
    } else {
      expect([opens(former), opens(value)]).toEqual([false, true]);
      expect(readFileSync(join(backupDirectory(cluster.topology.settings), name), "utf8")).toBe(
        value,
      );
    }
  }

  /** What is done while requests are made, none of which may fail. */
  async function underLoad(act: () => Promise<void> | void): Promise<void> {
    const stage = new Stage(cluster, { readsPerSecond: 40, writesPerSecond: 10 }, () => undefined);
    stage.begin();
    await stage.wait(2);
    try {
      await act();
    } finally {
      await stage.wait(2);
    }
    const { records, stored } = await stage.end();
    expect(records.filter(({ outcome }) => outcome !== "ok")).toEqual([]);
    expect(records.length).toBeGreaterThan(200);
    expect(records.filter(({ key }) => key !== undefined && !stored.has(key))).toEqual([]);
  }

  let term: string[] = [];

  beforeAll(() => {
    term = cluster.query("database-1", "SELECT MAX(term) FROM cluster.primary_term");
    // Otherwise there is nothing to open.
    cluster.operate("backup");
    for (const name of NAMES) {
      note(name, stored(name));
    }
  });

  test("these are all secrets", () => {
    // What operators give is told to no host before.
    const made = cluster.topology.secrets.filter(({ isGiven = false }) => !isGiven);
    expect(made.map(({ name }) => name)).toEqual(NAMES);
    expect(NAMES.map((name) => stored(name))).toEqual(
      NAMES.map(() => expect.stringMatching(/^[A-Za-z0-9]{48}$/)),
    );
  });

  test.each(rotated)(
    "%s is rotated without a failed request, and its former value is refused",
    async (name) => {
      const former = stored(name);
      beforeRotation(name);
      await underLoad(() => {
        expect(cluster.operate("rotate-secret", name)).toContain(`${name} is rotated`);
      });
      const value = stored(name);
      note(name, value);
      expectRotated(name, former, value);
    },
  );

  if (rotated === NAMES) {
    test("a rotation that is killed again and again is completed by the same command", async () => {
      const name = "mysql-app-password";
      const former = stored(name);
      await underLoad(async () => {
        for (const marks of [
          /will be replaced/,
          /every host accepts both values/,
          /every host uses the new value/,
          /the former value is refused everywhere/,
        ]) {
          await cluster.interruptOperation(["rotate-secret", name], marks);
          for (const value of stored(name).match(/[A-Za-z0-9]{48}/g) ?? []) {
            note(name, value);
          }
          cluster.on("web-1", "systemctl restart cluster-converge.service");
        }
        cluster.operate("rotate-secret", name);
      });
      const value = stored(name);
      note(name, value);
      expectRotated(name, former, value);
      expect(cluster.operate("status").split("\n")).toContain("all is well");
    });
  }

  test("afterwards all is well, and no host has become the primary meanwhile", () => {
    expect(cluster.operate("status").split("\n")).toContain("all is well");
    expect(cluster.query("database-1", "SELECT MAX(term) FROM cluster.primary_term")).toEqual(term);
  });

  test("a host that boots fetches the new values, and works with them", async () => {
    const primary = await cluster.inSync();
    const [replica = ""] = cluster.databases.filter((host) => host !== primary);
    cluster.incus(["restart", replica, "web-2"]);
    expect(await cluster.inSync()).toBe(primary);
    await cluster.serving();
  });

  test("a deploy afterwards plans no change, and leaves the values as they are", () => {
    const before = NAMES.map(stored);
    cluster.workspace.terraform(cluster.stack, ["plan", "-detailed-exitcode", "-no-color"]);
    cluster.apply();
    expect(NAMES.map(stored)).toEqual(before);
  });

  test("backups from before open with the new password", () => {
    cluster.operate("backup");
    expect(JSON.parse(cluster.operate("backup", "--list", "--json")).length).toBeGreaterThan(1);
  });

  test("a secret that there is not is refused, with those that there are", () => {
    const { status, stderr } = cluster.attemptToOperate("rotate-secret", "none");
    expect([status, stderr]).toEqual([1, expect.stringContaining(NAMES.join(", "))]);
  });

  /** Where a text is found on a host. It is passed on standard input, so that the search does not find itself. */
  const found = (host: string, value: string) =>
    runSync(
      ["incus", "--project", cluster.incusProject, "exec", host, "--", "bash", "-c", SEARCH],
      { input: value, seconds: 120 },
    );

  test("no secret is in the state, a plan, the synthesized stack, user-data, a process list, a log, a core dump, a backup or a file on disk", () => {
    cluster.workspace.terraform(cluster.stack, ["plan", "-no-color", "-out=plan"]);
    const plan = cluster.workspace.terraform(cluster.stack, ["show", "-json", "plan"]);
    const written = everyFile(cluster.workspace.directory)
      .filter((path) => !path.endsWith(".tar.gz"))
      .map((path) => [path, readFileSync(path, "utf8")] as const);
    expect(written.map(([path]) => path)).toContainEqual(expect.stringMatching(/\.tfstate$/));
    // The search finds a text that is known to be there.
    expect(found("web-1", "CLUSTER_NAME=")).toContain("/etc/cluster/host.env");
    expect(found("web-1", "Fetch the app's release")).toContain("the journal");
    expect(found("database-1", "guestbook_entries")).toContain("a backup");
    for (const [name, all] of values) {
      // A secret that outlives the cluster is kept beside the backups that it opens, in a file for root.
      const kept = join(backupDirectory(cluster.topology.settings), name);
      expect(existsSync(kept)).toBe(secretOf(name).outlivesCluster ?? false);
      for (const value of all) {
        expect([name, plan.includes(value)]).toEqual([name, false]);
        for (const [path, content] of written.filter(([one]) => one !== kept)) {
          expect([path, content.includes(value)]).toEqual([path, false]);
        }
      }
    }
    // A password for replication is cut: its beginning is looked for, and so are those of all others.
    const everyValue = [...values].flatMap(([name, all]) =>
      [...all].map((value) => [name, value.slice(0, 32)] as const),
    );
    for (const { name: host } of cluster.topology.hosts) {
      // All at once: most of the time goes into reading the disk.
      if (found(host, everyValue.map(([, value]) => value).join("\n")) === "") {
        continue;
      }
      for (const [name, value] of everyValue) {
        expect([host, name, found(host, value)]).toEqual([host, name, ""]);
      }
      throw new Error(`${host}: a secret was found there a moment ago`);
    }
  });

  test("MySQL shows no password in the statements that it remembers", () => {
    for (const host of hostsOf(cluster.topology, "database").map(({ name }) => name)) {
      const remembered = cluster
        .query(
          host,
          "SELECT sql_text FROM performance_schema.events_statements_history UNION SELECT sql_text FROM performance_schema.events_statements_history_long UNION SELECT query_sample_text FROM performance_schema.events_statements_summary_by_digest UNION SELECT info FROM performance_schema.processlist UNION SELECT argument FROM mysql.general_log",
        )
        .join("\n");
      for (const [name, all] of values) {
        for (const value of all) {
          expect([host, name, remembered.includes(value.slice(0, 32))]).toEqual([
            host,
            name,
            false,
          ]);
        }
      }
    }
  });

  test("a host cannot read a secret that is not for its role", () => {
    for (const { name, readers } of cluster.topology.secrets) {
      for (const host of cluster.topology.hosts.filter(({ role }) => !readers.includes(role))) {
        const { status, stdout } = cluster.attemptOn(
          host.name,
          `/opt/cluster/platform.sh secret ${name}`,
        );
        expect([host.name, name, status === 0, stdout]).toEqual([host.name, name, false, ""]);
      }
    }
  });
}

const SEARCH = `
set -o pipefail
pattern=$(mktemp /dev/shm/pattern.XXXXXX)
cat >"$pattern"
# Reads to the end: with pipefail, a match at which grep ended would count as a failure of whatever goes on writing.
look() { (($(grep --count --text --fixed-strings --file "$pattern") > 0)); }
cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | look && echo "a process list"
cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' ' ' | look && echo "the environment of a process"
journalctl --no-pager --quiet | look && echo "the journal"
cat /var/lib/cluster/user-data | look && echo "user-data"
coredumpctl --no-pager --quiet list >/dev/null 2>&1 && coredumpctl dump --output /dev/stdout 2>/dev/null | look && echo "a core dump"
if [[ -d /srv/backups ]]; then
  export RESTIC_REPOSITORY=$(/opt/cluster/platform.sh backup-repository) RESTIC_PASSWORD_FILE=/run/cluster/secrets/backup-password
  for snapshot in $(restic snapshots --json | jq -r '.[].id'); do
    restic dump --archive tar "$snapshot" / | look && echo "a backup"
  done
fi
grep --recursive --files-with-matches --fixed-strings --file "$pattern" --devices=skip /etc /opt /root /home /srv /tmp /var 2>/dev/null
rm --force "$pattern"
exit 0
`;
