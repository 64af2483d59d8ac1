import { DataResource } from "cdktf/lib/terraform-data-resource";
import type { TerraformStack } from "cdktf/lib/terraform-stack";
import type { ImageFacts } from "../../hosts/image";
import { onCreate, recipe, sha256, unfinished } from "./provisioners";

/** A script that image.sh runs, in addition to those in scripts/local. */
export const EMPTY_SERVER = "database/initialise.sh";

/** Declares the image that all hosts are created from. */
export function declareImage(
  stack: TerraformStack,
  { project, facts }: { project: string; facts: ImageFacts },
): DataResource {
  return new DataResource(stack, "image", {
    triggersReplace: {
      recipe: sha256(
        recipe(
          "local/image.sh",
          "local/image-sources.sh",
          "local/image-customize.sh",
          EMPTY_SERVER,
        ),
        ...Object.values(facts),
      ),
      unfinished: unfinished(project, "image"),
    },
    provisioners: [onCreate(project, "image", facts)],
  });
}
