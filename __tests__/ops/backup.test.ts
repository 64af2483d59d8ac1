import {
  backup,
  backupTable,
  explainRestore,
  parsePlan,
  planRestore,
  type RestorePlan,
  restore,
} from "../../ops/operations/backup";
import type { HostAccess, Ran } from "../../ops/platform/host-access";
import { topologyOf } from "../hosts/rendered";
import { database, primary, silent } from "./statuses";

const DONE: Ran = { exitCode: 0, stdout: "", stderr: "" };
const topology = topologyOf();
const quiet = () => undefined;

/** Two database hosts in memory, and what they were told, in order. */
function cluster(
  hosts = [primary(), database(2)],
  answer: (words: string) => Ran | undefined = () => undefined,
) {
  const told: string[] = [];
  const access = {
    async run(host: string, [script = "", ...args]: readonly string[]) {
      const facts = hosts.find((one) => one.host === host)?.facts;
      if (facts === undefined) {
        return { ...DONE, exitCode: undefined };
      }
      if (script.endsWith("status.sh")) {
        return { ...DONE, stdout: JSON.stringify(facts) };
      }
      const words = [script.split("/").at(-1), ...args].join(" ");
      told.push(`${host}: ${words}`);
      return answer(words) ?? DONE;
    },
    power: async (names: readonly string[]) => new Map(names.map((name) => [name, "stopped"])),
  } as unknown as HostAccess;
  return { access, told };
}

describe("backup", () => {
  test("a fresh replica dumps, and the primary adds its binary logs", async () => {
    const { access, told } = cluster();
    await backup(topology, access, quiet);
    expect(told).toEqual(["database-2: backup.sh dump", "database-1: backup.sh logs"]);
  });

  test("without a fresh replica, the primary dumps", async () => {
    const { access, told } = cluster([primary(), silent(2, "stopped")]);
    await backup(topology, access, quiet);
    expect(told[0]).toBe("database-1: backup.sh dump");
  });

  test("if a replica may lack rows of a table, the primary dumps, and the operator is told", async () => {
    const otherTables = ["app.old (MyISAM)"];
    const { access, told } = cluster([primary(1, { otherTables }), database(2, { otherTables })]);
    const said: string[] = [];
    await backup(topology, access, (line) => said.push(line));
    expect(told[0]).toBe("database-1: backup.sh dump");
    expect(said.join("\n")).toMatch(/^app\.old \(MyISAM\): .*ENGINE=InnoDB/m);
  });

  test("the operator sees the host's error message", async () => {
    const { access } = cluster(undefined, (words) =>
      words === "backup.sh dump" ? { ...DONE, exitCode: 1, stderr: "no space left\n" } : undefined,
    );
    await expect(backup(topology, access, quiet)).rejects.toThrow("database-2: no space left");
  });
});

describe("the list", () => {
  const dump = (id: string, completeAt: string, reaches: string) => ({
    id: `${id}${"0".repeat(60)}`,
    completeAt,
    bytes: 3 * 1024 ** 2,
    reaches: reaches === "" ? 0 : Date.parse(reaches) * 1000,
  });

  test("shows for each dump up to which time its binary logs reach", () => {
    const lines = backupTable([
      dump("aaaa", "2026-11-24T02:00:00Z", "2026-11-24T09:00:00Z"),
      dump("bbbb", "2026-11-25T02:00:00Z", ""),
    ]);
    expect(lines.slice(1)).toEqual([
      "aaaa0000  2026-11-24T02:00:00.000Z  3.0 MiB     2026-11-24T09:00:00.000Z",
      "bbbb0000  2026-11-25T02:00:00.000Z  3.0 MiB     same time",
    ]);
  });

  test("says if there is none", () => {
    expect(backupTable([])[0]).toMatch(/no backup yet/);
  });
});

describe("restore", () => {
  const plan: RestorePlan = {
    primary: "database-1",
    dump: "d1",
    dumpedAt: "2026-11-25T02:00:00.5Z",
    logs: "l1:s1",
    reaches: "1764064800123456",
    to: "-",
    tablesWithRows: 0,
  };

  test("a plan has six fields, and anything else is rejected", () => {
    const { primary: host, dump, dumpedAt, logs, reaches, to } = plan;
    expect(parsePlan(host, `${[dump, dumpedAt, logs, reaches, to, 0].join("\t")}\n`)).toEqual(plan);
    expect(() => parsePlan(host, "nothing")).toThrow(
      "database-1 printed no valid plan for the restore: nothing",
    );
  });

  test.each(["yesterday", "2026-11-25", "2026-11-25T09:30:00", "2026-11-25T09:30:00.1234567Z"])(
    "%s is not a valid time",
    async (to) => {
      await expect(planRestore(topology, cluster().access, to)).rejects.toThrow(
        /wanted a time with its time zone/,
      );
    },
  );

  test("a running replica that does not answer might serve half of the restore, so the restore is refused", async () => {
    const { access } = cluster([primary(), silent(2, "running")]);
    access.power = async () => new Map([["database-2", "running" as const]]);
    await expect(planRestore(topology, access, undefined)).rejects.toThrow(
      /database-2 does not answer, .*: stop it first/,
    );
  });

  test("the operator is told to which time, to the microsecond", () => {
    expect(explainRestore(plan, "app").join("\n")).toContain(
      "2025-11-25T10:00:00.123456Z, the end",
    );
    expect(explainRestore({ ...plan, to: "1764064800000001" }, "app").join("\n")).toContain(
      "at 2025-11-25T10:00:00.000001Z",
    );
  });

  test("the data that will be replaced is named before", () => {
    expect(explainRestore(plan, "app").join("\n")).not.toContain("goes");
    expect(explainRestore({ ...plan, tablesWithRows: 2 }, "app").join("\n")).toContain(
      "its current data (tables with rows: 2) is removed",
    );
  });

  test("no host serves once it begins, and each host serves again once it has all of it", async () => {
    const { access, told } = cluster(undefined, (words) =>
      words.startsWith("restore.sh apply") ? { ...DONE, stdout: "noise\na:1-9\n" } : undefined,
    );
    await restore(topology, access, plan, quiet);
    expect(told[0]).toBe("database-1: restore.sh fetch d1 l1:s1");
    expect(told.slice(1, 3).sort()).toEqual([
      "database-1: restore.sh begin",
      "database-2: restore.sh begin",
    ]);
    expect(told.slice(3)).toEqual([
      "database-1: restore.sh apply -",
      "database-1: restore.sh end a:1-9",
      "database-2: restore.sh end a:1-9",
    ]);
  });

  test("a backup that cannot be fetched completely changes nothing", async () => {
    const { access, told } = cluster(undefined, (words) =>
      words.startsWith("restore.sh fetch")
        ? { ...DONE, exitCode: 1, stderr: "missing" }
        : undefined,
    );
    await expect(restore(topology, access, plan, quiet)).rejects.toThrow("database-1: missing");
    expect(told).toHaveLength(1);
  });

  test("differences from the backup are reported before any host stops serving", async () => {
    const { access } = cluster(undefined, (words) =>
      words.startsWith("restore.sh fetch")
        ? { ...DONE, stdout: "converted to InnoDB: app.old (MyISAM)\n" }
        : undefined,
    );
    const said: string[] = [];
    await restore(topology, access, plan, (line) => said.push(line));
    expect(said[0]).toBe("converted to InnoDB: app.old (MyISAM)");
  });

  test("if it fails, no host serves again", async () => {
    const { access, told } = cluster(undefined, (words) =>
      words.startsWith("restore.sh apply") ? { ...DONE, exitCode: 1, stderr: "bad" } : undefined,
    );
    await expect(restore(topology, access, plan, quiet)).rejects.toThrow(
      "database-1: bad\nNo database host serves until a restore has succeeded.",
    );
    expect(told.filter((words) => words.includes("end"))).toEqual([]);
  });

  test("a replica that is down is named, and not waited for", async () => {
    const said: string[] = [];
    const { access, told } = cluster([primary(), silent(2, "stopped")]);
    await restore(topology, access, plan, (line) => said.push(line));
    expect(said[1]).toBe(
      "database-2 is not running; do not start it before this has finished: it replicates once it is back",
    );
    expect(told.at(-1)).toBe("database-1: restore.sh end ");
  });
});
