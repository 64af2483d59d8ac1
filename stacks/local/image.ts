import { DataResource } from "cdktf/lib/terraform-data-resource";
import type { TerraformStack } from "cdktf/lib/terraform-stack";
import type { ImageFacts } from "../../hosts/image";
import { onCreate, recipe, sha256, unfinished } from "./provisioners";

/** What the image's recipe runs, besides the scripts of this machine. */
export const EMPTY_SERVER = "database/initialise.sh";

/** The image that all hosts start from. */
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
