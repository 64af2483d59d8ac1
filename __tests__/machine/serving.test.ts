import {
  missingToServe,
  type ObservedRole,
  type ObservedWebServer,
  parseRoles,
} from "../../machine/serving";

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
    ["no primary", 200, ["replica", "replica"], ["there is no primary database host"]],
    [
      "two primaries",
      200,
      ["primary", "primary"],
      ["database-1 and database-2 all report that they are primary"],
    ],
    ["a replica behind", 200, ["primary", "none"], ["database-2: not in sync"]],
    ["a silent site", undefined, ["primary"], ["the site does not answer"]],
    ["an unhealthy site", 503, ["primary"], ["the site answers 503"]],
    [
      "everything",
      undefined,
      ["none"],
      ["there is no primary database host", "database-1: not in sync", "the site does not answer"],
    ],
  ])("names %s", (_, status, roles, missing) => {
    expect(missingToServe({ status, databases: databases(...roles) })).toEqual(missing);
  });
});

describe("web servers are missing", () => {
  const server = (name: string, more: Partial<ObservedWebServer> = {}): ObservedWebServer => ({
    name,
    held: "up",
    check: "the check returned 200",
    steadySeconds: 100,
    ...more,
  });
  const missing = (...webServers: ObservedWebServer[]) =>
    missingToServe({ status: 200, databases: databases("primary"), webServers });

  test("not when the load balancer has had them up for longer than it takes to notice a fault", () => {
    expect(missing(server("web-1"), server("web-2", { steadySeconds: 4 }))).toEqual([]);
  });

  test("not when somebody drained one of them, but when all are", () => {
    expect(missing(server("web-1", { held: "drained" }), server("web-2"))).toEqual([]);
    expect(missing(server("web-1", { held: "drained" }))).toEqual([
      "the load balancer sends no requests: all web servers are drained",
    ]);
  });

  test.each<[string, Partial<ObservedWebServer>, string]>([
    [
      "when it is held for down, with what the check was answered",
      { held: "down", check: "the check returned 400" },
      "web-2 is down according to the load balancer: the check returned 400",
    ],
    ["when it has only just come up", { steadySeconds: 1 }, "web-2 has not been up for 4 s yet"],
    [
      "when nobody tells",
      { held: "unknown" },
      "web-2 or the load balancer does not report its status",
    ],
  ])("%s", (_, more, sentence) => {
    expect(missing(server("web-1"), server("web-2", more))).toEqual([sentence]);
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
