import { SsmParameter } from "@cdktf/provider-aws/lib/ssm-parameter";
import type { TerraformStack } from "cdktf";
import { BACKUP_PASSWORD, type Topology } from "../../topology/topology";
import { type EncryptionKey, usingKey } from "./encryption-key";
import { type Grant, readingParameters } from "./grant";

/** Letters and digits, which need no quoting in a shell, URL or SQL; about 285 bits of entropy. */
const SECRET_LENGTH = 48;

/**
 * Declares the cluster's secrets: AWS generates each one, and Terraform passes it on to an encrypted SSM parameter. Neither
 * the state nor a plan ever contains it.
 *
 * The generator is an ephemeral block, and the parameter's value is a write-only argument. A new value is generated in every
 * run, but only written when the version changes, which it never does: a rotation writes the parameter itself
 * (ops/platform/aws-secrets.ts), and a deploy must not put a former value back. Without a key of the cluster, the
 * account's `aws/ssm` encrypts it, which everyone who may read the parameter may use.
 */
export function declareSecrets(
  stack: TerraformStack,
  { clusterName, secrets, settings }: Topology,
  { key }: { key: EncryptionKey | undefined },
): { grant: Grant; backupPassword: string } {
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
        ...(key === undefined ? {} : { keyId: key.arn }),
        lifecycle: {
          ...(outlivesCluster && settings.database.preventDestroy ? { preventDestroy: true } : {}),
          // A change of the key would write the value anew, and so another one.
          ignoreChanges: ["key_id"],
        },
        tags: { Name: `${clusterName}-${name}` },
      });
      return [name, parameter.arn];
    }),
  );
  const grant: Grant = (role) => {
    const own = secrets.filter(({ readers }) => readers.includes(role));
    return own.length === 0
      ? []
      : [
          ...readingParameters(...own.map(({ name }) => parameters.get(name) as string)),
          ...usingKey(key, "ssm", "Decrypt"),
        ];
  };
  return { grant, backupPassword: parameters.get(BACKUP_PASSWORD) as string };
}
