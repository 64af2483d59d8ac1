import { TerraformOutput } from "cdktf/lib/terraform-output";
import type { TerraformStack } from "cdktf/lib/terraform-stack";
import type { Topology } from "../../topology/topology";

/** Declares the outputs for the operator. */
export function declareOutputs(stack: TerraformStack, { hosts, settings }: Topology): void {
  new TerraformOutput(stack, "url", { value: `http://127.0.0.1:${settings.localPort}/` });
  new TerraformOutput(stack, "hosts", {
    value: Object.fromEntries(hosts.map(({ name, address }) => [name, address])),
  });
}
