import { FAULTS } from "../../drill/faults";
import type { DrillResults, Row } from "../../drill/measure";
import { table } from "./markdown";

/** A recorded drill, and the file that it is in. */
export interface RecordedDrill {
  /** Relative to the project. */
  readonly path: string;
  readonly results: DrillResults;
}

/** The recorded drills, one for each distribution: its setting, and its file. */
export const DRILLS = [
  { distribution: "debian", path: "docs/drill/debian.json" },
  { distribution: "ubuntu", path: "docs/drill/ubuntu.json" },
] as const;

const seconds = (value: number) => `${value.toFixed(1)} s`;

/** Why a recording is not to be published, one phrase each; empty if it may be. */
function objectionsTo({ path, results: { rows, stopped } }: RecordedDrill): string[] {
  const known = new Set([...rows, ...stopped].map(({ fault }) => fault));
  return [
    ...rows
      .filter(({ broken }) => broken.length > 0)
      .map(({ fault, broken }) => `${fault}: ${broken.join(", ")}`),
    ...stopped.map(({ fault, reason }) => `${fault}: ${reason}`),
    ...FAULTS.filter(({ name }) => !known.has(name)).map(({ name }) => `${name} is missing`),
  ].map((objection) => `${path}: ${objection}`);
}

const COLUMNS: ReadonlyArray<readonly [title: string, cell: (row: Row) => string]> = [
  ["Requests", ({ requests }) => String(requests)],
  ["Failed", ({ failed }) => String(failed)],
  ["Longest time without a read", ({ readGap }) => seconds(readGap)],
  ["Longest time without a write", ({ writeGap }) => seconds(writeGap)],
  [
    "Command to first write",
    ({ commandToWrite }) => (commandToWrite === undefined ? "" : seconds(commandToWrite)),
  ],
  ["Acknowledged writes lost", ({ missing, acknowledged }) => `${missing} of ${acknowledged}`],
  ["Replica in sync after", ({ inSyncAfter }) => seconds(inSyncAfter)],
];

/**
 * What each fault cost the visitors, as drills on hosts of several distributions measured it: a line of each cell for each.
 *
 * @throws Error when something broke, or a fault is missing: only what holds, and all of it, is published
 */
export function drillTable(drills: readonly RecordedDrill[]): string {
  const objections = drills.flatMap(objectionsTo);
  if (objections.length > 0) {
    throw new Error(
      `a recorded drill is not complete, or did not hold:\n  ${objections.join("\n  ")}\nRecord it, or these faults, anew: npm run drill -- --distribution NAME --json FILE [FAULT...]`,
    );
  }
  const cells = FAULTS.map(({ name, what }) => {
    const rows = drills.flatMap(({ results }) =>
      results.rows.filter(({ fault }) => fault === name),
    );
    return [
      what,
      ...COLUMNS.map(([, cell]) => {
        const lines = rows.map(cell);
        return lines.every((line) => line === "") ? "" : lines.join("<br>");
      }),
    ];
  });
  const recorded = drills.map(
    ({ path, results: { date, distribution } }) =>
      `- hosts of ${distribution}, recorded on ${date} in \`${path}\``,
  );
  return [
    "In each cell, one line for each of:",
    recorded.join("\n"),
    "Recorded by `npm run drill -- --distribution NAME --json FILE`; with names of faults it records their rows anew.",
    table(
      ["What happens", ...COLUMNS.map(([title]) => title)],
      cells,
      COLUMNS.map(([title]) => title),
    ),
  ].join("\n\n");
}
