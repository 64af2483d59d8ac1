import { Option } from "commander";

/** The option of commands that bring up a scratch cluster. */
export const distributionOption = () =>
  new Option(
    "--distribution <name>",
    "the hosts' distribution, like the setting local.distribution",
  )
    .choices(["machine", "debian", "ubuntu"])
    .default("machine");
