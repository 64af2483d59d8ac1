import { ScratchCluster } from "../../drill/scratch/scratch-cluster";
import { acme, givenCertificate } from "./local/acme";
import { releases } from "./local/releases";
import { requests } from "./local/requests";
import { group, leftWell } from "./well";

// A cluster of containers that runs other people's apps. Each group starts from a healthy cluster, and can be run
// alone. What is tested does not depend on replicas, which would take time and a share of the processors.

const cluster = new ScratchCluster({
  name: "test-apps",
  network: { cidr: "10.94.12.0/22" },
  localPort: 18098,
  database: { replicas: 0 },
});

jest.setTimeout(180_000);

afterAll(() => cluster.remove());

describe("local", () => {
  group("requests", cluster, () => requests(cluster));
  group("releases", cluster, () => releases(cluster));

  group("acme", cluster, () => {
    givenCertificate(cluster);
    acme(cluster);
  });

  leftWell();
});
