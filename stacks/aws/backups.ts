import type { S3Bucket } from "@cdktf/provider-aws/lib/s3-bucket";
import { SsmParameter } from "@cdktf/provider-aws/lib/ssm-parameter";
import type { TerraformStack } from "cdktf";
import type { Topology } from "../../topology/topology";
import { declarePrivateBucket } from "./private-bucket";

/** Where the database hosts keep their backups. */
export interface Backups {
  readonly bucket: S3Bucket;
  /** The SSM parameter in which hosts find the bucket's name, known only after it is made. */
  readonly bucketParameter: SsmParameter;
}

/**
 * A bucket for backups alone. What hosts put there they have encrypted before; should one of them turn
 * against it, what it deletes can be brought back for 30 days. It is as safe from being destroyed as
 * the data volumes are.
 */
export function declareBackups(
  stack: TerraformStack,
  { clusterName, settings }: Topology,
): Backups {
  const { preventDestroy } = settings.database;
  const { bucket } = declarePrivateBucket(stack, "backups", {
    clusterName,
    forceDestroy: !preventDestroy,
    preventDestroy,
  });
  const bucketParameter = new SsmParameter(stack, "backups-bucket", {
    name: `/${clusterName}/backups-bucket`,
    type: "String",
    insecureValue: bucket.id,
    description: "Where the database hosts of this cluster keep their backups",
    tags: { Name: `${clusterName}-backups-bucket` },
  });
  return { bucket, bucketParameter };
}
