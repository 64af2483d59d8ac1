import { ranOf } from "../../../ops/platform/aws";
import { awsError } from "../../../ops/platform/aws-errors";

describe("the result of a command, as reported by SSM", () => {
  const invocation = (Status: string, StatusDetails: string, ResponseCode: number) => ({
    Status,
    StatusDetails,
    ResponseCode,
    StandardOutputContent: "out",
    StandardErrorContent: "error\nfailed to run commands: exit status 3",
  });

  test.each([
    ["Success", "Success", 0],
    ["Failed", "Failed", 3],
    ["Failed", "Failed", 255],
  ])("%s (%s) with code %d is an end", (status, details, code) => {
    expect(ranOf("web-1", invocation(status, details, code))).toEqual({
      exitCode: code,
      stdout: "out",
      stderr: "error",
    });
  });

  test.each([
    // It never began.
    ["Failed", "Failed", "SSM could not start the command: error"],
    ["TimedOut", "DeliveryTimedOut", "SSM could not deliver the command in time"],
    ["TimedOut", "Delivery Timed Out", "SSM could not deliver the command in time"],
    ["TimedOut", "ExecutionTimedOut", "exceeded its timeout"],
    ["TimedOut", "", "was not delivered, or did not finish in time"],
    ["Failed", "Undeliverable", "SSM could not deliver the command"],
    ["Cancelled", "Cancelled", "was cancelled"],
    ["Cancelled", "Terminated", "SSM terminated the command"],
    ["Failed", "InvalidPlatform", "cannot run shell scripts"],
    ["Cancelled", "RateExceeded", "too many commands"],
    ["Failed", "SomethingNew", "SSM could not start the command"],
    ["Anew", "SomethingNew", "SSM reports the status SomethingNew"],
  ])("%s (%s) is silence, with the reason", (status, details, reason) => {
    const ran = ranOf("web-1", invocation(status, details, -1));
    expect(ran).toMatchObject({ exitCode: undefined, stdout: "" });
    expect((ran as { stderr: string }).stderr).toMatch(
      new RegExp(`^web-1 does not answer: .*(${reason})`),
    );
  });

  test.each([
    ["Pending", "Pending", "waiting"],
    // It could not be sent: a command that may take hours is not waited for that long.
    ["Delayed", "Delayed", "waiting"],
    ["Pending", "Delayed", "waiting"],
    ["InProgress", "InProgress", "running"],
    ["InProgress", "In Progress", "running"],
    ["Cancelling", "Cancelling", "running"],
  ])("%s (%s) is no end", (status, details, progress) => {
    expect(ranOf("web-1", invocation(status, details, -1))).toBe(progress);
  });

  test("a refused command is the operator's problem to solve", () => {
    expect(() => ranOf("web-1", invocation("Failed", "AccessDenied", -1))).toThrow(
      /web-1: SSM refused the command: AccessDenied/,
    );
  });
});

const RETRIED = " (reached max retries: 4)";

describe("who has to solve an error of AWS's command line", () => {
  const said = (code: string, operation: string, sentence = "a sentence", retries = "") =>
    `\nAn error occurred (${code}) when calling the ${operation} operation${retries}: ${sentence}\n`;

  test.each([
    ["silent", said("InvalidInstanceId", "SendCommand")],
    ["silent", said("UnsupportedPlatformType", "SendCommand")],
    ["busy", said("ThrottlingException", "SendCommand", "Rate exceeded", RETRIED)],
    ["busy", said("RequestLimitExceeded", "DescribeInstances")],
    ["busy", said("InternalServerError", "SendCommand")],
    ["busy", said("SlowDown", "PutObject")],
    ["busy", said("503", "HeadObject", "Service Unavailable")],
    ["not-yet", said("InvocationDoesNotExist", "GetCommandInvocation")],
    ["absent", said("ParameterNotFound", "GetParameter")],
    ["absent", `fatal error: ${said("404", "HeadObject", 'Key "release" does not exist').trim()}`],
    ["operator", said("403", "HeadObject", "Forbidden")],
    ["operator", said("AccessDeniedException", "SendCommand")],
    ["operator", said("UnauthorizedOperation", "StopInstances")],
    ["operator", said("ExpiredTokenException", "SendCommand")],
    ["operator", said("MaxDocumentSizeExceeded", "SendCommand")],
    ["operator", said("InvalidParameters", "SendCommand")],
    ["operator", said("DuplicateInstanceId", "SendCommand")],
    ["operator", said("SomethingNew", "SendCommand")],
    // The second version of the command line begins its errors otherwise.
    ["silent", `aws: [ERROR]: ${said("InvalidInstanceId", "SendCommand").trim()}`],
    [
      "operator",
      'Unable to locate credentials. You can configure credentials by running "aws login".',
    ],
    ["operator", "The config profile (none) could not be found"],
    ["operator", "Error when retrieving token from sso: Token has expired and refresh failed"],
    [
      "unreached",
      'Could not connect to the endpoint URL: "https://ssm.eu-central-1.amazonaws.com/"',
    ],
    ["unreached", 'Connect timeout on endpoint URL: "https://ssm.eu-central-1.amazonaws.com/"'],
    ["operator", ""],
  ])("%s: %s", (meaning, stderr) => {
    expect(awsError("ssm send-command", stderr, "web-1").meaning).toBe(meaning);
  });

  test("the message names the action, its object, the problem and the remedy", () => {
    expect(
      awsError(
        "ssm send-command",
        said("AccessDeniedException", "SendCommand", "User: x is not\nauthorized", RETRIED),
        "web-1",
      ).message,
    ).toBe(
      "aws ssm send-command (web-1): AccessDeniedException: User: x is not authorized\n  The permissions that an operator needs are in docs/aws-operator-policy.json.",
    );
  });
});
