import { DOES, PARTS } from "../../agent/decide";
import { table } from "./markdown";

/** The decisions of a database host, as tables: one for each kind of host, rules in evaluation order. */
export function decisionTables(): string {
  return PARTS.map(({ title, when: forWhom, rules }) =>
    [
      `### ${title}`,
      ...forWhom.map(({ says }) => `Applies if ${says}.`),
      table(
        ["If all of this holds", "Decision", "Action"],
        rules.map(({ when, decision }) => [
          when.map(({ says }) => says).join("; ") || "otherwise",
          `\`${decision}\``,
          DOES[decision],
        ]),
      ),
    ].join("\n\n"),
  ).join("\n\n");
}
