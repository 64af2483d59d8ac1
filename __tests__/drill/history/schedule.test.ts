import { HISTORY_FAULTS } from "../../../drill/history/faults";
import { faultsFor } from "../../../drill/history/run-history";
import { schedule } from "../../../drill/history/schedule";
import { parseClusters } from "../../../topology/settings";
import { buildTopology } from "../../../topology/topology";

/** The first steps that a seed draws. */
function steps(seed: number, count = 100) {
  const drawn = schedule(seed, HISTORY_FAULTS);
  return Array.from({ length: count }, () => drawn.next().value);
}

const namesOf = (seed: number) =>
  steps(seed).map(({ faults }) => faults.map(({ fault }) => fault.name).join(" and "));

test("a seed always draws the same faults, and another seed draws others", () => {
  expect(steps(1)).toEqual(steps(1));
  expect(namesOf(1)).not.toEqual(namesOf(2));
});

test("every fault occurs once before any occurs again", () => {
  const names = steps(3).flatMap(({ faults }) => faults.map(({ fault }) => fault.name));
  const every = HISTORY_FAULTS.map(({ name }) => name).sort();
  expect(names.slice(0, every.length).sort()).toEqual(every);
});

test("two simultaneous faults affect different parts of the cluster, and are the exception", () => {
  const both = [1, 2, 3, 4, 5]
    .flatMap((seed) => steps(seed))
    .filter((one) => one.faults.length > 1);
  expect(both.length).toBeGreaterThan(25);
  expect(both.length).toBeLessThan(125);
  for (const { faults } of both) {
    const parts = faults.flatMap(({ fault }) => fault.takes);
    expect(new Set(parts).size).toBe(parts.length);
  }
});

test("some outages end before a replica takes over, and some after", () => {
  const lasts = steps(4).map((one) => one.lasts);
  expect(Math.min(...lasts)).toBeLessThan(3.5);
  expect(Math.max(...lasts)).toBeGreaterThan(8);
});

test("a schedule without faults is refused", () => {
  expect(() => schedule(1, []).next()).toThrow(/a schedule needs a fault/);
});

describe("the faults of a cluster", () => {
  const topologyOf = (database: object) =>
    buildTopology(parseClusters([{ name: "test", database }])[0] as never, "local");
  const names = (database: object, short = false) =>
    faultsFor({ topology: topologyOf(database) }, short).map(({ name }) => name);

  test("include all of them with automatic failover", () => {
    expect(names({ failover: "automatic" })).toEqual(HISTORY_FAULTS.map(({ name }) => name));
  });

  test("do not include etcd's with manual failover, where there is no etcd", () => {
    expect(names({ failover: "manual" }).filter((name) => name.startsWith("etcd"))).toEqual([]);
    expect(names({ failover: "manual" })).toContain("primary-host-stopped");
  });

  test("include the primary's and a replica's even if they must be short", () => {
    expect(names({ failover: "automatic" }, true)).toEqual(
      expect.arrayContaining(["primary-server-killed", "replica-server-killed", "app-killed"]),
    );
  });

  test("require a replica", () => {
    expect(() => names({ failover: "manual", replicas: 0 })).toThrow(/got 0.*at least 1/);
  });
});
