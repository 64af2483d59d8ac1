import { DOES, PARTS } from "../../agent/decide";
import { STEP_DOES, STEP_PARTS, TIMERS } from "../../agent/record";
import { table } from "./markdown";

interface Part {
  readonly title: string;
  readonly when: ReadonlyArray<{ readonly says: string }>;
  readonly rules: ReadonlyArray<{
    readonly when: ReadonlyArray<{ readonly says: string }>;
    readonly does: string;
  }>;
}

function tables(
  parts: readonly Part[],
  heading: string,
  actions: Readonly<Record<string, string>>,
) {
  return parts
    .map(({ title, when: forWhom, rules }) =>
      [
        `### ${title}`,
        ...(forWhom.length > 0
          ? [`Applies if ${forWhom.map(({ says }) => says).join(", and ")}.`]
          : []),
        table(
          ["If all of this holds", heading, "Action"],
          rules.map(({ when, does: name }) => [
            when.map(({ says }) => says).join("; ") || "otherwise",
            `\`${name}\``,
            actions[name] ?? "",
          ]),
        ),
      ].join("\n\n"),
    )
    .join("\n\n");
}

/** The decisions of a database host, as tables: one for each kind of host, rules in evaluation order. */
export function decisionTables(): string {
  const parts = PARTS.map((part) => ({
    ...part,
    rules: part.rules.map(({ when, decision }) => ({ when, does: decision })),
  }));
  return tables(parts, "Decision", DOES);
}

/** What a database host does about the record of the primary, as tables, rules in evaluation order. */
export function stepTables(): string {
  const parts = STEP_PARTS.map((part) => ({
    ...part,
    rules: part.rules.map(({ when, step }) => ({ when, does: step })),
  }));
  return tables(parts, "Step", STEP_DOES);
}

/** What each timer is for. */
const TIMER_SAYS: Readonly<Record<keyof typeof TIMERS, string>> = {
  renew: "between two renewals by the holder, and two reads by any other host",
  request: "the longest that one request to etcd takes",
  close: "after its last successful renewal was sent, the holder closes itself",
  fence: "after the same moment, the kernel closes MySQL's port to the web servers",
  kill: "a server that has not closed this long after it was told to is killed",
  takeOver: "after it last saw the record change, a replica may take over; a promise is as long",
  degrade: "`available`: after this long without an acknowledgement, commits wait no more",
  unwell: "a server that has not answered for this long is given up by the holder",
  takeBack:
    "after a host began to take over and did not finish, the primary before it takes back its role",
};

/** The timers of the record, as a table. */
export function timerTable(): string {
  return table(
    ["Timer", "Seconds", "What it is"],
    Object.entries(TIMER_SAYS).map(([name, says]) => [
      `\`${name}\``,
      String(TIMERS[name as keyof typeof TIMERS] / 1_000),
      says,
    ]),
  );
}
