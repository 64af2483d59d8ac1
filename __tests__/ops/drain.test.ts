import { drain, undrain } from "../../ops/operations/drain";
import type { HostAccess, Power, Ran } from "../../ops/platform/host-access";
import { topologyOf } from "../hosts/rendered";

const topology = topologyOf({ loadBalancer: { count: 2 } });
const DONE: Ran = { exitCode: 0, stdout: "", stderr: "drained" };
const REFUSED: Ran = { exitCode: 1, stdout: "", stderr: "no other web server serves" };
const UNREACHABLE: Ran = { exitCode: undefined, stdout: "", stderr: "it did not answer" };

/** Two load balancers in memory, and what they were told. */
function loadBalancers(answers: Record<string, Ran> = {}, power: Record<string, Power> = {}) {
  const told: string[] = [];
  const access: HostAccess = {
    async run(host, [script = "", ...args]) {
      told.push(`${host}: ${script.split("/").at(-1)} ${args.join(" ")}`);
      return args[0] === "--undo" ? DONE : (answers[host] ?? DONE);
    },
    power: async (hosts) => new Map(hosts.map((host) => [host, power[host] ?? "running"])),
    stop: async () => undefined,
  };
  return { access, told };
}

test("a web server is drained on both, and undrained on both", async () => {
  const { access, told } = loadBalancers();
  await drain(topology, access, "web-1", { force: false });
  await undrain(topology, access, "web-1");
  expect(told).toEqual([
    "load-balancer-1: drain.sh web-1",
    "load-balancer-2: drain.sh web-1",
    "load-balancer-1: drain.sh --undo web-1",
    "load-balancer-2: drain.sh --undo web-1",
  ]);
});

test("if the second one refuses, the first one is undone", async () => {
  const { access, told } = loadBalancers({ "load-balancer-2": REFUSED });
  await expect(drain(topology, access, "web-1", { force: false })).rejects.toThrow(
    "load-balancer-2: no other web server serves",
  );
  expect(told.slice(2)).toEqual(["load-balancer-1: drain.sh --undo web-1"]);
});

test("one that did not answer may have done it, and is undone as well", async () => {
  const { access, told } = loadBalancers({ "load-balancer-2": UNREACHABLE });
  await expect(drain(topology, access, "web-1", { force: false })).rejects.toThrow("unreachable");
  expect(told.slice(2).sort()).toEqual([
    "load-balancer-1: drain.sh --undo web-1",
    "load-balancer-2: drain.sh --undo web-1",
  ]);
});

test("one that does not run is left out: it asks the other one when it starts", async () => {
  const { access, told } = loadBalancers(
    { "load-balancer-1": UNREACHABLE },
    { "load-balancer-1": "stopped" },
  );
  await drain(topology, access, "web-1", { force: false });
  expect(told).toEqual(["load-balancer-2: drain.sh web-1"]);
});

test("if none runs, that is what is said", async () => {
  const { access } = loadBalancers(
    { "load-balancer-1": UNREACHABLE },
    { "load-balancer-1": "stopped", "load-balancer-2": "stopped" },
  );
  await expect(drain(topology, access, "web-1", { force: false })).rejects.toThrow("unreachable");
});
