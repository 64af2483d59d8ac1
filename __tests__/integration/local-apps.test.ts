import { ScratchCluster } from "../../drill/scratch/scratch-cluster";
import { releases } from "./local/releases";
import { requests } from "./local/requests";

// A cluster of containers with other people's apps on it.

const cluster = new ScratchCluster({
  name: "test-apps",
  network: { cidr: "10.94.12.0/22" },
  localPort: 18098,
});

jest.setTimeout(180_000);

afterAll(() => {
  cluster.workspace.attemptCdktf(["destroy", cluster.stack, "--auto-approve"]);
  cluster.workspace.remove();
});

test("cdktf deploy brings the cluster up", async () => {
  cluster.deploy();
  await cluster.inSync();
  await cluster.serving();
}, 600_000);

describe("requests", () => requests(cluster));
describe("releases", () => releases(cluster));
