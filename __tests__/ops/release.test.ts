import { release, rememberedReleases, rollback, rolledBack } from "../../ops/operations/release";
import type { Platform, Ran } from "../../ops/platform/platform";
import { topologyOf } from "../hosts/rendered";
import { loadBalancer, web } from "./statuses";

const [A, B, C] = ["a", "b", "c"].map((letter) => letter.repeat(64)) as [string, string, string];
const DONE: Ran = { exitCode: 0, stdout: "", stderr: "" };

/**
 * A cluster in memory: its web servers hold a release each, and a list of what they were told, in order.
 * Releases in `broken` do not become healthy on the hosts named.
 */
function cluster(broken: Record<string, readonly string[]> = {}, silent: readonly string[] = []) {
  const serves = new Map([
    ["web-1", A],
    ["web-2", A],
  ]);
  const told: string[] = [];
  let releases = [A];
  const platform: Platform = {
    async run(host, [script = "", ...args]) {
      if (silent.includes(host)) {
        return { ...DONE, exitCode: undefined };
      }
      if (script.endsWith("status.sh")) {
        const one = host.startsWith("web") ? web(1, { release: serves.get(host) }) : loadBalancer();
        return { ...DONE, stdout: JSON.stringify(one.facts) };
      }
      told.push(
        `${host}: ${script.split("/").at(-1)} ${args.map((arg) => arg.slice(0, 6)).join(" ")}`,
      );
      if (script.endsWith("activate-release.sh")) {
        if (broken[args[0] as string]?.includes(host)) {
          return { ...DONE, exitCode: 1, stderr: "it does not start" };
        }
        serves.set(host, args[0] as string);
      }
      return DONE;
    },
    power: async (hosts) => new Map(hosts.map((host) => [host, "stopped"])),
    stop: async () => undefined,
    store: async (name) => void told.push(`store ${name.slice(0, 10)}`),
    releases: async () => releases,
    setReleases: async (wanted) => {
      releases = [...wanted];
    },
  };
  return { platform, told, serves, releases: () => releases };
}

const archive = (sha256: string) => ({ sha256, name: `releases/${sha256}.tar.gz`, file: "/x" });
const topology = topologyOf();
const quiet = () => undefined;

test("a release is stored, and goes from one web server to the next, each drained meanwhile", async () => {
  const { platform, told, serves, releases } = cluster();
  await release(topology, platform, archive(B), quiet);
  expect(told).toEqual([
    "store releases/b",
    "load-balancer-1: drain.sh web-1",
    "web-1: activate-release.sh bbbbbb",
    "load-balancer-1: drain.sh --undo web-1",
    "load-balancer-1: drain.sh web-2",
    "web-2: activate-release.sh bbbbbb",
    "load-balancer-1: drain.sh --undo web-2",
  ]);
  expect([...serves.values()]).toEqual([B, B]);
  expect(releases()).toEqual([B, A]);
});

test("a release that fails on the first web server never reaches the second", async () => {
  const { platform, told, serves, releases } = cluster({ [B]: ["web-1"] });
  await expect(release(topology, platform, archive(B), quiet)).rejects.toThrow("stopped at web-1");
  expect(told.filter((line) => line.includes("web-2"))).toEqual([]);
  expect(told.at(-1)).toBe("load-balancer-1: drain.sh --undo web-1");
  expect([...serves.values()]).toEqual([A, A]);
  expect(releases()).toEqual([A]);
});

test("a release that fails on a later web server is taken back from those before", async () => {
  const { platform, serves, releases } = cluster({ [B]: ["web-2"] });
  await expect(release(topology, platform, archive(B), quiet)).rejects.toThrow("stopped at web-2");
  expect([...serves.values()]).toEqual([A, A]);
  expect(releases()).toEqual([A]);
});

test("interrupted after the first web server, it goes on with the second", async () => {
  const { platform, told, serves } = cluster();
  serves.set("web-1", B);
  await release(topology, platform, archive(B), quiet);
  expect(told.filter((line) => line.includes("web-1"))).toEqual([]);
  expect([...serves.values()]).toEqual([B, B]);
});

test("with a web server out of reach nothing is begun", async () => {
  const { platform, told } = cluster({}, ["web-2"]);
  await expect(release(topology, platform, archive(B), quiet)).rejects.toThrow(
    "web-2 cannot be reached",
  );
  expect(told.filter((line) => !line.startsWith("store"))).toEqual([]);
});

test("a web server alone is not drained", async () => {
  const { platform, told } = cluster();
  await release(topologyOf({ webServers: { count: 1 } }), platform, archive(B), quiet);
  expect(told).toEqual(["store releases/b", "web-1: activate-release.sh bbbbbb"]);
});

test("a rollback goes to the release before, and stays there", async () => {
  const { platform, serves, releases } = cluster();
  await release(topology, platform, archive(B), quiet);
  await rollback(topology, platform, quiet);
  expect([...serves.values()]).toEqual([A, A]);
  expect(releases()).toEqual([A]);
  await expect(rollback(topology, platform, quiet)).rejects.toThrow("no release before");
});

test("five releases are remembered, none of them twice", () => {
  expect(rememberedReleases(C, [B, A])).toEqual([C, B, A]);
  expect(rememberedReleases(A, [B, A])).toEqual([A, B]);
  expect(rememberedReleases("6", ["5", "4", "3", "2", "1"])).toEqual(["6", "5", "4", "3", "2"]);
  expect(rolledBack([C, B, A])).toEqual([B, A]);
});
