/**
 * Escapes text for Terraform, so that the template sequences `${` and `%{` are literal.
 * https://developer.hashicorp.com/terraform/language/expressions/strings
 */
export function literal(text: string): string {
  return text.replace(/[$%](?=\{)/g, "$&$&");
}
