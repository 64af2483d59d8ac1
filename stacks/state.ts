import { LocalBackend } from "cdktf/lib/backends/local-backend";
import { S3Backend } from "cdktf/lib/backends/s3-backend";
import type { TerraformStack } from "cdktf/lib/terraform-stack";
import type { Topology } from "../topology/topology";

/**
 * Keeps a stack's state in a file beside cdktf.json. The path is relative to the stack's folder,
 * three levels below: cdktf's own default would write this machine's path into the stack.
 */
export function keepStateInFile(stack: TerraformStack): void {
  new LocalBackend(stack, { path: `../../../terraform.${stack.node.id}.tfstate` });
}

/**
 * Keeps a stack's state where `settings.backend` says.
 *
 * In S3 the key is `<cluster>/<stack>.tfstate`, and the lock is S3's own (a conditional write,
 * Terraform 1.10 and newer), so no DynamoDB table is needed.
 */
export function keepState(stack: TerraformStack, { clusterName, settings }: Topology): void {
  if (settings.backend.type === "local") {
    keepStateInFile(stack);
    return;
  }
  new S3Backend(stack, {
    bucket: settings.backend.bucket,
    region: settings.backend.region,
    key: `${clusterName}/${stack.node.id}.tfstate`,
    encrypt: true,
  });
  // S3Backend of cdktf 0.21 is older than the argument.
  stack.addOverride("terraform.backend.s3.use_lockfile", true);
}
