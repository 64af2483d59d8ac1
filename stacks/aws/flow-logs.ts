import { CloudwatchLogGroup } from "@cdktf/provider-aws/lib/cloudwatch-log-group";
import { FlowLog } from "@cdktf/provider-aws/lib/flow-log";
import { IamRole } from "@cdktf/provider-aws/lib/iam-role";
import { IamRolePolicy } from "@cdktf/provider-aws/lib/iam-role-policy";
import type { TerraformStack } from "cdktf";
import type { Topology } from "../../topology/topology";
import type { EncryptionKey } from "./encryption-key";
import { assumedBy } from "./grant";
import type { AwsNetwork } from "./network";

/** What EC2 calls the connections that the settings ask to log. */
const TRAFFIC_TYPE = { rejected: "REJECT", all: "ALL" } as const;

/**
 * Declares the log of the connections to and from every network interface of the VPC, in CloudWatch Logs, unless the
 * settings ask for none. EC2 writes it with a role of its own, which can do nothing else.
 * https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
 */
export function declareFlowLogs(
  stack: TerraformStack,
  { clusterName, settings }: Topology,
  {
    accountId,
    network,
    key,
  }: { accountId: string; network: AwsNetwork; key: EncryptionKey | undefined },
): void {
  const { flowLogs, keepLogsDays } = settings.aws;
  if (flowLogs === "none") {
    return;
  }
  const tags = { Name: `${clusterName}-flow-logs` };
  const group = new CloudwatchLogGroup(stack, "flow-logs-group", {
    name: `/${clusterName}/flow-logs`,
    retentionInDays: keepLogsDays,
    ...(key === undefined ? {} : { kmsKeyId: key.arn }),
    tags,
  });
  const role = new IamRole(stack, "flow-logs-role", {
    name: `${clusterName}-flow-logs`,
    description: `Writes the flow logs of the cluster ${clusterName}`,
    assumeRolePolicy: assumedBy("vpc-flow-logs.amazonaws.com", accountId),
    tags,
  });
  const policy = new IamRolePolicy(stack, "flow-logs-policy", {
    name: "least",
    role: role.id,
    policy: JSON.stringify({
      Version: "2012-10-17",
      Statement: [
        {
          Sid: "Write",
          Effect: "Allow",
          Action: ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
          Resource: [group.arn, `${group.arn}:*`],
        },
        // Cannot be restricted to one group.
        { Sid: "Find", Effect: "Allow", Action: "logs:DescribeLogGroups", Resource: "*" },
      ],
    }),
  });
  new FlowLog(stack, "flow-logs", {
    vpcId: network.vpc.id,
    trafficType: TRAFFIC_TYPE[flowLogs],
    logDestination: group.arn,
    iamRoleArn: role.arn,
    tags,
    dependsOn: [policy],
  });
}
