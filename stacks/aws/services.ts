import { partitionOf } from "../../topology/regions";

/**
 * A service's name in one region, as key policies and the condition `kms:ViaService` have it. In China it has the
 * partition's own domain.
 * https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service
 */
export function hostOfService(service: "logs" | "s3" | "ssm", region: string): string {
  const domain = partitionOf(region) === "aws-cn" ? "amazonaws.com.cn" : "amazonaws.com";
  return `${service}.${region}.${domain}`;
}
