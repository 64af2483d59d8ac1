import { IamInstanceProfile } from "@cdktf/provider-aws/lib/iam-instance-profile";
import { IamRole } from "@cdktf/provider-aws/lib/iam-role";
import { IamRolePolicy } from "@cdktf/provider-aws/lib/iam-role-policy";
import type { ITerraformDependable, TerraformStack } from "cdktf";
import { type Partition, partitionOf } from "../../topology/regions";
import { ROLES, type Role } from "../../topology/roles";
import type { Topology } from "../../topology/topology";
import type { Backups } from "./backups";
import type { Secrets } from "./secrets";
import type { Store } from "./store";

/** What a role's hosts are allowed to do. */
export interface RoleAccess {
  readonly profile: IamInstanceProfile;
  /** What must stand before a host asks for anything. */
  readonly policy: ITerraformDependable;
}

/** The roles whose hosts run the app, and so fetch its releases. */
const RELEASE_READERS: readonly Role[] = ["web"];

/** The roles whose hosts keep backups. */
const BACKUP_KEEPERS: readonly Role[] = ["database"];

/**
 * What the SSM agent needs for sessions and commands.
 *
 * Not AWS's AmazonSSMManagedInstanceCore: that one allows `ssm:GetParameter` on everything, and so
 * the load balancer the database's passwords. None of these actions knows a narrower resource.
 * https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html
 */
const AGENT_ACTIONS = [
  "ec2messages:AcknowledgeMessage",
  "ec2messages:DeleteMessage",
  "ec2messages:FailMessage",
  "ec2messages:GetEndpoint",
  "ec2messages:GetMessages",
  "ec2messages:SendReply",
  "ssm:UpdateInstanceInformation",
  "ssmmessages:CreateControlChannel",
  "ssmmessages:CreateDataChannel",
  "ssmmessages:OpenControlChannel",
  "ssmmessages:OpenDataChannel",
];

/**
 * EC2's name as a principal. In China it is in the partition's own domain.
 * https://docs.amazonaws.cn/en_us/aws/latest/userguide/iam.html
 */
const EC2: Readonly<Record<Partition, string>> = {
  aws: "ec2.amazonaws.com",
  "aws-cn": "ec2.amazonaws.com.cn",
  "aws-us-gov": "ec2.amazonaws.com",
};

/** An IAM role and instance profile for each role of the cluster, with the least it needs. */
export function declareAccess(
  stack: TerraformStack,
  { clusterName, secrets: declared, settings }: Topology,
  { secrets, store, backups }: { secrets: Secrets; store: Store; backups: Backups },
): ReadonlyMap<Role, RoleAccess> {
  const { bucket, bucketParameter } = store;
  const policyOf = (role: Role) => ({
    Version: "2012-10-17",
    Statement: [
      { Sid: "Agent", Effect: "Allow", Action: AGENT_ACTIONS, Resource: "*" },
      {
        Sid: "Parameters",
        Effect: "Allow",
        Action: "ssm:GetParameter",
        Resource: [
          bucketParameter.arn,
          ...(BACKUP_KEEPERS.includes(role) ? [backups.bucketParameter.arn] : []),
          ...declared
            .filter(({ readers }) => readers.includes(role))
            .map(({ name }) => secrets.get(name)?.arn),
        ],
      },
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
      // https://restic.readthedocs.io/en/stable/080_examples.html#backing-up-to-an-s3-bucket-on-amazon
      ...(BACKUP_KEEPERS.includes(role)
        ? [
            {
              Sid: "Backups",
              Effect: "Allow",
              Action: ["s3:GetBucketLocation", "s3:ListBucket"],
              Resource: backups.bucket.arn,
            },
            {
              Sid: "BackupObjects",
              Effect: "Allow",
              Action: ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
              Resource: `${backups.bucket.arn}/*`,
            },
          ]
        : []),
    ],
  });

  return new Map(
    ROLES.map((role) => {
      const iamRole = new IamRole(stack, `${role}-role`, {
        // IAM is one for all regions: a cluster's name is unique in the account.
        name: `${clusterName}-${role}`,
        description: `Hosts of role ${role} of the cluster ${clusterName}`,
        assumeRolePolicy: JSON.stringify({
          Version: "2012-10-17",
          Statement: [
            {
              Effect: "Allow",
              Principal: { Service: EC2[partitionOf(settings.region)] },
              Action: "sts:AssumeRole",
            },
          ],
        }),
        tags: { Name: `${clusterName}-${role}` },
      });
      const policy = new IamRolePolicy(stack, `${role}-policy`, {
        name: "least",
        role: iamRole.id,
        policy: JSON.stringify(policyOf(role)),
      });
      const profile = new IamInstanceProfile(stack, `${role}-profile`, {
        name: `${clusterName}-${role}`,
        role: iamRole.name,
        tags: { Name: `${clusterName}-${role}` },
      });
      return [role, { profile, policy }];
    }),
  );
}
