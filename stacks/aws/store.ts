import { S3Bucket } from "@cdktf/provider-aws/lib/s3-bucket";
import { S3BucketLifecycleConfiguration } from "@cdktf/provider-aws/lib/s3-bucket-lifecycle-configuration";
import { S3BucketOwnershipControls } from "@cdktf/provider-aws/lib/s3-bucket-ownership-controls";
import { S3BucketPolicy } from "@cdktf/provider-aws/lib/s3-bucket-policy";
import { S3BucketPublicAccessBlock } from "@cdktf/provider-aws/lib/s3-bucket-public-access-block";
import { S3BucketServerSideEncryptionConfigurationA } from "@cdktf/provider-aws/lib/s3-bucket-server-side-encryption-configuration";
import { S3BucketVersioningA } from "@cdktf/provider-aws/lib/s3-bucket-versioning";
import { S3Object } from "@cdktf/provider-aws/lib/s3-object";
import { SsmParameter } from "@cdktf/provider-aws/lib/ssm-parameter";
import {
  AssetType,
  TerraformAsset,
  type TerraformResourceLifecycle,
  type TerraformStack,
} from "cdktf";
import type { Topology } from "../../topology/topology";
import type { Archive } from "../archive";

/** The cluster's bucket, and what hosts read from it. */
export interface Store {
  readonly bucket: S3Bucket;
  /** What has to be there before a host is told of it. */
  readonly objects: readonly S3Object[];
  /** The SSM parameter in which hosts find the bucket's name, known only after it is made. */
  readonly bucketParameter: SsmParameter;
}

/** How long replaced objects can still be looked at, in days. */
const NONCURRENT_DAYS = 30;

/**
 * S3 takes at most ten tags on an object, the settings forty: objects carry none.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
 */
export const UNTAGGED = { defaultTags: { tags: {} } } as const;

/**
 * A private bucket: the archive of scripts, releases, and each host's user-data.
 *
 * Terraform gives the cluster its first release and says that it is the one to run; what the operator
 * releases later is no change to undo.
 */
export function declareStore(
  stack: TerraformStack,
  { clusterName }: Topology,
  { scripts, release }: { scripts: Archive; release: Archive },
): Store {
  const bucket = new S3Bucket(stack, "store", {
    bucketPrefix: `${clusterName}-store-`,
    // It holds nothing but what the next deploy or release writes again.
    forceDestroy: true,
    tags: { Name: `${clusterName}-store` },
  });
  const publicAccess = new S3BucketPublicAccessBlock(stack, "store-public-access", {
    bucket: bucket.id,
    blockPublicAcls: true,
    blockPublicPolicy: true,
    ignorePublicAcls: true,
    restrictPublicBuckets: true,
  });
  new S3BucketOwnershipControls(stack, "store-ownership", {
    bucket: bucket.id,
    rule: { objectOwnership: "BucketOwnerEnforced" },
  });
  new S3BucketServerSideEncryptionConfigurationA(stack, "store-encryption", {
    bucket: bucket.id,
    rule: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }],
  });
  const versioning = new S3BucketVersioningA(stack, "store-versioning", {
    bucket: bucket.id,
    versioningConfiguration: { status: "Enabled" },
  });
  new S3BucketLifecycleConfiguration(stack, "store-lifecycle", {
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
  new S3BucketPolicy(stack, "store-policy", {
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

  const upload = (id: string, archive: Archive, lifecycle: TerraformResourceLifecycle) => {
    const asset = new TerraformAsset(stack, `${id}-archive`, {
      path: archive.file,
      type: AssetType.FILE,
      assetHash: archive.sha256,
    });
    return new S3Object(stack, id, {
      bucket: bucket.id,
      key: archive.name,
      source: asset.path,
      contentType: "application/gzip",
      overrideProvider: UNTAGGED,
      lifecycle,
      dependsOn: [versioning],
    });
  };
  const objects = [
    // Hosts' user-data is told of new scripts after they are there, and the old ones go last.
    upload("scripts", scripts, { createBeforeDestroy: true }),
    upload("first-release", release, { ignoreChanges: "all" }),
    new S3Object(stack, "release", {
      bucket: bucket.id,
      key: "release",
      content: `${release.sha256}\n`,
      contentType: "text/plain",
      overrideProvider: UNTAGGED,
      lifecycle: { ignoreChanges: "all" },
      dependsOn: [versioning],
    }),
  ];
  const bucketParameter = new SsmParameter(stack, "store-bucket", {
    name: `/${clusterName}/bucket`,
    type: "String",
    insecureValue: bucket.id,
    description: "Where the hosts of this cluster find scripts, releases and their user-data",
    tags: { Name: `${clusterName}-bucket` },
  });
  return { bucket, objects, bucketParameter };
}
