import type { Config } from "jest";

type Project = Exclude<NonNullable<Config["projects"]>[number], string>;

const compiler = {
  jsc: { target: "es2022", parser: { syntax: "typescript" } },
  module: { type: "commonjs" },
};

/** Tests that are run together, by a name for `--selectProjects`. */
function project(displayName: string, testMatch: string): Project {
  return {
    displayName,
    testEnvironment: "node",
    testMatch: [`<rootDir>/__tests__/${testMatch}`],
    transform: { "^.+\\.ts$": ["@swc/jest", compiler] },
  };
}

const config: Config = {
  projects: [
    project("unit", "!(integration)/**/*.test.ts"),
    project("local", "integration/local*.test.ts"),
    project("ubuntu", "integration/ubuntu*.test.ts"),
    project("aws", "integration/aws.test.ts"),
    project("aws-hosts", "integration/aws-hosts.test.ts"),
  ],
};

export default config;
