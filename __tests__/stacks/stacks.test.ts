import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PROJECT } from "../../hosts/project";
import { synthesize } from "../../stacks/stacks";
import { type ClusterSettingsInput, SettingsError } from "../../topology/settings";

const OTHER_APP = { directory: "__tests__/fixtures/other-app" };

const outdir = mkdtempSync(join(tmpdir(), "stacks-"));
afterAll(() => rmSync(outdir, { recursive: true }));

function stacksOf(...clusters: ClusterSettingsInput[]) {
  return synthesize(clusters, PROJECT, join(outdir, "out"));
}

function problemsOf(...clusters: ClusterSettingsInput[]): string[] {
  try {
    stacksOf(...clusters);
  } catch (error) {
    if (error instanceof SettingsError) {
      return error.problems.map(({ path, got, wanted }) =>
        path.endsWith("]") ? `${path}: ${got}; ${wanted}` : `${path}: ${wanted}`,
      );
    }
    throw error;
  }
  return [];
}

test("a missing app is reported by setting, with each missing path", () => {
  expect(
    problemsOf({
      name: "one",
      app: { directory: "no-such-app", bundle: "main.ts", staticDirectory: "public" },
    }),
  ).toEqual([
    "clusters[0].app.directory: an existing path: the project has no no-such-app",
    "clusters[0].app.bundle: an existing path: the project has no no-such-app/main.ts",
    "clusters[0].app.staticDirectory: an existing path: the project has no no-such-app/public",
  ]);
});

test("a valid cluster is checked further even if another one is invalid", () => {
  expect(
    problemsOf(
      { name: "Wrong", app: OTHER_APP },
      {
        name: "two",
        app: { directory: "nowhere" },
        network: { cidr: "10.91.0.0/22" },
        localPort: 1025,
      },
    ).map((problem) => problem.split(":")[0]),
  ).toEqual(["clusters[0].name", "clusters[1].app.directory"]);
});

test("the first cluster's stacks have plain names, and others end with their cluster's name", () => {
  const app = stacksOf(
    { name: "one", app: OTHER_APP },
    { name: "two", app: OTHER_APP, network: { cidr: "10.91.0.0/22" }, localPort: 8081 },
  );
  expect(app.node.children.map(({ node }) => node.id)).toEqual([
    "local",
    "aws",
    "local-two",
    "aws-two",
  ]);
});
