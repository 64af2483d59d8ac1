import { DataAwsCallerIdentity } from "@cdktf/provider-aws/lib/data-aws-caller-identity";
import { TerraformStack } from "cdktf";
import type { Construct } from "constructs";
import type { Archive } from "../archives/archive";
import { renderHosts } from "../hosts/render";
import type { Topology } from "../topology/topology";
import { declareAccess } from "./aws/access";
import { declareBackups } from "./aws/backups";
import { declareBucketLogs } from "./aws/bucket-logs";
import { declareEncryptionKey } from "./aws/encryption-key";
import { declareFlowLogs } from "./aws/flow-logs";
import { declareHosts } from "./aws/hosts";
import { declareNetwork } from "./aws/network";
import { declareOutputs } from "./aws/outputs";
import { grantClaims } from "./aws/pair";
import { declareProvider } from "./aws/provider";
import { declareSecrets } from "./aws/secrets";
import { declareSecurityGroups } from "./aws/security-groups";
import { declareStore } from "./aws/store";
import { keepState } from "./state";

export interface AwsStackProps {
  readonly topology: Topology;
  /** The archive of scripts that hosts run. */
  readonly scripts: Archive;
  /** The cluster's first release. Operators release later ones. */
  readonly release: Archive;
}

/** A cluster on EC2. All names contain the cluster's name, so several clusters can coexist. */
export class AwsStack extends TerraformStack {
  constructor(scope: Construct, id: string, { topology, scripts, release }: AwsStackProps) {
    super(scope, id);
    const hosts = renderHosts(topology, { platform: "aws", scripts: scripts.sha256 });

    keepState(this, topology);
    declareProvider(this, topology);
    const { accountId } = new DataAwsCallerIdentity(this, "account");
    const key = declareEncryptionKey(this, topology, { accountId });
    const network = declareNetwork(this, topology);
    declareFlowLogs(this, topology, { accountId, network, key });
    const securityGroups = declareSecurityGroups(this, topology, network);
    const secrets = declareSecrets(this, topology, { key });
    const logs = declareBucketLogs(this, topology, { accountId });
    const store = declareStore(this, topology, { scripts, release, key, logs });
    const password = secrets.backupPassword;
    const backups = declareBackups(this, topology, { accountId, key, logs, password });
    const access = declareAccess(this, topology, [
      store.grant,
      backups.grant,
      secrets.grant,
      grantClaims(topology),
    ]);
    const placed = declareHosts(this, topology, {
      hosts,
      network,
      securityGroups,
      store,
      access,
      key,
    });
    declareOutputs(this, topology, { network, store, placed });
  }
}
