import { Eip } from "@cdktf/provider-aws/lib/eip";
import { InternetGateway } from "@cdktf/provider-aws/lib/internet-gateway";
import { NatGateway } from "@cdktf/provider-aws/lib/nat-gateway";
import { Route } from "@cdktf/provider-aws/lib/route";
import { RouteTable } from "@cdktf/provider-aws/lib/route-table";
import { RouteTableAssociation } from "@cdktf/provider-aws/lib/route-table-association";
import { Subnet } from "@cdktf/provider-aws/lib/subnet";
import { Vpc } from "@cdktf/provider-aws/lib/vpc";
import { VpcEndpoint } from "@cdktf/provider-aws/lib/vpc-endpoint";
import type { ITerraformDependable, TerraformStack } from "cdktf";
import type { Topology } from "../../topology/topology";
import { nameOfVisitorAddress } from "./pair";

/** All IPv4 addresses. */
export const ANYWHERE = "0.0.0.0/0";

/** The network in which hosts are placed. */
export interface AwsNetwork {
  readonly vpc: Vpc;
  /** The subnets by the topology's names. */
  readonly subnets: ReadonlyMap<string, Subnet>;
  /** The visitors' address, which outlives the host that has it. */
  readonly visitorAddress: Eip;
  /** The resources that a host needs to reach the internet: created before it, and destroyed after it. */
  readonly egress: readonly ITerraformDependable[];
}

/**
 * Declares the VPC: public subnets, which are reachable from the internet, and private ones with egress only.
 *
 * Each private subnet has its own route table even with a single NAT gateway, so that a change of `natGateways` only
 * changes routes.
 */
export function declareNetwork(stack: TerraformStack, topology: Topology): AwsNetwork {
  const { clusterName, settings, network } = topology;
  const named = (suffix: string) => ({ Name: `${clusterName}-${suffix}` });

  const vpc = new Vpc(stack, "network", {
    cidrBlock: network.cidr,
    enableDnsSupport: true,
    enableDnsHostnames: true,
    tags: { Name: clusterName },
  });
  const internetGateway = new InternetGateway(stack, "internet", {
    vpcId: vpc.id,
    tags: named("internet"),
  });

  const subnets = new Map(
    network.subnets.map((subnet) => [
      subnet.name,
      new Subnet(stack, subnet.name, {
        vpcId: vpc.id,
        cidrBlock: subnet.cidr,
        availabilityZone: subnet.availabilityZone,
        // The only public addresses of hosts are Elastic IPs.
        mapPublicIpOnLaunch: false,
        tags: named(subnet.name),
      }),
    ]),
  );
  const subnetNamed = (name: string) => subnets.get(name) as Subnet;
  const publicSubnets = network.subnets.filter((subnet) => subnet.isPublic);
  const privateSubnets = network.subnets.filter((subnet) => !subnet.isPublic);

  const publicRoutes = new RouteTable(stack, "public-route-table", {
    vpcId: vpc.id,
    tags: named("public"),
  });
  const publicRoute = new Route(stack, "public-to-internet", {
    routeTableId: publicRoutes.id,
    destinationCidrBlock: ANYWHERE,
    gatewayId: internetGateway.id,
  });
  const egress: ITerraformDependable[] = [publicRoute];
  for (const { name } of publicSubnets) {
    egress.push(
      new RouteTableAssociation(stack, `${name}-routes`, {
        subnetId: subnetNamed(name).id,
        routeTableId: publicRoutes.id,
      }),
    );
  }

  const gatewayCount = settings.natGateways === "per-zone" ? publicSubnets.length : 1;
  const gateways = publicSubnets
    .slice(0, gatewayCount)
    .map(({ name, availabilityZone, natAddress }) => {
      const zone = availabilityZone.slice(-1);
      const address = new Eip(stack, `nat-${zone}-address`, {
        domain: "vpc",
        tags: named(`nat-${zone}`),
        dependsOn: [internetGateway],
      });
      return new NatGateway(stack, `nat-${zone}`, {
        allocationId: address.id,
        subnetId: subnetNamed(name).id,
        // Otherwise EC2 might choose an address that is reserved for a host.
        privateIp: natAddress,
        tags: named(`nat-${zone}`),
        // Creating a NAT gateway fails without a route to the internet.
        dependsOn: [publicRoute],
      });
    });

  const privateRoutes = privateSubnets.map(({ name }, index) => {
    const routes = new RouteTable(stack, `${name}-route-table`, {
      vpcId: vpc.id,
      tags: named(name),
    });
    const gateway = gateways[index % gateways.length] as NatGateway;
    egress.push(
      new Route(stack, `${name}-to-internet`, {
        routeTableId: routes.id,
        destinationCidrBlock: ANYWHERE,
        natGatewayId: gateway.id,
      }),
      new RouteTableAssociation(stack, `${name}-routes`, {
        subnetId: subnetNamed(name).id,
        routeTableId: routes.id,
      }),
    );
    return routes;
  });

  // With the endpoint, S3 traffic does not incur the NAT gateway's charge per gigabyte. It keeps AWS's open policy: IAM roles
  // limit what a host may read, and package mirrors and the SSM agent's updates are in S3 as well.
  const endpoint = new VpcEndpoint(stack, "s3", {
    vpcId: vpc.id,
    serviceName: `com.amazonaws.${settings.region}.s3`,
    vpcEndpointType: "Gateway",
    routeTableIds: [publicRoutes.id, ...privateRoutes.map((routes) => routes.id)],
    tags: named("s3"),
  });
  egress.push(endpoint);

  const visitorAddress = new Eip(stack, "visitor-address", {
    domain: "vpc",
    tags: { Name: nameOfVisitorAddress(topology) },
    dependsOn: [internetGateway],
  });

  return { vpc, subnets, visitorAddress, egress };
}
