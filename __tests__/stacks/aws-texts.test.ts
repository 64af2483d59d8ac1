import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PROJECT } from "../../hosts/project";
import { makeApp } from "../../stacks/app";
import { AwsStack } from "../../stacks/aws";
import type { ClusterSettingsInput } from "../../topology/settings";
import { SCRIPTS, topologyOf } from "../hosts/rendered";

// AWS's APIs read most texts of the stack, and each takes characters and lengths of its own. A plan does
// not ask them: what one refuses is found out when half of the cluster stands.

// biome-ignore lint/suspicious/noExplicitAny: Terraform's JSON has no types.
type Json = any;

/** What an API takes as some text. */
interface Accepted {
  readonly pattern: RegExp;
  /** Where AWS says so. */
  readonly source: string;
}

const EC2 = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference";
const IAM = "https://docs.aws.amazon.com/IAM/latest/APIReference";
const SSM = "https://docs.aws.amazon.com/systems-manager/latest/APIReference";
const S3 = "https://docs.aws.amazon.com/AmazonS3/latest/userguide";

const GROUP_DESCRIPTION: Accepted = {
  pattern: /^[a-zA-Z0-9. _\-:/()#,@[\]+=&;{}!$*]{1,255}$/,
  source: `${EC2}/API_CreateSecurityGroup.html`,
};
const GROUP_NAME: Accepted = {
  pattern: /^(?!sg-)[a-zA-Z0-9. _\-:/()#,@[\]+=&;{}!$*]{1,255}$/,
  source: `${EC2}/API_CreateSecurityGroup.html`,
};
const RULE_DESCRIPTION: Accepted = {
  pattern: /^[a-zA-Z0-9. _\-:/()#,@[\]+=&;{}!$*]{1,255}$/,
  source: `${EC2}/API_IpRange.html`,
};
// EC2 names no set; the group's is the narrowest it has.
const INTERFACE_DESCRIPTION: Accepted = {
  pattern: /^[a-zA-Z0-9. _\-:/()#,@[\]+=&;{}!$*]{1,255}$/,
  source: `${EC2}/API_CreateNetworkInterface.html`,
};
const DEVICE: Accepted = {
  pattern: /^\/dev\/sd[f-p]$/,
  source: "https://docs.aws.amazon.com/ebs/latest/userguide/ebs-using-volumes.html",
};
const USER_DATA: Accepted = {
  // 16 KiB, in base64.
  pattern: /^[A-Za-z0-9+/=]{1,21848}$/,
  source: "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html",
};
const ROLE_NAME: Accepted = {
  pattern: /^[\w+=,.@-]{1,64}$/,
  source: `${IAM}/API_CreateRole.html`,
};
const ROLE_DESCRIPTION: Accepted = {
  pattern: /^[\u0020-\u007E\u00A1-\u00FF]{0,1000}$/,
  source: `${IAM}/API_CreateRole.html`,
};
const PROFILE_NAME: Accepted = {
  pattern: /^[\w+=,.@-]{1,128}$/,
  source: `${IAM}/API_CreateInstanceProfile.html`,
};
const POLICY_NAME: Accepted = {
  pattern: /^[\w+=,.@-]{1,128}$/,
  source: `${IAM}/API_PutRolePolicy.html`,
};
const IAM_QUOTAS = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html";
/** Of all inline policies of a role together, white space not counted. */
const ROLE_POLICY: Accepted = {
  pattern: /^[\u0020-\u00FF]{1,10240}$/,
  source: IAM_QUOTAS,
};
const TRUST_POLICY: Accepted = {
  pattern: /^[\u0020-\u00FF]{1,2048}$/,
  source: IAM_QUOTAS,
};
const BUCKET_POLICY: Accepted = {
  pattern: /^[\u0020-\u007E]{1,20480}$/,
  source: `${S3}/bucket-policies.html`,
};
const BUCKET_PREFIX: Accepted = {
  // Terraform adds 26 digits of its own; a name has 63 characters at most.
  pattern: /^(?!xn--|sthree-|amzn-s3-demo-)[a-z0-9](?!.*\.\.)[a-z0-9.-]{1,36}$/,
  source: `${S3}/bucketnamingrules.html`,
};
const RULE_ID: Accepted = {
  pattern: /^.{1,255}$/,
  source: "https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleRule.html",
};
const OBJECT_KEY: Accepted = {
  // What S3 calls safe, which no client has to encode.
  pattern: /^(?!\/)[a-zA-Z0-9/!_.*'()-]{1,1024}$/,
  source: `${S3}/object-keys.html`,
};
const CONTENT_TYPE: Accepted = {
  pattern: /^[a-z]+\/[a-z-]+$/,
  source: `${S3}/UsingMetadata.html`,
};
const PARAMETER_NAME: Accepted = {
  // At most 15 levels; 1,011 characters with the ARN before it, which has less than 100.
  pattern: /^(?!\/?(aws|ssm))(?=.{1,900}$)(\/[a-zA-Z0-9_.-]+){1,15}$/i,
  source: `${SSM}/API_PutParameter.html`,
};
const PARAMETER_DESCRIPTION: Accepted = {
  pattern: /^.{0,1024}$/,
  source: `${SSM}/API_PutParameter.html`,
};
const ENDPOINT_SERVICE: Accepted = {
  pattern: /^com\.amazonaws\.[a-z0-9-]+\.s3$/,
  source: "https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-s3.html",
};
const INSTANCE_TYPE: Accepted = {
  pattern: /^[a-z][a-z0-9-]*\.[a-z0-9-]+$/,
  source: "https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html",
};
const IMAGE_FILTER: Accepted = {
  pattern: /^[\x20-\x7e]{1,200}$/,
  source: `${EC2}/API_DescribeImages.html`,
};

/** A text of the cluster's own that no API restricts beyond what the type of the argument does. */
const FREE = undefined;

/** Numbers, addresses, words of AWS's own, and references to other resources: not texts of ours. */
const NO_TEXT = "no text";

type Arguments = Readonly<Record<string, Accepted | typeof FREE | typeof NO_TEXT>>;

/**
 * Every argument of every resource of the stack, besides tags and what is Terraform's own. Whoever adds one
 * says here what AWS takes.
 */
const KNOWN: Readonly<Record<string, Arguments>> = {
  aws_default_security_group: { vpc_id: NO_TEXT },
  aws_ebs_volume: {
    availability_zone: NO_TEXT,
    encrypted: NO_TEXT,
    final_snapshot: NO_TEXT,
    size: NO_TEXT,
    throughput: NO_TEXT,
    type: NO_TEXT,
  },
  aws_eip: { domain: NO_TEXT },
  aws_eip_association: {
    allocation_id: NO_TEXT,
    network_interface_id: NO_TEXT,
    private_ip_address: NO_TEXT,
  },
  aws_iam_instance_profile: { name: PROFILE_NAME, role: NO_TEXT },
  aws_iam_role: {
    assume_role_policy: TRUST_POLICY,
    description: ROLE_DESCRIPTION,
    name: ROLE_NAME,
  },
  aws_iam_role_policy: { name: POLICY_NAME, policy: ROLE_POLICY, role: NO_TEXT },
  aws_instance: {
    ami: NO_TEXT,
    disable_api_termination: NO_TEXT,
    ebs_optimized: NO_TEXT,
    iam_instance_profile: NO_TEXT,
    instance_type: INSTANCE_TYPE,
    "metadata_options.http_endpoint": NO_TEXT,
    "metadata_options.http_put_response_hop_limit": NO_TEXT,
    "metadata_options.http_tokens": NO_TEXT,
    "network_interface.device_index": NO_TEXT,
    "network_interface.network_interface_id": NO_TEXT,
    "root_block_device.delete_on_termination": NO_TEXT,
    "root_block_device.encrypted": NO_TEXT,
    "root_block_device.volume_size": NO_TEXT,
    "root_block_device.volume_type": NO_TEXT,
    user_data_base64: USER_DATA,
  },
  aws_internet_gateway: { vpc_id: NO_TEXT },
  aws_nat_gateway: { allocation_id: NO_TEXT, private_ip: NO_TEXT, subnet_id: NO_TEXT },
  aws_network_interface: {
    description: INTERFACE_DESCRIPTION,
    private_ip_list: NO_TEXT,
    private_ip_list_enabled: NO_TEXT,
    private_ips: NO_TEXT,
    security_groups: NO_TEXT,
    subnet_id: NO_TEXT,
  },
  aws_route: {
    destination_cidr_block: NO_TEXT,
    gateway_id: NO_TEXT,
    nat_gateway_id: NO_TEXT,
    route_table_id: NO_TEXT,
  },
  aws_route_table: { vpc_id: NO_TEXT },
  aws_route_table_association: { route_table_id: NO_TEXT, subnet_id: NO_TEXT },
  aws_s3_bucket: { bucket_prefix: BUCKET_PREFIX, force_destroy: NO_TEXT },
  aws_s3_bucket_lifecycle_configuration: {
    bucket: NO_TEXT,
    "rule.abort_incomplete_multipart_upload.days_after_initiation": NO_TEXT,
    "rule.expiration.expired_object_delete_marker": NO_TEXT,
    "rule.filter.prefix": FREE,
    "rule.id": RULE_ID,
    "rule.noncurrent_version_expiration.noncurrent_days": NO_TEXT,
    "rule.status": NO_TEXT,
  },
  aws_s3_bucket_ownership_controls: { bucket: NO_TEXT, "rule.object_ownership": NO_TEXT },
  aws_s3_bucket_policy: { bucket: NO_TEXT, policy: BUCKET_POLICY },
  aws_s3_bucket_public_access_block: {
    block_public_acls: NO_TEXT,
    block_public_policy: NO_TEXT,
    bucket: NO_TEXT,
    ignore_public_acls: NO_TEXT,
    restrict_public_buckets: NO_TEXT,
  },
  aws_s3_bucket_server_side_encryption_configuration: {
    bucket: NO_TEXT,
    "rule.apply_server_side_encryption_by_default.sse_algorithm": NO_TEXT,
  },
  aws_s3_bucket_versioning: { bucket: NO_TEXT, "versioning_configuration.status": NO_TEXT },
  aws_s3_object: {
    bucket: NO_TEXT,
    content: FREE,
    content_type: CONTENT_TYPE,
    key: OBJECT_KEY,
    source: FREE,
  },
  aws_security_group: { description: GROUP_DESCRIPTION, name: GROUP_NAME, vpc_id: NO_TEXT },
  aws_ssm_parameter: {
    description: PARAMETER_DESCRIPTION,
    insecure_value: NO_TEXT,
    name: PARAMETER_NAME,
    type: NO_TEXT,
    value_wo: NO_TEXT,
    value_wo_version: NO_TEXT,
  },
  aws_subnet: {
    availability_zone: NO_TEXT,
    cidr_block: NO_TEXT,
    map_public_ip_on_launch: NO_TEXT,
    vpc_id: NO_TEXT,
  },
  aws_volume_attachment: {
    device_name: DEVICE,
    instance_id: NO_TEXT,
    skip_destroy: NO_TEXT,
    volume_id: NO_TEXT,
  },
  aws_vpc: { cidr_block: NO_TEXT, enable_dns_hostnames: NO_TEXT, enable_dns_support: NO_TEXT },
  aws_vpc_endpoint: {
    route_table_ids: NO_TEXT,
    service_name: ENDPOINT_SERVICE,
    vpc_endpoint_type: NO_TEXT,
    vpc_id: NO_TEXT,
  },
  aws_vpc_security_group_egress_rule: {
    cidr_ipv4: NO_TEXT,
    description: RULE_DESCRIPTION,
    from_port: NO_TEXT,
    ip_protocol: NO_TEXT,
    referenced_security_group_id: NO_TEXT,
    security_group_id: NO_TEXT,
    to_port: NO_TEXT,
  },
  aws_vpc_security_group_ingress_rule: {
    cidr_ipv4: NO_TEXT,
    description: RULE_DESCRIPTION,
    from_port: NO_TEXT,
    ip_protocol: NO_TEXT,
    referenced_security_group_id: NO_TEXT,
    security_group_id: NO_TEXT,
    to_port: NO_TEXT,
  },
  "data.aws_ami": {
    "filter.name": NO_TEXT,
    "filter.values": IMAGE_FILTER,
    most_recent: NO_TEXT,
    owners: NO_TEXT,
  },
  "ephemeral.aws_secretsmanager_random_password": {
    exclude_punctuation: NO_TEXT,
    include_space: NO_TEXT,
    password_length: NO_TEXT,
    require_each_included_type: NO_TEXT,
  },
};

/** What a service takes as the tags of one resource. */
interface AcceptedTags {
  readonly most: number;
  readonly key: RegExp;
  readonly value: RegExp;
  /** Whether keys that differ in case are one key, given twice. */
  readonly ignoresCase: boolean;
  readonly source: string;
}

const EC2_TAGS: AcceptedTags = {
  most: 50,
  key: /^(?!aws:).{1,127}$/iu,
  value: /^.{0,256}$/u,
  ignoresCase: false,
  source: `${EC2}/API_Tag.html`,
};
const IAM_TAGS: AcceptedTags = {
  most: 50,
  key: /^(?!aws:)[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/iu,
  value: /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u,
  ignoresCase: true,
  source: `${IAM}/API_Tag.html, https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html`,
};
const SSM_TAGS: AcceptedTags = {
  most: 50,
  key: /^(?!aws:)[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/iu,
  value: /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u,
  ignoresCase: false,
  source: `${SSM}/API_Tag.html`,
};
const S3_TAGS: AcceptedTags = {
  most: 50,
  key: /^(?!aws:)[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/iu,
  value: /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u,
  ignoresCase: false,
  source: `${S3}/CostAllocTagging.html`,
};

function tagsTakenBy(type: string): AcceptedTags {
  if (type.startsWith("aws_iam_")) {
    return IAM_TAGS;
  }
  if (type.startsWith("aws_ssm_")) {
    return SSM_TAGS;
  }
  return type.startsWith("aws_s3_") ? S3_TAGS : EC2_TAGS;
}

const workspace = mkdtempSync(join(tmpdir(), "texts-"));
const file = join(workspace, "archive.tar.gz");
writeFileSync(file, "archive");
let synthesized = 0;

afterAll(() => rmSync(workspace, { recursive: true }));

function synthesize(settings: Partial<ClusterSettingsInput>): Json {
  const outdir = join(workspace, String(synthesized++));
  const app = makeApp(outdir);
  new AwsStack(app, "aws", {
    topology: topologyOf(settings, "aws"),
    scripts: { sha256: SCRIPTS, name: `scripts/${SCRIPTS}.tar.gz`, file },
    release: { sha256: SCRIPTS, name: `releases/${SCRIPTS}.tar.gz`, file },
  });
  app.synth();
  return JSON.parse(readFileSync(join(outdir, "stacks", "aws", "cdk.tf.json"), "utf8"));
}

/** Arguments that Terraform keeps for itself, and tags, which are looked at on their own. */
const TERRAFORMS = new Set(["//", "depends_on", "lifecycle", "provider", "tags"]);

/** Every argument of a resource, with each of its values. */
function argumentsOf(value: Json, path = ""): Array<[path: string, value: unknown]> {
  if (Array.isArray(value)) {
    return value.flatMap((element) => argumentsOf(element, path));
  }
  if (typeof value === "object" && value !== null) {
    return Object.entries(value).flatMap(([key, inner]) =>
      TERRAFORMS.has(key) ? [] : argumentsOf(inner, path === "" ? key : `${path}.${key}`),
    );
  }
  return [[path, value]];
}

/** Every set of tags of a resource: its own, and those of what is made along with it. */
function tagsOf(value: Json): Array<Record<string, string>> {
  if (typeof value !== "object" || value === null) {
    return [];
  }
  return Object.entries(value as Record<string, Json>).flatMap(([key, inner]) =>
    key === "tags" ? [inner] : TERRAFORMS.has(key) ? [] : tagsOf(inner),
  );
}

/** A text as long as AWS will see it: what Terraform puts in is as long as it can be. */
function asSent(stack: Json, text: string): string {
  const account = "arn:aws-us-gov:service:ap-northeast-1:123456789012";
  return text
    .replace(
      /\$\{aws_ssm_parameter\.([\w-]+)\.arn\}/g,
      (_, id) => `${account}:parameter${stack.resource.aws_ssm_parameter[id].name}`,
    )
    .replace(/\$\{aws_s3_bucket\.[\w-]+\.arn\}/g, `arn:aws-us-gov:s3:::${"b".repeat(63)}`);
}

function everyResource(stack: Json): Array<[type: string, id: string, config: Json]> {
  const of = (kind: Json, prefix = "") =>
    Object.entries(kind as Record<string, Json>).flatMap(([type, instances]) =>
      Object.entries(instances as Json).map(([id, config]): [string, string, Json] => [
        `${prefix}${type}`,
        id,
        config,
      ]),
    );
  return [...of(stack.resource), ...of(stack.data, "data."), ...of(stack.ephemeral, "ephemeral.")];
}

const LONGEST_NAME = "n".repeat(20);
const manyTags = Object.fromEntries(
  Array.from({ length: 40 }, (_, index) => {
    const number = String(index).padStart(2, "0");
    return [`Ä ${number} _.:/=+@-${"k".repeat(114)}`, `ß ${"v".repeat(244)} _.:/=+@-`];
  }),
);

const SETTINGS: ReadonlyArray<[what: string, settings: Partial<ClusterSettingsInput>]> = [
  ["the default", {}],
  [
    "large, with the longest names and tags",
    {
      name: LONGEST_NAME,
      network: { cidr: "10.64.0.0/16" },
      availabilityZones: ["a", "b", "c", "d"].map((zone) => `eu-central-1${zone}`),
      natGateways: "per-zone",
      loadBalancer: { count: 2 },
      webServers: { count: 30, mode: "active-passive", instanceType: "m7i-flex.12xlarge" },
      database: {
        replicas: 5,
        durability: "lossless",
        dataVolumeSize: 16384,
        name: "d".repeat(32),
      },
      tags: manyTags,
      backend: { type: "s3", bucket: "states", region: "eu-west-1" },
    },
  ],
  [
    "minimal, in another partition, without protection",
    {
      name: "ab",
      region: "us-gov-west-1",
      availabilityZones: ["us-gov-west-1a", "us-gov-west-1b"],
      network: { cidr: "192.168.0.0/26" },
      webServers: { count: 1 },
      database: { replicas: 0, terminationProtection: false, preventDestroy: false },
      tags: { Cluster: "other", Name: "mine", Empty: "" },
    },
  ],
];

describe.each(SETTINGS)("settings: %s", (_, settings) => {
  const stack = synthesize(settings);
  const resources = everyResource(stack);

  test("every argument of every resource is listed here", () => {
    const unknown = resources.flatMap(([type, id, config]) =>
      argumentsOf(config)
        .filter(([path]) => !(path in (KNOWN[type] ?? {})))
        .map(([path]) => `${type}.${id}: ${path}`)
        // Without tags of its own, which the provider is told there.
        .filter((found) => !found.endsWith(": override_provider.default_tags")),
    );
    expect(unknown).toEqual([]);
  });

  test("every restricted text matches what its API accepts", () => {
    const refused = resources.flatMap(([type, id, config]) =>
      argumentsOf(config).flatMap(([path, value]) => {
        const accepted = KNOWN[type]?.[path];
        if (accepted === undefined || accepted === NO_TEXT) {
          return [];
        }
        const sent = asSent(stack, String(value));
        return accepted.pattern.test(sent)
          ? []
          : [`${type}.${id} ${path}: got ${sent}; wanted ${accepted.pattern} (${accepted.source})`];
      }),
    );
    expect(refused).toEqual([]);
  });

  test("the policies of a role together stay within its quota", () => {
    const sizes: Record<string, number> = {};
    for (const { role, policy } of Object.values<Json>(stack.resource.aws_iam_role_policy)) {
      sizes[role] = (sizes[role] ?? 0) + asSent(stack, policy).replace(/\s/g, "").length;
    }
    expect(Object.keys(sizes)).toHaveLength(3);
    expect(Object.entries(sizes).filter(([, size]) => size > 10_240)).toEqual([]);
  });

  test("tags match what the services that get them accept", () => {
    const [{ tags: common }] = stack.provider.aws[0].default_tags;
    const refused = resources.flatMap(([type, id, config]) =>
      tagsOf(config).flatMap((own) => {
        const taken = tagsTakenBy(type);
        const tags: Record<string, string> = { ...common, ...own };
        const keys = Object.keys(tags);
        const folded = taken.ignoresCase ? keys.map((key) => key.toLowerCase()) : keys;
        return [
          ...(keys.length > taken.most ? [`${keys.length} tags`] : []),
          ...(new Set(folded).size < keys.length ? ["a key twice"] : []),
          ...keys.filter((key) => !taken.key.test(key)).map((key) => `key ${key}`),
          ...keys
            .filter((key) => !taken.value.test(tags[key] as string))
            .map((key) => `value of ${key}`),
        ].map((problem) => `${type}.${id}: ${problem} (${taken.source})`);
      }),
    );
    expect(refused).toEqual([]);
  });

  test("no checked text contains a reference for Terraform to fill in", () => {
    const open = resources.flatMap(([type, id, config]) =>
      argumentsOf(config)
        .filter(([path, value]) => {
          const accepted = KNOWN[type]?.[path];
          return typeof accepted === "object" && /(?<!\$)\$\{/.test(asSent(stack, String(value)));
        })
        .map(([path]) => `${type}.${id}: ${path}`),
    );
    expect(open).toEqual([]);
  });
});

test.each(["deployer", "operator"])("the %s policy fits into a managed policy", (whose) => {
  const policy = readFileSync(join(PROJECT, "docs", `aws-${whose}-policy.json`), "utf8").replaceAll(
    "demo",
    LONGEST_NAME,
  );
  // White space does not count: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
  expect(policy.replace(/\s/g, "").length).toBeLessThanOrEqual(6144);
  for (const { Sid } of JSON.parse(policy).Statement) {
    expect(Sid).toMatch(/^[A-Za-z0-9]+$/);
  }
});
