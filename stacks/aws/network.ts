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

/** Everything outside the cluster. */
export const ANYWHERE = "0.0.0.0/0";

/** Where hosts can be placed. */
export interface AwsNetwork {
  readonly vpc: Vpc;
  /** The subnets by the topology's names. */
  readonly subnets: ReadonlyMap<string, Subnet>;
  /** The load balancer's public address, which outlives its host. */
  readonly visitorAddress: Eip;
  /** What must stand before a host can reach the internet, and fall only after it. */
  readonly egress: readonly ITerraformDependable[];
}

/**
 * The VPC: public subnets with the way in, private ones with a way out only.
 *
 * Each private zone has a route table of its own even with a single NAT gateway, so that going
 * from one gateway to one per zone, or back, changes routes and nothing else.
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
        // The one public address that is wanted is the Elastic IP.
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
        // Left to EC2, it may be one that a host is to have.
        privateIp: natAddress,
        tags: named(`nat-${zone}`),
        // A NAT gateway without a route to the internet is born failed.
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

  // Releases and user-data then come without NAT's price per gigabyte. The endpoint keeps AWS's
  // open policy: what a host may read is its role's matter, and package mirrors and the SSM
  // agent's own updates lie in S3 as well.
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
    tags: named("load-balancer"),
    dependsOn: [internetGateway],
  });

  return { vpc, subnets, visitorAddress, egress };
}
