import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
import type { TerraformStack } from "cdktf";
import type { Topology } from "../../topology/topology";
import { requireTerraform } from "../terraform-version";

/** Declares the AWS provider, with the cluster's tags as default tags. */
export function declareProvider(stack: TerraformStack, { clusterName, settings }: Topology): void {
  new AwsProvider(stack, "aws", {
    region: settings.region,
    defaultTags: [{ tags: { ...settings.tags, Cluster: clusterName, ManagedBy: "cdktf" } }],
  });
  // Otherwise the bindings require the exact version that they were generated from.
  stack.addOverride("terraform.required_providers.aws.version", "~> 5.100");
  requireTerraform(stack);
}
