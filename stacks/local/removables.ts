import { DataResource } from "cdktf/lib/terraform-data-resource";
import { TerraformIterator } from "cdktf/lib/terraform-iterator";
import type { TerraformStack } from "cdktf/lib/terraform-stack";
import type { Host } from "../../hosts/host";
import { ENTRANCE, type LocalNames } from "../../topology/names";
import { entranceAddress } from "../../topology/publication";
import { volumeOf } from "../../topology/roles";
import type { Topology } from "../../topology/topology";
import { onDestroy, terraform } from "./provisioners";

/** The resources that represent the parts of a cluster that have to be removed. */
export interface Removables {
  readonly project: DataResource;
  readonly network: DataResource;
  /** Has an instance for each host. */
  readonly host: DataResource;
}

/**
 * Declares the resources that remove the project, its network, volumes and hosts: each does nothing when created, so it is
 * in Terraform's state before anything exists, and its destroy provisioner removes the part.
 *
 * Volumes and hosts are instances of one resource each (for_each): a destroy provisioner runs for a removed instance, but
 * not for a resource whose block has been removed.
 */
export function declareRemovables(
  stack: TerraformStack,
  topology: Topology,
  { names, hosts }: { names: LocalNames; hosts: readonly Host[] },
): Removables {
  /** Declares a resource that is replaced when its identity changes. */
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
      Object.fromEntries(
        hosts
          .filter(({ role }) => volumeOf(topology.settings, role) !== undefined)
          .map(({ name }) => [name, {}]),
      ),
    ),
    input: { project: names.project, name: terraform("each.key") },
    triggersReplace: { project: project.id },
    provisioners: [onDestroy("volume")],
  });
  const host = new DataResource(stack, "host", {
    forEach: TerraformIterator.fromMap(
      Object.fromEntries([
        ...hosts.map(({ name, role, address }) => [name, { role, address }] as const),
        ...(topology.floatingAddresses.size > 0
          ? ([[ENTRANCE, { role: ENTRANCE, address: entranceAddress(topology.network) }]] as const)
          : []),
      ]),
    ),
    dependsOn: [network],
    input: { project: names.project, name: terraform("each.key") },
    triggersReplace: {
      project: project.id,
      role: terraform("each.value.role"),
      address: terraform("each.value.address"),
      // So that a volume is destroyed after its host.
      volume: terraform(`try(${volume.fqn}[each.key].id, "")`),
    },
    provisioners: [onDestroy("host")],
  });
  return { project, network, host };
}
