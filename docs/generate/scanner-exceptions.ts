import { table } from "./markdown";

/** Rules of scanners of Terraform that stack aws breaks on purpose, for the same reason. */
export interface ScannerException {
  /** IDs of Checkov (`CKV…`) and Trivy (`AWS-…`). */
  readonly rules: readonly string[];
  readonly wants: string;
  /** What breaks them, in words. */
  readonly what: string;
  /** Addresses of all resources that may break them. */
  readonly where: RegExp;
  readonly reason: string;
  /** The setting with which the stack keeps them. Default none: no settings do. */
  readonly setting?: string;
}

const KEY = '`aws.encryptionKey: "customer-managed"`';
const KEY_REASON =
  "AWS's own keys encrypt it, too. A key of one's own costs money, and data is lost with it; the backups are encrypted before they leave the host in any case";

/**
 * Every rule of Checkov and of Trivy, as of August 2026, that stack aws breaks; a test compares the list with
 * the synthesized stack. Rules about an account rather than its resources (passwords, trails, alarms) are not looked at.
 */
export const SCANNER_EXCEPTIONS: readonly ScannerException[] = [
  {
    rules: ["CKV_AWS_189", "AWS-0027"],
    wants: "volumes encrypted with a customer managed key",
    what: "data volumes",
    where: /^aws_ebs_volume\./,
    reason: KEY_REASON,
    setting: KEY,
  },
  {
    rules: ["CKV_AWS_337"],
    wants: "secret parameters encrypted with a customer managed key",
    what: "secrets",
    where: /^aws_ssm_parameter\./,
    reason: KEY_REASON,
    setting: KEY,
  },
  {
    rules: ["CKV_AWS_145", "AWS-0132"],
    wants: "buckets encrypted with a customer managed key",
    what: "the buckets of scripts and releases, of backups, and of their copies",
    where: /^aws_s3_bucket\.(store|backups|copies-.*)$/,
    reason: KEY_REASON,
    setting: KEY,
  },
  {
    rules: ["CKV_AWS_158", "AWS-0017"],
    wants: "log groups encrypted with a customer managed key",
    what: "flow logs",
    where: /^aws_cloudwatch_log_group\./,
    reason: KEY_REASON,
    setting: KEY,
  },
  {
    rules: ["CKV_AWS_145"],
    wants: "buckets encrypted with a customer managed key",
    what: "the bucket of logs",
    where: /^aws_s3_bucket\.bucket-logs$/,
    reason: "S3 delivers no logs to a bucket that is encrypted with a KMS key",
  },
  {
    rules: ["CKV_AWS_338"],
    wants: "logs kept for at least a year",
    what: "flow logs",
    where: /^aws_cloudwatch_log_group\./,
    reason: "they contain visitors' addresses, which are personal data",
    setting: "`aws.keepLogsDays: 365`",
  },
  {
    rules: ["CKV_AWS_144"],
    wants: "buckets copied to another region",
    what: "the bucket of backups",
    where: /^aws_s3_bucket\.backups$/,
    reason: "it costs traffic and storage, and data leaves its region",
    setting: "`backup.copyRegion`",
  },
  {
    rules: ["CKV_AWS_144"],
    wants: "buckets copied to another region",
    what: "every other bucket",
    where: /^aws_s3_bucket\.(?!backups$)/,
    reason: "a deploy and a release write scripts and releases again; logs and copies need no copy",
  },
  {
    rules: ["CKV_AWS_18", "AWS-0089"],
    wants: "requests to buckets logged",
    what: "the bucket of copies",
    where: /^aws_s3_bucket\.copies-/,
    reason:
      "only S3 itself writes there, and no host has access; its log would need another bucket",
  },
  {
    rules: ["CKV_AWS_18"],
    wants: "requests to buckets logged",
    what: "the bucket of logs",
    where: /^aws_s3_bucket\.bucket-logs$/,
    reason: "each log would cause another one",
  },
  {
    rules: ["CKV2_AWS_62"],
    wants: "notifications of events in buckets",
    what: "every bucket",
    where: /^aws_s3_bucket\./,
    reason: "nothing would receive them",
  },
  {
    rules: ["AWS-0170"],
    wants: "deletion of versions only with a second factor",
    what: "every bucket",
    where: /^aws_s3_bucket\./,
    reason:
      "only the account's root user can turn it on, which Terraform must not be; hosts may not delete versions, and every version is kept for 30 days",
  },
  {
    rules: ["AWS-0171", "AWS-0172"],
    wants: "requests for objects recorded by CloudTrail",
    what: "every bucket",
    where: /^aws_s3_bucket\./,
    reason:
      "a trail is the account's, not one cluster's; S3's own logs of the buckets record requests",
  },
  {
    rules: ["CKV2_AWS_34"],
    wants: "parameters encrypted",
    what: "the parameters with names of buckets",
    where: /^aws_ssm_parameter\.(store|backups)-bucket$/,
    reason: "a name is no secret; every secret is encrypted",
  },
  {
    rules: ["CKV_AWS_126"],
    wants: "detailed monitoring of instances",
    what: "every host",
    where: /^aws_instance\./,
    reason: "nothing reads these metrics, and each host's would be charged",
  },
  {
    rules: ["CKV2_AWS_9"],
    wants: "volumes in a plan of AWS Backup",
    what: "data volumes",
    where: /^aws_ebs_volume\./,
    reason:
      "backups are the database's own: consistent, encrypted by the host, and restored to any moment",
  },
  {
    rules: ["CKV2_AWS_19"],
    wants: "Elastic IPs associated with instances",
    what: "the addresses of load balancers",
    where: /^aws_eip\.(visitor-address|load-balancer-\d-address)$/,
    reason: "they belong to a network interface, and so stay when its host is replaced",
  },
  {
    rules: ["CKV_AWS_260"],
    wants: "port 80 closed to the internet",
    what: "visitors",
    where: /^aws_vpc_security_group_ingress_rule\.visitors-in$/,
    reason: "it is where the site is",
  },
  {
    rules: ["AWS-0104"],
    wants: "no way out to all of the internet",
    what: "packages and APIs",
    where: /^aws_vpc_security_group_egress_rule\.[a-z-]+-(packages|apis)-out$/,
    reason:
      "mirrors of packages and AWS's APIs have no fixed addresses; only ports 80 and 443 are open, and never to another host",
  },
  {
    rules: ["CKV_AWS_355"],
    wants: "no permission on all resources where one can be named",
    what: "the role of flow logs",
    where: /^aws_iam_role_policy\.flow-logs-policy$/,
    reason: "EC2 looks for the log group among all; it may write only to this one",
    setting: '`aws.flowLogs: "none"`',
  },
];

/** The exceptions as a table. */
export function scannerTable(): string {
  return table(
    ["Rule", "It wants", "Broken by", "Why", "Kept with"],
    SCANNER_EXCEPTIONS.map(({ rules, wants, what, reason, setting = "" }) => [
      rules.map((rule) => `\`${rule}\``).join(", "),
      wants,
      what,
      reason,
      setting,
    ]),
  );
}
