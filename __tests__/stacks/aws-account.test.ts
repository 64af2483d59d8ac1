import { ROLES } from "../../topology/roles";
import { topologyOf } from "../hosts/rendered";
import { type Json, synthesizedAws } from "./synthesized";

// What the settings of the AWS account add to the stack: logs, a key, and copies in another region.

const plain = synthesizedAws({ monitor: true }).json;
const keyed = synthesizedAws({ aws: { encryptionKey: "customer-managed" } }).json;
const copied = synthesizedAws({ backup: { copyRegion: "eu-west-1" } }).json;
const both = synthesizedAws({
  aws: { encryptionKey: "customer-managed" },
  backup: { copyRegion: "eu-west-1" },
}).json;

const KEY = `\${aws_kms_key.encryption-key.arn}`;
const COPIES_KEY = `\${aws_kms_key.copies-eu-west-1-encryption-key.arn}`;
const ACCOUNT = `\${data.aws_caller_identity.account.account_id}`;

const resources = (stack: Json, type: string): Array<[name: string, config: Json]> =>
  Object.entries(stack.resource[type] ?? {});
const statementsOf = (stack: Json, policy: string): Json[] =>
  JSON.parse(stack.resource.aws_iam_role_policy[policy].policy).Statement;

describe("flow logs", () => {
  test("are of rejected connections by default, kept for 90 days", () => {
    expect(plain.resource.aws_flow_log["flow-logs"]).toMatchObject({
      vpc_id: `\${aws_vpc.network.id}`,
      traffic_type: "REJECT",
      log_destination: `\${aws_cloudwatch_log_group.flow-logs-group.arn}`,
    });
    expect(plain.resource.aws_cloudwatch_log_group["flow-logs-group"]).toMatchObject({
      name: "/demo/flow-logs",
      retention_in_days: 90,
    });
  });

  test("can be of all connections, or none", () => {
    const all = synthesizedAws({ aws: { flowLogs: "all", keepLogsDays: 7 } }).json;
    expect(all.resource.aws_flow_log["flow-logs"].traffic_type).toBe("ALL");
    expect(all.resource.aws_cloudwatch_log_group["flow-logs-group"].retention_in_days).toBe(7);
    const none = synthesizedAws({ aws: { flowLogs: "none" } }).json;
    for (const type of ["aws_flow_log", "aws_cloudwatch_log_group"]) {
      expect(resources(none, type)).toEqual([]);
    }
    expect(none.resource.aws_iam_role).not.toHaveProperty("flow-logs-role");
  });

  test("are written with a role that only this account's flow logs have, and that can only write them", () => {
    const { assume_role_policy } = plain.resource.aws_iam_role["flow-logs-role"];
    expect(JSON.parse(assume_role_policy).Statement).toEqual([
      {
        Effect: "Allow",
        Principal: { Service: "vpc-flow-logs.amazonaws.com" },
        Action: "sts:AssumeRole",
        Condition: { StringEquals: { "aws:SourceAccount": ACCOUNT } },
      },
    ]);
    const group = `\${aws_cloudwatch_log_group.flow-logs-group.arn}`;
    const writing = statementsOf(plain, "flow-logs-policy").filter(
      ({ Action }) => Action !== "logs:DescribeLogGroups",
    );
    expect(writing.map(({ Resource }) => Resource)).toEqual([[group, `${group}:*`]]);
  });
});

describe("logs of buckets", () => {
  test("are kept in a bucket of their own, into which only S3 may write, for this account", () => {
    for (const id of ["store", "backups"]) {
      expect(plain.resource.aws_s3_bucket_logging[`${id}-logging`]).toMatchObject({
        bucket: `\${aws_s3_bucket.${id}.id}`,
        target_bucket: `\${aws_s3_bucket.bucket-logs.id}`,
        target_prefix: `${id}/`,
        // S3 refuses a target that it may not write to.
        depends_on: ["aws_s3_bucket_policy.bucket-logs-policy"],
      });
    }
    const { policy } = plain.resource.aws_s3_bucket_policy["bucket-logs-policy"];
    const allowing = JSON.parse(policy).Statement.filter(({ Effect }: Json) => Effect === "Allow");
    expect(allowing).toEqual([
      {
        Sid: "Logs",
        Effect: "Allow",
        Principal: { Service: "logging.s3.amazonaws.com" },
        Action: "s3:PutObject",
        Resource: `\${aws_s3_bucket.bucket-logs.arn}/*`,
        Condition: { StringEquals: { "aws:SourceAccount": ACCOUNT } },
      },
    ]);
  });

  test("expire at their age, in a rule of its own", () => {
    const rules = synthesizedAws({ aws: { keepLogsDays: 30 } }).json.resource
      .aws_s3_bucket_lifecycle_configuration["bucket-logs-lifecycle"].rule;
    expect(rules.map(({ expiration }: Json) => expiration)).toEqual([
      [{ expired_object_delete_marker: true }],
      [{ days: 30 }],
    ]);
    expect(
      plain.resource.aws_s3_bucket_lifecycle_configuration["backups-lifecycle"].rule,
    ).toHaveLength(1);
  });

  test("are always encrypted with S3's own key, the only one it delivers logs with", () => {
    const { rule } =
      both.resource.aws_s3_bucket_server_side_encryption_configuration["bucket-logs-encryption"];
    expect(rule).toEqual([
      { apply_server_side_encryption_by_default: { sse_algorithm: "AES256" } },
    ]);
  });

  test("can be turned off", () => {
    const none = synthesizedAws({ aws: { bucketLogs: false } }).json;
    expect(resources(none, "aws_s3_bucket_logging")).toEqual([]);
    expect(Object.keys(none.resource.aws_s3_bucket).sort()).toEqual(["backups", "store"]);
  });
});

describe("a key of the cluster", () => {
  test("does not exist by default, and Terraform would forget one that did", () => {
    expect(resources(plain, "aws_kms_key")).toEqual([]);
    expect(JSON.stringify(plain)).not.toMatch(/kms_key_id":"|"kms:|key_id":"/);
    const forgotten = ({ removed }: Json) =>
      removed.map(({ from, lifecycle }: Json) => [from, lifecycle]);
    expect(forgotten(plain)).toEqual([["aws_kms_key.encryption-key", { destroy: false }]]);
    expect(forgotten(copied)).toEqual([
      ["aws_kms_key.encryption-key", { destroy: false }],
      ["aws_kms_key.copies-eu-west-1-encryption-key", { destroy: false }],
    ]);
    expect(both).not.toHaveProperty("removed");
  });

  test("is rotated, and protected from destruction like the data it encrypts", () => {
    expect(keyed.resource.aws_kms_key["encryption-key"]).toMatchObject({
      enable_key_rotation: true,
      deletion_window_in_days: 30,
      lifecycle: { prevent_destroy: true },
    });
    const open = synthesizedAws({
      aws: { encryptionKey: "customer-managed" },
      database: { preventDestroy: false },
    }).json;
    expect(open.resource.aws_kms_key["encryption-key"].lifecycle.prevent_destroy).toBe(false);
  });

  test("encrypts every volume, secret, bucket and log group, except the logs of buckets", () => {
    for (const [, volume] of resources(keyed, "aws_ebs_volume")) {
      expect(volume).toMatchObject({ encrypted: true, kms_key_id: KEY });
    }
    for (const [, instance] of resources(keyed, "aws_instance")) {
      expect(instance.root_block_device).toMatchObject({ encrypted: true, kms_key_id: KEY });
    }
    for (const { name } of topologyOf({}, "aws").secrets) {
      expect(keyed.resource.aws_ssm_parameter[name].key_id).toBe(KEY);
    }
    for (const id of ["store", "backups"]) {
      const { rule } =
        keyed.resource.aws_s3_bucket_server_side_encryption_configuration[`${id}-encryption`];
      expect(rule).toEqual([
        {
          apply_server_side_encryption_by_default: {
            sse_algorithm: "aws:kms",
            kms_master_key_id: KEY,
          },
          bucket_key_enabled: true,
        },
      ]);
    }
    expect(keyed.resource.aws_cloudwatch_log_group["flow-logs-group"].kms_key_id).toBe(KEY);
  });

  test("changes no existing volume, whose replacement would lose data, and no secret, which would get another value", () => {
    for (const [, { lifecycle }] of resources(keyed, "aws_ebs_volume")) {
      expect(lifecycle.ignore_changes).toContain("kms_key_id");
    }
    for (const [, { lifecycle }] of resources(keyed, "aws_instance")) {
      expect(lifecycle.ignore_changes).toContain("root_block_device[0].kms_key_id");
    }
    for (const { name } of topologyOf({}, "aws").secrets) {
      expect(keyed.resource.aws_ssm_parameter[name].lifecycle.ignore_changes).toEqual(["key_id"]);
    }
  });

  test("is usable by the account's policies, and by CloudWatch Logs for this cluster's groups", () => {
    const { Statement } = JSON.parse(keyed.resource.aws_kms_key["encryption-key"].policy);
    expect(
      Statement.map(({ Principal, Condition }: Json) => [Principal, Condition ?? "always"]),
    ).toEqual([
      [{ AWS: ACCOUNT }, "always"],
      [
        { Service: "logs.eu-central-1.amazonaws.com" },
        {
          ArnLike: {
            "kms:EncryptionContext:aws:logs:arn": `arn:*:logs:eu-central-1:${ACCOUNT}:log-group:/demo/*`,
          },
        },
      ],
    ]);
  });

  test("is used by hosts only through the services that they read from, and only to write backups", () => {
    const used = (role: string) =>
      statementsOf(keyed, `${role}-policy`)
        .filter(({ Action }) => String(Action).startsWith("kms:"))
        .map(({ Action, Resource, Condition }) => [
          Action,
          Resource,
          Condition.StringEquals["kms:ViaService"],
        ]);
    const s3 = ["kms:Decrypt", KEY, "s3.eu-central-1.amazonaws.com"];
    const ssm = ["kms:Decrypt", KEY, "ssm.eu-central-1.amazonaws.com"];
    expect(used("web")).toEqual([s3, ssm]);
    // It reads one secret, as a voter.
    expect(used("load-balancer")).toEqual([s3, ssm]);
    expect(used("database")).toEqual(
      expect.arrayContaining([
        [s3[0], [KEY], s3[2]],
        ssm,
        ["kms:GenerateDataKey", KEY, "s3.eu-central-1.amazonaws.com"],
      ]),
    );
    for (const role of ROLES) {
      const own = statementsOf(plain, `${role}-policy`).map(({ Action }) => String(Action));
      expect(own.filter((action) => action.includes("kms:"))).toEqual([]);
    }
  });

  test("has the partition's own service names", () => {
    const text = JSON.stringify(
      synthesizedAws({
        region: "cn-north-1",
        availabilityZones: ["cn-north-1a", "cn-north-1b"],
        aws: { encryptionKey: "customer-managed" },
      }).json,
    );
    for (const service of ["logs", "s3", "ssm"]) {
      expect(text).toContain(`${service}.cn-north-1.amazonaws.com.cn`);
    }
  });
});

describe("copies of the backups in another region", () => {
  test("do not exist by default", () => {
    expect(plain.provider.aws).toHaveLength(1);
    expect(resources(plain, "aws_s3_bucket_replication_configuration")).toEqual([]);
    expect(plain.ephemeral).not.toHaveProperty("aws_ssm_parameter");
  });

  test("are in a bucket there, as closed and protected as the original", () => {
    expect(copied.provider.aws.slice(1)).toEqual([
      {
        alias: "eu-west-1",
        region: "eu-west-1",
        default_tags: copied.provider.aws[0].default_tags,
      },
    ]);
    const parts = Object.entries<Json>(copied.resource).flatMap(([type, all]) =>
      Object.entries<Json>(all)
        .filter(([, { provider }]) => provider === "aws.eu-west-1")
        .map(([id]) => `${type}.${id}`),
    );
    expect(parts.sort()).toEqual([
      "aws_s3_bucket.copies-eu-west-1",
      "aws_s3_bucket_lifecycle_configuration.copies-eu-west-1-lifecycle",
      "aws_s3_bucket_ownership_controls.copies-eu-west-1-ownership",
      "aws_s3_bucket_policy.copies-eu-west-1-policy",
      "aws_s3_bucket_public_access_block.copies-eu-west-1-public-access",
      "aws_s3_bucket_server_side_encryption_configuration.copies-eu-west-1-encryption",
      "aws_s3_bucket_versioning.copies-eu-west-1-versioning",
      "aws_ssm_parameter.copies-eu-west-1-password",
    ]);
    expect(copied.resource.aws_s3_bucket["copies-eu-west-1"]).toMatchObject({
      force_destroy: false,
      lifecycle: { prevent_destroy: true },
    });
  });

  test("are made of every object and every deletion, once both buckets keep versions", () => {
    const replication =
      copied.resource.aws_s3_bucket_replication_configuration["copies-eu-west-1-replication"];
    expect(replication).toMatchObject({
      bucket: `\${aws_s3_bucket.backups.id}`,
      rule: [
        {
          status: "Enabled",
          filter: { prefix: "" },
          delete_marker_replication: { status: "Enabled" },
          destination: { bucket: `\${aws_s3_bucket.copies-eu-west-1.arn}` },
        },
      ],
    });
    expect(replication.depends_on).toEqual(
      expect.arrayContaining([
        "aws_s3_bucket_versioning.backups-versioning",
        "aws_s3_bucket_versioning.copies-eu-west-1-versioning",
      ]),
    );
  });

  test("come with the password that decrypts them, which no state contains", () => {
    expect(copied.ephemeral.aws_ssm_parameter).toEqual({
      "backup-password": { arn: `\${aws_ssm_parameter.backup-password.arn}` },
    });
    expect(copied.resource.aws_ssm_parameter["copies-eu-west-1-password"]).toMatchObject({
      name: "/demo/copies/backup-password",
      type: "SecureString",
      value_wo: `\${ephemeral.aws_ssm_parameter.backup-password.value}`,
      lifecycle: { prevent_destroy: true },
    });
  });

  test("are written by a role that can only copy from the one bucket to the other", () => {
    const copies = `\${aws_s3_bucket.copies-eu-west-1.arn}/*`;
    const actions = (stack: Json) =>
      statementsOf(stack, "copies-eu-west-1-role-policy").flatMap(({ Action, Resource }) =>
        [Action].flat().map((action: string) => [action, Resource]),
      );
    const writing = actions(copied).filter(([action]) => /Replicate/.test(action));
    expect(writing).toEqual(
      ["Delete", "Object", "Tags"].map((what) => [`s3:Replicate${what}`, copies]),
    );
    const others = actions(copied).filter(([action]) => !/Replicate/.test(action));
    for (const [action, resource] of others) {
      expect(action).toMatch(/^s3:(Get|List)/);
      expect(resource).toMatch(/^\$\{aws_s3_bucket\.backups\.arn\}/);
    }
    expect(actions(both).filter(([action]) => action.startsWith("kms:"))).toEqual([
      ["kms:Decrypt", KEY],
      ["kms:Encrypt", COPIES_KEY],
    ]);
  });

  test("have a key of the cluster in that region, if there is one here", () => {
    expect(both.resource.aws_kms_key["copies-eu-west-1-encryption-key"].provider).toBe(
      "aws.eu-west-1",
    );
    const [rule] =
      both.resource.aws_s3_bucket_replication_configuration["copies-eu-west-1-replication"].rule;
    expect(rule).toMatchObject({
      destination: { encryption_configuration: { replica_kms_key_id: COPIES_KEY } },
      source_selection_criteria: { sse_kms_encrypted_objects: { status: "Enabled" } },
    });
    expect(both.resource.aws_ssm_parameter["copies-eu-west-1-password"].key_id).toBe(COPIES_KEY);
  });
});
