import { execFileSync } from "node:child_process";
import { join } from "node:path";

const SCRIPTS = join(__dirname, "../../scripts/database");

/** Runs a line of shell with engines.sh at hand. */
function shell(line: string, input = ""): string {
  const program = `set -euo pipefail
DATABASE_NAME=app
source '${SCRIPTS}/engines.sh'
${line}`;
  return execFileSync("bash", ["-c", program], { input, encoding: "utf8" });
}

/** The definitions that a filter finds, each as its name, its engine and its statement. */
const definitions = (filter: string, input: string) =>
  shell(filter, input)
    .split("\0")
    .filter(Boolean)
    .map((one) => {
      const [name, engine, ...statement] = one.split("\n");
      return [name, engine, statement.join("\n").trim()];
    });

describe("tables of other engines in a backup", () => {
  const dump = `CREATE TABLE \`my\` (
  \`id\` int NOT NULL,
  KEY (\`id\`)
) ENGINE=MyISAM AUTO_INCREMENT=3 DEFAULT CHARSET=utf8mb4 ROW_FORMAT=FIXED;
INSERT INTO \`my\` VALUES (') ENGINE=MEMORY;');
CREATE TABLE \`safe\` (
  \`id\` int NOT NULL COMMENT ') ENGINE=MyISAM'
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
/*!50100 PARTITION BY HASH (\`id\`)
PARTITIONS 2 */;
CREATE TABLE \`quick\` (
  \`id\` int NOT NULL
) /*!50100 TABLESPACE \`x\` */ ENGINE=MEMORY DEFAULT CHARSET=utf8mb4;
`;

  test("are found in a dump", () => {
    const found = definitions("tables_of_dump InnoDB", dump);
    expect(found.map(([name, engine]) => [name, engine])).toEqual([
      ["my", "MyISAM"],
      ["quick", "MEMORY"],
    ]);
    expect(found[0]?.[2]).toBe(dump.slice(0, dump.indexOf("INSERT")).trim());
  });

  test("are found in a binary log, however the statement is written", () => {
    const log = [
      "BEGIN\n/*!*/;",
      "CREATE TABLE one (id INT) ENGINE=MyISAM\n/*!*/;",
      "create table if not exists app.`two` (\n  id INT\n) engine heap\n/*!*/;",
      "CREATE TABLE `app`.three(id INT) ENGINE = `CSV`\n/*!*/;",
      "CREATE TABLE four (id INT)\n/*!*/;",
      "CREATE TABLE five LIKE one\n/*!*/;",
      "ALTER TABLE four ENGINE=MyISAM\n/*!*/;",
      "COMMIT/*!*/;",
    ].join("\n");
    expect(definitions("tables_of_log", `${log}\n`)).toEqual([
      ["one", "MyISAM", "CREATE TABLE one (id INT) ENGINE=MyISAM\n;"],
      ["two", "heap", "CREATE TABLE `two` (\n  id INT\n) engine heap\n;"],
      ["three", "CSV", "CREATE TABLE three(id INT) ENGINE = `CSV`\n;"],
    ]);
  });

  test("lose options that InnoDB lacks when converted, and no rows", () => {
    const loaded = shell("as_innodb", dump);
    expect(loaded).toContain(") ENGINE=MyISAM AUTO_INCREMENT=3 DEFAULT CHARSET=utf8mb4 ;");
    expect(loaded.replace(" ;", " ROW_FORMAT=FIXED;")).toBe(dump);
  });

  test("are loaded without the SQL mode that insists on their engine", () => {
    const insisting = "SET @@session.sql_mode=1168113696/*!*/;\n";
    expect(shell("as_innodb", insisting)).toBe("SET @@session.sql_mode=94371872/*!*/;\n");
    expect(shell("as_innodb", shell("as_innodb", insisting))).toBe(
      "SET @@session.sql_mode=94371872/*!*/;\n",
    );
  });
});
