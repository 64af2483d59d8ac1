import { SCANNER_EXCEPTIONS } from "../../docs/generate/scanner-exceptions";
import type { ClusterSettingsInput } from "../../topology/settings";
import { SCANNER_RULES } from "./scanner-rules";
import { synthesizedAws } from "./synthesized";

const LARGE: Partial<ClusterSettingsInput> = {
  loadBalancer: { count: 2 },
  database: { replicas: 2 },
  natGateways: "per-zone",
};
/** The settings that keep most rules. */
const STRICT: Partial<ClusterSettingsInput> = {
  ...LARGE,
  aws: { encryptionKey: "customer-managed", keepLogsDays: 365 },
  backup: { copyRegion: "eu-west-1" },
};
const STACKS: Readonly<Record<string, Partial<ClusterSettingsInput>>> = {
  "by default": {},
  "of a large cluster, with copies": { ...LARGE, backup: { copyRegion: "eu-west-1" } },
  "with strict settings": STRICT,
};

/** The resources of a stack that break a rule. */
function breaking(rule: string, settings: Partial<ClusterSettingsInput>): string[] {
  const key = JSON.stringify(settings);
  const stack = synthesized.get(key) ?? synthesizedAws(settings).json;
  synthesized.set(key, stack);
  return SCANNER_RULES[rule]?.(stack) ?? [];
}
const synthesized = new Map<string, unknown>();

const exceptionsOf = (rule: string) =>
  SCANNER_EXCEPTIONS.filter(({ rules }) => rules.includes(rule));

test.each(Object.entries(STACKS))(
  "the stack %s breaks no rule of a scanner but those listed, and none elsewhere",
  (_, settings) => {
    const unlisted = Object.keys(SCANNER_RULES).flatMap((rule) =>
      breaking(rule, settings)
        .filter((address) => !exceptionsOf(rule).some(({ where }) => where.test(address)))
        .map((address) => `${rule}: ${address}`),
    );
    expect(unlisted).toEqual([]);
  },
);

test.each(SCANNER_EXCEPTIONS.map((one) => [`${one.rules.join(", ")}: ${one.what}`, one] as const))(
  "the exception from %s is still needed",
  (_, { rules, where, setting }) => {
    const broken = (rule: string, settings: Partial<ClusterSettingsInput>) =>
      breaking(rule, settings).filter((address) => where.test(address));
    for (const rule of rules) {
      expect(Object.keys(SCANNER_RULES)).toContain(rule);
      const anywhere = Object.values(STACKS).flatMap((settings) => broken(rule, settings));
      expect([rule, anywhere.length > 0]).toEqual([rule, true]);
      // What a setting keeps is not broken with it; what none keeps is broken in spite of them all.
      const strict = setting?.includes("flowLogs")
        ? { aws: { flowLogs: "none" as const } }
        : STRICT;
      expect([rule, broken(rule, strict).length > 0]).toEqual([rule, setting === undefined]);
    }
  },
);

test("no resource is covered by two exceptions from one rule", () => {
  for (const rule of Object.keys(SCANNER_RULES)) {
    for (const settings of Object.values(STACKS)) {
      for (const address of breaking(rule, settings)) {
        expect(exceptionsOf(rule).filter(({ where }) => where.test(address))).toHaveLength(1);
      }
    }
  }
});

/** A policy that allows what the rules about policies refuse. */
const policy = (Statement: object) =>
  JSON.stringify({ Statement: [{ Effect: "Allow", ...Statement }] });
const everything = (port: number) => ({
  cidr_ipv4: "0.0.0.0/0",
  ip_protocol: "tcp",
  from_port: port,
  to_port: port,
});

/** A stack that breaks every rule. */
const OPEN_STACK = {
  data: { aws_ami: { any: {} } },
  resource: {
    aws_cloudwatch_log_group: {
      unlimited: {},
      short: { retention_in_days: 7 },
    },
    aws_default_vpc: { used: {} },
    aws_ebs_volume: { plain: { encrypted: false } },
    aws_eip: { unused: {} },
    aws_iam_role: {
      anybody: { assume_role_policy: policy({ Principal: { AWS: "*" } }) },
      administrator: {
        assume_role_policy: policy({ Principal: { Service: "ec2.amazonaws.com" } }),
        managed_policy_arns: ["arn:aws:iam::aws:policy/AdministratorAccess"],
      },
    },
    aws_iam_role_policy: Object.fromEntries(
      ["*", "iam:*", "iam:PassRole", "s3:*", "s3:Get*", "s3:GetObject", "s3:PutBucketPolicy"].map(
        (Action, index) => [`policy-${index}`, { policy: policy({ Action, Resource: "*" }) }],
      ),
    ),
    aws_instance: {
      host: {
        associate_public_ip_address: true,
        user_data: `key=AKIA${"A".repeat(16)}`,
      },
    },
    aws_kms_key: {
      anybody: { is_enabled: false, policy: policy({ Principal: "*" }) },
      undefined: {},
    },
    aws_route: { instance: { instance_id: "i-1" } },
    aws_s3_bucket: { open: { bucket_prefix: "with.dots" } },
    aws_s3_bucket_acl: { public: {} },
    aws_s3_bucket_lifecycle_configuration: { none: { rule: [{}] } },
    aws_s3_bucket_policy: { anybody: { policy: policy({ Principal: "*" }) } },
    aws_s3_bucket_public_access_block: { other: {} },
    aws_security_group: { unused: {} },
    aws_ssm_parameter: { plain: { type: "String" }, secret: { type: "SecureString" } },
    aws_subnet: { public: { map_public_ip_on_launch: true } },
    aws_volume_attachment: { plain: { volume_id: `\${aws_ebs_volume.plain.id}` } },
    aws_vpc: { unwatched: {} },
    aws_vpc_security_group_egress_rule: { out: { cidr_ipv4: "0.0.0.0/0", ip_protocol: "-1" } },
    aws_vpc_security_group_ingress_rule: {
      ...Object.fromEntries([22, 80, 3389].map((port) => [`port-${port}`, everything(port)])),
      all: { cidr_ipv6: "::/0", ip_protocol: "-1" },
    },
  },
};

test.each(Object.entries(SCANNER_RULES).map(([id, rule]) => ({ id, rule })))(
  "$id is noticed where it is broken",
  ({ rule }) => {
    expect(rule(OPEN_STACK)).not.toEqual([]);
  },
);

test("flow logs that are turned off are noticed", () => {
  const off = { aws: { flowLogs: "none" as const } };
  expect(breaking("CKV2_AWS_11", off)).toEqual(["aws_vpc.network"]);
  expect(breaking("AWS-0178", off)).toEqual(["aws_vpc.network"]);
});
