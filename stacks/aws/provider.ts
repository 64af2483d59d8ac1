import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
import type { TerraformStack } from "cdktf";
import type { Topology } from "../../topology/topology";
import { requireTerraform } from "../terraform-version";

/** The AWS provider; what it makes carries the cluster's tags without being told. */
export function declareProvider(stack: TerraformStack, { clusterName, settings }: Topology): void {
  new AwsProvider(stack, "aws", {
    region: settings.region,
    defaultTags: [{ tags: { ...settings.tags, Cluster: clusterName, ManagedBy: "cdktf" } }],
  });
  // The bindings ask for exactly the version they were generated from.
  stack.addOverride("terraform.required_providers.aws.version", "~> 5.100");
  requireTerraform(stack);
}
