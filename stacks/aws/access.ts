import { IamInstanceProfile } from "@cdktf/provider-aws/lib/iam-instance-profile";
import { IamRole } from "@cdktf/provider-aws/lib/iam-role";
import { IamRolePolicy } from "@cdktf/provider-aws/lib/iam-role-policy";
import type { ITerraformDependable, TerraformStack } from "cdktf";
import { type Partition, partitionOf } from "../../topology/regions";
import type { Role } from "../../topology/roles";
import { rolesOf, type Topology } from "../../topology/topology";
import { type Grant, merged, type Statement } from "./grant";

/** The permissions of a role's hosts. */
export interface RoleAccess {
  readonly profile: IamInstanceProfile;
  /** Must exist before a host makes its first request. */
  readonly policy: ITerraformDependable;
}

/**
 * The permissions that the SSM agent needs for sessions and commands.
 *
 * AWS's managed policy AmazonSSMManagedInstanceCore also allows `ssm:GetParameter` on all parameters, so with it the load
 * balancer could read the database's passwords. None of these actions can be restricted to a resource.
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
 * EC2's service principal. In China it has the partition's own domain.
 * https://docs.amazonaws.cn/en_us/aws/latest/userguide/iam.html
 */
const EC2: Readonly<Record<Partition, string>> = {
  aws: "ec2.amazonaws.com",
  "aws-cn": "ec2.amazonaws.com.cn",
  "aws-us-gov": "ec2.amazonaws.com",
};

const AGENT: Statement = { Sid: "Agent", Effect: "Allow", Action: AGENT_ACTIONS, Resource: "*" };

/** Declares an IAM role and instance profile for each role of the cluster, with least privilege. */
export function declareAccess(
  stack: TerraformStack,
  topology: Topology,
  grants: readonly Grant[],
): ReadonlyMap<Role, RoleAccess> {
  const { clusterName, settings } = topology;
  const policyOf = (role: Role) => ({
    Version: "2012-10-17",
    Statement: merged([AGENT, ...grants.flatMap((grant) => grant(role))]),
  });

  return new Map(
    rolesOf(topology).map((role) => {
      const iamRole = new IamRole(stack, `${role}-role`, {
        // IAM is global, so a cluster's name must be unique in the account.
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
