import { FAULTS } from "../../drill/faults";
import type { DrillResults, Row } from "../../drill/measure";
import { table } from "./markdown";

const seconds = (value: number) => `${value.toFixed(1)} s`;

/** The fault as a sentence; its name if the drill no longer knows it. */
const whatIs = ({ fault }: Row) =>
  FAULTS.find(({ name }) => name === fault)?.what ?? `\`${fault}\``;

/**
 * What each fault cost the visitors, as a recorded drill measured it.
 *
 * @throws Error when the record is of a drill in which something broke: only what holds is published
 */
export function drillTable({ distribution, date, rows, stopped }: DrillResults): string {
  const failures = [
    ...rows
      .filter(({ broken }) => broken.length > 0)
      .map(({ fault, broken }) => `${fault}: ${broken.join(", ")}`),
    ...stopped.map(({ fault, reason }) => `${fault}: ${reason}`),
  ];
  if (failures.length > 0) {
    throw new Error(
      `docs/drill.json is of a drill that did not hold: ${failures.join("; ")}. Record another: npm run drill -- --json docs/drill.json`,
    );
  }
  const columns = [
    "What happens",
    "Requests",
    "Failed",
    "Longest time without a read",
    "Longest time without a write",
    "Command to first write",
    "Acknowledged writes lost",
    "Replica in sync after",
  ];
  const cells = rows.map((row) => [
    whatIs(row),
    String(row.requests),
    String(row.failed),
    seconds(row.readGap),
    seconds(row.writeGap),
    row.commandToWrite === undefined ? "" : seconds(row.commandToWrite),
    `${row.missing} of ${row.acknowledged}`,
    seconds(row.inSyncAfter),
  ]);
  return [
    `Recorded on ${date}, with hosts of ${distribution}, by \`npm run drill -- --json docs/drill.json\`; with names of faults it records their rows anew.`,
    table(columns, cells, columns.slice(1)),
  ].join("\n\n");
}
