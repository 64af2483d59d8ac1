import { ScratchCluster } from "../../drill/scratch/scratch-cluster";
import { UBUNTU } from "../../hosts/distributions";
import { hardening } from "./local/hardening";
import { hosts } from "./local/hosts";
import { group } from "./well";

// Boots here what EC2 boots: a small Ubuntu cluster, on a machine that does not run Ubuntu.

const cluster = new ScratchCluster({
  name: "test-ubuntu",
  network: { cidr: "10.94.8.0/22" },
  localPort: 18096,
  webServers: { count: 1 },
  local: { distribution: "ubuntu" },
});

jest.setTimeout(180_000);

afterAll(() => cluster.remove());

group("deploy", cluster, () => {
  test("every host runs the Ubuntu release of stack aws", () => {
    for (const { name } of cluster.topology.hosts) {
      const release = cluster.on(name, '. /etc/os-release; printf "%s %s" "$ID" "$VERSION_ID"');
      expect([name, release]).toEqual([name, `ubuntu ${UBUNTU.version}`]);
    }
  });

  test("a second deploy plans no change", () => {
    cluster.workspace.terraform(cluster.stack, ["plan", "-detailed-exitcode", "-no-color"]);
  });

  test("every package source of a host is trusted only with Ubuntu's own keys", () => {
    const sources = cluster.on("web-1", "cat /etc/apt/sources.list").trim().split("\n");
    expect(sources.length).toBeGreaterThan(0);
    for (const source of sources.filter((line) => line !== "")) {
      expect(source).toMatch(/^deb \[signed-by=\S+ubuntu-archive-keyring\.gpg\] /);
    }
  });
});

group("hosts", cluster, () => hosts(cluster));

group("hardening", cluster, () => {
  hardening(cluster);

  test("an image's SSH server is stopped, and stays so", () => {
    cluster.on(
      "load-balancer-1",
      `export DEBIAN_FRONTEND=noninteractive
       apt-get -qq update && apt-get -qq install openssh-server && systemctl start ssh.socket ssh.service`,
      300,
    );
    const listening = () =>
      cluster.on("load-balancer-1", "ss --listening --tcp --numeric --no-header 'sport = :22'");
    expect(listening()).not.toBe("");
    cluster.on("load-balancer-1", "/opt/cluster/scripts/host/converge.sh");
    expect(listening()).toBe("");
    expect(cluster.attemptOn("load-balancer-1", "systemctl start ssh.service").status).not.toBe(0);
  }, 300_000);
});

group("Ubuntu's unattended updates", cluster, () => {
  const serving = ["nginx.service", "haproxy.service", "app.service"];
  const processes = () =>
    cluster.on("web-1", `systemctl show --property MainPID ${serving.join(" ")}`);

  beforeAll(() => {
    cluster.on(
      "web-1",
      `export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
       apt-get -qq update && apt-get -qq install unattended-upgrades needrestart`,
      300,
    );
  }, 300_000);

  test("exclude the packages that serve", () => {
    const log = cluster.on("web-1", "unattended-upgrade --dry-run --debug 2>&1", 120);
    const [, left = ""] = /^Initial blacklist: (.*)$/m.exec(log) ?? [];
    expect(left.split(" ")).toEqual(
      expect.arrayContaining(["mysql-", "haproxy", "nginx", "nodejs", "nftables"]),
    );
  }, 180_000);

  test("restart no service for a replaced library, and status reports the pending restart", () => {
    const before = processes();
    cluster.on(
      "web-1",
      'library=$(readlink -f /usr/lib/*/libcrypto.so.3); cp --archive "$library" "$library.new"; mv "$library.new" "$library"',
    );
    const restarted = cluster.on("web-1", "needrestart -r a -v 2>&1 </dev/null", 120);
    // Otherwise the test would prove nothing.
    expect(restarted).toMatch(/nginx/);
    expect(processes()).toBe(before);
    expect(cluster.attemptToOperate("status").stdout).toMatch(
      /^updates: .*web-1 .*a restart of .*nginx\.service/m,
    );
  }, 180_000);
});
