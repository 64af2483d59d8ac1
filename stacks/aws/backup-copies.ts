import { IamRole } from "@cdktf/provider-aws/lib/iam-role";
import { IamRolePolicy } from "@cdktf/provider-aws/lib/iam-role-policy";
import type { S3Bucket } from "@cdktf/provider-aws/lib/s3-bucket";
import { S3BucketReplicationConfigurationA } from "@cdktf/provider-aws/lib/s3-bucket-replication-configuration";
import { SsmParameter } from "@cdktf/provider-aws/lib/ssm-parameter";
import type { ITerraformDependable, TerraformStack } from "cdktf";
import { BACKUP_PASSWORD, type Topology } from "../../topology/topology";
import { declareEncryptionKey, type EncryptionKey, usingKey } from "./encryption-key";
import { assumedBy } from "./grant";
import { declarePrivateBucket } from "./private-bucket";
import { declareProviderOf } from "./provider";

interface BackupCopiesProps {
  readonly accountId: string;
  /** The bucket of backups, and what must exist before S3 copies from it. */
  readonly source: { readonly bucket: S3Bucket; readonly versioning: ITerraformDependable };
  /** The key of that bucket. */
  readonly key: EncryptionKey | undefined;
  /** ARN of the parameter with the password of the backups. */
  readonly password: string;
}

/**
 * Declares copies of the backups in another region, made by S3, and of the password that decrypts them: without it, a
 * region that is lost would take the backups with it. Nothing is declared without `backup.copyRegion`.
 *
 * S3 also copies deletions, or the copy would only ever grow; there too, deleted objects can be recovered for 30 days.
 * Every ID names the region, and so does the provider: a plan that would lose track of a region's copies is refused,
 * because their provider is missing.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication.html
 */
export function declareBackupCopies(
  stack: TerraformStack,
  topology: Topology,
  { accountId, source, key, password }: BackupCopiesProps,
): void {
  const { clusterName, settings } = topology;
  const { copyRegion } = settings.backup;
  if (copyRegion === undefined) {
    return;
  }
  const { preventDestroy } = settings.database;
  const id = `copies-${copyRegion}`;
  const provider = declareProviderOf(stack, topology, copyRegion);
  const copiesKey = declareEncryptionKey(stack, topology, {
    accountId,
    elsewhere: { region: copyRegion, provider },
  });
  const copies = declarePrivateBucket(stack, id, {
    name: `${clusterName}-copies`,
    forceDestroy: !preventDestroy,
    preventDestroy,
    key: copiesKey,
    provider,
  });

  // cdktf has no classes for ephemeral blocks.
  stack.addOverride(`ephemeral.aws_ssm_parameter.${BACKUP_PASSWORD}`, { arn: password });
  new SsmParameter(stack, `${id}-password`, {
    name: `/${clusterName}/copies/${BACKUP_PASSWORD}`,
    type: "SecureString",
    valueWo: `\${ephemeral.aws_ssm_parameter.${BACKUP_PASSWORD}.value}`,
    valueWoVersion: 1,
    ...(copiesKey === undefined ? {} : { keyId: copiesKey.arn }),
    lifecycle: { preventDestroy, ignoreChanges: ["key_id"] },
    tags: { Name: `${clusterName}-copies-${BACKUP_PASSWORD}` },
    provider,
  });

  const role = new IamRole(stack, `${id}-role`, {
    name: `${clusterName}-copies`,
    description: `Copies the backups of the cluster ${clusterName}`,
    assumeRolePolicy: assumedBy("s3.amazonaws.com", accountId),
    tags: { Name: `${clusterName}-copies` },
  });
  const policy = new IamRolePolicy(stack, `${id}-role-policy`, {
    name: "least",
    role: role.id,
    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/setting-repl-config-perm-overview.html
    policy: JSON.stringify({
      Version: "2012-10-17",
      Statement: [
        {
          Sid: "Source",
          Effect: "Allow",
          Action: ["s3:GetReplicationConfiguration", "s3:ListBucket"],
          Resource: source.bucket.arn,
        },
        {
          Sid: "Read",
          Effect: "Allow",
          Action: [
            "s3:GetObjectVersionAcl",
            "s3:GetObjectVersionForReplication",
            "s3:GetObjectVersionTagging",
          ],
          Resource: `${source.bucket.arn}/*`,
        },
        {
          Sid: "Write",
          Effect: "Allow",
          Action: ["s3:ReplicateDelete", "s3:ReplicateObject", "s3:ReplicateTags"],
          Resource: `${copies.bucket.arn}/*`,
        },
        ...usingKey(key, "s3", "Decrypt"),
        ...usingKey(copiesKey, "s3", "Encrypt"),
      ],
    }),
  });
  new S3BucketReplicationConfigurationA(stack, `${id}-replication`, {
    bucket: source.bucket.id,
    role: role.arn,
    rule: [
      {
        id: "copies",
        status: "Enabled",
        priority: 0,
        filter: { prefix: "" },
        deleteMarkerReplication: { status: "Enabled" },
        destination: {
          bucket: copies.bucket.arn,
          ...(copiesKey === undefined
            ? {}
            : { encryptionConfiguration: { replicaKmsKeyId: copiesKey.arn } }),
        },
        ...(key === undefined
          ? {}
          : { sourceSelectionCriteria: { sseKmsEncryptedObjects: { status: "Enabled" } } }),
      },
    ],
    dependsOn: [source.versioning, copies.versioning, policy],
  });
}
