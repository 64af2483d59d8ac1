import { TerraformOutput } from "cdktf/lib/terraform-output";
import type { TerraformStack } from "cdktf/lib/terraform-stack";
import { localUrls } from "../../topology/publication";
import type { Topology } from "../../topology/topology";

/** Declares the outputs for the operator. */
export function declareOutputs(stack: TerraformStack, { hosts, settings, tls }: Topology): void {
  const [url, tlsUrl] = localUrls(settings, tls);
  new TerraformOutput(stack, "url", { value: url });
  if (tlsUrl !== undefined) {
    new TerraformOutput(stack, "tls_url", { value: tlsUrl });
  }
  new TerraformOutput(stack, "hosts", {
    value: Object.fromEntries(hosts.map(({ name, address }) => [name, address])),
  });
}
