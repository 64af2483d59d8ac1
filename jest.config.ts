import type { Config } from "jest";

type Project = Exclude<NonNullable<Config["projects"]>[number], string>;

const compiler = {
  jsc: { target: "es2022", parser: { syntax: "typescript" } },
  module: { type: "commonjs" },
};

/** Where the tests of a file share a cluster: those that come after a failure see that there was one. */
const SHARED = "<rootDir>/__tests__/integration/environment.ts";

/** Tests that are run together, by a name for `--selectProjects`. */
function project(displayName: string, testMatch: string, testEnvironment = SHARED): Project {
  return {
    displayName,
    testEnvironment,
    testMatch: [`<rootDir>/__tests__/${testMatch}`],
    transform: { "^.+\\.ts$": ["@swc/jest", compiler] },
  };
}

const config: Config = {
  testSequencer: "<rootDir>/.ci/longest-first.js",
  projects: [
    project("unit", "!(integration)/**/*.test.ts", "node"),
    project("etcd", "integration/etcd*.test.ts"),
    project("local", "integration/local*.test.ts"),
    project("lifecycle", "integration/lifecycle*.test.ts"),
    project("ubuntu", "integration/ubuntu*.test.ts"),
    project("aws", "integration/aws.test.ts"),
    project("aws-hosts", "integration/aws-hosts.test.ts"),
  ],
};

export default config;
