import { DataResource } from "cdktf/lib/terraform-data-resource";
import { TerraformIterator } from "cdktf/lib/terraform-iterator";
import type { TerraformStack } from "cdktf/lib/terraform-stack";
import type { Host } from "../../hosts/host";
import type { LocalNames } from "../../topology/names";
import { hostsOf, type Topology } from "../../topology/topology";
import { onDestroy, terraform } from "./provisioners";

/** What stands for the parts of a cluster that will have to be removed. */
export interface Removables {
  readonly project: DataResource;
  readonly network: DataResource;
  /** An instance for each host. */
  readonly host: DataResource;
}

/**
 * The project, its network, volumes and hosts, as what is removed: each does nothing when created, so Terraform has it
 * in its state before anything is made, and its destroy provisioner removes the part.
 *
 * Volumes and hosts are instances of one resource each, not resources of their own: a destroy
 * provisioner runs for an instance that left, but not for a block that is no longer declared.
 */
export function declareRemovables(
  stack: TerraformStack,
  topology: Topology,
  { names, hosts }: { names: LocalNames; hosts: readonly Host[] },
): Removables {
  /** What it is replaced for is all that identifies it. */
  const removable = (part: string, identity: Record<string, string>, name = "") =>
    new DataResource(stack, part, {
      input: { project: names.project, name },
      triggersReplace: identity,
      provisioners: [onDestroy(part)],
    });
  const project = removable("project", { project: names.project });
  const network = removable(
    "network",
    { project: project.id, bridge: names.bridge, cidr: topology.network.cidr },
    names.bridge,
  );
  const volume = new DataResource(stack, "volume", {
    forEach: TerraformIterator.fromMap(
      Object.fromEntries(hostsOf(topology, "database").map(({ name }) => [name, {}])),
    ),
    input: { project: names.project, name: terraform("each.key") },
    triggersReplace: { project: project.id },
    provisioners: [onDestroy("volume")],
  });
  const host = new DataResource(stack, "host", {
    forEach: TerraformIterator.fromMap(
      Object.fromEntries(hosts.map(({ name, role, address }) => [name, { role, address }])),
    ),
    dependsOn: [network],
    input: { project: names.project, name: terraform("each.key") },
    triggersReplace: {
      project: project.id,
      role: terraform("each.value.role"),
      address: terraform("each.value.address"),
      // A volume goes only when its host is gone.
      volume: terraform(`try(${volume.fqn}[each.key].id, "")`),
    },
    provisioners: [onDestroy("host")],
  });
  return { project, network, host };
}
