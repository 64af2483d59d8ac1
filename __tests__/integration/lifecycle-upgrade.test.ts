import { ScratchCluster } from "../../drill/scratch/scratch-cluster";
import { upgrade } from "./lifecycle/upgrade";
import { group, leftWell } from "./well";

// A cluster of containers whose hosts are upgraded while it serves. Too long for every run: npm run test:lifecycle.

const cluster = new ScratchCluster({
  name: "test-upgrade",
  network: { cidr: "10.94.24.0/24" },
  localPort: 18092,
});

jest.setTimeout(180_000);

afterAll(() => cluster.remove());

describe("lifecycle", () => {
  group("upgrade", cluster, () => upgrade(cluster));

  leftWell();
});
