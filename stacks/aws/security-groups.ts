import { DefaultSecurityGroup } from "@cdktf/provider-aws/lib/default-security-group";
import { SecurityGroup } from "@cdktf/provider-aws/lib/security-group";
import { VpcSecurityGroupEgressRule } from "@cdktf/provider-aws/lib/vpc-security-group-egress-rule";
import { VpcSecurityGroupIngressRule } from "@cdktf/provider-aws/lib/vpc-security-group-ingress-rule";
import type { TerraformStack } from "cdktf";
import { type Flow, VRRP_NUMBER } from "../../topology/flows";
import type { Group, Role } from "../../topology/roles";
import { rolesOf, type Topology } from "../../topology/topology";
import { ANYWHERE, type AwsNetwork } from "./network";

/** The security group of each role, and of each other group of hosts that flows name. */
export type SecurityGroups = ReadonlyMap<Role | Group, SecurityGroup>;

/** A group's description. Changing it would replace the group, so it contains nothing that may change. */
function description(end: Role | Group): string {
  return end === "voters" ? "Hosts that run etcd" : `Hosts of role ${end}`;
}

/**
 * Declares a security group for each end of a flow inside the cluster, with a rule for each flow that ends there and no
 * others.
 *
 * Rules refer to groups, not to addresses. AWS's DNS, time service, instance metadata and DHCP need no rule: security
 * groups do not filter them.
 * https://docs.aws.amazon.com/vpc/latest/userguide/vpc-security-groups.html
 */
export function declareSecurityGroups(
  stack: TerraformStack,
  topology: Topology,
  { vpc }: AwsNetwork,
): SecurityGroups {
  const { clusterName, flows, voters } = topology;
  // Every VPC has a default group, which permits traffic between its members and to the outside. It is unused; this removes
  // all of its rules.
  new DefaultSecurityGroup(stack, "unused", {
    vpcId: vpc.id,
    tags: { Name: `${clusterName}-unused` },
  });

  const ends: ReadonlyArray<Role | Group> = [
    ...rolesOf(topology),
    ...(voters.length > 0 ? (["voters"] as const) : []),
  ];
  const groups = new Map(
    ends.map((end) => [
      end,
      new SecurityGroup(stack, end, {
        name: `${clusterName}-${end}`,
        description: description(end),
        vpcId: vpc.id,
        tags: { Name: `${clusterName}-${end}` },
      }),
    ]),
  );
  const peer = (end: Flow["from"]) =>
    end === "internet"
      ? { cidrIpv4: ANYWHERE }
      : { referencedSecurityGroupId: (groups.get(end) as SecurityGroup).id };

  for (const { name, from, to, protocol, port, purpose } of flows) {
    const common = {
      ipProtocol: protocol === "vrrp" ? String(VRRP_NUMBER) : protocol,
      ...(port === undefined ? {} : { fromPort: port, toPort: port }),
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
