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
import { type Grant, readingParameters } from "./grant";
import { declarePrivateBucket } from "./private-bucket";

/** The cluster's bucket, and what hosts read from it. */
export interface Store {
  readonly bucket: S3Bucket;
  /** What has to be there before a host is told of it. */
  readonly objects: readonly S3Object[];
  readonly grant: Grant;
}

/** The roles whose hosts run the app, and so fetch its releases. */
const RELEASE_READERS: readonly Role[] = ["web"];

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
  const { bucket, versioning } = declarePrivateBucket(stack, "store", {
    clusterName,
    // It holds nothing but what the next deploy or release writes again.
    forceDestroy: true,
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
  // Hosts find the bucket's name in it, known only after it is made.
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
  ];
  return { bucket, objects, grant };
}
