import { PROJECT } from "../../hosts/project";
import { checkClusters } from "../../stacks/check";
import type { SettingsError } from "../../topology/settings";

/** Less than any host's user-data: no settings reach EC2's limit any more. */
const LIMIT = 1000;

test("user-data over EC2's limit is reported with its host and size", () => {
  let problems: unknown;
  try {
    checkClusters(
      [{ name: "one", webServers: { count: 1 }, database: { replicas: 0 } }],
      PROJECT,
      LIMIT,
    );
  } catch (error) {
    problems = (error as SettingsError).problems;
  }
  expect(problems).toEqual(
    ["load-balancer-1", "web-1", "database-1"].map((host) => ({
      path: "clusters[0]",
      got: expect.stringMatching(new RegExp(`^user-data of \\d+ bytes, compressed, for ${host}$`)),
      wanted: expect.stringMatching(/^at most 1000 bytes, EC2's limit/),
    })),
  );
});
