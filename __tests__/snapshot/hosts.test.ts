import { hostOf } from "../hosts/rendered";

// The whole user-data of one host of each role, as it boots.

test.each(["load-balancer-1", "web-1", "database-1"])("user-data of %s", (name) => {
  expect(hostOf(name).userData).toMatchSnapshot();
});

test("user-data of monitor-1", () => {
  const settings = { monitor: true, monitoring: { webhook: true, heartbeat: true } };
  expect(hostOf("monitor-1", settings).userData).toMatchSnapshot();
});

test("user-data of web-1 on AWS", () => {
  expect(hostOf("web-1", {}, "aws").userData).toMatchSnapshot();
});
