import { connect } from "node:net";
import type { ScratchCluster } from "../../../drill/scratch/scratch-cluster";
import type { Role } from "../../../topology/roles";

/** Ports on which something listens, so that a refusal is the firewall's doing. */
const LISTENING: Record<Role, readonly number[]> = {
  "load-balancer": [80, 8406],
  web: [80, 8406, 9464],
  database: [3306, 8008, 2381, 8406],
  monitor: [],
};

function attempts(cluster: ScratchCluster) {
  const { hosts, flows } = cluster.topology;
  return hosts.flatMap((source) =>
    hosts
      .filter((target) => target.name !== source.name)
      .flatMap((target) =>
        LISTENING[target.role].map((port) => ({
          source: source.name,
          target: target.name,
          address: target.address,
          port,
          // Visitors come from anywhere, so a host's input rules let in whatever the internet may reach.
          allowedIn: flows.some(
            (flow) =>
              flow.to === target.role &&
              flow.port === port &&
              (flow.from === source.role || flow.from === "internet"),
          ),
          allowedOut: flows.some(
            (flow) => flow.from === source.role && flow.to === target.role && flow.port === port,
          ),
        })),
      ),
  );
}

/** One line for each target that answers. */
function reached(cluster: ScratchCluster, source: string): Set<string> {
  const tries = attempts(cluster)
    .filter((one) => one.source === source)
    .map(
      ({ target, address, port }) =>
        `timeout 3 bash -c 'exec 3<>/dev/tcp/${address}/${port}' 2>/dev/null && echo ${target}:${port} &`,
    );
  return new Set(
    cluster
      .on(source, `${tries.join("\n")}\nwait`)
      .trim()
      .split("\n")
      .filter(Boolean),
  );
}

/** Every allowed flow passes and every other is refused, at both ends. */
export function firewall(cluster: ScratchCluster): void {
  const sources = ["load-balancer-1", "web-1", "web-2", "database-1", "database-2"];

  test.each(sources)("%s can reach only what the flows allow", (source) => {
    const expected = attempts(cluster).filter((one) => one.source === source && one.allowedOut);
    expect(reached(cluster, source)).toEqual(
      new Set(expected.map(({ target, port }) => `${target}:${port}`)),
    );
  });

  test.each(sources)(
    "the other hosts' own firewalls still refuse %s if its own firewall is gone",
    (source) => {
      const expected = attempts(cluster).filter((one) => one.source === source && one.allowedIn);
      cluster.on(
        source,
        "nft add chain inet cluster output '{ policy accept; }' && nft flush chain inet cluster output",
      );
      try {
        expect(reached(cluster, source)).toEqual(
          new Set(expected.map(({ target, port }) => `${target}:${port}`)),
        );
      } finally {
        cluster.on(source, "nft --file /etc/nftables.conf");
      }
    },
  );

  test("the machine cannot reach the hosts' internal ports", async () => {
    for (const [host, port] of [
      ["web-1", 3000],
      ["web-1", 3306],
      ["database-1", 3306],
      ["database-1", 8008],
      ["load-balancer-1", 8404],
    ] as const) {
      const reached = await new Promise<boolean>((resolve) => {
        const socket = connect({ host: cluster.address(host), port, timeout: 1500 });
        socket.on("connect", () => resolve(true));
        socket.on("error", () => resolve(false));
        socket.on("timeout", () => resolve(false));
        socket.on("close", () => socket.destroy());
      });
      expect([host, port, reached]).toEqual([host, port, false]);
    }
  });

  test("only root can reach the instance metadata, and the firewall rejects others at once", () => {
    const asNobody =
      "setpriv --reuid=nobody --regid=nogroup --clear-groups timeout 5 bash -c 'exec 3<>/dev/tcp/169.254.169.254/80'";
    const { status } = cluster.attemptOn("web-1", asNobody);
    // 124 would come from timeout: nothing answered, and nothing refused.
    expect([0, 124, 127]).not.toContain(status);
  });
}
