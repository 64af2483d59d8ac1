import type { TerraformStack } from "cdktf/lib/terraform-stack";

/**
 * Has Terraform itself refuse a version that is too old: write-only arguments, which keep secrets
 * out of the state, came with 1.11.
 */
export function requireTerraform(stack: TerraformStack): void {
  stack.addOverride("terraform.required_version", ">= 1.11.0");
}
