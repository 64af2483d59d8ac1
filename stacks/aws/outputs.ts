import { TerraformOutput, type TerraformStack } from "cdktf";
import { hasTls, siteNames } from "../../topology/tls";
import type { Topology } from "../../topology/topology";
import type { PlacedHost } from "./hosts";
import type { AwsNetwork } from "./network";
import type { Store } from "./store";

interface Deployed {
  readonly network: AwsNetwork;
  readonly store: Store;
  readonly placed: readonly PlacedHost[];
}

/** Declares the outputs for the operator. None of them is secret. */
export function declareOutputs(
  stack: TerraformStack,
  topology: Topology,
  { network, store, placed }: Deployed,
): void {
  const { settings } = topology;
  const output = (id: string, description: string, value: unknown) =>
    new TerraformOutput(stack, id, { value, description, staticId: true });
  const byHost = (value: (placed: PlacedHost) => unknown) =>
    Object.fromEntries(placed.map((one) => [one.host.name, value(one)]));

  output("url", "Address of the site", `http://${network.visitorAddress.publicIp}`);
  if (hasTls(topology)) {
    const [domain] = siteNames(settings, topology.tls);
    output(
      "tls_url",
      "Address of the site over TLS",
      `https://${domain ?? network.visitorAddress.publicIp}`,
    );
  } else {
    output(
      "notice",
      "What visitors do not get",
      "Visitors are served in plain text. For TLS set domain, and point its DNS record to the address in url.",
    );
  }
  output("region", "Region of the cluster", settings.region);
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
    "Command that opens a shell on each host",
    byHost(
      ({ instance }) => `aws ssm start-session --region ${settings.region} --target ${instance.id}`,
    ),
  );
  output("bucket", "Bucket for scripts, releases, and the user-data of each host", store.bucket.id);
}
