import { OperatorError } from "../operator-error";

/**
 * What an error of the AWS CLI means for an operation.
 *
 * - `silent`: the host does not answer; others may.
 * - `busy`: AWS is overloaded or has a fault. Retried; a host that still cannot be queried counts as silent.
 * - `not-yet`: AWS is eventually consistent, and does not know the new object yet. Retried.
 * - `unreached`: AWS is not reachable. An error for the operator, unless it was reachable shortly before.
 * - `absent`: the object does not exist.
 * - `operator`: the operator has to fix the cause; the operation stops.
 */
export type Meaning = "silent" | "busy" | "not-yet" | "unreached" | "absent" | "operator";

interface Row {
  /** Codes, as in "An error occurred (CODE) when calling the ... operation", or a pattern of other messages. */
  readonly when: readonly string[] | RegExp;
  readonly meaning: Meaning;
  /** What the operator can do about it. */
  readonly hint?: string;
}

const POLICY = "The permissions that an operator needs are in docs/aws-operator-policy.json.";
const CREDENTIALS =
  "Provide valid credentials for the AWS CLI; to check them: aws sts get-caller-identity";
const NETWORK = "Check the network connection, the region and the proxy settings.";

/**
 * The meaning of every error that the API calls made here document, and of the CLI's own errors. All other errors are for
 * the operator, with AWS's message.
 *
 * https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html#API_SendCommand_Errors,
 * likewise of GetCommandInvocation, GetParameter, and SSM's common errors; EC2's
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html; S3's
 * https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html. For a HEAD request, S3 returns only a status.
 */
const MEANINGS: readonly Row[] = [
  // The host or its SSM agent does not run, or the document is not for its platform.
  { when: ["InvalidInstanceId", "UnsupportedPlatformType"], meaning: "silent" },
  {
    when: [
      // Rate limits.
      "ThrottlingException",
      "Throttling",
      "ThrottledException",
      "RequestThrottled",
      "RequestThrottledException",
      "RequestLimitExceeded",
      "TooManyRequestsException",
      "BandwidthLimitExceeded",
      "PriorRequestNotComplete",
      "SlowDown",
      "429",
      // Faults of AWS.
      "InternalServerError",
      "InternalServerException",
      "InternalFailure",
      "InternalError",
      "ServiceUnavailable",
      "ServiceUnavailableException",
      "Unavailable",
      "RequestTimeout",
      "RequestTimeoutException",
      "500",
      "502",
      "503",
      "504",
    ],
    meaning: "busy",
  },
  { when: ["InvocationDoesNotExist"], meaning: "not-yet" },
  {
    when: ["ParameterNotFound", "NoSuchKey", "NoSuchBucket", "404"],
    meaning: "absent",
    hint: "Check that the cluster is deployed in this account and region.",
  },
  {
    when: [
      "AccessDenied",
      "AccessDeniedException",
      "UnauthorizedOperation",
      "UnauthorizedAccess",
      "NotAuthorized",
      "OptInRequired",
    ],
    meaning: "operator",
    hint: POLICY,
  },
  {
    // Without permission to list the bucket, S3 does not reveal that an object is missing.
    when: ["403", "Forbidden"],
    meaning: "operator",
    hint: `Either access is denied, or there is no such object. ${POLICY}`,
  },
  {
    when: [
      "ExpiredToken",
      "ExpiredTokenException",
      "RequestExpired",
      "TokenRefreshRequired",
      "UnrecognizedClientException",
      "InvalidClientTokenId",
      "InvalidAccessKeyId",
      "InvalidToken",
      "AuthFailure",
      "SignatureDoesNotMatch",
      "InvalidSignatureException",
      "IncompleteSignature",
      "MissingAuthenticationToken",
      "RequestTimeTooSkewed",
    ],
    meaning: "operator",
    hint: CREDENTIALS,
  },
  {
    // 64 KB, including what SSM adds: https://docs.aws.amazon.com/general/latest/gr/ssm.html
    when: ["MaxDocumentSizeExceeded"],
    meaning: "operator",
    hint: "The command exceeds SSM's limit; that is a bug in this program.",
  },
  {
    when: ["InvalidParameters", "DuplicateInstanceId", "InvalidCommandId", "InvalidPluginName"],
    meaning: "operator",
    hint: "That is a bug in this program.",
  },
  // The CLI's own errors.
  {
    when: /Unable to locate credentials|Partial credentials|config profile .* could not be found|[Ee]rror when retrieving (token|credentials)|(token|session).* (has expired|is expired|expired|is otherwise invalid)/,
    meaning: "operator",
    hint: CREDENTIALS,
  },
  {
    when: /Could not connect to the endpoint URL|[Cc]onnect timeout on endpoint URL|Read timeout on endpoint URL|Connection was closed before we received a valid response|Failed to connect to proxy URL|Could not resolve host|SSL validation failed/,
    meaning: "unreached",
    hint: NETWORK,
  },
];

/** An error of the AWS CLI. Its message is for the operator. */
export class AwsError extends OperatorError {
  constructor(
    message: string,
    readonly meaning: Meaning,
    /** AWS's error code, or the message if there is none. */
    readonly code: string,
  ) {
    super(message);
    this.name = "AwsError";
  }
}

/**
 * Parses the error output of the AWS CLI.
 *
 * @param action the CLI's command, for example `ssm send-command`
 * @param stderr its standard error
 * @param subject what it was about, if AWS's message does not say: a host, a parameter, an object
 */
export function awsError(action: string, stderr: string, subject?: string): AwsError {
  const said = stderr.replace(/\s+/g, " ").trim();
  const answer =
    /An error occurred \(([^)\s]+)\) when calling the \S+ operation(?: \([^)]*\))?: ?(.*)/.exec(
      said,
    );
  const [, code, sentence] = answer ?? [];
  const row = MEANINGS.find(({ when }) =>
    code === undefined
      ? when instanceof RegExp && when.test(said)
      : Array.isArray(when) && when.includes(code),
  );
  const meaning = row?.meaning ?? "operator";
  const about = subject === undefined ? "" : ` (${subject})`;
  const what =
    code === undefined
      ? said || "it failed without an error message"
      : `${code}: ${sentence || "no reason given"}`;
  const hint = row?.hint === undefined ? "" : `\n  ${row.hint}`;
  return new AwsError(`aws ${action}${about}: ${what}${hint}`, meaning, code ?? what);
}

/** The progress of a command sent through SSM; `silent` with the reason if its host did not answer. */
export type Progress =
  | { readonly kind: "waiting" | "running" | "ended" }
  | { readonly kind: "silent" | "operator"; readonly reason: string };

const silent = (reason: string): Progress => ({ kind: "silent", reason });

/**
 * The progress of a command on one host by its StatusDetails, which are more specific than its Status.
 * https://docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html
 */
const PROGRESS: Readonly<Record<string, Progress>> = {
  Pending: { kind: "waiting" },
  // It could not be sent; SSM retries.
  Delayed: { kind: "waiting" },
  InProgress: { kind: "running" },
  Cancelling: { kind: "running" },
  Success: { kind: "ended" },
  Failed: { kind: "ended" },
  DeliveryTimedOut: silent("SSM could not deliver the command in time"),
  ExecutionTimedOut: silent("the command exceeded its timeout and was terminated"),
  TimedOut: silent("the command was not delivered, or did not finish in time"),
  Undeliverable: silent("SSM could not deliver the command"),
  Cancelled: silent("the command was cancelled"),
  Terminated: silent("SSM terminated the command before it reached this host"),
  RateExceeded: silent(
    "SSM did not run the command: too many commands are pending in this account",
  ),
  InvalidPlatform: silent("according to SSM, this host cannot run shell scripts"),
  AccessDenied: { kind: "operator", reason: `SSM refused the command: AccessDenied. ${POLICY}` },
};

/** The progress of a command, from SSM's Status and StatusDetails. */
export function progressOf(status: string, details: string | undefined): Progress {
  // Some are documented with spaces between the words.
  const word = (details || status).replace(/\s/g, "");
  return (
    PROGRESS[word] ??
    PROGRESS[status.replace(/\s/g, "")] ??
    silent(`SSM reports the status ${word} for the command`)
  );
}
