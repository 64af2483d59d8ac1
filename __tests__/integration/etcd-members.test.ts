import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeWithEtcd, makeAuthority, makeCertificate, memberSettings } from "../etcd";
import { HostFolder } from "../scripts/host-folder";

// The members of etcd's cluster: who creates it, joins, rejoins and leaves. etcd is real, with several members on this
// machine's loopback addresses; systemd is a stand-in that starts and stops them as the unit would.

const ADDRESSES: Readonly<Record<string, string>> = {
  "database-1": "127.0.1.1",
  "database-2": "127.0.1.2",
  "database-3": "127.0.1.3",
  "load-balancer-1": "127.0.1.4",
};
const ONE_REPLICA = ["database-1", "database-2", "load-balancer-1"];
const TWO_REPLICAS = ["database-1", "database-2", "database-3"];

const SYSTEMCTL = `
pid() { [[ -s $ROOT/pid ]] && kill -0 "$(<"$ROOT/pid")" 2>/dev/null; }
end() {
  if pid; then
    kill "$(<"$ROOT/pid")"
    while pid; do /bin/sleep 0.05; done
  fi
}
verb="" words=()
for word; do
  case $word in
    --value | -*) ;;
    *) if [[ -z $verb ]]; then verb=$word; else words+=("$word"); fi ;;
  esac
done
case $verb in
  start | restart)
    [[ $verb == start ]] && pid && exit
    end
    "$ROOT/opt/cluster/scripts/etcd/prepare.sh" 2>>"$ROOT/etcd.log" || exit 0
    (
      # It inherits nothing from its caller: no lock, no pipe.
      for fd in /proc/$BASHPID/fd/*; do
        if ((\${fd##*/} > 2)); then eval "exec \${fd##*/}>&-"; fi
      done
      exec setsid "$ETCD" --config-file "$ROOT/run/cluster/etcd/etcd.json"
    ) </dev/null >>"$ROOT/etcd.log" 2>&1 &
    printf '%s' "$!" >"$ROOT/pid" ;;
  stop) end ;;
  is-active) pid ;;
  show) cat "$ROOT/restarts" ;;
esac`;

const folder = mkdtempSync(join(tmpdir(), "etcd-members-"));
const hosts = new Map<string, HostFolder>();

describeWithEtcd("etcd members", (etcd) => {
  const systemctl = SYSTEMCTL.replace('"$ETCD"', `"${etcd}"`);
  jest.setTimeout(180_000);

  beforeAll(() => makeAuthority(folder));
  afterAll(() => rmSync(folder, { recursive: true }));
  afterEach(() => {
    for (const host of hosts.values()) {
      if (host.has("pid")) {
        try {
          process.kill(Number(host.read("pid")), "SIGKILL");
        } catch {
          // It has ended.
        }
      }
      host.remove();
    }
    hosts.clear();
  });

  /** A host, new or with other settings. */
  function host(name: string, voters: readonly string[]): HostFolder {
    const one = hosts.get(name) ?? new HostFolder();
    hosts.set(name, one);
    const endpoints = voters.map((voter) => `${voter}:${ADDRESSES[voter]}`).join(" ");
    one.put(
      "etc/cluster/host.env",
      `HOST_NAME=${name} HOST_ROLE=${name.replace(/-\d$/, "")} HOST_ADDRESS=${ADDRESSES[name]} CLUSTER_NAME=demo
      ETCD_ENDPOINTS='${endpoints}' ETCD_CLIENT_PORT=12379 ETCD_PEER_PORT=12380 ETCD_MEBIBYTES=96
      ETCD_CONFIGURATION=${one.at("etc/cluster/etcd")} ETCD_RUN=${one.at("run/cluster/etcd")}
      ETCD_DIRECTORY=${one.at("srv/data/etcd")} DATABASE_VOLUME=${one.at("srv/data")}\n`,
    );
    one.bring("host/lib.sh", "etcd/common.sh", "etcd/membership.sh", "etcd/prepare.sh");
    one.bring("etcd/create.sh", "etcd/status.sh", "etcd/restore-quorum.sh");
    makeCertificate(folder, name, ADDRESSES[name] as string);
    const [certificate, key] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)];
    const authority = join(folder, "authority.pem");
    for (const [file, from] of Object.entries({ host: certificate, authority })) {
      one.put(`etc/cluster/etcd/${file}.pem`, readFileSync(from));
    }
    one.put("etc/cluster/etcd/host.key", readFileSync(key));
    const settings = memberSettings({
      name,
      address: ADDRESSES[name] as string,
      ports: { clients: 12_379, peers: 12_380 },
      data: one.at("srv/data/etcd/data"),
      certificate,
      key,
      authority,
    });
    one.put("etc/cluster/etcd/etcd.json", JSON.stringify(settings));
    one.put("restarts", one.has("restarts") ? one.read("restarts") : "0\n");
    one.standIn("systemctl", systemctl, { quiet: true });
    one.standIn("sleep", 'exec /bin/sleep "$@"', { quiet: true });
    one.standIn("mountpoint", "exit 0", { quiet: true });
    one.standIn("stat", 'if [[ $* == *%U* ]]; then echo etcd; else exec /usr/bin/stat "$@"; fi', {
      quiet: true,
    });
    one.standIn("chown", "exit 0", { quiet: true });
    // The host's users do not exist on this machine.
    one.standIn(
      "install",
      `words=()
      for word; do [[ $word == --owner=* || $word == --group=* ]] || words+=("$word"); done
      exec /usr/bin/install "\${words[@]}"`,
      { quiet: true },
    );
    one.standIn("opt/cluster/scripts/etcd/certificates.sh", "exit 0", { quiet: true });
    return one;
  }

  const run = (name: string, script: string) =>
    (hosts.get(name) as HostFolder).run(`opt/cluster/scripts/etcd/${script}.sh`);

  /** Runs membership.sh as its unit does, until it has nothing left to do. */
  async function settle(name: string): Promise<string> {
    let said = "";
    for (let attempt = 0; attempt < 15; attempt++) {
      const { status, stderr } = await run(name, "membership");
      said += stderr;
      if (status === 0) {
        return said;
      }
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
    throw new Error(`${name} does not settle:\n${said}\n${hosts.get(name)?.read("etcd.log")}`);
  }

  interface Status {
    voter: boolean;
    hasData: boolean;
    answers: boolean;
    cluster: string | null;
    members: { name: string; learner: boolean; leader: boolean; started: boolean }[];
  }

  const statusOf = async (name: string): Promise<Status> =>
    JSON.parse((await run(name, "status")).stdout);
  const namesAt = async (name: string) =>
    (await statusOf(name)).members.map((member) => member.name).sort();

  /** A cluster with these voters, the first of which created it. */
  async function founded(voters: readonly string[]): Promise<void> {
    for (const name of voters) {
      host(name, voters);
    }
    expect(await run(voters[0] as string, "create")).toMatchObject({ status: 0 });
    for (const name of voters.slice(1)) {
      await settle(name);
    }
  }

  const end = (name: string) => (hosts.get(name) as HostFolder).shell([], "systemctl stop etcd");

  /** Waits until a majority answers a host: after the loss of a member an election may be under way. */
  async function untilAnswered(name: string): Promise<Status> {
    for (let attempt = 0; attempt < 30; attempt++) {
      const status = await statusOf(name);
      if (status.answers) {
        return status;
      }
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    throw new Error(`no majority answers at ${name}`);
  }

  test("one host creates the cluster, and the other voters join it as voting members", async () => {
    host("database-2", ONE_REPLICA);
    expect((await run("database-2", "membership")).stderr).toContain(
      "no other voter is a member yet",
    );
    await founded(ONE_REPLICA);
    const { members, ...rest } = await statusOf("load-balancer-1");
    expect(rest).toMatchObject({ voter: true, hasData: true, answers: true });
    expect(members.map(({ name }) => name).sort()).toEqual(ONE_REPLICA);
    expect(members.filter(({ learner, started }) => learner || !started)).toEqual([]);
    expect(members.filter(({ leader }) => leader)).toHaveLength(1);
  });

  test("no host creates a second cluster if it has data, if another voter answers, or if it is not a voter", async () => {
    await founded(["database-1", "database-2"]);
    expect((await run("database-1", "create")).stderr).toContain(
      "already has the data of a member",
    );
    host("load-balancer-1", ONE_REPLICA);
    expect((await run("load-balancer-1", "create")).stderr).toContain(
      "there is a cluster of etcd already: its member at 127.0.1.1 answers",
    );
    host("database-3", ONE_REPLICA);
    expect((await run("database-3", "create")).stderr).toContain("database-3 is not a voter");
  });

  test("a voter that lost its data rejoins as a new member", async () => {
    await founded(ONE_REPLICA);
    const lost = hosts.get("database-2") as HostFolder;
    const before = lost.read("srv/data/etcd/identity").split(" ");
    lost.drop("srv/data/etcd");
    expect(await settle("database-2")).toContain("it was this host, whose data is gone");
    const [cluster, member] = lost.read("srv/data/etcd/identity").split(" ");
    expect(cluster).toBe(before[0]);
    expect(member).not.toBe(before[1]);
    expect(await namesAt("database-1")).toEqual(ONE_REPLICA);
  });

  test("a voter sets aside data with which etcd does not start, and rejoins", async () => {
    await founded(ONE_REPLICA);
    const damaged = hosts.get("load-balancer-1") as HostFolder;
    await end("load-balancer-1");
    damaged.put("srv/data/etcd/data/member/snap/db", "damaged");
    expect(await settle("load-balancer-1")).not.toContain("moving");
    damaged.put("restarts", "5\n");
    await untilAnswered("database-1");
    expect(await settle("load-balancer-1")).toContain("etcd does not start with its data");
    expect(await namesAt("database-1")).toEqual(ONE_REPLICA);
  });

  test("a voter sets aside data from another cluster, and joins this one", async () => {
    await founded(ONE_REPLICA);
    await end("database-2");
    const other = hosts.get("database-2") as HostFolder;
    // The other members of its cluster are gone, so it does not answer.
    other.standIn("systemctl", systemctl.replace("start | restart)", "start) ;;\n  restart)"), {
      quiet: true,
    });
    const { cluster } = await untilAnswered("database-1");
    other.put("srv/data/etcd/identity", "12345 67890\n");
    expect(await settle("database-2")).toContain("the data is from another cluster of etcd");
    expect((await statusOf("database-2")).cluster).toBe(cluster);
  });

  test("without a majority nothing is set aside or removed", async () => {
    await founded(ONE_REPLICA);
    await end("database-1");
    await end("load-balancer-1");
    const alone = hosts.get("database-2") as HostFolder;
    alone.put("restarts", "9\n");
    alone.put("srv/data/etcd/identity", "12345 67890\n");
    expect(await settle("database-2")).toBe("");
    expect(await statusOf("database-2")).toMatchObject({ hasData: true, answers: false });
  });

  test("the load balancer leaves once a third database host is a voter, and rejoins when that host is removed", async () => {
    await founded(ONE_REPLICA);
    for (const name of [...ONE_REPLICA, "database-3"]) {
      host(name, TWO_REPLICAS);
    }
    expect(await settle("load-balancer-1")).toContain(
      "stays a member until all voters are members",
    );
    await settle("database-1");
    expect(await namesAt("database-1")).toEqual(ONE_REPLICA);
    await settle("database-3");
    expect(await namesAt("database-1")).toEqual(TWO_REPLICAS);
    expect(await settle("load-balancer-1")).toContain("no longer a member");
    // The third is destroyed before the load balancer has joined.
    hosts.get("database-3")?.drop("srv/data/etcd");
    await end("database-3");
    for (const name of ONE_REPLICA) {
      host(name, ONE_REPLICA);
    }
    expect(await settle("load-balancer-1")).toContain("it is not a voter, and does not answer");
    expect(await namesAt("database-2")).toEqual(ONE_REPLICA);
  });

  test("with manual failover all of etcd's data is set aside, so that a later cluster starts without a record", async () => {
    await founded(ONE_REPLICA);
    for (const name of ONE_REPLICA) {
      host(name, []);
      expect(await settle(name)).toContain("no longer a member");
      expect(JSON.parse((await run(name, "status")).stdout)).toBeNull();
    }
    await founded(ONE_REPLICA);
    expect(await namesAt("database-1")).toEqual(ONE_REPLICA);
  });

  test("after a majority is lost, an operator makes the survivor the only member, and the others rejoin", async () => {
    await founded(ONE_REPLICA);
    expect((await run("database-2", "restore-quorum")).stderr).toContain(
      "a majority of the voters is up",
    );
    const { cluster } = await statusOf("database-2");
    await end("database-1");
    await end("load-balancer-1");
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expect(await run("database-2", "restore-quorum")).toMatchObject({ status: 0 });
    expect(await namesAt("database-2")).toEqual(["database-2"]);
    // One returns with its data, the other without.
    hosts.get("database-1")?.drop("srv/data/etcd");
    await settle("database-1");
    await settle("load-balancer-1");
    await settle("load-balancer-1");
    expect(await namesAt("database-2")).toEqual(ONE_REPLICA);
    expect((await statusOf("database-1")).cluster).toBe(cluster);
  });
});
