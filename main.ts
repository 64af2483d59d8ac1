import clusters from "./cluster.config";
import { main } from "./stacks/stacks";

main(clusters, __dirname);
