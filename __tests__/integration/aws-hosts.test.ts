import { ask, tally } from "../../drill/scratch/scratch-cluster";
import { eventually } from "../../drill/scratch/workspace";
import { BootedCluster } from "./aws-hosts/booted-cluster";
import { REPLACED } from "./aws-hosts/container";
import { ubuntuImage } from "./aws-hosts/missing";
import { firewall } from "./local/firewall";
import { write } from "./local/writing";
import { testsFailed } from "./well";

// Boots the user-data of stack `aws`: the stack is applied to the emulator, and each instance's user-data boots an
// Ubuntu container, which finds the emulator where it expects AWS.

const OPEN = { terminationProtection: false, preventDestroy: false };
const SETTINGS = { name: "ec2boot", network: { cidr: "10.98.0.0/22" }, database: OPEN };

/** Another app; a rollback brings the guestbook back. */
const OTHER_APP = {
  directory: "__tests__/fixtures/other-app",
  command: "/usr/bin/node main.js",
  healthPath: "/up",
};

const had = ubuntuImage();
const cluster = new BootedCluster(SETTINGS, "image" in had ? had.image : "");
const reason = "reason" in had ? had.reason : cluster.emulated.initialize();
if (reason !== undefined) {
  console.warn(`the booted user-data of stack aws is skipped: ${reason}`);
  cluster.workspace.remove();
}
const describeIf = reason === undefined ? describe : describe.skip;

const started = Date.now();
const say = (what: string) =>
  process.stderr.write(`${Math.round((Date.now() - started) / 1000)} s: ${what}
`);

jest.setTimeout(180_000);

/** Writes through the load balancer, and waits until every database host has it. */
async function replicates(message: string): Promise<void> {
  await write(cluster, message);
  await cluster.inSync();
  const sql = `SELECT COUNT(*) FROM app.guestbook_entries WHERE message = '${message}'`;
  for (const host of cluster.databases) {
    await eventually(
      `${message} is replicated to ${host}`,
      () => cluster.query(host, sql)[0] === "1" || undefined,
    );
  }
}

const names = () => cluster.topology.hosts.map(({ name }) => name);

describeIf(`booted user-data${reason === undefined ? "" : ` (skipped: ${reason})`}`, () => {
  beforeAll(async () => {
    await cluster.up();
    say("every host has started");
    await cluster.serving("/api/whoami", 300);
    await cluster.inSync(180);
  }, 1_400_000);

  let failedBefore = 0;
  beforeEach(async () => {
    if (testsFailed() > failedBefore) {
      failedBefore = testsFailed();
      await cluster.bringBack();
    }
  }, 600_000);

  afterEach(() => say(expect.getState().currentTestName ?? "a test"));

  afterAll(() => {
    cluster.down();
    say("everything is removed");
  });

  test("the cluster serves and replicates", async () => {
    await replicates("the-first-of-all-writes");
  });

  test("each host boots exactly the user-data that EC2 has, and applies it without errors", async () => {
    expect(cluster.instances).toHaveLength(names().length);
    for (const { host, userData } of cluster.instances) {
      const booted = cluster.on(host.name, "base64 --wrap=0 /var/lib/cloud/instance/user-data.txt");
      expect([host.name, booted === userData.toString("base64")]).toEqual([host.name, true]);
      // Compressed, as EC2 gets it.
      expect(userData.subarray(0, 2).toString("hex")).toBe("1f8b");
      await eventually(`${host.name} has converged`, () => {
        const done =
          "systemctl is-active cluster-converge.service && test -e /var/lib/cluster/user-data";
        return cluster.attemptOn(host.name, done).status === 0 || undefined;
      });
      const failed = cluster.on(host.name, "systemctl list-units --failed --plain --no-legend");
      expect([host.name, failed]).toEqual([host.name, ""]);
      // cloud-init exits with 2 after a warning, and warns because the image has no lsb_release.
      const said = cluster.attemptOn(host.name, "cloud-init status --wait --format json").stdout;
      const { status, errors, recoverable_errors: warnings } = JSON.parse(said);
      expect([host.name, status, errors, Object.keys(warnings)]).toEqual([
        host.name,
        "done",
        [],
        ["WARNING"],
      ]);
      expect(warnings.WARNING).toEqual([expect.stringContaining("lsb_release --all")]);
    }
  });

  test("hosts run the product unchanged, except for two programs that report a data disk and its filesystem", () => {
    for (const { host } of cluster.instances) {
      const own = cluster
        .on(host.name, "ls /usr/local/sbin /usr/local/bin | grep -v : | sort")
        .trim();
      const expected = host.role === "database" ? [...REPLACED].sort() : [];
      expect([host.name, own.split("\n").filter(Boolean)]).toEqual([host.name, expected]);
      expect(cluster.on(host.name, "systemctl show-environment")).not.toMatch(/AWS_/);
    }
  });

  test("the instance metadata requires version 2, and gives each host only its own role", () => {
    const get = "curl --silent --max-time 5 --output /dev/null --write-out '%{http_code}'";
    const url = "http://169.254.169.254/latest/meta-data/iam/security-credentials/";
    expect(cluster.on("web-1", `${get} ${url}`)).toBe("401");
    cluster.on("web-1", "/opt/cluster/platform.sh user-data /tmp/own");
    const other = "HOST_NAME=database-1; sed s/web-1/database-1/ /etc/cluster/host.env >/tmp/facts";
    const { status, stderr } = cluster.attemptOn(
      "web-1",
      `${other}; CLUSTER_FACTS=/tmp/facts /opt/cluster/platform.sh user-data /tmp/other`,
    );
    expect([status, stderr]).toEqual([1, expect.stringContaining("AccessDenied")]);
  });

  test.each(["database-1", "database-2"])(
    "%s has a filesystem on its data disk, and does not make another one",
    (host) => {
      const uuid = cluster
        .on(host, "blkid --probe --match-tag UUID --output value /dev/nvme1n1")
        .trim();
      expect(cluster.on(host, "cat /etc/fstab")).toContain(
        `UUID=${uuid} /srv/data ext4 defaults,noatime,nofail 0 2`,
      );
      const before = cluster.on(host, "stat --format=%Y /srv/data/mysql/ibdata1");
      cluster.on(host, "/opt/cluster/platform.sh data-volume /srv/data");
      expect(cluster.on(host, "stat --format=%Y /srv/data/mysql/ibdata1")).toBe(before);
    },
  );

  describe("the firewall on AWS", () => firewall(cluster));

  test("requests alternate between both web servers", async () => {
    await cluster.inTurn();
    expect(await tally(`${cluster.url}/api/whoami`, 200)).toEqual({ "web-1": 100, "web-2": 100 });
  });

  describe("an operator with the documented IAM policy", () => {
    test("sees that all is well", () => {
      expect(cluster.operate("status").split("\n")).toContain("all is well");
    });

    test("releases another app, and rolls it back", async () => {
      cluster.set({ app: OTHER_APP });
      cluster.operate("release");
      await cluster.serving("/");
      expect((await ask(cluster.url)).body).toMatch(/^other app on web-[12]\n$/);
      cluster.set();
      cluster.operate("rollback");
      await cluster.serving();
    }, 400_000);

    test("switches the primary over", async () => {
      const before = await cluster.inSync();
      cluster.operate("switchover");
      expect(await cluster.inSync()).not.toBe(before);
      await replicates("after-the-switchover");
    });

    test("makes a backup in S3, and restores it", async () => {
      await replicates("to-be-in-the-backup-itself");
      cluster.operate("backup");
      await replicates("to-be-in-the-binary-logs");
      const [time = ""] = cluster.query(
        await cluster.inSync(),
        "SELECT DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%fZ')",
      );
      await replicates("too-late-to-be-restored");
      cluster.operate("restore", "--to", time, "--overwrite");
      await cluster.inSync();
      const [primary = ""] = cluster.databases;
      const messages = cluster.query(primary, "SELECT message FROM app.guestbook_entries");
      expect(messages).toEqual(
        expect.arrayContaining(["to-be-in-the-backup-itself", "to-be-in-the-binary-logs"]),
      );
      expect(messages).not.toContain("too-late-to-be-restored");
      await replicates("after-the-restore");
    }, 300_000);

    test("needs nobody when EC2 stops the primary: a replica takes over", async () => {
      const primary = await cluster.inSync();
      await cluster.ec2("stop-instances", primary);
      await write(cluster, "after-the-failover");
      await cluster.ec2("start-instances", primary);
      expect(await cluster.inSync(180)).not.toBe(primary);
      await replicates("after-the-return-of-the-primary");
    }, 400_000);

    test("promotes a replica where failover is manual, and has EC2 stop the host that does not answer", async () => {
      await cluster.change({ database: { ...OPEN, failover: "manual" } });
      await eventually(
        "no host follows the record of the primary any more",
        () => !/record of the primary/.test(cluster.attemptToOperate("status").stdout) || undefined,
        180,
      );
      // An agent that was just restarted does not know yet whether its host has everything.
      await replicates("before-the-promotion");
      await eventually(
        "all is well without a record",
        () => cluster.attemptToOperate("status").status === 0 || undefined,
        120,
      );
      const primary = await cluster.inSync();
      cluster.incus(["pause", primary]);
      cluster.operate("promote", "--fence", primary);
      expect(cluster.incus(["list", "--format", "csv", "--columns", "s", primary]).trim()).toBe(
        "STOPPED",
      );
      await write(cluster, "after-the-promotion");
      await cluster.ec2("start-instances", primary);
      await cluster.inSync(180);
      await replicates("after-the-return-of-the-host");

      await cluster.change({});
      await eventually(
        "the record names the primary, and the replica as in sync",
        () =>
          /record of the primary: .*; in sync: database-/.test(
            cluster.attemptToOperate("status").stdout,
          ) || undefined,
        240,
      );
      await eventually(
        "all three voters are members again, and all is well",
        () => cluster.attemptToOperate("status").status === 0 || undefined,
        120,
      );
    }, 900_000);
  });

  test("hosts pick up a change of settings from S3 by themselves", async () => {
    await cluster.change({ loadBalancer: { algorithm: "leastconn" } });
    await eventually(
      "the load balancer uses the new algorithm",
      () =>
        cluster
          .on("load-balancer-1", "cat /etc/haproxy/haproxy.cfg")
          .includes("balance leastconn") || undefined,
      120,
    );
    await cluster.serving();
  }, 400_000);

  test.each(cluster.topology.hosts.map(({ name }) => name))(
    "after a reboot of %s the cluster serves and replicates",
    async (host) => {
      const boot = "cat /proc/sys/kernel/random/boot_id; stat --format=%Y /proc/1";
      const before = cluster.on(host, boot);
      await cluster.ec2("reboot-instances", host);
      await eventually(
        `${host} is up again`,
        () => {
          const { status, stdout } = cluster.attemptOn(host, boot);
          return (status === 0 && stdout !== before) || undefined;
        },
        60,
      );
      await cluster.inSync(120);
      await cluster.serving("/api/whoami", 120);
      await replicates(`after-the-reboot-of-${host}`);
      await eventually("status reports that all is well", () => {
        const { status } = cluster.attemptToOperate("status");
        return status === 0 || undefined;
      });
    },
    300_000,
  );
});
