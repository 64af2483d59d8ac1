import type { S3Bucket } from "@cdktf/provider-aws/lib/s3-bucket";
import type { ITerraformDependable, TerraformStack } from "cdktf";
import type { Topology } from "../../topology/topology";
import { declarePrivateBucket } from "./private-bucket";

/** Where S3 logs the requests to other buckets. */
export interface BucketLogs {
  readonly bucket: S3Bucket;
  /** Must exist before another bucket's requests are logged here. */
  readonly policy: ITerraformDependable;
}

/**
 * Declares the bucket in which S3 logs the requests to the other buckets of the cluster's region, unless the settings ask
 * for none.
 *
 * It is always encrypted with S3's own key: S3 delivers no logs to a bucket that is encrypted with a KMS key.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
 */
export function declareBucketLogs(
  stack: TerraformStack,
  { clusterName, settings }: Topology,
  { accountId }: { accountId: string },
): BucketLogs | undefined {
  if (!settings.aws.bucketLogs) {
    return undefined;
  }
  return declarePrivateBucket(stack, "bucket-logs", {
    name: `${clusterName}-logs`,
    forceDestroy: true,
    expireAfterDays: settings.aws.keepLogsDays,
    statements: ({ arn }) => [
      {
        Sid: "Logs",
        Effect: "Allow",
        Principal: { Service: "logging.s3.amazonaws.com" },
        Action: "s3:PutObject",
        Resource: `${arn}/*`,
        Condition: { StringEquals: { "aws:SourceAccount": accountId } },
      },
    ],
  });
}
