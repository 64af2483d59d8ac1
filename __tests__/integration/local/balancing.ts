import { spawn } from "node:child_process";
import { connect, type Socket } from "node:net";
import { type ScratchCluster, tally } from "../../../drill/scratch/scratch-cluster";
import { eventually } from "../../../drill/scratch/workspace";
import { HAPROXY_SOCKET } from "../../../hosts/agreed";
import { runSync } from "../../../ops/run";

/** Opens a request whose body never comes: it occupies a web server until it is closed. */
function occupy(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.write(
        `POST /api/entries HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n${" ".repeat(50_000)}`,
        () => resolve(socket),
      );
    });
    socket.on("error", reject);
  });
}

/** The load balancer's main process, which tells a reload from a restart. */
const processOf = (cluster: ScratchCluster) =>
  cluster.on("load-balancer-1", "systemctl show --value --property=MainPID haproxy.service").trim();

/** Changes of the load balancer's settings, on a cluster that serves. */
export function balancing(cluster: ScratchCluster): void {
  const address = () => cluster.address("load-balancer-1");

  test("a change of the algorithm affects only the load balancer, and no request is dropped", async () => {
    const before = processOf(cluster);
    let deploying = true;
    const deployed = cluster
      .deployInBackground({ loadBalancer: { algorithm: "leastconn" } })
      .finally(() => {
        deploying = false;
      });
    const seen = new Set<string>();
    while (deploying) {
      for (const name of Object.keys(await tally(`${cluster.url}/api/whoami`, 10))) {
        seen.add(name);
      }
    }
    const printed = await deployed;
    expect(printed.match(/\S+: Creation complete/g)).toEqual([
      expect.stringContaining("load-balancer-1"),
    ]);
    expect(processOf(cluster)).toBe(before);
    expect([...seen].sort()).toEqual(["web-1", "web-2"]);
  }, 300_000);

  test("leastconn sends requests to the web server with fewer requests under way", async () => {
    cluster.ensure({ loadBalancer: { algorithm: "leastconn" } });
    await cluster.serving();
    const haproxy = (command: string) =>
      cluster.on("load-balancer-1", `echo "${command}" | socat - UNIX-CONNECT:${HAPROXY_SOCKET}`);
    const setState = (state: "drain" | "ready") => haproxy(`set server web/web-2 state ${state}`);
    // Three on web-1: a request that web-2 has just answered may count for a moment, and makes no tie.
    setState("drain");
    const occupied: Socket[] = [];
    try {
      for (let request = 0; request < 3; request++) {
        occupied.push(await occupy(cluster.topology.settings.localPort));
      }
      // The fifth field is the number of requests in flight (HAProxy's management guide, 9.1).
      await eventually(
        "the load balancer has forwarded the requests",
        () => /^web,web-1,\d+,\d+,3,/m.test(haproxy("show stat web 4 -1")) || undefined,
      );
      setState("ready");
      expect(await tally(`${cluster.url}/api/whoami`, 20)).toEqual({ "web-2": 20 });
    } finally {
      setState("ready");
      for (const socket of occupied) {
        socket.destroy();
      }
    }
  });

  test("source keeps each client on one web server, and distributes clients over both", async () => {
    cluster.apply({ loadBalancer: { algorithm: "source" } });
    await eventually("one web server answers this machine", async () => {
      const answered = Object.keys(await tally(`${cluster.url}/api/whoami`, 10));
      return answered.length === 1 && answered[0]?.startsWith("web-") ? true : undefined;
    });
    const bridge = runSync(["ip", "-o", "route", "get", address()]).match(
      /dev (\S+)/,
    )?.[1] as string;
    const clients = Array.from({ length: 16 }, (_, index) =>
      cluster.topology.network.gateway.replace(/\d+$/, String(200 + index)),
    );
    const used = new Set<string>();
    try {
      for (const client of clients) {
        runSync(["ip", "address", "add", `${client}/32`, "dev", bridge]);
        const counts = await tally(`http://${address()}/api/whoami`, 5, client);
        expect([client, Object.values(counts)]).toEqual([client, [5]]);
        used.add(Object.keys(counts)[0] as string);
      }
    } finally {
      for (const client of clients) {
        spawn("ip", ["address", "del", `${client}/32`, "dev", bridge]);
      }
    }
    expect(used).toEqual(new Set(["web-1", "web-2"]));
  }, 300_000);

  test("active-passive uses one web server, and the other one if the first is down", async () => {
    cluster.apply({ webServers: { mode: "active-passive" } });
    await cluster.serving();
    expect(await tally(`${cluster.url}/api/whoami`, 40)).toEqual({ "web-1": 40 });
    cluster.on("web-1", "systemctl stop nginx.service");
    try {
      const answered = await eventually(
        "the standby web server answers",
        async () => {
          const counts = await tally(`${cluster.url}/api/whoami`, 10);
          return counts["web-2"] === 10 ? counts : undefined;
        },
        20,
      );
      expect(answered).toEqual({ "web-2": 10 });
    } finally {
      cluster.on("web-1", "systemctl start nginx.service");
    }
    await eventually(
      "the first web server serves again",
      async () => (await tally(`${cluster.url}/api/whoami`, 10))["web-1"] === 10 || undefined,
      30,
    );
  }, 300_000);

  test("adding and removing a web server affects no other host", async () => {
    const started = (host: string) =>
      cluster.on(host, "systemctl show --value --property=UserspaceTimestamp").trim();
    cluster.set();
    const hosts = cluster.topology.hosts.map(({ name }) => name);
    const before = hosts.map(started);
    cluster.apply({ webServers: { count: 3 } });
    await cluster.serving();
    expect(hosts.map(started)).toEqual(before);
    cluster.apply();
    await cluster.serving();
    expect(hosts.map(started)).toEqual(before);
    expect(
      cluster.incus(["list", "--format", "csv", "--columns", "n"]).trim().split("\n").sort(),
    ).toEqual([...hosts].sort());
  }, 600_000);
}
