import { S3Bucket } from "@cdktf/provider-aws/lib/s3-bucket";
import { S3BucketLifecycleConfiguration } from "@cdktf/provider-aws/lib/s3-bucket-lifecycle-configuration";
import { S3BucketOwnershipControls } from "@cdktf/provider-aws/lib/s3-bucket-ownership-controls";
import { S3BucketPolicy } from "@cdktf/provider-aws/lib/s3-bucket-policy";
import { S3BucketPublicAccessBlock } from "@cdktf/provider-aws/lib/s3-bucket-public-access-block";
import { S3BucketServerSideEncryptionConfigurationA } from "@cdktf/provider-aws/lib/s3-bucket-server-side-encryption-configuration";
import { S3BucketVersioningA } from "@cdktf/provider-aws/lib/s3-bucket-versioning";
import { S3Object } from "@cdktf/provider-aws/lib/s3-object";
import { SsmParameter } from "@cdktf/provider-aws/lib/ssm-parameter";
import { AssetType, TerraformAsset, type TerraformStack } from "cdktf";
import type { Topology } from "../../topology/topology";
import type { Release } from "../release";

/** The cluster's bucket, and what hosts read from it. */
export interface Releases {
  readonly bucket: S3Bucket;
  /** The app's current archive. */
  readonly object: S3Object;
  /** The SSM parameter in which hosts find the bucket's name, known only after it is made. */
  readonly bucketParameter: SsmParameter;
}

/** How long replaced releases and user-data can still be looked at, in days. */
const NONCURRENT_DAYS = 30;

/**
 * S3 takes at most ten tags on an object, the settings forty: objects carry none.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
 */
export const UNTAGGED = { defaultTags: { tags: {} } } as const;

/** A private bucket with the app's release in it. */
export function declareReleases(
  stack: TerraformStack,
  { clusterName }: Topology,
  release: Release,
): Releases {
  const bucket = new S3Bucket(stack, "releases", {
    bucketPrefix: `${clusterName}-releases-`,
    // It holds nothing but what the next deploy writes again.
    forceDestroy: true,
    tags: { Name: `${clusterName}-releases` },
  });
  const publicAccess = new S3BucketPublicAccessBlock(stack, "releases-public-access", {
    bucket: bucket.id,
    blockPublicAcls: true,
    blockPublicPolicy: true,
    ignorePublicAcls: true,
    restrictPublicBuckets: true,
  });
  new S3BucketOwnershipControls(stack, "releases-ownership", {
    bucket: bucket.id,
    rule: { objectOwnership: "BucketOwnerEnforced" },
  });
  new S3BucketServerSideEncryptionConfigurationA(stack, "releases-encryption", {
    bucket: bucket.id,
    rule: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }],
  });
  const versioning = new S3BucketVersioningA(stack, "releases-versioning", {
    bucket: bucket.id,
    versioningConfiguration: { status: "Enabled" },
  });
  new S3BucketLifecycleConfiguration(stack, "releases-lifecycle", {
    bucket: bucket.id,
    rule: [
      {
        id: "noncurrent",
        status: "Enabled",
        filter: [{ prefix: "" }],
        noncurrentVersionExpiration: [{ noncurrentDays: NONCURRENT_DAYS }],
        abortIncompleteMultipartUpload: [{ daysAfterInitiation: 1 }],
      },
    ],
    dependsOn: [versioning],
  });
  new S3BucketPolicy(stack, "releases-policy", {
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
    // S3 takes one change of a bucket's access at a time.
    dependsOn: [publicAccess],
  });

  const asset = new TerraformAsset(stack, "release-archive", {
    path: release.file,
    type: AssetType.FILE,
    assetHash: release.sha256,
  });
  const object = new S3Object(stack, "release", {
    bucket: bucket.id,
    key: `releases/${release.sha256}.tar.gz`,
    source: asset.path,
    contentType: "application/gzip",
    overrideProvider: UNTAGGED,
    // Hosts' user-data is told of a new release after it is there, and the old one goes last.
    lifecycle: { createBeforeDestroy: true },
    dependsOn: [versioning],
  });
  const bucketParameter = new SsmParameter(stack, "releases-bucket", {
    name: `/${clusterName}/bucket`,
    type: "String",
    insecureValue: bucket.id,
    description: "Where the hosts of this cluster find releases and their user-data",
    tags: { Name: `${clusterName}-bucket` },
  });
  return { bucket, object, bucketParameter };
}
