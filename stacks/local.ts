import { TerraformStack } from "cdktf/lib/terraform-stack";
import type { Construct } from "constructs";
import type { Archive } from "../archives/archive";
import { imageFacts, packagesOf } from "../hosts/image";
import { renderHosts } from "../hosts/render";
import { localNames } from "../topology/names";
import type { Topology } from "../topology/topology";
import { declareFiles } from "./local/files";
import { declareFoundation } from "./local/foundation";
import { declareHosts } from "./local/hosts";
import { declareImage } from "./local/image";
import { declareOutputs } from "./local/outputs";
import { declareRemovables } from "./local/removables";
import { keepStateInFile } from "./state";
import { requireTerraform } from "./terraform-version";

export interface LocalStackProps {
  readonly topology: Topology;
  /** The archive of scripts that hosts run. */
  readonly scripts: Archive;
  /** The cluster's first release. Operators release later ones. */
  readonly release: Archive;
}

/**
 * A cluster of Incus containers on this machine, built from Terraform's built-in `terraform_data` only.
 *
 * Each part consists of two resources. One represents what has to be removed (`project`, `network`, `volume`, `host`): it
 * does nothing when created, so it is in Terraform's state before anything exists, and its destroy provisioner removes the
 * part. The other (`image`, `foundation`, `configuration`) creates things and does nothing when destroyed: if creating
 * fails, Terraform replaces only this resource, so no volume or host is lost to a transient error.
 *
 * Terraform records a resource as created before its provisioner has run, so a killed provisioner would never run again.
 * The trigger `unfinished` prevents that: see scripts/local/lib.sh.
 */
export class LocalStack extends TerraformStack {
  constructor(scope: Construct, id: string, { topology, scripts, release }: LocalStackProps) {
    super(scope, id);
    const { clusterName, settings } = topology;
    const hosts = renderHosts(topology, { platform: "local", scripts: scripts.sha256 });
    const names = localNames(clusterName);
    const { project } = names;
    const facts = imageFacts(packagesOf(hosts), settings.local);

    keepStateInFile(this);
    requireTerraform(this);
    declareFiles(this, { hosts, archives: [scripts, release] });
    const removables = declareRemovables(this, topology, { names, hosts });
    const image = declareImage(this, { project, facts });
    const foundation = declareFoundation(this, topology, { names, removables, scripts, release });
    declareHosts(this, topology, {
      hosts,
      names,
      imageFacts: facts,
      image,
      foundation,
      removables,
    });
    declareOutputs(this, topology);
  }
}
