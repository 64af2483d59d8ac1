import { DataResource } from "cdktf/lib/terraform-data-resource";
import { TerraformIterator } from "cdktf/lib/terraform-iterator";
import type { TerraformStack } from "cdktf/lib/terraform-stack";
import type { Host } from "../../hosts/host";
import type { ImageFacts } from "../../hosts/image";
import { PORTS } from "../../topology/ports";
import { machineOf } from "../../topology/roles";
import { hostsOf, type Topology } from "../../topology/topology";
import { onCreate, sha256, terraform, unfinished } from "./provisioners";
import type { Removables } from "./removables";

interface Surroundings {
  readonly hosts: readonly Host[];
  readonly project: string;
  readonly imageFacts: ImageFacts;
  readonly image: DataResource;
  readonly foundation: DataResource;
  readonly removables: Removables;
}

/** Declares every host: a container with its image, address, memory and user-data, and for a database its volume. */
export function declareHosts(
  stack: TerraformStack,
  topology: Topology,
  { hosts, project, imageFacts, image, foundation, removables }: Surroundings,
): void {
  const { network, settings } = topology;
  const [entrance] = hostsOf(topology, "load-balancer");
  new DataResource(stack, "configuration", {
    forEach: TerraformIterator.fromMap(
      Object.fromEntries(
        hosts.map(({ name, role, address, userData }) => [
          name,
          {
            role,
            address: `${address}/${network.prefixLength}`,
            memory: String(machineOf(settings, role).memory),
            user_data: sha256(userData),
            volume: role === "database" ? name : "",
            local_port: name === entrance?.name ? String(settings.localPort) : "",
          },
        ]),
      ),
    ),
    dependsOn: [image, foundation],
    triggersReplace: {
      host: terraform(`${removables.host.fqn}[each.key].id`),
      memory: terraform("each.value.memory"),
      user_data: terraform("each.value.user_data"),
      local_port: terraform("each.value.local_port"),
      unfinished: unfinished(project, terraform("each.key")),
    },
    provisioners: [
      onCreate(project, "host", {
        DWI_HOST: terraform("each.key"),
        DWI_ROLE: terraform("each.value.role"),
        DWI_ADDRESS: terraform("each.value.address"),
        DWI_GATEWAY: network.gateway,
        DWI_MEMORY: terraform("each.value.memory"),
        ...imageFacts,
        DWI_USER_DATA: `user-data/${terraform("each.key")}`,
        DWI_VOLUME: terraform("each.value.volume"),
        DWI_LOCAL_PORT: terraform("each.value.local_port"),
        DWI_PORT: String(PORTS.http),
      }),
    ],
  });
}
