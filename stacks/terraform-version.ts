import type { TerraformStack } from "cdktf/lib/terraform-stack";

/**
 * Makes Terraform check its own version: write-only arguments, which keep secrets out of the state, were introduced in
 * 1.11.
 */
export function requireTerraform(stack: TerraformStack): void {
  stack.addOverride("terraform.required_version", ">= 1.11.0");
}
