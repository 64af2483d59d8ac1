import { OperatorError } from "../operator-error";

/**
 * What an error of AWS's command line is for an operation.
 *
 * - `silent`: the host does not answer; others may.
 * - `busy`: AWS does not answer at the moment. It is asked again; a host that it does not answer for is silent.
 * - `not-yet`: AWS does not know yet what it has just been told. It is asked again.
 * - `unreached`: AWS is not reached from here. The operator's matter, unless it had answered shortly before.
 * - `absent`: there is no such thing.
 * - `operator`: whoever operates has to do something about it, and nothing goes on before.
 */
export type Meaning = "silent" | "busy" | "not-yet" | "unreached" | "absent" | "operator";

interface Row {
  /** Codes, as in "An error occurred (CODE) when calling the ... operation", or what else it says. */
  readonly when: readonly string[] | RegExp;
  readonly meaning: Meaning;
  /** What the operator can do about it. */
  readonly hint?: string;
}

const POLICY = "docs/aws-operator-policy.json has what an operator has to be allowed.";
const CREDENTIALS =
  "Give the AWS command line credentials that are valid: aws sts get-caller-identity tells.";
const NETWORK = "Is this machine connected, and are the region and the proxy right?";

/**
 * Whose matter an error is, for every error that the calls made here document or the command line itself has.
 * What is not in it is the operator's, with what AWS said.
 *
 * https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html#API_SendCommand_Errors,
 * the same of GetCommandInvocation, GetParameter, and the errors that are common to all of SSM; EC2's
 * https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html; S3's
 * https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html. For a HEAD request, S3 has a number only.
 */
const MEANINGS: readonly Row[] = [
  // The host: it is off, its agent is, or it is none that the document is for.
  { when: ["InvalidInstanceId", "UnsupportedPlatformType"], meaning: "silent" },
  {
    when: [
      // Too many requests.
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
      // Its own faults.
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
    hint: "Is the cluster deployed, in this account and region?",
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
    // To whoever may not list a bucket, S3 does not say that an object is missing.
    when: ["403", "Forbidden"],
    meaning: "operator",
    hint: `Either that is not allowed, or there is no such object. ${POLICY}`,
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
    // Of 64 KB, with what SSM adds: https://docs.aws.amazon.com/general/latest/gr/ssm.html
    when: ["MaxDocumentSizeExceeded"],
    meaning: "operator",
    hint: "The command is longer than SSM takes; that is a fault of this program.",
  },
  {
    when: ["InvalidParameters", "DuplicateInstanceId", "InvalidCommandId", "InvalidPluginName"],
    meaning: "operator",
    hint: "That is a fault of this program.",
  },
  // What the command line says itself.
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

/** An error of AWS's command line. Its message is for the operator. */
export class AwsError extends OperatorError {
  constructor(
    message: string,
    readonly meaning: Meaning,
    /** AWS's code for it, or the first line of what was said. */
    readonly code: string,
  ) {
    super(message);
    this.name = "AwsError";
  }
}

/**
 * Reads what AWS's command line said when it failed.
 *
 * @param action what it was asked for, for example `ssm send-command`
 * @param stderr what it said
 * @param subject what it was about, where the message would not tell: a host, a parameter, an object
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
    code === undefined ? said || "it ended without a word" : `${code}: ${sentence || "no reason"}`;
  const hint = row?.hint === undefined ? "" : `\n  ${row.hint}`;
  return new AwsError(`aws ${action}${about}: ${what}${hint}`, meaning, code ?? what);
}

/** How far a command that SSM was given has come; `silent` with the reason when its host gave no answer. */
export type Progress =
  | { readonly kind: "waiting" | "running" | "ended" }
  | { readonly kind: "silent" | "operator"; readonly reason: string };

const silent = (reason: string): Progress => ({ kind: "silent", reason });

/**
 * What SSM says of a command on one host: StatusDetails, which tells more than Status.
 * https://docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html
 */
const PROGRESS: Readonly<Record<string, Progress>> = {
  Pending: { kind: "waiting" },
  // It could not be sent; SSM tries again.
  Delayed: { kind: "waiting" },
  InProgress: { kind: "running" },
  Cancelling: { kind: "running" },
  Success: { kind: "ended" },
  Failed: { kind: "ended" },
  DeliveryTimedOut: silent("SSM could not deliver the command in time"),
  ExecutionTimedOut: silent("the command took longer than it may, and was ended"),
  TimedOut: silent("the command was not delivered or did not end in time"),
  Undeliverable: silent("SSM could not deliver the command"),
  Cancelled: silent("the command was cancelled"),
  Terminated: silent("SSM gave the command up before it came to this host"),
  RateExceeded: silent("too many commands wait in this account, so SSM did not begin it"),
  InvalidPlatform: silent("SSM does not take it for a host that runs shell scripts"),
  AccessDenied: { kind: "operator", reason: `SSM refused the command: AccessDenied. ${POLICY}` },
};

/** What SSM's answer about a command comes to. */
export function progressOf(status: string, details: string | undefined): Progress {
  // The documentation has some with blanks between the words.
  const word = (details || status).replace(/\s/g, "");
  return (
    PROGRESS[word] ??
    PROGRESS[status.replace(/\s/g, "")] ??
    silent(`SSM says of the command: ${word}`)
  );
}
