import { S3Bucket } from "@cdktf/provider-aws/lib/s3-bucket";
import { S3BucketLifecycleConfiguration } from "@cdktf/provider-aws/lib/s3-bucket-lifecycle-configuration";
import { S3BucketOwnershipControls } from "@cdktf/provider-aws/lib/s3-bucket-ownership-controls";
import { S3BucketPolicy } from "@cdktf/provider-aws/lib/s3-bucket-policy";
import { S3BucketPublicAccessBlock } from "@cdktf/provider-aws/lib/s3-bucket-public-access-block";
import { S3BucketServerSideEncryptionConfigurationA } from "@cdktf/provider-aws/lib/s3-bucket-server-side-encryption-configuration";
import { S3BucketVersioningA } from "@cdktf/provider-aws/lib/s3-bucket-versioning";
import type { TerraformStack } from "cdktf";

/** How long replaced and deleted objects can be recovered, in days. */
const NONCURRENT_DAYS = 30;

interface PrivateBucketProps {
  readonly clusterName: string;
  /** Whether destroying the bucket also deletes its objects. */
  readonly forceDestroy: boolean;
  /** Whether Terraform refuses to destroy it. Default no. */
  readonly preventDestroy?: boolean;
}

/**
 * Declares a private bucket: encrypted, accessible over TLS only, and versioned, so that replaced and deleted objects can
 * be recovered for a while.
 */
export function declarePrivateBucket(
  stack: TerraformStack,
  id: string,
  { clusterName, forceDestroy, preventDestroy = false }: PrivateBucketProps,
): { bucket: S3Bucket; versioning: S3BucketVersioningA } {
  const bucket = new S3Bucket(stack, id, {
    bucketPrefix: `${clusterName}-${id}-`,
    forceDestroy,
    ...(preventDestroy ? { lifecycle: { preventDestroy } } : {}),
    tags: { Name: `${clusterName}-${id}` },
  });
  const publicAccess = new S3BucketPublicAccessBlock(stack, `${id}-public-access`, {
    bucket: bucket.id,
    blockPublicAcls: true,
    blockPublicPolicy: true,
    ignorePublicAcls: true,
    restrictPublicBuckets: true,
  });
  new S3BucketOwnershipControls(stack, `${id}-ownership`, {
    bucket: bucket.id,
    rule: { objectOwnership: "BucketOwnerEnforced" },
  });
  new S3BucketServerSideEncryptionConfigurationA(stack, `${id}-encryption`, {
    bucket: bucket.id,
    rule: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }],
  });
  const versioning = new S3BucketVersioningA(stack, `${id}-versioning`, {
    bucket: bucket.id,
    versioningConfiguration: { status: "Enabled" },
  });
  new S3BucketLifecycleConfiguration(stack, `${id}-lifecycle`, {
    bucket: bucket.id,
    rule: [
      {
        id: "noncurrent",
        status: "Enabled",
        filter: [{ prefix: "" }],
        noncurrentVersionExpiration: [{ noncurrentDays: NONCURRENT_DAYS }],
        // Removes delete markers whose versions have expired: listing the bucket would still read them.
        expiration: [{ expiredObjectDeleteMarker: true }],
        abortIncompleteMultipartUpload: [{ daysAfterInitiation: 1 }],
      },
    ],
    dependsOn: [versioning],
  });
  new S3BucketPolicy(stack, `${id}-policy`, {
    bucket: bucket.id,
    policy: JSON.stringify({
      Version: "2012-10-17",
      Statement: [
        {
          Sid: "OnlyOverTls",
          Effect: "Deny",
          Principal: "*",
          Action: "s3:*",
          Resource: [bucket.arn, `${bucket.arn}/*`],
          Condition: { Bool: { "aws:SecureTransport": "false" } },
        },
      ],
    }),
    // S3 rejects concurrent changes of a bucket's access settings.
    dependsOn: [publicAccess],
  });
  return { bucket, versioning };
}
