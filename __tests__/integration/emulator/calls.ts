/** A call of the AWS provider, as `service:Operation` with IAM's name of the service. */
export type Call = `${string}:${string}`;

/** The provider's name of a service, where IAM has another. */
const SERVICES: Readonly<Record<string, string>> = {
  "CloudWatch Logs": "logs",
  "Secrets Manager": "secretsmanager",
};

/**
 * The calls that a log of the provider (`TF_LOG_PROVIDER=DEBUG`) has: an entry for each request, with the
 * SDK's name of the service and of the operation.
 */
export function callsIn(log: string): Call[] {
  const calls = log
    .split(/^(?=\d{4}-\d\d-\d\dT)/m)
    .filter((entry) => entry.slice(0, 200).includes("HTTP Request Sent"))
    .map((entry): Call => {
      const field = (name: string) =>
        new RegExp(`\\brpc\\.${name}=("[^"]*"|\\S+)`).exec(entry)?.[1]?.replaceAll('"', "");
      const service = field("service") ?? "";
      return `${SERVICES[service] ?? service.toLowerCase()}:${field("method")}`;
    });
  return [...new Set(calls)].sort();
}

/** Calls that need no permission, and cannot be denied. */
const FREE_CALLS: readonly Call[] = ["sts:GetCallerIdentity"];

/**
 * IAM's actions for the operations of S3 that have another name in IAM.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
 */
const S3_ACTIONS: Readonly<Record<string, readonly string[]>> = {
  "s3:DeleteBucketEncryption": ["s3:PutEncryptionConfiguration"],
  "s3:DeleteBucketLifecycle": ["s3:PutLifecycleConfiguration"],
  "s3:DeleteBucketOwnershipControls": ["s3:PutBucketOwnershipControls"],
  "s3:DeleteBucketReplication": ["s3:PutReplicationConfiguration"],
  "s3:DeleteObject": ["s3:DeleteObject", "s3:DeleteObjectVersion"],
  "s3:DeleteObjects": ["s3:DeleteObject", "s3:DeleteObjectVersion"],
  "s3:DeletePublicAccessBlock": ["s3:PutBucketPublicAccessBlock"],
  "s3:GetBucketAccelerateConfiguration": ["s3:GetAccelerateConfiguration"],
  "s3:GetBucketCors": ["s3:GetBucketCORS"],
  "s3:GetBucketEncryption": ["s3:GetEncryptionConfiguration"],
  "s3:GetBucketLifecycleConfiguration": ["s3:GetLifecycleConfiguration"],
  "s3:GetBucketReplication": ["s3:GetReplicationConfiguration"],
  "s3:GetObjectLockConfiguration": ["s3:GetBucketObjectLockConfiguration"],
  "s3:GetPublicAccessBlock": ["s3:GetBucketPublicAccessBlock"],
  "s3:HeadBucket": ["s3:ListBucket"],
  // Without the second, S3 reports a missing object as forbidden.
  "s3:HeadObject": ["s3:GetObject", "s3:ListBucket"],
  "s3:ListObjectVersions": ["s3:ListBucketVersions"],
  "s3:ListObjectsV2": ["s3:ListBucket"],
  "s3:PutBucketEncryption": ["s3:PutEncryptionConfiguration"],
  "s3:PutBucketLifecycleConfiguration": ["s3:PutLifecycleConfiguration"],
  "s3:PutBucketReplication": ["s3:PutReplicationConfiguration"],
  "s3:PutPublicAccessBlock": ["s3:PutBucketPublicAccessBlock"],
};

/**
 * What a call needs besides the action of its own name: for the tags and the role that it passes, and for the key that
 * its service then uses.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html
 * https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
 * https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
 * https://docs.aws.amazon.com/kms/latest/developerguide/services-parameter-store.html
 */
const ALONG_WITH: Readonly<Record<string, readonly string[]>> = {
  "ec2:AllocateAddress": ["ec2:CreateTags"],
  "ec2:CreateFlowLogs": ["ec2:CreateTags", "iam:PassRole"],
  "ec2:RunInstances": [
    "ec2:CreateTags",
    "iam:PassRole",
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
  ],
  "iam:AddRoleToInstanceProfile": ["iam:PassRole"],
  "iam:CreateInstanceProfile": ["iam:TagInstanceProfile"],
  "iam:CreateRole": ["iam:TagRole"],
  "kms:CreateKey": ["kms:TagResource"],
  "s3:PutBucketReplication": ["iam:PassRole"],
  "s3:PutObject": ["kms:Decrypt", "kms:GenerateDataKey"],
  "ssm:PutParameter": ["kms:Encrypt", "ssm:AddTagsToResource"],
};

/** The actions of IAM that somebody needs to make these calls. */
export function actionsFor(calls: readonly Call[]): string[] {
  const actions = calls
    .filter((call) => !FREE_CALLS.includes(call))
    .flatMap((call) => [...(S3_ACTIONS[call] ?? [call]), ...(ALONG_WITH[call] ?? [])]);
  return [...new Set(actions)].sort();
}

/** Actions that a deployer needs although the emulator sees no call for them, and why. */
export const UNSEEN: Readonly<Record<string, string>> = {
  "logs:AssociateKmsKey":
    "the log group of a cluster that exists gets the cluster's key, or AWS's own again; the emulator cannot do it (limits.ts)",
  "logs:DisassociateKmsKey": "the same",
  "kms:PutKeyPolicy": "a later version of the project may give a key that exists another policy",
  "kms:UntagResource":
    "the settings may take a tag away; the emulator's cluster gets its keys last",
  "ec2:CreateSnapshot":
    "a data volume leaves a final snapshot when the settings ask for fewer replicas; no host is taken away from the emulator's cluster before all are",
  "ec2:DeleteNetworkInterface":
    "an interface is deleted after it was detached, which the emulator refuses (limits.ts)",
  "ec2:UnassignPrivateIpAddresses":
    "the first of two load balancers loses its floating address when it becomes the only one; the emulator's cluster keeps two",
  "ec2:ModifyVpcEndpoint":
    "a further zone brings the endpoint a further route table; zones cannot be changed without moving hosts",
};

interface Policy {
  readonly Statement: ReadonlyArray<{ readonly Effect: string; readonly Action: string[] }>;
}

/** The patterns of actions that a policy allows, on whatever resources. */
export function allowedBy(policy: Policy): string[] {
  return policy.Statement.filter(({ Effect }) => Effect === "Allow").flatMap(
    ({ Action }) => Action,
  );
}

/** Whether a pattern of a policy, for example `ec2:Describe*`, is about an action. */
export function matches(pattern: string, action: string): boolean {
  return new RegExp(`^${pattern.replaceAll("*", ".*")}$`, "i").test(action);
}
