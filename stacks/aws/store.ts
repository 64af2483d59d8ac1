import type { S3Bucket } from "@cdktf/provider-aws/lib/s3-bucket";
import { S3Object } from "@cdktf/provider-aws/lib/s3-object";
import { SsmParameter } from "@cdktf/provider-aws/lib/ssm-parameter";
import {
  AssetType,
  TerraformAsset,
  type TerraformResourceLifecycle,
  type TerraformStack,
} from "cdktf";
import type { Archive } from "../../archives/archive";
import type { Role } from "../../topology/roles";
import type { Topology } from "../../topology/topology";
import type { BucketLogs } from "./bucket-logs";
import { type EncryptionKey, usingKey } from "./encryption-key";
import { type Grant, readingParameters } from "./grant";
import { declarePrivateBucket } from "./private-bucket";

/** The cluster's bucket, and what hosts read from it. */
export interface Store {
  readonly bucket: S3Bucket;
  /** Objects that must exist before the user-data that refers to them. */
  readonly objects: readonly S3Object[];
  readonly grant: Grant;
}

interface StoreProps {
  readonly scripts: Archive;
  readonly release: Archive;
  readonly key: EncryptionKey | undefined;
  readonly logs: BucketLogs | undefined;
}

/** The roles whose hosts run the app, and therefore fetch its releases. */
const RELEASE_READERS: readonly Role[] = ["web"];

/**
 * S3 permits at most ten tags per object, but the settings forty, so objects have none.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
 */
export const UNTAGGED = { defaultTags: { tags: {} } } as const;

/**
 * Declares a private bucket for the archive of scripts, releases, and each host's user-data.
 *
 * Terraform only provides the first release, and the list with it; it does not revert the operator's later releases.
 */
export function declareStore(
  stack: TerraformStack,
  { clusterName }: Topology,
  { scripts, release, key, logs }: StoreProps,
): Store {
  const { bucket, ready } = declarePrivateBucket(stack, "store", {
    name: `${clusterName}-store`,
    // Everything in it is written again by a deploy or a release.
    forceDestroy: true,
    key,
    logs,
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
      dependsOn: [...ready],
    });
  };
  const objects = [
    // New scripts are uploaded before the user-data refers to them, and old ones are deleted last.
    upload("scripts", scripts, { createBeforeDestroy: true }),
    upload("first-release", release, { ignoreChanges: "all" }),
    new S3Object(stack, "release", {
      bucket: bucket.id,
      key: "release",
      content: `${release.sha256}\n`,
      contentType: "text/plain",
      overrideProvider: UNTAGGED,
      lifecycle: { ignoreChanges: "all" },
      dependsOn: [...ready],
    }),
  ];
  // Tells hosts the bucket's name, which is only known once it exists.
  const bucketParameter = new SsmParameter(stack, "store-bucket", {
    name: `/${clusterName}/bucket`,
    type: "String",
    insecureValue: bucket.id,
    description: "Where the hosts of this cluster find scripts, releases and their user-data",
    tags: { Name: `${clusterName}-bucket` },
  });
  const grant: Grant = (role) => [
    ...readingParameters(bucketParameter.arn),
    {
      Sid: "Objects",
      Effect: "Allow",
      Action: "s3:GetObject",
      Resource: [
        `${bucket.arn}/hosts/${role}-*/user-data`,
        `${bucket.arn}/scripts/*`,
        ...(RELEASE_READERS.includes(role)
          ? [`${bucket.arn}/release`, `${bucket.arn}/releases/*`]
          : []),
      ],
    },
    ...usingKey(key, "s3", "Decrypt"),
  ];
  return { bucket, objects, grant };
}
