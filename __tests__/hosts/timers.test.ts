import { hostOf } from "./rendered";

const timers = ["load-balancer-1", "web-1", "database-1"].flatMap((name) =>
  hostOf(name)
    .files.filter(
      ({ path, content }) => path.endsWith(".timer") && content.includes("OnUnitInactiveSec="),
    )
    .map(({ path, content }) => [name, path, content] as const),
);

test("there are repeating timers", () => {
  expect(timers.length).toBeGreaterThan(3);
});

// https://www.freedesktop.org/software/systemd/man/latest/systemd.timer.html#AccuracySec=: a minute by default, so that
// what is to be once a minute was every two.
test.each(timers)("%s: %s is accurate to the second", (_host, _path, content) => {
  expect(content).toMatch(/^AccuracySec=1s$/m);
});
