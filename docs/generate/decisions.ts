import { DOES, PARTS } from "../../agent/decide";
import { STEP_DOES, STEP_PARTS, TIMER_TABLE } from "../../agent/record";
import type { Part } from "../../agent/rules";
import { table } from "./markdown";

/** Tables of rules: one for each kind of host, rules in evaluation order. */
function tables<View, Outcome extends string>(
  parts: readonly Part<View, Outcome>[],
  heading: string,
  actions: Readonly<Record<Outcome, string>>,
): string {
  return parts
    .map(({ title, when: forWhom, rules }) =>
      [
        `### ${title}`,
        ...(forWhom.length > 0
          ? [`Applies if ${forWhom.map(({ says }) => says).join(", and ")}.`]
          : []),
        table(
          ["If all of this holds", heading, "Action"],
          rules.map(({ when, outcome }) => [
            when.map(({ says }) => says).join("; ") || "otherwise",
            `\`${outcome}\``,
            actions[outcome],
          ]),
        ),
      ].join("\n\n"),
    )
    .join("\n\n");
}

/** The decisions of a database host. */
export const decisionTables = () => tables(PARTS, "Decision", DOES);

/** What a database host does about the record of the primary. */
export const stepTables = () => tables(STEP_PARTS, "Step", STEP_DOES);

/** The timers of the record, as a table. */
export function timerTable(): string {
  return table(
    ["Timer", "Seconds", "What it is"],
    Object.entries(TIMER_TABLE).map(([name, { milliseconds, says }]) => [
      `\`${name}\``,
      String(milliseconds / 1_000),
      says,
    ]),
  );
}
