import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import {
  A,
  B,
  candidate,
  DENIED,
  type Fault,
  LOST,
  OFF,
  OperatorOnAws,
  printing,
  problems,
  said,
  silentPrimary,
  table,
  throttled,
} from "./operator-on-aws";
import { database, primary } from "./statuses";

// The operator's own command, from outside: what it prints, what it ends with, and what it asked AWS for. A stand-in
// answers for AWS (__tests__/fixtures/aws-stand-in.js), and commands that it is given for hosts do run.

let cluster: OperatorOnAws;
beforeAll(() => {
  cluster = new OperatorOnAws();
});
afterAll(() => cluster.remove());

jest.setTimeout(90_000);

test("a healthy cluster, with slow answers from SSM", async () => {
  cluster.set({ slow: true });
  const { exitCode, stdout, stderr } = await cluster.run(["status"]);
  expect([exitCode, stderr]).toEqual([0, ""]);
  expect(table(stdout)).toEqual({
    "load-balancer-1": "serves",
    "web-1": "serves",
    "web-2": "serves",
    "database-1": "primary",
    "database-2": "replica",
  });
});

describe("a host that does not answer is shown with the reason, and the others are shown as usual", () => {
  test.each<[string, Array<[string, string, string, RegExp]>]>([
    [
      "it did not come to run",
      [
        ["web-1", "TimedOut", "DeliveryTimedOut", /SSM could not deliver the command in time/],
        ["web-2", "Failed", "Undeliverable", /SSM could not deliver the command/],
        ["database-1", "Failed", "InvalidPlatform", /cannot run shell scripts/],
        ["database-2", "Failed", "Failed", /SSM could not start the command/],
      ],
    ],
    [
      "it did not come to its end",
      [
        ["web-1", "TimedOut", "ExecutionTimedOut", /exceeded its timeout/],
        ["web-2", "Cancelled", "Cancelled", /the command was cancelled/],
        ["database-1", "Cancelled", "Terminated", /SSM terminated the command/],
        ["database-2", "Cancelled", "RateExceeded", /too many commands are pending/],
      ],
    ],
  ])("GetCommandInvocation says of a command that %s", async (_, statuses) => {
    cluster.set({
      invocations: statuses.map(([host, status, details]) => said(host, status, details)),
    });
    const { exitCode, stdout, stderr } = await cluster.run(["status"]);
    expect([exitCode, stderr]).toEqual([1, ""]);
    expect(table(stdout)["load-balancer-1"]).toBe("serves");
    for (const [host, , , reason] of statuses) {
      expect([host, table(stdout)[host]]).toEqual([host, "silent"]);
      const line = problems(stdout).find((one) => one.startsWith(`! ${host} does not answer: `));
      expect(line).toMatch(reason);
    }
  });

  test("its script fails, or prints no valid status", async () => {
    cluster.set({
      scripts: {
        "web-1/host/status.sh": printing("noise\nno disk", { to: 2, exit: 3 }),
        "web-2/host/status.sh": printing("hello"),
      },
    });
    const { exitCode, stdout } = await cluster.run(["status"]);
    expect(exitCode).toBe(1);
    expect(problems(stdout)).toEqual([
      "! web-1 does not answer: its status script exited with 3: no disk",
      '! web-2 does not answer: its status is not valid JSON: "hello\\n"',
    ]);
  });
});

describe("EC2", () => {
  test("hosts that are stopped, terminated, or starting", async () => {
    cluster.set({
      instances: [
        { id: "i-11111111111111111", name: "web-1", state: "stopped" },
        { id: "i-22222222222222222", name: "web-2", state: "terminated", stray: true },
        // Its programs may still run, so it is not taken for closed.
        { id: "i-44444444444444444", name: "database-2", state: "shutting-down" },
      ],
    });
    const { exitCode, stdout } = await cluster.run(["status"]);
    expect(exitCode).toBe(1);
    expect(table(stdout)).toMatchObject({
      "web-1": "stopped",
      "web-2": "absent",
      "database-1": "primary",
      "database-2": "unknown",
    });
    expect(cluster.calls("SendCommand")).toHaveLength(2);
  });

  test("of two instances with one name, the running one is the host; two running ones are an error", async () => {
    cluster.set({
      instances: [
        { id: "i-old", name: "web-1", state: "terminated", stray: true },
        { id: "i-older", name: "web-1", state: "stopped" },
        { id: "i-twin", name: "web-2", state: "running" },
      ],
    });
    const { stdout } = await cluster.run(["status"]);
    expect(table(stdout)).toMatchObject({ "web-1": "serves", "web-2": "silent" });
    expect(problems(stdout)).toEqual([
      "! web-2 does not answer: there are 2 instances of this name: i-22222222222222222, i-twin",
    ]);
  });

  test("that is throttled for a moment is asked again", async () => {
    cluster.set({
      faults: [
        { operation: "DescribeInstances", code: "RequestLimitExceeded", times: 2 },
        throttled("SendCommand", { times: 3 }),
        throttled("GetCommandInvocation", { times: 4 }),
      ],
    });
    const { exitCode, stdout } = await cluster.run(["status"]);
    expect([exitCode, problems(stdout)]).toEqual([0, []]);
  });
});

describe("errors that the operator has to fix stop an operation at once, with one message", () => {
  const POLICY =
    "\n  The permissions that an operator needs are in docs/aws-operator-policy.json.\n";
  const CREDENTIALS =
    "\n  Provide valid credentials for the AWS CLI; to check them: aws sts get-caller-identity\n";

  test.each<[string, Fault, string]>([
    [
      "AccessDenied",
      { operation: "SendCommand", code: "AccessDeniedException", message: DENIED },
      `AccessDeniedException: ${DENIED}${POLICY}`,
    ],
    [
      "AccessDenied of GetCommandInvocation",
      { operation: "GetCommandInvocation", code: "AccessDeniedException", message: DENIED },
      `AccessDeniedException: ${DENIED}\n`,
    ],
    [
      "UnauthorizedOperation",
      {
        operation: "DescribeInstances",
        code: "UnauthorizedOperation",
        message: "You are not authorized to perform this operation.",
      },
      `aws ec2 describe-instances: UnauthorizedOperation: You are not authorized to perform this operation.${POLICY}`,
    ],
    [
      "ExpiredToken",
      {
        operation: "SendCommand",
        code: "ExpiredTokenException",
        message: "The security token included in the request is expired",
      },
      `ExpiredTokenException: The security token included in the request is expired${CREDENTIALS}`,
    ],
    [
      "no credentials",
      {
        text: 'Unable to locate credentials. You can configure credentials by running "aws configure".',
      },
      `aws ec2 describe-instances: Unable to locate credentials. You can configure credentials by running "aws configure".${CREDENTIALS}`,
    ],
    [
      "no such profile",
      { text: "The config profile (none) could not be found" },
      `The config profile (none) could not be found${CREDENTIALS}`,
    ],
    [
      "no network",
      { text: 'Could not connect to the endpoint URL: "https://ec2.eu-central-1.amazonaws.com/"' },
      'Could not connect to the endpoint URL: "https://ec2.eu-central-1.amazonaws.com/"\n  Check the network connection, the region and the proxy settings.\n',
    ],
    [
      "no network for the command",
      {
        operation: "SendCommand",
        text: 'Could not connect to the endpoint URL: "https://ssm.eu-central-1.amazonaws.com/"',
      },
      'Could not connect to the endpoint URL: "https://ssm.eu-central-1.amazonaws.com/"\n  Check the network',
    ],
    [
      "MaxDocumentSizeExceeded",
      {
        operation: "SendCommand",
        code: "MaxDocumentSizeExceeded",
        message: "The size limit of a document is 64 KB.",
      },
      "MaxDocumentSizeExceeded: The size limit of a document is 64 KB.\n  The command exceeds SSM's limit",
    ],
    [
      "InvalidParameters",
      { operation: "SendCommand", code: "InvalidParameters", message: "bad" },
      "InvalidParameters: bad\n  That is a bug in this program.\n",
    ],
    [
      "DuplicateInstanceId",
      { operation: "SendCommand", code: "DuplicateInstanceId", message: "twice" },
      "DuplicateInstanceId: twice\n  That is a bug in this program.\n",
    ],
    [
      "what nobody has foreseen",
      { operation: "SendCommand", code: "SomethingNew", message: "surprise" },
      "SomethingNew: surprise\n",
    ],
  ])("%s", async (_, fault, message) => {
    cluster.set({ faults: [fault] });
    const { exitCode, stdout, stderr } = await cluster.run(["status"]);
    expect([exitCode, stdout]).toEqual([1, ""]);
    expect(stderr).toContain(message);
    expect(stderr).toMatch(
      /^aws (ec2 describe-instances|ssm (send-command|get-command-invocation) \(\S+\)): /,
    );
    expect(stderr.match(/^aws /gm)).toHaveLength(1);
    // Nothing is tried again: there are five hosts.
    expect(cluster.calls(fault.operation ?? "DescribeInstances").length).toBeLessThanOrEqual(5);
  });

  test("aws is not installed", async () => {
    cluster.set();
    const { exitCode, stdout, stderr } = await cluster.run(["status"], { path: "/nowhere" });
    expect([exitCode, stdout, stderr]).toEqual([
      1,
      "",
      "The AWS CLI (aws) is not installed, or not on the PATH.\n",
    ]);
  });

  test("also if only one host is affected, while the others are slow to answer", async () => {
    cluster.set({
      faults: [
        { operation: "SendCommand", host: "web-1", code: "AccessDeniedException", message: DENIED },
        throttled("SendCommand", { host: "web-2" }),
      ],
    });
    const { exitCode, stderr } = await cluster.run(["status"]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("aws ssm send-command (web-1): AccessDeniedException");
    // It would be asked four times.
    const web2 = cluster
      .calls("SendCommand")
      .filter((call) => call.includes("i-22222222222222222"));
    expect(web2.length).toBeLessThan(4);
  });

  test("SSM refuses a command after accepting it", async () => {
    cluster.set({
      invocations: [
        {
          host: "web-1",
          Status: "Failed",
          StatusDetails: "AccessDenied",
          ResponseCode: -1,
          StandardOutputContent: "",
          StandardErrorContent: "",
        },
      ],
    });
    const { exitCode, stderr } = await cluster.run(["status"]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("web-1: SSM refused the command: AccessDenied");
  });

  test("after a command was sent, the operator is told that it may still be running", async () => {
    cluster.set({
      faults: [
        { operation: "GetCommandInvocation", code: "ExpiredTokenException", message: "expired" },
      ],
    });
    const { stderr } = await cluster.run(["drain", "web-1"]);
    expect(stderr).toContain("The command on load-balancer-1 may still be running.");
  });

  test("a short network outage does not abort a wait", async () => {
    cluster.set({
      faults: [
        {
          operation: "GetCommandInvocation",
          text: 'Could not connect to the endpoint URL: "https://ssm.eu-central-1.amazonaws.com/"',
          times: 3,
        },
      ],
    });
    expect(await cluster.run(["drain", "web-1"])).toMatchObject({ exitCode: 0, stderr: "" });
  });
});

describe("a promotion while the primary does not answer", () => {
  test("SSM does not reach it: refused without a flag, and both flags work", async () => {
    cluster.set({ instances: [OFF], scripts: silentPrimary });
    const refused = await cluster.run(["promote"]);
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toContain("--fence database-1: ");
    expect(refused.stderr).toContain("--lost database-1: ");
    expect(refused.stderr).toMatch(/Nothing was changed\.\n$/);
    expect(cluster.ran()).toEqual([]);

    const lost = await cluster.run(["promote", "--lost", "database-1"]);
    expect(lost).toMatchObject({ exitCode: 0, stderr: "" });
    expect(lost.stdout).toMatch(/database-2 is the primary\n$/);
    expect(cluster.ran()).toEqual(["database-2 promote --lost database-1"]);
    expect(cluster.calls("StopInstances")).toEqual([]);

    const fenced = await cluster.run(["promote", "--fence", "database-1"]);
    expect(fenced).toMatchObject({ exitCode: 0, stderr: "" });
    expect(fenced.stdout).toMatch(/ {2}database-1 is stopped\n.*database-2 is the primary\n$/s);
    expect(cluster.calls("StopInstances").map((call) => call.at(-1))).toEqual([OFF.id]);
    expect(cluster.calls("StopInstances")[0]).toContain("--force");
  });

  const fence = ["promote", "--fence", "database-1"];

  test("it counts as stopped only when all instances with its name are, and transitions are waited for", async () => {
    cluster.set({
      instances: [OFF, { id: "i-twin", name: "database-1", state: "stopping" }],
      scripts: silentPrimary,
      faults: [
        {
          operation: "StopInstances",
          code: "IncorrectInstanceState",
          message: `This instance '${OFF.id}' is not in a state from which it can be stopped.`,
          times: 1,
        },
        { operation: "StopInstances", code: "RequestLimitExceeded", times: 1 },
      ],
    });
    expect(await cluster.run(fence)).toMatchObject({ exitCode: 0, stderr: "" });
    expect(cluster.calls("StopInstances")).toHaveLength(3);
  });

  test("it is terminated or stopped: no flag is needed, and nothing is stopped", async () => {
    for (const state of ["stopped", "terminated"]) {
      cluster.set({ instances: [{ ...OFF, state }], scripts: silentPrimary });
      expect(await cluster.run(["promote"])).toMatchObject({ exitCode: 0, stderr: "" });
      expect(cluster.calls("StopInstances")).toEqual([]);
    }
    cluster.set({ instances: [{ ...OFF, state: "shutting-down" }], scripts: silentPrimary });
    expect((await cluster.run(["promote"])).stderr).toContain("--fence database-1");
  });

  test("it cannot be stopped for lack of permission: nothing is promoted", async () => {
    cluster.set({
      instances: [OFF],
      scripts: silentPrimary,
      faults: [{ operation: "StopInstances", code: "UnauthorizedOperation", message: DENIED }],
    });
    const { exitCode, stderr } = await cluster.run(fence);
    expect([exitCode, stderr]).toEqual([
      1,
      `aws ec2 stop-instances (database-1): UnauthorizedOperation: ${DENIED}\n  The permissions that an operator needs are in docs/aws-operator-policy.json.\n`,
    ]);
    expect(cluster.ran()).toEqual([]);
  });

  test("a switchover whose second half fails and cannot be undone reports both, and the remedy", async () => {
    cluster.set({
      scripts: {
        "database-2/agent/promote": printing("no", { to: 2, exit: 1 }),
        "database-1/agent/release": printing("no room", { to: 2, exit: 1 }),
      },
    });
    const { exitCode, stderr } = await cluster.run(["switchover"]);
    expect([exitCode, stderr]).toEqual([
      1,
      "database-2: no\ndatabase-1: no room\ndatabase-1 is still closed; to reopen it: switchover database-1\n",
    ]);
  });
});

/** Transactions of one server, with holes, as they are where many were set aside: 100,000 characters. */
function gtids(): string {
  const uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
  let set = uuid;
  for (let number = 1; set.length < 100_000; number += 3 + (number % 7)) {
    set += `:${number}-${number + 1}`;
  }
  return set;
}

describe("output that exceeds SSM's limit", () => {
  test("a status of 100,000 characters arrives complete, from several hosts", async () => {
    const facts = (status: ReturnType<typeof primary>) =>
      printing(JSON.stringify({ ...status.facts, gtidExecuted: gtids() }));
    cluster.set({
      scripts: {
        "database-1/host/status.sh": facts(primary()),
        "database-2/host/status.sh": facts(database(2)),
      },
    });
    const { exitCode, stdout } = await cluster.run(["status", "--json"]);
    expect(exitCode).toBe(0);
    const { hosts } = JSON.parse(stdout);
    for (const { facts } of hosts.slice(3)) {
      expect(facts.gtidExecuted === gtids()).toBe(true);
    }
  });

  test("a promotion is decided on answers of 100,000 characters", async () => {
    cluster.set({
      instances: [OFF],
      scripts: {
        "database-2/agent/candidate": printing(
          candidate(database(2, { gtidExecuted: gtids() }), LOST),
        ),
      },
    });
    expect(await cluster.run(["promote", "--lost", "database-1"])).toMatchObject({ exitCode: 0 });
  });

  test("a list of hundreds of backups arrives complete", async () => {
    const dumps = Array.from({ length: 780 }, (_, index) => ({
      id: createHash("sha256").update(String(index)).digest("hex"),
      completeAt: new Date(Date.UTC(2026, 0, 1) + index * 86_400_000).toISOString(),
      bytes: 1000 + index,
      reaches: 0,
    }));
    const text = JSON.stringify(dumps);
    expect(text.length).toBeGreaterThan(100_000);
    cluster.set({
      scripts: Object.fromEntries(
        ["database-1", "database-2"].map((host) => [`${host}/database/backup.sh`, printing(text)]),
      ),
    });
    const listed = await cluster.run(["backup", "--list", "--json"]);
    expect(listed.exitCode).toBe(0);
    expect(JSON.parse(listed.stdout)).toEqual(dumps);
    const shown = await cluster.run(["backup", "--list"]);
    expect(shown.stdout.trim().split("\n")).toHaveLength(781);
  });

  test("the end of a long error is shown, and that its beginning was omitted", async () => {
    const lines = Array.from({ length: 3000 }, (_, index) => `line ${index} of what went wrong`);
    cluster.set({
      scripts: {
        "database-2/agent/promote": printing([...lines, "the reason"].join("\n"), {
          to: 2,
          exit: 1,
        }),
      },
    });
    const { exitCode, stderr } = await cluster.run(["switchover"]);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^database-2: \(the first \d+ of \d+ bytes were omitted\)\n/);
    expect(stderr).toMatch(/line 2999 of what went wrong\nthe reason\n$/);
    // The primary takes writes again.
    expect(cluster.ran()).toContain("database-1 release");
  });

  test("an incomplete answer is rejected, with the reason", async () => {
    cluster.set({
      invocations: [
        {
          host: "web-2",
          Status: "Success",
          StatusDetails: "Success",
          ResponseCode: 0,
          StandardOutputContent: `answer plain\n${"x".repeat(23_987)}`,
          StandardErrorContent: "",
        },
      ],
    });
    const { stdout } = await cluster.run(["status"]);
    expect(problems(stdout).join("\n")).toContain(
      "web-2 does not answer: its status is incomplete: SSM truncated it to 24000 characters",
    );
  });

  test("a restore passes 100,000 characters of transactions to every host", async () => {
    const end = (host: string) =>
      `case $1 in
      plan) printf 'd1\\t2026-01-01T00:00:00Z\\t-\\t-\\t-\\t0\\n' ;;
      apply) cat '${cluster.file("gtids")}' ;;
      end) printf '%s' "$2" >'${cluster.file(`given-to-${host}`)}' ;;
      esac`;
    cluster.set({
      scripts: {
        "database-1/database/restore.sh": end("database-1"),
        "database-2/database/restore.sh": end("database-2"),
      },
    });
    writeFileSync(cluster.file("gtids"), gtids());
    const { exitCode, stderr } = await cluster.run(["restore"]);
    expect([exitCode, stderr]).toEqual([0, ""]);
    for (const host of ["database-1", "database-2"]) {
      expect(readFileSync(cluster.file(`given-to-${host}`), "utf8") === gtids()).toBe(true);
    }
  });
});

test("a restore does not continue until every running host was told to stop serving", async () => {
  const script = (begin: string) =>
    `case $1 in plan) printf 'd1\\t2026-01-01T00:00:00Z\\t-\\t-\\t-\\t0\\n' ;; begin) ${begin} ;; esac`;
  cluster.set({
    scripts: {
      "database-1/database/restore.sh": script("true"),
      "database-2/database/restore.sh": script("echo 'no room' >&2; exit 1"),
    },
  });
  const { exitCode, stderr } = await cluster.run(["restore"]);
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/^database-2: no room\nIt might serve half-restored data: /);
  expect(cluster.ran().filter((line) => line.includes("apply"))).toEqual([]);
});

describe("the list of releases", () => {
  const before = `${B} ${A}\n`;

  test("a rollback reads and writes it", async () => {
    cluster.set({ releases: before });
    expect(await cluster.run(["rollback"])).toMatchObject({ exitCode: 0, stderr: "" });
    expect(cluster.object("release")).toBe(`${A}\n`);
  });

  test.each<[string, string | undefined, Fault[], RegExp]>([
    [
      "is missing",
      undefined,
      [],
      /^aws s3 cp \(s3:\/\/demo-store-1\/release\): 404: Key "release" does not exist\n {2}Check that the cluster is deployed/,
    ],
    ["is empty", "\n", [], /is not valid: it is empty; wanted the SHA-256/],
    ["is none", "<html>no</html>", [], /is not valid: it contains "<html>no<\/html>"/],
    ["is cut", `${B} ${A.slice(1)}`, [], /is not valid: it contains "a{63}"/],
    [
      "may not be read",
      before,
      [{ operation: "HeadObject", code: "403", message: "Forbidden" }],
      /^aws s3 cp \(s3:\/\/demo-store-1\/release\): 403: Forbidden\n {2}Either access is denied, or there is no such object\./,
    ],
    [
      "is in a bucket that is gone",
      before,
      [
        {
          operation: "HeadObject",
          code: "NoSuchBucket",
          message: "The specified bucket does not exist",
        },
      ],
      /NoSuchBucket: The specified bucket does not exist\n {2}Check that the cluster is deployed/,
    ],
    [
      "is in a bucket that nobody knows",
      before,
      [{ operation: "GetParameter", code: "ParameterNotFound", message: "" }],
      /^aws ssm get-parameter \(\/demo\/bucket\): ParameterNotFound: no reason given\n {2}Check that the cluster is deployed/,
    ],
    [
      "cannot be had without credentials",
      before,
      [{ text: "Unable to locate credentials" }],
      /^aws ssm get-parameter \(\/demo\/bucket\): Unable to locate credentials\n/,
    ],
  ])(
    "%s: neither a release nor a rollback begins, and it stays as it is",
    async (_, text, faults, message) => {
      // Both read it first, by the same function.
      for (const verb of text === undefined ? ["rollback", "release"] : ["rollback"]) {
        cluster.set({ releases: text, faults });
        const { exitCode, stderr } = await cluster.run([verb]);
        expect(exitCode).toBe(1);
        expect(stderr).toMatch(message);
        expect(cluster.object("release")).toBe(text);
        expect(cluster.calls("PutObject")).toEqual([]);
        expect(cluster.ran()).toEqual([]);
      }
    },
  );

  test("S3 is asked again if it is throttled for a moment", async () => {
    cluster.set({
      releases: before,
      faults: [
        { operation: "HeadObject", code: "SlowDown", times: 1 },
        { operation: "PutObject", code: "503", times: 1 },
        throttled("GetParameter", { times: 1 }),
      ],
    });
    expect(await cluster.run(["rollback"])).toMatchObject({ exitCode: 0, stderr: "" });
    expect(cluster.object("release")).toBe(`${A}\n`);
  });

  test("that cannot be written at the end: the operator is told which release serves, and what to do", async () => {
    cluster.set({
      releases: before,
      faults: [{ operation: "PutObject", code: "AccessDenied", message: DENIED }],
    });
    const { exitCode, stderr } = await cluster.run(["rollback"]);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(
      /^Every web server serves aaaaaaaaaaaa, but .* Run the same command again\.\n/,
    );
    expect(stderr).toContain("aws s3 cp (s3://demo-store-1/release): AccessDenied: ");
  });
});

describe("a secret that is rotated", () => {
  const NAME = "mysql-app-password";
  const PARAMETER = `/demo/secrets/${NAME}`;
  const [OLD, NEW] = ["Old1".repeat(12), "New2".repeat(12)] as [string, string];
  const HOSTS = ["database-1", "database-2", "web-1", "web-2"];
  const applied = HOSTS.map((host) => `${host} apply-secret.sh ${NAME}`);
  const has = (content: string, faults: Fault[] = []) =>
    cluster.set({ parameters: { [PARAMETER]: content }, faults });

  test("goes through all phases in its parameter, and no value is an argument", async () => {
    has(OLD);
    const { exitCode, stdout, stderr } = await cluster.run(["rotate-secret", NAME]);
    expect([exitCode, stderr]).toEqual([0, ""]);
    expect(stdout.split("\n").slice(1, -1)).toEqual([
      "every host accepts both values",
      "every host uses the new value",
      "the former value is refused everywhere",
      `${NAME} is rotated`,
    ]);
    const value = cluster.parameter(PARAMETER) ?? "";
    expect(value).toMatch(/^[A-Za-z0-9]{48}$/);
    expect(value).not.toBe(OLD);
    expect(cluster.ran()).toEqual([...applied, ...applied, ...applied]);
    expect(cluster.calls("PutParameter")).toHaveLength(4);
    const calls = ["PutParameter", "GetParameter", "SendCommand"].flatMap((one) =>
      cluster.calls(one),
    );
    expect(JSON.stringify(calls)).not.toContain(value);
    expect(JSON.stringify(calls)).not.toContain(OLD);
    expect(stdout + stderr).not.toContain(value);
  });

  test("goes on in the phase that its parameter names", async () => {
    has(`${NEW} former ${OLD}`);
    expect(await cluster.run(["rotate-secret", NAME])).toMatchObject({ exitCode: 0, stderr: "" });
    expect(cluster.parameter(PARAMETER)).toBe(NEW);
    expect(cluster.ran()).toEqual(applied);
  });

  test.each([
    ["is empty", "", "holds 0 characters that are no secret"],
    ["is something else", "a password with words", "holds 21 characters that are no secret"],
    ["has an unknown phase", `${OLD} later ${NEW}`, "holds 103 characters that are no secret"],
    ["lacks the other value", `${OLD} next`, "holds 53 characters that are no secret"],
  ])("one that %s is refused without being quoted", async (_, content, message) => {
    has(content);
    const { exitCode, stderr } = await cluster.run(["rotate-secret", NAME]);
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining(message)]);
    expect(stderr).not.toContain(OLD);
    expect(cluster.calls("PutParameter")).toEqual([]);
  });

  test("without permission to change it nothing is changed, and the policy is named", async () => {
    has(OLD, [{ operation: "PutParameter", code: "AccessDeniedException", message: DENIED }]);
    const { exitCode, stderr } = await cluster.run(["rotate-secret", NAME]);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(
      new RegExp(
        `^aws ssm put-parameter \\(${PARAMETER}\\): AccessDeniedException: .*docs/aws-operator-policy.json`,
        "s",
      ),
    );
    expect(cluster.parameter(PARAMETER)).toBeUndefined();
    expect(cluster.ran()).toEqual([]);
  });

  test("SSM is asked again if it is throttled for a moment", async () => {
    const busy = [throttled("PutParameter", { times: 1 }), throttled("GetParameter", { times: 1 })];
    has(`${NEW} former ${OLD}`, busy);
    expect(await cluster.run(["rotate-secret", NAME])).toMatchObject({ exitCode: 0, stderr: "" });
  });
});

describe("a certificate for visitors that is given", () => {
  const NAME = "visitors-certificate";
  let other: OperatorOnAws;
  beforeAll(() => {
    other = new OperatorOnAws({ domain: "www.example.org", tls: { mode: "files" } });
    execFileSync(
      "openssl",
      [
        ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=given"],
        ...["-keyout", other.file("key.pem"), "-out", other.file("certificate.pem")],
        ...["-addext", "subjectAltName=DNS:www.example.org"],
      ],
      { stdio: "ignore" },
    );
  });
  afterAll(() => other.remove());
  const set = () =>
    other.run([
      "set-certificate",
      ...["--certificate", other.file("certificate.pem"), "--key", other.file("key.pem")],
    ]);

  test("is in its parameter alone, in no argument, and the load balancer is told", async () => {
    other.set();
    expect(await set()).toMatchObject({
      exitCode: 0,
      stdout: "load-balancer-1 serves the certificate\n",
      stderr: "",
    });
    const stored = other.parameter(`/demo/secrets/${NAME}`) ?? "";
    expect(Buffer.from(stored, "base64").toString()).toMatch(
      /^-----BEGIN PRIVATE KEY-----[\s\S]*-----BEGIN CERTIFICATE-----/,
    );
    expect(JSON.stringify(other.calls("PutParameter"))).not.toContain(stored.slice(0, 40));
    expect(other.ran()).toEqual([`load-balancer-1 apply-secret.sh ${NAME}`]);
  });

  test("that a load balancer refuses is reported with its reason", async () => {
    other.set({
      scripts: { "load-balancer-1/host/apply-secret.sh": "echo it has expired >&2; exit 1" },
    });
    const { exitCode, stderr } = await set();
    expect(exitCode).toBe(1);
    expect(stderr).toContain("load-balancer-1: it has expired");
  });
});
