import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PROJECT } from "../hosts/project";
import { parseClusters } from "../topology/settings";
import { buildTopology } from "../topology/topology";
import { alertsPage } from "./generate/alerts-page";
import { costPage, costTable, monthlyCost, sumOf } from "./generate/cost";
import { decisionTables, stepTables, timerTable } from "./generate/decisions";
import { DRILLS, drillTable } from "./generate/drill-table";
import { historyFaultTable } from "./generate/history-faults";
import { lynisTable } from "./generate/lynis-answers";
import { FRANKFURT } from "./generate/prices";
import { exposedTable, reachTables } from "./generate/reach";
import { reachPicture } from "./generate/reach-picture";
import { roomsTable } from "./generate/rooms";
import { scannerTable } from "./generate/scanner-exceptions";
import { settingsPage } from "./generate/settings-page";
import { topologyPicture } from "./generate/topology-picture";

/** A file that is derived from the sources. */
interface GeneratedFile {
  /** Relative to the project. */
  readonly path: string;
  readonly content: string;
}

/**
 * Replaces what stands between `<!-- name -->` and `<!-- /name -->`.
 *
 * @throws Error when the text lacks the markers
 */
export function embed(text: string, name: string, content: string): string {
  const [start, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [from, to] = [text.indexOf(start), text.indexOf(end)];
  if (from < 0 || to < from) {
    throw new Error(`${start} and ${end} are not there, in this order`);
  }
  return `${text.slice(0, from + start.length)}${content}${text.slice(to)}`;
}

/**
 * Everything in the documentation that is derived: from the schema of the settings, from the topology of a cluster with
 * default settings, from the rules of the agent, from what rooms may import, from the faults of the history check, from
 * the exceptions from scanners' rules, the answers to Lynis, and from the recorded drills.
 *
 * @param read gives a file of the project as it is, by its path; what is derived is embedded in some
 */
export function generatedFiles(read: (path: string) => string): GeneratedFile[] {
  const [settings] = parseClusters([{ name: "demo" }]);
  if (settings === undefined) {
    throw new Error("the default settings make no cluster");
  }
  const topology = buildTopology(settings, "local");
  const onAws = buildTopology(settings, "aws");
  const [everything] = parseClusters([{ name: "demo", monitor: true, loadBalancer: { count: 2 } }]);
  const watched = buildTopology(everything as typeof settings, "local");
  const lines = monthlyCost(onAws, FRANKFURT);
  const drills = DRILLS.map(({ path }) => ({ path, results: JSON.parse(read(path)) }));
  const withTimers = embed(read("docs/record.md"), "timers", `\n\n${timerTable()}\n\n`);
  const security = [
    ["exposed", exposedTable(onAws)],
    ["reach", reachTables(onAws)],
    ["scanners", scannerTable()],
    ["lynis", lynisTable()],
  ].reduce(
    (page, [name = "", content]) => embed(page, name, `\n\n${content}\n\n`),
    read("docs/security.md"),
  );
  const withSum = embed(read("README.md"), "cost-sum", sumOf(lines));
  return [
    { path: "docs/topology.svg", content: topologyPicture(topology) },
    { path: "docs/settings.md", content: settingsPage() },
    {
      path: "docs/architecture.md",
      content: embed(read("docs/architecture.md"), "rooms", `\n\n${roomsTable()}\n\n`),
    },
    { path: "docs/alerts.md", content: alertsPage(watched) },
    { path: "docs/reach.svg", content: reachPicture(onAws) },
    { path: "docs/security.md", content: security },
    { path: "docs/cost.md", content: costPage(onAws, FRANKFURT) },
    {
      path: "docs/database.md",
      content: embed(read("docs/database.md"), "decisions", `\n\n${decisionTables()}\n\n`),
    },
    {
      path: "docs/consistency.md",
      content: embed(
        read("docs/consistency.md"),
        "history-faults",
        `\n\n${historyFaultTable()}\n\n`,
      ),
    },
    {
      path: "docs/failover.md",
      content: embed(
        embed(read("docs/failover.md"), "timers", `\n\n${timerTable()}\n\n`),
        "drill",
        `\n\n${drillTable(drills)}\n\n`,
      ),
    },
    {
      path: "docs/record.md",
      content: embed(withTimers, "steps", `\n\n${stepTables()}\n\n`),
    },
    { path: "README.md", content: embed(withSum, "cost-table", `\n\n${costTable(lines)}\n\n`) },
  ];
}

/** Writes what is derived. */
function main(): void {
  const read = (path: string) => readFileSync(join(PROJECT, path), "utf8");
  for (const { path, content } of generatedFiles(read)) {
    writeFileSync(join(PROJECT, path), content);
    console.log(path);
  }
}

if (require.main === module) {
  main();
}
