import { gunzipSync } from "node:zlib";
import type { Json } from "./synthesized";

// What rules of Checkov and Trivy look for, in this stack's Terraform. Neither is in a registry of packages that every
// machine reaches, so their rules that concern the types of resources of this stack are written down here, after
// https://github.com/bridgecrewio/checkov/tree/main/checkov/terraform/checks and
// https://github.com/aquasecurity/trivy-checks/tree/main/checks/cloud/aws.

/** @returns the addresses of the resources that break a rule */
type Rule = (stack: Json) => string[];

const entries = (stack: Json, type: string): Array<[id: string, config: Json]> =>
  Object.entries(stack.resource[type] ?? {});

/** Resources of these types that fulfil a condition. */
function where(
  types: string | readonly string[],
  breaks: (config: Json, stack: Json) => boolean,
): Rule {
  return (stack) =>
    [types].flat().flatMap((type) =>
      entries(stack, type)
        .filter(([, config]) => breaks(config, stack))
        .map(([id]) => `${type}.${id}`),
    );
}

/** Resources of one type to which no resource of another one refers, or none that fulfils a condition. */
function without(
  type: string,
  others: string | readonly string[],
  accepts: (other: Json) => boolean = () => true,
): Rule {
  return (stack) =>
    entries(stack, type)
      .filter(([id]) => {
        const reference = `\${${type}.${id}.`;
        return ![others]
          .flat()
          .some((other) =>
            entries(stack, other).some(
              ([, config]) => JSON.stringify(config).includes(reference) && accepts(config),
            ),
          );
      })
      .map(([id]) => `${type}.${id}`);
}

const INGRESS = "aws_vpc_security_group_ingress_rule";
const EGRESS = "aws_vpc_security_group_egress_rule";
const PUBLIC_ACCESS = "aws_s3_bucket_public_access_block";

const toInternet = (rule: Json) => rule.cidr_ipv4 === "0.0.0.0/0" || rule.cidr_ipv6 === "::/0";
const allPorts = ({ ip_protocol, from_port }: Json) => ip_protocol === "-1" || from_port === -1;
const openPort = (port: number) =>
  where(
    INGRESS,
    (rule) =>
      toInternet(rule) && (allPorts(rule) || (rule.from_port <= port && port <= rule.to_port)),
  );
const openToAll = where(INGRESS, (rule) => toInternet(rule) && allPorts(rule));

const access = (flag: string) => where(PUBLIC_ACCESS, (config) => config[flag] !== true);
const withoutAcl = where("aws_s3_bucket_acl", () => true);
const described = (types: readonly string[]) => where(types, ({ description }) => !description);

/** The statements of a policy that allow something. */
const allowing = (policy: string): Json[] =>
  JSON.parse(policy).Statement.filter(({ Effect }: Json) => Effect === "Allow");
const list = (value: unknown) => [value].flat().map(String);

/** Policies of roles that allow an action by these words, on every resource or on any. */
const allows = (action: RegExp, on: "every resource" | "any resource") =>
  where("aws_iam_role_policy", ({ policy }) =>
    allowing(policy).some(
      ({ Action, Resource }) =>
        list(Action).some((one) => action.test(one)) &&
        (on === "any resource" || list(Resource).includes("*")),
    ),
  );

/**
 * Actions that no policy can restrict to a resource; others on `*` are without need.
 * https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html
 */
const RESTRICTABLE = new RegExp(
  `^(?!(${[
    "ec2:DescribeAddresses",
    "ec2messages:\\w+",
    "ssm:UpdateInstanceInformation",
    "ssmmessages:\\w+",
  ].join("|")})$)`,
);
/** Write access, without what only reads. */
const WRITING = new RegExp(`${RESTRICTABLE.source}\\w+:(?!Describe|Get|List)`);

const principalIsAnybody = ({ Principal }: Json) =>
  Principal === "*" || list(Principal.AWS).includes("*");

const KMS = "aws:kms";
const encryptionOf = (config: Json) =>
  config.rule[0].apply_server_side_encryption_by_default.sse_algorithm;
const ENCRYPTION = "aws_s3_bucket_server_side_encryption_configuration";
const isLogTarget = (stack: Json, address: string) =>
  entries(stack, "aws_s3_bucket_policy").some(
    ([, { bucket, policy }]) =>
      bucket === `\${${address}.id}` && policy.includes("logging.s3.amazonaws.com"),
  );
/** Trivy takes a bucket for logs as what it is. */
const exceptLogTargets =
  (rule: Rule): Rule =>
  (stack) =>
    rule(stack).filter((address) => !isLogTarget(stack, address));

const everyBucket = where("aws_s3_bucket", () => true);
/** The bucket that is logged, not the one that the logs go to. */
const notLogged: Rule = (stack) => {
  const logged = entries(stack, "aws_s3_bucket_logging").map(([, { bucket }]) => bucket);
  return everyBucket(stack).filter((address) => !logged.includes(`\${${address}.id}`));
};

const unencryptedRoot = where("aws_instance", (host) => host.root_block_device?.encrypted !== true);
const unencryptedVolume = where("aws_ebs_volume", ({ encrypted }) => encrypted !== true);
const sessionTokens = where(
  "aws_instance",
  (host) => host.metadata_options?.http_tokens !== "required",
);
const secretInUserData = where("aws_instance", (host) =>
  /(A3T[A-Z0-9]|AKIA|ASIA)[A-Z0-9]{16}/.test(
    host.user_data ?? gunzipSync(Buffer.from(host.user_data_base64, "base64")).toString(),
  ),
);
const openDefaultGroup: Rule = (stack) => [
  ...without("aws_vpc", "aws_default_security_group")(stack),
  ...where("aws_default_security_group", (group) => "ingress" in group || "egress" in group)(stack),
];
const unversioned = without(
  "aws_s3_bucket",
  "aws_s3_bucket_versioning",
  (config) => config.versioning_configuration.status === "Enabled",
);
const defaultNetwork = where("aws_default_vpc", () => true);
const notRotated = where("aws_kms_key", (key) => key.enable_key_rotation !== true);
const noFlowLog = without("aws_vpc", "aws_flow_log");
const volumeKey = where("aws_ebs_volume", (volume) => volume.kms_key_id === undefined);
const groupKey = where("aws_cloudwatch_log_group", (group) => group.kms_key_id === undefined);
const publicAddress = where("aws_subnet", (subnet) => subnet.map_public_ip_on_launch !== false);
const bucketKey = without("aws_s3_bucket", ENCRYPTION, (config) => encryptionOf(config) === KMS);

export const SCANNER_RULES: Readonly<Record<string, Rule>> = {
  CKV_AWS_3: unencryptedVolume,
  CKV_AWS_7: notRotated,
  CKV_AWS_8: unencryptedRoot,
  CKV_AWS_18: notLogged,
  CKV_AWS_19: without("aws_s3_bucket", ENCRYPTION),
  CKV_AWS_20: withoutAcl,
  CKV_AWS_21: unversioned,
  CKV_AWS_23: described(["aws_security_group", INGRESS, EGRESS]),
  CKV_AWS_24: openPort(22),
  CKV_AWS_25: openPort(3389),
  CKV_AWS_33: where("aws_kms_key", ({ policy = '{"Statement":[]}' }) =>
    allowing(policy).some((statement) => principalIsAnybody(statement) && !statement.Condition),
  ),
  CKV_AWS_46: secretInUserData,
  CKV_AWS_53: access("block_public_acls"),
  CKV_AWS_54: access("block_public_policy"),
  CKV_AWS_55: access("ignore_public_acls"),
  CKV_AWS_56: access("restrict_public_buckets"),
  CKV_AWS_57: withoutAcl,
  CKV_AWS_60: where("aws_iam_role", ({ assume_role_policy }) =>
    allowing(assume_role_policy).some(principalIsAnybody),
  ),
  CKV_AWS_61: where("aws_iam_role", ({ assume_role_policy }) =>
    allowing(assume_role_policy).some(({ Principal }) => "AWS" in Principal),
  ),
  CKV_AWS_62: allows(/^\*$/, "every resource"),
  CKV_AWS_63: allows(/^\*$/, "any resource"),
  CKV_AWS_66: where("aws_cloudwatch_log_group", (group) => !group.retention_in_days),
  CKV_AWS_70: where("aws_s3_bucket_policy", ({ policy }) =>
    allowing(policy).some(principalIsAnybody),
  ),
  CKV_AWS_79: sessionTokens,
  CKV_AWS_88: where("aws_instance", (host) => host.associate_public_ip_address === true),
  CKV_AWS_126: where("aws_instance", ({ monitoring }) => monitoring !== true),
  CKV_AWS_130: publicAddress,
  CKV_AWS_135: where("aws_instance", (host) => host.ebs_optimized !== true),
  CKV_AWS_144: (stack) => {
    const copied = entries(stack, "aws_s3_bucket_replication_configuration");
    return everyBucket(stack).filter(
      (address) => !copied.some(([, { bucket }]) => bucket === `\${${address}.id}`),
    );
  },
  CKV_AWS_145: bucketKey,
  CKV_AWS_158: groupKey,
  CKV_AWS_189: volumeKey,
  CKV_AWS_227: where("aws_kms_key", (key) => key.is_enabled === false),
  CKV_AWS_260: openPort(80),
  CKV_AWS_274: where(
    ["aws_iam_role", "aws_iam_role_policy_attachment", "aws_iam_policy_attachment"],
    (config) => JSON.stringify(config).includes("policy/AdministratorAccess"),
  ),
  CKV_AWS_277: openToAll,
  CKV_AWS_286: allows(/^(iam|sts):/, "any resource"),
  CKV_AWS_287: allows(/^(iam|sts):|:Get\w*(Credentials|PasswordData)$/, "any resource"),
  CKV_AWS_288: allows(/^(s3:Get\w*|ssm:GetParameters?\w*)$/, "every resource"),
  CKV_AWS_289: allows(/:\w*(Policy|Permission|Acl|Grant)\w*$/, "every resource"),
  CKV_AWS_290: allows(WRITING, "every resource"),
  CKV_AWS_300: where(
    "aws_s3_bucket_lifecycle_configuration",
    ({ rule }) => !rule.some((one: Json) => one.abort_incomplete_multipart_upload),
  ),
  CKV_AWS_337: where(
    "aws_ssm_parameter",
    ({ type, key_id }) => type === "SecureString" && key_id === undefined,
  ),
  CKV_AWS_338: where("aws_cloudwatch_log_group", (group) => group.retention_in_days < 365),
  CKV_AWS_355: allows(RESTRICTABLE, "every resource"),
  CKV_AWS_375: withoutAcl,
  CKV_AWS_382: where(EGRESS, (rule) => toInternet(rule) && allPorts(rule)),
  CKV2_AWS_2: (stack) => {
    const attached = JSON.stringify(stack.resource.aws_volume_attachment ?? {});
    return unencryptedVolume(stack).filter((address) => attached.includes(`\${${address}.`));
  },
  CKV2_AWS_5: without("aws_security_group", "aws_network_interface"),
  CKV2_AWS_6: without(
    "aws_s3_bucket",
    PUBLIC_ACCESS,
    (config) => config.block_public_acls === true && config.block_public_policy === true,
  ),
  CKV2_AWS_9: without("aws_ebs_volume", "aws_backup_selection"),
  CKV2_AWS_11: noFlowLog,
  CKV2_AWS_12: openDefaultGroup,
  CKV2_AWS_19: (stack) => {
    const used = [
      ...entries(stack, "aws_nat_gateway"),
      ...entries(stack, "aws_eip_association").filter(([, config]) => config.instance_id),
    ].map(([, { allocation_id }]) => allocation_id);
    return where(
      "aws_eip",
      ({ instance }) => instance === undefined,
    )(stack).filter((address) => !used.includes(`\${${address}.id}`));
  },
  CKV2_AWS_34: where("aws_ssm_parameter", ({ type }) => type !== "SecureString"),
  CKV2_AWS_35: where("aws_route", (route) => route.instance_id !== undefined),
  CKV2_AWS_40: allows(/^iam:\*$/, "any resource"),
  CKV2_AWS_41: where("aws_instance", (host) => !host.iam_instance_profile),
  CKV2_AWS_61: without("aws_s3_bucket", "aws_s3_bucket_lifecycle_configuration"),
  CKV2_AWS_62: without("aws_s3_bucket", "aws_s3_bucket_notification"),
  CKV2_AWS_64: where("aws_kms_key", ({ policy }) => policy === undefined),

  "AWS-0017": groupKey,
  "AWS-0026": unencryptedVolume,
  "AWS-0027": volumeKey,
  "AWS-0028": sessionTokens,
  "AWS-0029": secretInUserData,
  "AWS-0065": notRotated,
  "AWS-0086": access("block_public_acls"),
  "AWS-0087": access("block_public_policy"),
  "AWS-0089": exceptLogTargets(notLogged),
  "AWS-0090": unversioned,
  "AWS-0091": access("ignore_public_acls"),
  "AWS-0092": withoutAcl,
  "AWS-0093": access("restrict_public_buckets"),
  "AWS-0094": without("aws_s3_bucket", PUBLIC_ACCESS),
  "AWS-0099": described(["aws_security_group"]),
  "AWS-0101": defaultNetwork,
  "AWS-0104": where(EGRESS, toInternet),
  "AWS-0107": (stack) => [...openPort(22)(stack), ...openPort(3389)(stack)],
  "AWS-0124": described([INGRESS, EGRESS]),
  "AWS-0131": unencryptedRoot,
  "AWS-0132": exceptLogTargets(bucketKey),
  "AWS-0164": publicAddress,
  "AWS-0170": without(
    "aws_s3_bucket",
    "aws_s3_bucket_versioning",
    (config) => config.versioning_configuration.mfa_delete === "Enabled",
  ),
  "AWS-0171": without("aws_s3_bucket", "aws_cloudtrail"),
  "AWS-0172": without("aws_s3_bucket", "aws_cloudtrail"),
  "AWS-0173": openDefaultGroup,
  "AWS-0178": noFlowLog,
  "AWS-0320": where("aws_s3_bucket", (config) => config.bucket_prefix.includes(".")),
  "AWS-0342": allows(/^iam:PassRole$/, "any resource"),
  "AWS-0344": (stack) =>
    Object.entries<Json>(stack.data.aws_ami)
      .filter(([, { owners }]) => !owners?.length)
      .map(([id]) => `data.aws_ami.${id}`),
  "AWS-0345": allows(/^s3:\*$/i, "any resource"),
  "AWS-0346": allows(/^s3:(get|put)\*$/i, "every resource"),
};
