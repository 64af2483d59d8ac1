import { DefaultSecurityGroup } from "@cdktf/provider-aws/lib/default-security-group";
import { SecurityGroup } from "@cdktf/provider-aws/lib/security-group";
import { VpcSecurityGroupEgressRule } from "@cdktf/provider-aws/lib/vpc-security-group-egress-rule";
import { VpcSecurityGroupIngressRule } from "@cdktf/provider-aws/lib/vpc-security-group-ingress-rule";
import type { TerraformStack } from "cdktf";
import { ROLES, type Role } from "../../topology/roles";
import type { Topology } from "../../topology/topology";
import { ANYWHERE, type AwsNetwork } from "./network";

/** The security group of each role. */
export type SecurityGroups = ReadonlyMap<Role, SecurityGroup>;

/**
 * Declares a security group for each role, with a rule for each end of each flow and no others.
 *
 * Rules refer to groups, not to addresses. AWS's DNS, time service, instance metadata and DHCP need no rule: security
 * groups do not filter them.
 * https://docs.aws.amazon.com/vpc/latest/userguide/vpc-security-groups.html
 */
export function declareSecurityGroups(
  stack: TerraformStack,
  { clusterName, flows }: Topology,
  { vpc }: AwsNetwork,
): SecurityGroups {
  // Every VPC has a default group, which permits traffic between its members and to the outside. It is unused; this removes
  // all of its rules.
  new DefaultSecurityGroup(stack, "unused", {
    vpcId: vpc.id,
    tags: { Name: `${clusterName}-unused` },
  });

  const groups = new Map(
    ROLES.map((role) => [
      role,
      new SecurityGroup(stack, role, {
        name: `${clusterName}-${role}`,
        // Changing the description would replace the group, so it contains nothing that may change.
        description: `Hosts of role ${role}`,
        vpcId: vpc.id,
        tags: { Name: `${clusterName}-${role}` },
      }),
    ]),
  );
  const peer = (end: Role | "internet") =>
    end === "internet"
      ? { cidrIpv4: ANYWHERE }
      : { referencedSecurityGroupId: (groups.get(end) as SecurityGroup).id };

  for (const { name, from, to, protocol, port, purpose } of flows) {
    const common = {
      ipProtocol: protocol,
      fromPort: port,
      toPort: port,
      description: purpose,
      tags: { Name: `${clusterName}-${name}` },
    };
    if (from !== "internet") {
      new VpcSecurityGroupEgressRule(stack, `${name}-out`, {
        ...common,
        ...peer(to),
        securityGroupId: (groups.get(from) as SecurityGroup).id,
      });
    }
    if (to !== "internet") {
      new VpcSecurityGroupIngressRule(stack, `${name}-in`, {
        ...common,
        ...peer(from),
        securityGroupId: (groups.get(to) as SecurityGroup).id,
      });
    }
  }
  return groups;
}
