import { Eip } from "@cdktf/provider-aws/lib/eip";
import { EipAssociation } from "@cdktf/provider-aws/lib/eip-association";
import type { NetworkInterface } from "@cdktf/provider-aws/lib/network-interface";
import type { ITerraformDependable, TerraformStack } from "cdktf";
import { partitionOf } from "../../topology/regions";
import { hostsOf, type Topology, type TopologyHost } from "../../topology/topology";
import type { Grant } from "./grant";

/** Tag `Name` of the visitors' address, by which load balancers find it (scripts/load-balancer/address/aws.sh). */
export function nameOfVisitorAddress({ clusterName }: Topology): string {
  return `${clusterName}-load-balancer`;
}

/**
 * Permission for two load balancers to move the visitors' address: only this address, and only to a network interface of
 * a load balancer of this cluster. DescribeAddresses cannot be restricted to a resource.
 * https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
 */
export function grantClaims(topology: Topology): Grant {
  const { clusterName, settings } = topology;
  const arn = (type: string) =>
    `arn:${partitionOf(settings.region)}:ec2:${settings.region}:*:${type}/*`;
  const tagged = (...names: string[]) => ({
    StringEquals: { "aws:ResourceTag/Cluster": clusterName, "aws:ResourceTag/Name": names },
  });
  const interfaces = hostsOf(topology, "load-balancer").map(({ name }) => `${clusterName}-${name}`);
  return (role) =>
    role !== "load-balancer" || topology.floatingAddresses.size === 0
      ? []
      : [
          {
            Sid: "FindAddress",
            Effect: "Allow",
            Action: "ec2:DescribeAddresses",
            Resource: "*",
          },
          {
            Sid: "ClaimAddress",
            Effect: "Allow",
            Action: "ec2:AssociateAddress",
            Resource: arn("elastic-ip"),
            Condition: tagged(nameOfVisitorAddress(topology)),
          },
          {
            Sid: "ClaimAddressHere",
            Effect: "Allow",
            Action: "ec2:AssociateAddress",
            Resource: arn("network-interface"),
            Condition: tagged(...interfaces),
          },
        ];
}

/**
 * Declares the public address over which one of two load balancers itself reaches the internet: it has the visitors' one
 * only while it holds it, and needs EC2's API to claim it.
 *
 * Not a NAT gateway: then the loss of the gateway would prevent a takeover.
 */
export function declareWayOut(
  stack: TerraformStack,
  { clusterName }: Topology,
  host: TopologyHost,
  networkInterface: NetworkInterface,
  egress: readonly ITerraformDependable[],
): EipAssociation {
  const address = new Eip(stack, `${host.name}-address`, {
    domain: "vpc",
    tags: { Name: `${clusterName}-${host.name}-out` },
    dependsOn: [...egress],
  });
  return new EipAssociation(stack, `${host.name}-address-association`, {
    allocationId: address.id,
    networkInterfaceId: networkInterface.id,
    privateIpAddress: host.address,
  });
}
