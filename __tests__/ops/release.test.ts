import { release, rememberedReleases, rollback, rolledBack } from "../../ops/operations/release";
import type { HostAccess, Ran } from "../../ops/platform/host-access";
import type { ReleaseStore } from "../../ops/platform/release-store";
import { topologyOf } from "../hosts/rendered";
import { checked, loadBalancer, web } from "./statuses";

const [A, B, C] = ["a", "b", "c"].map((letter) => letter.repeat(64)) as [string, string, string];
const DONE: Ran = { exitCode: 0, stdout: "", stderr: "" };

interface Faults {
  /** Releases that do not become healthy by the word of the host itself, on the hosts named. */
  readonly broken?: Record<string, readonly string[]>;
  /** Releases that the host finds healthy and the load balancer does not. */
  readonly refused?: Record<string, readonly string[]>;
  /** Releases whose app is started anew while the load balancer looks. */
  readonly restarting?: Record<string, readonly string[]>;
  /** The same, once visitors come. */
  readonly restartingInService?: Record<string, readonly string[]>;
  readonly silent?: readonly string[];
  /** Seconds an app may take to start; default 30. */
  readonly startTimeout?: number;
}

/**
 * A cluster in memory: its web servers hold a release each, and a list of what they were told, in order.
 */
function cluster({
  broken = {},
  refused = {},
  restarting = {},
  restartingInService = {},
  silent = [],
  startTimeout = 30,
}: Faults = {}) {
  const serves = new Map([
    ["web-1", A],
    ["web-2", A],
  ]);
  const runs = new Map([
    ["web-1", 1],
    ["web-2", 1],
  ]);
  const servers = new Map(["web-1", "web-2"].map((name) => [name, "UP"]));
  const told: string[] = [];
  const limits: number[] = [];
  let releases = [A];
  const has = (faults: Record<string, readonly string[]>, host: string) =>
    faults[serves.get(host) as string]?.includes(host) === true;
  const startAnew = (host: string) => runs.set(host, (runs.get(host) as number) + 1);
  const seen = (name: string) => {
    const bad = has(refused, name);
    const status = bad ? "DOWN" : (servers.get(name) as string);
    return checked(name, bad ? { status, check: "L7STS", answer: 400 } : { status });
  };
  const activateRelease = (host: string, wanted: string): Ran => {
    if (broken[wanted]?.includes(host)) {
      return { ...DONE, exitCode: 1, stderr: "it does not start" };
    }
    serves.set(host, wanted);
    startAnew(host);
    return DONE;
  };
  const access: HostAccess = {
    async run(host, [script = "", ...args], seconds = 60) {
      if (silent.includes(host)) {
        return { ...DONE, exitCode: undefined };
      }
      const name = script.split("/").at(-1) as string;
      if (name === "status.sh") {
        const one = host.startsWith("web")
          ? web(1, { release: serves.get(host), run: String(runs.get(host)) })
          : loadBalancer({ servers: [seen("web-1"), seen("web-2")] });
        return { ...DONE, stdout: JSON.stringify(one.facts) };
      }
      if (name === "install-release.sh") {
        return {
          ...DONE,
          stdout: JSON.stringify({ startTimeout, startTimeoutBefore: startTimeout }),
        };
      }
      if (name === "app-lines.sh") {
        return { ...DONE, stdout: "the last lines of the app:\n  had enough\n" };
      }
      told.push(`${host}: ${name} ${args.map((arg) => arg.slice(0, 6)).join(" ")}`);
      const [first = ""] = args;
      switch (name) {
        case "activate-release.sh":
          limits.push(seconds);
          return activateRelease(host, first);
        case "await-checks.sh": {
          const inService = args.includes("--in-service");
          if (has(inService ? restartingInService : restarting, first)) {
            startAnew(first);
          }
          const exitCode = has(refused, first) ? 1 : 0;
          return { ...DONE, exitCode, stdout: JSON.stringify([seen(first)]) };
        }
        case "drain.sh":
          servers.set(
            args.at(-1) === "--force" ? first : (args.at(-1) as string),
            first === "--undo" ? "UP" : "DRAIN",
          );
          return DONE;
      }
      return DONE;
    },
    power: async (hosts) => new Map(hosts.map((host) => [host, "stopped"])),
    stop: async () => undefined,
  };
  const store: ReleaseStore = {
    put: async (name) => void told.push(`store ${name.slice(0, 10)}`),
    list: async () => releases,
    set: async (wanted) => {
      releases = [...wanted];
    },
  };
  return {
    target: { topology, access, releases: store },
    told,
    serves,
    servers,
    limits,
    releases: () => releases,
    setReleases: (wanted: string[]) => {
      releases = wanted;
    },
  };
}

const archive = (sha256: string) => ({ sha256, name: `releases/${sha256}.tar.gz`, file: "/x" });
const topology = topologyOf();
const quiet = () => undefined;

test("a release is stored, and rolled out to one web server after the other, each drained meanwhile", async () => {
  const { target, told, serves, releases } = cluster();
  await release(target, archive(B), quiet);
  expect(told).toEqual([
    "store releases/b",
    ...["web-1", "web-2"].flatMap((host) => [
      `load-balancer-1: drain.sh ${host}`,
      `${host}: activate-release.sh bbbbbb 4`,
      `load-balancer-1: await-checks.sh ${host} 4 24`,
      `load-balancer-1: drain.sh --undo ${host}`,
      `load-balancer-1: await-checks.sh ${host} 2 22 --in-s`,
    ]),
  ]);
  expect([...serves.values()]).toEqual([B, B]);
  expect(releases()).toEqual([B, A]);
});

test("a release that fails on the first web server never reaches the second", async () => {
  const { target, told, serves, releases } = cluster({
    broken: { [B]: ["web-1"] },
  });
  await expect(release(target, archive(B), quiet)).rejects.toThrow("stopped at web-1");
  expect(told.filter((line) => line.includes("web-2"))).toEqual([]);
  expect(told).toContain("load-balancer-1: drain.sh --undo web-1");
  expect([...serves.values()]).toEqual([A, A]);
  expect(releases()).toEqual([A]);
});

test("a release that fails on a later web server is rolled back on the earlier ones", async () => {
  const { target, serves, releases } = cluster({ broken: { [B]: ["web-2"] } });
  await expect(release(target, archive(B), quiet)).rejects.toThrow("stopped at web-2");
  expect([...serves.values()]).toEqual([A, A]);
  expect(releases()).toEqual([A]);
});

test("a release that was interrupted after the first web server continues with the second", async () => {
  const { target, told, serves } = cluster();
  serves.set("web-1", B);
  await release(target, archive(B), quiet);
  expect(told.filter((line) => line.includes("web-1"))).toEqual([]);
  expect([...serves.values()]).toEqual([B, B]);
});

test("nothing is started while a web server does not answer", async () => {
  const { target, told } = cluster({ silent: ["web-2"] });
  await expect(release(target, archive(B), quiet)).rejects.toThrow("web-2 cannot be reached");
  expect(told.filter((line) => !line.startsWith("store"))).toEqual([]);
});

test("a single web server is not drained", async () => {
  const { target, told } = cluster();
  await release(
    { ...target, topology: topologyOf({ webServers: { count: 1 } }) },
    archive(B),
    quiet,
  );
  expect(told).toEqual([
    "store releases/b",
    "web-1: activate-release.sh bbbbbb 4",
    "load-balancer-1: await-checks.sh web-1 4 24",
    "load-balancer-1: await-checks.sh web-1 2 22 --in-s",
  ]);
});

describe("a release is healthy when the load balancer says so", () => {
  const attempt = async (faults: Faults, settings = {}) => {
    const made = cluster(faults);
    const reason = await release(
      { ...made.target, topology: topologyOf(settings) },
      archive(B),
      quiet,
    ).then(
      () => "",
      (error: Error) => error.message,
    );
    return { ...made, reason };
  };

  test.each<[string, (hosts: string[]) => Faults, string]>([
    ["whose checks are answered 400", (hosts) => ({ refused: { [B]: hosts } }), "returned 400"],
    ["whose app ends while it looks", (hosts) => ({ restarting: { [B]: hosts } }), "was restarted"],
    [
      "whose app ends when visitors come",
      (hosts) => ({ restartingInService: { [B]: hosts } }),
      "was restarted",
    ],
  ])("one %s is taken back", async (_, faults, why) => {
    const first = await attempt(faults(["web-1", "web-2"]));
    expect(first.reason).toContain("stopped at web-1 and rolled back");
    expect(first.reason).toContain(why);
    expect(first.reason).toContain("had enough");
    expect(first.told.filter((line) => /^web-2|drain.sh.* web-2/.test(line))).toEqual([]);
    const second = await attempt(faults(["web-2"]));
    expect(second.reason).toContain("stopped at web-2 and rolled back");
    const alone = await attempt(faults(["web-1"]), { webServers: { count: 1 } });
    expect(alone.reason).toContain("stopped at web-1 and rolled back");
    for (const { serves, servers, releases } of [first, second, alone]) {
      expect([...serves.values()]).toEqual([A, A]);
      expect([...servers.values()]).toEqual(["UP", "UP"]);
      expect(releases()).toEqual([A]);
    }
  });

  test("it rolls back before it receives requests again", async () => {
    const { told } = await attempt({ refused: { [B]: ["web-1"] } });
    const back = told.findIndex((line) => line.includes("--take"));
    expect(back).toBeGreaterThan(0);
    expect(back).toBeLessThan(told.indexOf("load-balancer-1: drain.sh --undo web-1"));
  });

  test("the message names the path, the host it was asked for, the answer and the seconds", async () => {
    const { reason } = await attempt(
      { refused: { [B]: ["web-1"] } },
      { app: { directory: "x", healthPath: "/up", healthHost: "shop.example.com" } },
    );
    expect(reason).toContain("/up (Host: shop.example.com)");
    expect(reason).toMatch(/for 4 s in a row within 24 s/);
  });

  test("a web server that cannot roll back is reported, and the others roll back anyway", async () => {
    const { reason, serves } = await attempt({ broken: { [B]: ["web-2"], [A]: ["web-1"] } });
    expect(reason).toContain("could not be rolled back everywhere");
    expect(reason).toContain("web-1: it does not start");
    expect([...serves.values()]).toEqual([B, A]);
  });

  test("a web server that already has the release, but is unhealthy for the load balancer, does not count", async () => {
    const made = cluster({ refused: { [A]: ["web-1", "web-2"] } });
    await expect(release(made.target, archive(A), quiet)).rejects.toThrow("returned 400");
  });

  test("web servers that had it from an interrupted release roll back with the others", async () => {
    const made = cluster({ broken: { [B]: ["web-2"] } });
    made.serves.set("web-1", B);
    await expect(release(made.target, archive(B), quiet)).rejects.toThrow("rolled back");
    expect([...made.serves.values()]).toEqual([A, A]);
  });

  test("but not if it is the cluster's release", async () => {
    const made = cluster({ broken: { [B]: ["web-2"] } });
    made.serves.set("web-1", B);
    made.setReleases([B, A]);
    await expect(release(made.target, archive(B), quiet)).rejects.toThrow("stopped at web-2");
    expect(made.serves.get("web-1")).toBe(B);
  });

  test("a web server is given the time that both releases may take to start", async () => {
    const { limits } = await attempt({ startTimeout: 900 });
    expect(Math.min(...limits)).toBeGreaterThan(2 * 900);
    const { limits: usual } = await attempt({});
    expect(Math.max(...usual)).toBeLessThan(240);
  });
});

test("a rollback activates the previous release, and cannot be repeated", async () => {
  const { target, serves, releases } = cluster();
  await release(target, archive(B), quiet);
  await rollback(target, quiet);
  expect([...serves.values()]).toEqual([A, A]);
  expect(releases()).toEqual([A]);
  await expect(rollback(target, quiet)).rejects.toThrow("no previous release");
});

test("five releases are recorded, each once", () => {
  expect(rememberedReleases(C, [B, A])).toEqual([C, B, A]);
  expect(rememberedReleases(A, [B, A])).toEqual([A, B]);
  expect(rememberedReleases("6", ["5", "4", "3", "2", "1"])).toEqual(["6", "5", "4", "3", "2"]);
  expect(rolledBack([C, B, A])).toEqual([B, A]);
});
