import { LocalBackend } from "cdktf/lib/backends/local-backend";
import { S3Backend } from "cdktf/lib/backends/s3-backend";
import type { TerraformStack } from "cdktf/lib/terraform-stack";
import type { Topology } from "../topology/topology";

/**
 * Stores a stack's state in a file beside cdktf.json. The path is relative to the stack's folder, three levels below:
 * cdktf's default is an absolute path, which would make the stack depend on this machine.
 */
export function keepStateInFile(stack: TerraformStack): void {
  new LocalBackend(stack, { path: `../../../terraform.${stack.node.id}.tfstate` });
}

/**
 * Stores a stack's state as set by `settings.backend`.
 *
 * In S3, the key is `<cluster>/<stack>.tfstate`. The lock is native to S3 (a conditional write, since Terraform 1.10), so no
 * DynamoDB table is needed.
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
  // cdktf 0.21's S3Backend does not have this argument.
  stack.addOverride("terraform.backend.s3.use_lockfile", true);
}
