import { TerraformOutput, type TerraformStack } from "cdktf";
import type { Topology } from "../../topology/topology";
import type { PlacedHost } from "./hosts";
import type { AwsNetwork } from "./network";
import type { Store } from "./store";

interface Deployed {
  readonly network: AwsNetwork;
  readonly store: Store;
  readonly placed: readonly PlacedHost[];
}

/** What an operator wants to know after a deploy; nothing of it is secret. */
export function declareOutputs(
  stack: TerraformStack,
  { settings }: Topology,
  { network, store, placed }: Deployed,
): void {
  const output = (id: string, description: string, value: unknown) =>
    new TerraformOutput(stack, id, { value, description, staticId: true });
  const byHost = (value: (placed: PlacedHost) => unknown) =>
    Object.fromEntries(placed.map((one) => [one.host.name, value(one)]));

  output("url", "Where the cluster serves", `http://${network.visitorAddress.publicIp}`);
  output("region", "Where the cluster stands", settings.region);
  output(
    "addresses",
    "Private address of each host",
    byHost(({ host }) => host.address),
  );
  output(
    "instances",
    "EC2 instance of each host",
    byHost(({ instance }) => instance.id),
  );
  output(
    "sessions",
    "How to open a shell on each host",
    byHost(
      ({ instance }) => `aws ssm start-session --region ${settings.region} --target ${instance.id}`,
    ),
  );
  output("bucket", "Scripts, releases, and the user-data of each host", store.bucket.id);
}
