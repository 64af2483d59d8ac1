import { HISTORY_FAULTS } from "../../drill/history/faults";
import { table } from "./markdown";

const capitalised = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;

/** The faults of the history check, and the parts of the cluster that each takes away. */
export function historyFaultTable(): string {
  return table(
    [
      "Fault",
      "What it takes away",
      "Only with automatic failover",
      "Also in the minute of the tests",
    ],
    HISTORY_FAULTS.map(({ what, takes, automatic, short }) => [
      capitalised(what),
      takes.join(", "),
      automatic === true ? "yes" : "",
      short === true ? "yes" : "",
    ]),
  );
}
