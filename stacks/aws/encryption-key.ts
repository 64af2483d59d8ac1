import { KmsKey } from "@cdktf/provider-aws/lib/kms-key";
import type { TerraformProvider, TerraformStack } from "cdktf";
import type { Topology } from "../../topology/topology";
import type { Statement } from "./grant";
import { hostOfService } from "./services";

/** A key of the cluster, in one region. */
export interface EncryptionKey {
  readonly arn: string;
  readonly region: string;
}

interface EncryptionKeyProps {
  readonly accountId: string;
  /** The region's provider; by default the cluster's own. */
  readonly elsewhere?: { readonly region: string; readonly provider: TerraformProvider };
}

/** The construct of the key in the cluster's region, or of the one in the region of copies. */
const idIn = (copyRegion?: string) =>
  copyRegion === undefined ? "encryption-key" : `copies-${copyRegion}-encryption-key`;

/**
 * Declares a KMS key in one region, if the settings ask for one. AWS replaces its material once a year.
 *
 * If the settings no longer ask for it, Terraform forgets the key and does not delete it: volumes, snapshots and objects
 * that were encrypted with it could not be read any more.
 *
 * @returns `undefined` if AWS's own keys are used
 */
export function declareEncryptionKey(
  stack: TerraformStack,
  { clusterName, settings }: Topology,
  { accountId, elsewhere }: EncryptionKeyProps,
): EncryptionKey | undefined {
  const region = elsewhere?.region ?? settings.region;
  if (settings.aws.encryptionKey === "aws-managed") {
    const { copyRegion } = settings.backup;
    const forgotten = [idIn(), ...(copyRegion === undefined ? [] : [idIn(copyRegion)])];
    // cdktf has no classes for these blocks. https://developer.hashicorp.com/terraform/language/block/removed
    stack.addOverride(
      "removed",
      forgotten.map((id) => ({
        from: `${KmsKey.tfResourceType}.${id}`,
        lifecycle: { destroy: false },
      })),
    );
    return undefined;
  }
  const key = new KmsKey(stack, idIn(elsewhere?.region), {
    description: `Data of the cluster ${clusterName}`,
    enableKeyRotation: true,
    deletionWindowInDays: 30,
    policy: JSON.stringify({
      Version: "2012-10-17",
      Statement: [
        {
          // Without this, IAM policies of the account would allow nothing on the key, and nobody could manage it.
          // https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
          Sid: "Account",
          Effect: "Allow",
          Principal: { AWS: accountId },
          Action: "kms:*",
          Resource: "*",
        },
        {
          // https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
          Sid: "Logs",
          Effect: "Allow",
          Principal: { Service: hostOfService("logs", region) },
          Action: [
            "kms:Decrypt*",
            "kms:Describe*",
            "kms:Encrypt*",
            "kms:GenerateDataKey*",
            "kms:ReEncrypt*",
          ],
          Resource: "*",
          Condition: {
            ArnLike: {
              "kms:EncryptionContext:aws:logs:arn": `arn:*:logs:${region}:${accountId}:log-group:/${clusterName}/*`,
            },
          },
        },
      ],
    }),
    tags: { Name: elsewhere === undefined ? clusterName : `${clusterName}-copies` },
    lifecycle: { preventDestroy: settings.database.preventDestroy },
    ...(elsewhere === undefined ? {} : { provider: elsewhere.provider }),
  });
  return { arn: key.arn, region };
}

/**
 * Permission to use a key for what a service stores, through that service only. Empty without a key: AWS's own keys need
 * none.
 *
 * @param action what KMS is asked for: `Decrypt` to read, `GenerateDataKey` to write, `Encrypt` to write what S3 copies
 */
export function usingKey(
  key: EncryptionKey | undefined,
  service: "s3" | "ssm",
  action: "Decrypt" | "Encrypt" | "GenerateDataKey",
): Statement[] {
  return key === undefined
    ? []
    : [
        {
          Sid: `${action}In${service.toUpperCase()}`,
          Effect: "Allow",
          Action: `kms:${action}`,
          Resource: key.arn,
          Condition: { StringEquals: { "kms:ViaService": hostOfService(service, key.region) } },
        },
      ];
}
