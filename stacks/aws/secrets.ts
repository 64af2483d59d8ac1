import { SsmParameter } from "@cdktf/provider-aws/lib/ssm-parameter";
import type { TerraformStack } from "cdktf";
import type { Topology } from "../../topology/topology";
import { type Grant, readingParameters } from "./grant";

/** Letters and digits, so that no shell, URL or SQL text has to quote it; about 285 bits. */
const SECRET_LENGTH = 48;

/**
 * The cluster's secrets: AWS makes each one, Terraform carries it from there into an encrypted
 * SSM parameter, and neither the state nor a plan ever holds it.
 *
 * The generator is an ephemeral block and the parameter's value a write-only argument. A new value
 * is generated at every run and thrown away again: it is written only when the version changes.
 * The key is the account's own `aws/ssm`, whose policy lets in whoever may read the parameter.
 */
export function declareSecrets(
  stack: TerraformStack,
  { clusterName, secrets, settings }: Topology,
): { grant: Grant } {
  const parameters = new Map(
    secrets.map(({ name, outlivesCluster = false }) => {
      // cdktf has no classes for ephemeral blocks.
      stack.addOverride(`ephemeral.aws_secretsmanager_random_password.${name}`, {
        password_length: SECRET_LENGTH,
        exclude_punctuation: true,
        include_space: false,
        require_each_included_type: true,
      });
      const parameter = new SsmParameter(stack, name, {
        name: `/${clusterName}/secrets/${name}`,
        type: "SecureString",
        valueWo: `\${ephemeral.aws_secretsmanager_random_password.${name}.random_password}`,
        valueWoVersion: 1,
        ...(outlivesCluster && settings.database.preventDestroy
          ? { lifecycle: { preventDestroy: true } }
          : {}),
        tags: { Name: `${clusterName}-${name}` },
      });
      return [name, parameter.arn];
    }),
  );
  const grant: Grant = (role) =>
    readingParameters(
      ...secrets
        .filter(({ readers }) => readers.includes(role))
        .map(({ name }) => parameters.get(name) as string),
    );
  return { grant };
}
