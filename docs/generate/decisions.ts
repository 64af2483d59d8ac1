import { DOES, PARTS } from "../../agent/decide";
import { table } from "./markdown";

/** What a database host decides, as tables: a part for each kind of host, in the order in which the rules are tried. */
export function decisionTables(): string {
  return PARTS.map(({ title, when: forWhom, rules }) =>
    [
      `### ${title}`,
      ...forWhom.map(({ says }) => `All of it where ${says}.`),
      table(
        ["Where all of this holds, else the next", "Decision", "What is done"],
        rules.map(({ when, decision }) => [
          when.map(({ says }) => says).join("; ") || "otherwise",
          `\`${decision}\``,
          DOES[decision],
        ]),
      ),
    ].join("\n\n"),
  ).join("\n\n");
}
