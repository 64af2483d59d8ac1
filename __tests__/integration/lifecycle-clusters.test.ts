import { ScratchCluster } from "../../drill/scratch/scratch-cluster";
import { clusters } from "./lifecycle/clusters";
import { group } from "./well";

// Two clusters of containers side by side, from before the first deploy until both are gone. Too long for every run:
// npm run test:lifecycle.

const settings = {
  name: "test-beside",
  network: { cidr: "10.94.20.0/24" },
  localPort: 18097,
  database: { replicas: 0 },
};

const cluster = new ScratchCluster(settings);

/** Another cluster in the same settings, with its own network and port, and one web server. */
const other = new ScratchCluster(
  {
    name: "test-other",
    network: { cidr: "10.94.4.0/24" },
    localPort: 18095,
    webServers: { count: 1 },
    database: { replicas: 0 },
  },
  [settings],
);

jest.setTimeout(180_000);

afterAll(() => cluster.remove());

describe("lifecycle", () => group("clusters", cluster, () => clusters(cluster, other)));
