import { missingToServe, type ObservedRole, parseRoles } from "../../ops/serving";

function databases(...roles: ObservedRole[]): Map<string, ObservedRole> {
  return new Map(roles.map((role, index) => [`database-${index + 1}`, role]));
}

describe("missingToServe", () => {
  test("is nothing when the site answers and the databases are one primary and replicas", () => {
    expect(
      missingToServe({ status: 200, databases: databases("replica", "primary", "replica") }),
    ).toEqual([]);
  });

  test("is nothing for a primary alone", () => {
    expect(missingToServe({ status: 200, databases: databases("primary") })).toEqual([]);
  });

  test.each<[string, number | undefined, ObservedRole[], string[]]>([
    ["no primary", 200, ["replica", "replica"], ["no database is primary"]],
    [
      "two primaries",
      200,
      ["primary", "primary"],
      ["database-1 and database-2 both say they are primary"],
    ],
    ["a replica behind", 200, ["primary", "none"], ["database-2: not in sync"]],
    ["a silent site", undefined, ["primary"], ["the site does not answer"]],
    ["an unhealthy site", 503, ["primary"], ["the site answers 503"]],
    [
      "everything",
      undefined,
      ["none"],
      ["no database is primary", "database-1: not in sync", "the site does not answer"],
    ],
  ])("names %s", (_, status, roles, missing) => {
    expect(missingToServe({ status, databases: databases(...roles) })).toEqual(missing);
  });
});

describe("parseRoles", () => {
  test("reads a name and a role from each line and nothing else", () => {
    expect(parseRoles("database-1 primary\ndatabase-2 none\nnoise\ndatabase-3 king\n")).toEqual(
      new Map([
        ["database-1", "primary"],
        ["database-2", "none"],
      ]),
    );
  });
});
