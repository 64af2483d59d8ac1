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
  test("is empty if the site answers and the databases are one primary and replicas", () => {
    expect(
      missingToServe({
        status: 200,
        tlsStatus: 200,
        databases: databases("replica", "primary", "replica"),
      }),
    ).toEqual([]);
  });

  test.each([
    ["does not answer there", undefined, ["the site does not answer over TLS"]],
    ["answers something else there", 503, ["the site answers 503 over TLS"]],
    ["has no TLS", null, []],
  ])("names a site that %s", (_what, tlsStatus, missing) => {
    expect(missingToServe({ status: 200, tlsStatus, databases: databases("primary") })).toEqual(
      missing,
    );
  });

  test("is empty for a primary without replicas", () => {
    expect(
      missingToServe({ status: 200, tlsStatus: 200, databases: databases("primary") }),
    ).toEqual([]);
  });

  test.each<[string, number | undefined, ObservedRole[], string[]]>([
    ["a missing primary", 200, ["replica", "replica"], ["there is no primary database host"]],
    [
      "two primaries",
      200,
      ["primary", "primary"],
      ["database-1 and database-2 all report that they are primary"],
    ],
    ["a replica that is not in sync", 200, ["primary", "none"], ["database-2: not in sync"]],
    ["a site that does not answer", undefined, ["primary"], ["the site does not answer"]],
    ["an unhealthy site", 503, ["primary"], ["the site answers 503"]],
    [
      "several problems at once",
      undefined,
      ["none"],
      ["there is no primary database host", "database-1: not in sync", "the site does not answer"],
    ],
  ])("names %s", (_, status, roles, missing) => {
    expect(missingToServe({ status, tlsStatus: status, databases: databases(...roles) })).toEqual(
      missing,
    );
  });
});

describe("web servers", () => {
  const server = (name: string, more: Partial<ObservedWebServer> = {}): ObservedWebServer => ({
    name,
    held: "up",
    check: "the check returned 200",
    steadySeconds: 100,
    ...more,
  });
  const missing = (...webServers: ObservedWebServer[]) =>
    missingToServe({ status: 200, tlsStatus: 200, databases: databases("primary"), webServers });

  test("are not missing if they have been up for longer than it takes to notice a fault", () => {
    expect(missing(server("web-1"), server("web-2", { steadySeconds: 4 }))).toEqual([]);
  });

  test("are not missing if one of them is drained, only if all are", () => {
    expect(missing(server("web-1", { held: "drained" }), server("web-2"))).toEqual([]);
    expect(missing(server("web-1", { held: "drained" }))).toEqual([
      "the load balancer sends no requests: all web servers are drained",
    ]);
  });

  test.each<[string, Partial<ObservedWebServer>, string]>([
    [
      "the load balancer considers one down, with the result of its check",
      { held: "down", check: "the check returned 400" },
      "web-2 is down according to the load balancer: the check returned 400",
    ],
    ["one has only just come up", { steadySeconds: 1 }, "web-2 has not been up for 4 s yet"],
    [
      "the status of one is unknown",
      { held: "unknown" },
      "web-2 or the load balancer does not report its status",
    ],
  ])("are missing if %s", (_, more, sentence) => {
    expect(missing(server("web-1"), server("web-2", more))).toEqual([sentence]);
  });
});

describe("parseRoles", () => {
  test("reads a name and a role from each line, and ignores the rest", () => {
    expect(parseRoles("database-1 primary\ndatabase-2 none\nnoise\ndatabase-3 king\n")).toEqual(
      new Map([
        ["database-1", "primary"],
        ["database-2", "none"],
      ]),
    );
  });
});
