import { DataResource } from "cdktf/lib/terraform-data-resource";
import { TerraformIterator } from "cdktf/lib/terraform-iterator";
import type { TerraformStack } from "cdktf/lib/terraform-stack";
import type { Host } from "../../hosts/host";
import type { ImageFacts } from "../../hosts/image";
import { ENTRANCE, type LocalNames } from "../../topology/names";
import { entranceAddress, publishedInWords, publishedPorts } from "../../topology/publication";
import { machineOf, volumeOf } from "../../topology/roles";
import { floatingAddress, hostsOf, type Topology } from "../../topology/topology";
import { onCreate, recipe, sha256, terraform, unfinished } from "./provisioners";
import type { Removables } from "./removables";

interface Surroundings {
  readonly hosts: readonly Host[];
  readonly names: LocalNames;
  readonly imageFacts: ImageFacts;
  readonly image: DataResource;
  readonly foundation: DataResource;
  readonly removables: Removables;
}

/** Declares every host: a container with its image, address, memory and user-data, and its volume if it has one. */
export function declareHosts(
  stack: TerraformStack,
  topology: Topology,
  { hosts, names, imageFacts, image, foundation, removables }: Surroundings,
): void {
  const { network, settings } = topology;
  const { project } = names;
  const [loadBalancer] = hostsOf(topology, "load-balancer");
  const floating = floatingAddress(topology);
  const published = publishedInWords(publishedPorts(settings, topology.tls));
  const configuration = new DataResource(stack, "configuration", {
    forEach: TerraformIterator.fromMap(
      Object.fromEntries(
        hosts.map(({ name, role, address, userData }) => [
          name,
          {
            role,
            address: `${address}/${network.prefixLength}`,
            memory: String(machineOf(settings, role).memory),
            user_data: sha256(userData),
            volume: volumeOf(settings, role) === undefined ? "" : name,
            published: floating === undefined && name === loadBalancer?.name ? published : "",
          },
        ]),
      ),
    ),
    dependsOn: [image, foundation],
    triggersReplace: {
      host: terraform(`${removables.host.fqn}[each.key].id`),
      memory: terraform("each.value.memory"),
      user_data: terraform("each.value.user_data"),
      published: terraform("each.value.published"),
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
        DWI_PUBLISHED: terraform("each.value.published"),
        DWI_ENTRANCE: ENTRANCE,
      }),
    ],
  });
  if (floating === undefined) {
    return;
  }
  new DataResource(stack, "publication", {
    // Last: the load balancer that published the cluster so far does so until there are two.
    dependsOn: [configuration],
    triggersReplace: {
      host: terraform(`${removables.host.fqn}["${ENTRANCE}"].id`),
      recipe: recipe("local/publish.sh"),
      published,
      floating,
      unfinished: unfinished(project, ENTRANCE),
    },
    provisioners: [
      onCreate(project, "publish", {
        DWI_HOST: ENTRANCE,
        DWI_BRIDGE: names.bridge,
        DWI_ADDRESS: `${entranceAddress(topology.network)}/${network.prefixLength}`,
        ...imageFacts,
        DWI_PUBLISHED: published,
        DWI_FLOATING_ADDRESS: floating,
        DWI_BEFORE: loadBalancer?.name as string,
      }),
    ],
  });
}
