import { readFileSync } from "node:fs";
import { PROJECT } from "../../hosts/project";
import { main } from "../../stacks/stacks";

// main.ts with the settings of a test: the file CLUSTERS names, instead of cluster.config.ts.

main(JSON.parse(readFileSync(process.env.CLUSTERS ?? "clusters.json", "utf8")), PROJECT);
