import { TerraformStack } from "cdktf";
import type { Construct } from "constructs";
import { renderHosts } from "../hosts/render";
import type { Topology } from "../topology/topology";
import { declareAccess } from "./aws/access";
import { declareHosts } from "./aws/hosts";
import { declareNetwork } from "./aws/network";
import { declareOutputs } from "./aws/outputs";
import { declareProvider } from "./aws/provider";
import { declareReleases } from "./aws/releases";
import { declareSecrets } from "./aws/secrets";
import { declareSecurityGroups } from "./aws/security-groups";
import type { Release } from "./release";
import { keepState } from "./state";

export interface AwsStackProps {
  readonly topology: Topology;
  /** The app's archive, already built: it is uploaded to the cluster's bucket. */
  readonly release: Release;
}

/** A cluster on EC2. Everything in it is named after the cluster, so several stand side by side. */
export class AwsStack extends TerraformStack {
  constructor(scope: Construct, id: string, { topology, release }: AwsStackProps) {
    super(scope, id);
    const hosts = renderHosts(topology, { platform: "aws", release: release.sha256 });

    keepState(this, topology);
    declareProvider(this, topology);
    const network = declareNetwork(this, topology);
    const securityGroups = declareSecurityGroups(this, topology, network);
    const secrets = declareSecrets(this, topology);
    const releases = declareReleases(this, topology, release);
    const access = declareAccess(this, topology, { secrets, releases });
    const placed = declareHosts(this, topology, {
      hosts,
      network,
      securityGroups,
      releases,
      access,
    });
    declareOutputs(this, topology, { network, releases, placed });
  }
}
