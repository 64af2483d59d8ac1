import { VRRP_NUMBER } from "../../../topology/flows";

/** One thing the emulator cannot do, and how the tests work around it in Terraform's terms. */
export interface Limit {
  readonly reason: string;
  /** Changes the stack for the emulator: merged over it by Terraform, as an override file. */
  readonly override?: (stack: SynthesizedStack) => Resources;
}

export type Resources = Record<string, Record<string, Record<string, unknown>>>;

export interface SynthesizedStack {
  readonly resource: Resources;
}

/**
 * What moto 5 cannot do. What is overridden here is still planned unchanged, by the test that
 * plans the stack without these overrides.
 */
export const LIMITS: Readonly<Record<string, Limit>> = {
  "conditions of a bucket's policy": {
    reason:
      "moto supports no condition but StringEquals, so its rule that denies requests without TLS denies every request",
    override: ({ resource }) => ({
      aws_s3_bucket_policy: mapValues(resource.aws_s3_bucket_policy, ({ policy }) => {
        const { Statement, ...rest } = JSON.parse(String(policy));
        const allowing = Statement.filter(({ Effect }: { Effect: string }) => Effect === "Allow");
        return { policy: JSON.stringify({ ...rest, Statement: allowing }) };
      }),
    }),
  },
  "descriptions of rules between security groups": {
    reason: "moto forgets them, so no plan after the first would be empty",
    override: (stack) =>
      ofRules(stack, (rule) =>
        "referenced_security_group_id" in rule ? { description: null } : undefined,
      ),
  },
  "rules of protocols without ports": {
    reason:
      "moto fails on them (HTTP 500) unless they name ports; EC2 takes -1, every port, for the same",
    override: (stack) =>
      ofRules(stack, ({ ip_protocol }) =>
        ip_protocol === String(VRRP_NUMBER) ? { from_port: -1, to_port: -1 } : undefined,
      ),
  },
  "the private address of a NAT gateway": {
    reason:
      "moto assigns an arbitrary one, so every plan after the first would replace the gateway; the unit tests check the address",
    override: ({ resource }) => ({
      aws_nat_gateway: mapValues(resource.aws_nat_gateway, () => ({ private_ip: null })),
    }),
  },
  "the key of a log group": {
    reason: "moto cannot give an existing group another one; the unit tests check the key",
    override: ({ resource }) => ({
      aws_cloudwatch_log_group: mapValues(resource.aws_cloudwatch_log_group, () => ({
        kms_key_id: null,
      })),
    }),
  },
  "parts of a replication rule": {
    reason:
      "moto forgets that deletions and objects under a key are copied, so no plan that reads the rule back would be empty; the unit tests check it",
  },
  "termination protection given at launch": {
    reason: "moto forgets it; the cluster here has it off, the protected one is only planned",
  },
  "commands through SSM": {
    reason:
      "moto runs none: it reports every command at once as successful without output, so operations are tested up to the command, and what hosts do with it on local hosts",
  },
  "interfaces of terminated instances": {
    reason:
      "moto leaves them attached, so the first destroy cannot delete them; the test deletes them as EC2 would let Terraform, and destroys again",
  },
  "resources of SSM permissions": {
    reason:
      "moto checks the policies for ssm:GetParameter on *, whichever parameter is meant; here the roles get that as well, and the unit tests check the policies",
  },
  "resources of a permission to associate an address": {
    reason:
      "moto checks the policies for ec2:AssociateAddress on *, whichever address is meant; here the load balancers get that as well, and the unit tests check the policy",
  },
  "the private address of an association": {
    reason:
      "moto associates an address with the first one of the interface, whichever was asked for; the unit tests check what is asked for",
  },
  "signatures of escaped URLs": {
    reason:
      "moto checks a signature against the URL with its escapes decoded, which is not what was signed; moto/sitecustomize.py makes it keep them",
  },
  "digests of bodies sent to S3": {
    reason:
      "moto checks that a digest was signed, not that the body matches it; between booted hosts and moto, aws-hosts/payload.ts does",
  },
  "conditions of an identity's policy": {
    reason:
      "moto ignores a statement whose condition is on an instance's tags; where operators are limited to their policy, they may also stop any instance",
  },
};

/** Overrides of the stack's security group rules. */
function ofRules(
  { resource }: SynthesizedStack,
  override: (rule: Record<string, unknown>) => Record<string, unknown> | undefined,
): Resources {
  const types = ["aws_vpc_security_group_ingress_rule", "aws_vpc_security_group_egress_rule"];
  return Object.fromEntries(types.map((type) => [type, mapValues(resource[type], override)]));
}

function mapValues<T>(
  record: Record<string, T> = {},
  map: (value: T) => Record<string, unknown> | undefined,
): Record<string, Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(record).flatMap(([key, value]) => {
      const mapped = map(value);
      return mapped === undefined ? [] : [[key, mapped]];
    }),
  );
}

/** Merges overrides of resources; for the same resource, the later one's arguments win. */
export function merged(earlier: Resources, later: Resources = {}): Resources {
  const all: Resources = structuredClone(earlier);
  for (const [type, resources] of Object.entries(later)) {
    for (const [name, config] of Object.entries(resources)) {
      all[type] = { ...all[type], [name]: { ...all[type]?.[name], ...config } };
    }
  }
  return all;
}

/** All overrides of {@link LIMITS}, as the content of one override file. */
export function overrides(stack: SynthesizedStack): { resource: Resources } {
  const resources = Object.values(LIMITS).map(({ override }) => override?.(stack) ?? {});
  return { resource: resources.reduce(merged, {}) };
}
