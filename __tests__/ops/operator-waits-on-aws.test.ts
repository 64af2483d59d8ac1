import {
  B,
  OFF,
  OperatorOnAws,
  problems,
  said,
  silentPrimary,
  table,
  throttled,
} from "./operator-on-aws";

// As operator-on-aws.test.ts, where an operation waits until it gives up: each with a cluster of its own, all at once.

jest.setTimeout(90_000);

const clusters: OperatorOnAws[] = [];
function newCluster(): OperatorOnAws {
  const cluster = new OperatorOnAws();
  clusters.push(cluster);
  return cluster;
}
afterAll(() => {
  for (const cluster of clusters) {
    cluster.remove();
  }
});

test.concurrent("SendCommand says so, or AWS has no time for it", async () => {
  const cluster = newCluster();
  cluster.set({
    instances: [OFF],
    faults: [
      throttled("SendCommand", { host: "web-1" }),
      { operation: "SendCommand", host: "web-2", code: "InternalServerError" },
      { operation: "SendCommand", host: "database-2", code: "UnsupportedPlatformType" },
    ],
  });
  const { exitCode, stdout, stderr, seconds } = await cluster.run(["status"]);
  expect([exitCode, stderr]).toEqual([1, ""]);
  expect(table(stdout)).toEqual({
    "load-balancer-1": "serves",
    "web-1": "silent",
    "web-2": "silent",
    "database-1": "silent",
    "database-2": "silent",
  });
  const said = problems(stdout).join("\n");
  expect(said).toContain(
    "! web-1 does not answer: aws ssm send-command (web-1): ThrottlingException: Rate",
  );
  expect(said).toContain(
    "! web-2 does not answer: aws ssm send-command (web-2): InternalServerError: ",
  );
  expect(said).toContain(
    "! database-1 does not answer: aws ssm send-command (database-1): InvalidInstanceId: Instances [[i-33333333333333333]] not in a valid state for account 123456789012",
  );
  expect(said).toContain(
    "! database-2 does not answer: aws ssm send-command (database-2): Unsupported",
  );
  expect(seconds).toBeLessThan(45);
});

test.concurrent("GetCommandInvocation goes on to say Pending or Delayed, or to fail: it is given up, and called off", async () => {
  const cluster = newCluster();
  cluster.set({
    slow: true,
    invocations: [said("web-1", "Pending", "Pending"), said("web-2", "Delayed", "Delayed")],
    faults: [
      throttled("GetCommandInvocation", { host: "load-balancer-1" }),
      { operation: "GetCommandInvocation", host: "database-1", code: "InvocationDoesNotExist" },
      { operation: "GetCommandInvocation", host: "database-2", code: "InternalServerError" },
    ],
  });
  const { exitCode, stdout, seconds } = await cluster.run(["status"]);
  expect(exitCode).toBe(1);
  expect(new Set(Object.values(table(stdout)))).toEqual(new Set(["silent"]));
  const because = Object.fromEntries(
    problems(stdout).map((line) => line.slice(2).split(" does not answer: ")),
  );
  expect(because).toMatchObject({
    "web-1": "SSM did not deliver the command",
    "web-2": "SSM did not deliver the command",
    "load-balancer-1": expect.stringContaining("ThrottlingException: Rate exceeded"),
    "database-1": expect.stringContaining("InvocationDoesNotExist"),
    "database-2": expect.stringContaining("InternalServerError"),
  });
  expect(cluster.calls("CancelCommand")).toHaveLength(5);
  expect(seconds).toBeLessThan(45);
  // Nor is it executed later, should it not be called off.
  for (const sent of cluster.calls("SendCommand")) {
    expect(sent[sent.indexOf("--timeout-seconds") + 1]).toBe("30");
  }
});

test.concurrent("that stays busy: nothing is known of any host, and that is said", async () => {
  const cluster = newCluster();
  cluster.set({ faults: [{ operation: "DescribeInstances", code: "RequestLimitExceeded" }] });
  const { exitCode, stdout, stderr } = await cluster.run(["status"]);
  expect([exitCode, stderr]).toEqual([1, ""]);
  expect(table(stdout)).toMatchObject({ "web-1": "unknown", "database-1": "unknown" });
  expect(problems(stdout)[0]).toMatch(
    /^! load-balancer-1 does not answer: aws ec2 describe-instances: RequestLimitExceeded: .*; it is not known whether it runs$/,
  );
});

test.concurrent("SSM has no time for it: it is fenced all the same", async () => {
  const cluster = newCluster();
  cluster.set({
    faults: [throttled("SendCommand", { host: "database-1" })],
    scripts: silentPrimary,
  });
  expect(await cluster.run(["promote", "--fence", "database-1"])).toMatchObject({ exitCode: 0 });
  expect(cluster.ran()).toEqual(["database-2 promote --lost database-1"]);
});

test.concurrent("EC2 has no time to say whether it runs: it is not taken for closed", async () => {
  const cluster = newCluster();
  cluster.set({
    instances: [{ ...OFF, state: "stopped" }],
    scripts: silentPrimary,
    faults: [{ operation: "DescribeInstances", code: "RequestLimitExceeded", after: 1 }],
  });
  const { exitCode, stderr } = await cluster.run(["promote"]);
  expect(exitCode).toBe(1);
  expect(stderr).toContain("Nothing was changed.");
  expect(cluster.ran()).toEqual([]);
});

test.concurrent("the list of releases cannot be had while S3 is busy: a release does not begin", async () => {
  const cluster = newCluster();
  cluster.set({ faults: [{ operation: "HeadObject", code: "503", message: "Slow Down" }] });
  const { exitCode, stderr } = await cluster.run(["release"]);
  expect([exitCode, stderr]).toEqual([
    1,
    "aws s3 cp (s3://demo-store-1/release): 503: Slow Down\n",
  ]);
  expect(cluster.object("release")).toContain(B);
  expect(cluster.calls("PutObject")).toEqual([]);
  expect(cluster.ran()).toEqual([]);
});
