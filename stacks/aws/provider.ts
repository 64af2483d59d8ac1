import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
import type { TerraformProvider, TerraformStack } from "cdktf";
import type { Topology } from "../../topology/topology";
import { requireTerraform } from "../terraform-version";

const defaultTags = ({ clusterName, settings }: Topology) => [
  { tags: { ...settings.tags, Cluster: clusterName, ManagedBy: "cdktf" } },
];

/** Declares the AWS provider, with the cluster's tags as default tags. */
export function declareProvider(stack: TerraformStack, topology: Topology): void {
  new AwsProvider(stack, "aws", {
    region: topology.settings.region,
    defaultTags: defaultTags(topology),
  });
  // Otherwise the bindings require the exact version that they were generated from.
  stack.addOverride("terraform.required_providers.aws.version", "~> 5.100");
  requireTerraform(stack);
}

/** Declares the provider of resources in another region, whose name is its alias. */
export function declareProviderOf(
  stack: TerraformStack,
  topology: Topology,
  region: string,
): TerraformProvider {
  return new AwsProvider(stack, `aws-${region}`, {
    alias: region,
    region,
    defaultTags: defaultTags(topology),
  });
}
