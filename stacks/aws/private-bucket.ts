import { S3Bucket } from "@cdktf/provider-aws/lib/s3-bucket";
import { S3BucketLifecycleConfiguration } from "@cdktf/provider-aws/lib/s3-bucket-lifecycle-configuration";
import { S3BucketLoggingA } from "@cdktf/provider-aws/lib/s3-bucket-logging";
import { S3BucketOwnershipControls } from "@cdktf/provider-aws/lib/s3-bucket-ownership-controls";
import { S3BucketPolicy } from "@cdktf/provider-aws/lib/s3-bucket-policy";
import { S3BucketPublicAccessBlock } from "@cdktf/provider-aws/lib/s3-bucket-public-access-block";
import { S3BucketServerSideEncryptionConfigurationA } from "@cdktf/provider-aws/lib/s3-bucket-server-side-encryption-configuration";
import { S3BucketVersioningA } from "@cdktf/provider-aws/lib/s3-bucket-versioning";
import type { ITerraformDependable, TerraformProvider, TerraformStack } from "cdktf";
import type { EncryptionKey } from "./encryption-key";

/** How long replaced and deleted objects can be recovered, in days. */
const NONCURRENT_DAYS = 30;

interface PrivateBucketProps {
  /** Beginning of the bucket's name, and its tag `Name`. */
  readonly name: string;
  /** Whether destroying the bucket also deletes its objects. */
  readonly forceDestroy: boolean;
  /** Whether Terraform refuses to destroy it. Default no. */
  readonly preventDestroy?: boolean;
  /** Encrypts its objects. Default S3's own key. */
  readonly key?: EncryptionKey | undefined;
  /** Where S3 logs the requests to it. Default nowhere. */
  readonly logs?: { readonly bucket: S3Bucket; readonly policy: ITerraformDependable } | undefined;
  /** Age at which objects are deleted. Default never. */
  readonly expireAfterDays?: number;
  /** Further statements of the bucket's policy. Default none. */
  readonly statements?: (bucket: S3Bucket) => readonly object[];
  /** The provider of another region. Default the cluster's region. */
  readonly provider?: TerraformProvider;
}

/** A private bucket. */
interface PrivateBucket {
  readonly bucket: S3Bucket;
  readonly policy: S3BucketPolicy;
  readonly versioning: S3BucketVersioningA;
  /** Must exist before the first object. */
  readonly ready: readonly ITerraformDependable[];
}

/**
 * Declares a private bucket: encrypted, accessible over TLS only, and versioned, so that replaced and deleted objects can
 * be recovered for a while.
 */
export function declarePrivateBucket(
  stack: TerraformStack,
  id: string,
  {
    name,
    forceDestroy,
    preventDestroy = false,
    key,
    logs,
    expireAfterDays,
    statements,
    provider,
  }: PrivateBucketProps,
): PrivateBucket {
  const where = provider === undefined ? {} : { provider };
  const bucket = new S3Bucket(stack, id, {
    bucketPrefix: `${name}-`,
    forceDestroy,
    ...(preventDestroy ? { lifecycle: { preventDestroy } } : {}),
    tags: { Name: name },
    ...where,
  });
  const publicAccess = new S3BucketPublicAccessBlock(stack, `${id}-public-access`, {
    bucket: bucket.id,
    blockPublicAcls: true,
    blockPublicPolicy: true,
    ignorePublicAcls: true,
    restrictPublicBuckets: true,
    ...where,
  });
  new S3BucketOwnershipControls(stack, `${id}-ownership`, {
    bucket: bucket.id,
    rule: { objectOwnership: "BucketOwnerEnforced" },
    ...where,
  });
  const encryption = new S3BucketServerSideEncryptionConfigurationA(stack, `${id}-encryption`, {
    bucket: bucket.id,
    rule: [
      key === undefined
        ? { applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }
        : {
            applyServerSideEncryptionByDefault: {
              sseAlgorithm: "aws:kms",
              kmsMasterKeyId: key.arn,
            },
            // One request to KMS for many objects.
            bucketKeyEnabled: true,
          },
    ],
    ...where,
  });
  const versioning = new S3BucketVersioningA(stack, `${id}-versioning`, {
    bucket: bucket.id,
    versioningConfiguration: { status: "Enabled" },
    ...where,
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
      ...(expireAfterDays === undefined
        ? []
        : [
            {
              // S3 refuses an age in a rule about delete markers.
              id: "age",
              status: "Enabled",
              filter: [{ prefix: "" }],
              expiration: [{ days: expireAfterDays }],
            },
          ]),
    ],
    dependsOn: [versioning],
    ...where,
  });
  const policy = new S3BucketPolicy(stack, `${id}-policy`, {
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
        ...(statements?.(bucket) ?? []),
      ],
    }),
    // S3 rejects concurrent changes of a bucket's access settings.
    dependsOn: [publicAccess],
    ...where,
  });
  if (logs !== undefined) {
    new S3BucketLoggingA(stack, `${id}-logging`, {
      bucket: bucket.id,
      targetBucket: logs.bucket.id,
      targetPrefix: `${id}/`,
      dependsOn: [logs.policy],
      ...where,
    });
  }
  return { bucket, policy, versioning, ready: [versioning, encryption] };
}
