/**
 * Text that Terraform is to take as it is: what opens a template, `${` and `%{`, is doubled.
 * https://developer.hashicorp.com/terraform/language/expressions/strings
 */
export function literal(text: string): string {
  return text.replace(/[$%](?=\{)/g, "$&$&");
}
