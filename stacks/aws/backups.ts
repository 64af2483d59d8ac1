import { SsmParameter } from "@cdktf/provider-aws/lib/ssm-parameter";
import type { TerraformStack } from "cdktf";
import type { Role } from "../../topology/roles";
import type { Topology } from "../../topology/topology";
import { declareBackupCopies } from "./backup-copies";
import type { BucketLogs } from "./bucket-logs";
import { type EncryptionKey, usingKey } from "./encryption-key";
import { type Grant, readingParameters } from "./grant";
import { declarePrivateBucket } from "./private-bucket";

/** The roles whose hosts store backups. */
const KEEPERS: readonly Role[] = ["database"];

interface BackupsProps {
  readonly accountId: string;
  readonly key: EncryptionKey | undefined;
  readonly logs: BucketLogs | undefined;
  /** ARN of the parameter with the password of the backups. */
  readonly password: string;
}

/**
 * Declares a separate bucket for backups, and their copies in another region if the settings ask for them. Hosts encrypt
 * backups before the upload. If a host is compromised, what it deletes can be recovered for 30 days. The bucket is
 * protected against destruction like the data volumes.
 */
export function declareBackups(
  stack: TerraformStack,
  topology: Topology,
  { accountId, key, logs, password }: BackupsProps,
): { grant: Grant } {
  const { clusterName, settings } = topology;
  const { preventDestroy } = settings.database;
  const { bucket, versioning } = declarePrivateBucket(stack, "backups", {
    name: `${clusterName}-backups`,
    forceDestroy: !preventDestroy,
    preventDestroy,
    key,
    logs,
  });
  const source = { bucket, versioning };
  declareBackupCopies(stack, topology, { accountId, source, key, password });
  // Tells hosts the bucket's name, which is only known once it exists.
  const bucketParameter = new SsmParameter(stack, "backups-bucket", {
    name: `/${clusterName}/backups-bucket`,
    type: "String",
    insecureValue: bucket.id,
    description: "Where the database hosts of this cluster keep their backups",
    tags: { Name: `${clusterName}-backups-bucket` },
  });
  const grant: Grant = (role) =>
    KEEPERS.includes(role)
      ? [
          ...readingParameters(bucketParameter.arn),
          // https://restic.readthedocs.io/en/stable/080_examples.html#backing-up-to-an-s3-bucket-on-amazon
          {
            Sid: "Backups",
            Effect: "Allow",
            Action: ["s3:GetBucketLocation", "s3:ListBucket"],
            Resource: bucket.arn,
          },
          {
            Sid: "BackupObjects",
            Effect: "Allow",
            Action: ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
            Resource: `${bucket.arn}/*`,
          },
          ...usingKey(key, "s3", "Decrypt"),
          ...usingKey(key, "s3", "GenerateDataKey"),
        ]
      : [];
  return { grant };
}
