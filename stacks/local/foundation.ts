import { DataResource } from "cdktf/lib/terraform-data-resource";
import type { TerraformStack } from "cdktf/lib/terraform-stack";
import type { Archive } from "../../archives/archive";
import { backupDirectory, type LocalNames } from "../../topology/names";
import { ROLES } from "../../topology/roles";
import type { Topology } from "../../topology/topology";
import { onCreate, recipe, unfinished } from "./provisioners";
import type { Removables } from "./removables";

/** The facts for scripts/local/foundation.sh in addition to the project; the script documents each one. */
export type FoundationFacts = Readonly<
  Record<
    | "DWI_BRIDGE"
    | "DWI_GATEWAY"
    | "DWI_ROLES"
    | "DWI_SECRETS"
    | "DWI_KEPT_SECRETS"
    | "DWI_BACKUPS"
    | "DWI_SCRIPTS"
    | "DWI_RELEASE",
    string
  >
>;

interface Surroundings {
  readonly names: LocalNames;
  readonly removables: Removables;
  readonly scripts: Archive;
  readonly release: Archive;
}

/** Declares what hosts need: the project, the network, profiles, secrets, and the folders of archives and backups. */
export function declareFoundation(
  stack: TerraformStack,
  { network, secrets, settings }: Topology,
  { names: { project, bridge }, removables, scripts, release }: Surroundings,
): DataResource {
  const gateway = `${network.gateway}/${network.prefixLength}`;
  const readers = secrets.map(({ name, readers }) => `${name}=${readers.join(",")}`).join(" ");
  const backups = backupDirectory(settings);
  return new DataResource(stack, "foundation", {
    dependsOn: [removables.project, removables.network],
    triggersReplace: {
      network: removables.network.id,
      recipe: recipe("local/foundation.sh"),
      gateway,
      secrets: readers,
      backups,
      scripts: scripts.sha256,
      unfinished: unfinished(project, "foundation"),
    },
    provisioners: [
      onCreate(project, "foundation", {
        DWI_BRIDGE: bridge,
        DWI_GATEWAY: gateway,
        DWI_ROLES: ROLES.join(" "),
        DWI_SECRETS: readers,
        DWI_KEPT_SECRETS: secrets
          .filter(({ outlivesCluster }) => outlivesCluster)
          .map(({ name }) => name)
          .join(" "),
        DWI_BACKUPS: backups,
        DWI_SCRIPTS: scripts.name,
        DWI_RELEASE: release.name,
      } satisfies FoundationFacts),
    ],
  });
}
