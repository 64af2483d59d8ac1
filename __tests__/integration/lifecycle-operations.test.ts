import { ScratchCluster } from "../../drill/scratch/scratch-cluster";
import { restore } from "./lifecycle/restore";
import { upgrade } from "./lifecycle/upgrade";
import { lynis } from "./local/lynis";
import { everyAlert } from "./local/monitor";
import { outages } from "./local/replication";
import { secrets } from "./local/secrets";
import { changesOfTls } from "./local/tls";
import { group, leftWell } from "./well";

// A cluster of containers whose hosts are upgraded while it serves and examined by Lynis, whose secrets are all replaced, which raises alerts,
// which is powered off, changes how visitors reach it, and is lost and restored. Too long for every run: npm run test:lifecycle.

const cluster = new ScratchCluster({
  name: "test-lifecycle",
  network: { cidr: "10.94.24.0/24" },
  localPort: 18092,
});

jest.setTimeout(180_000);

afterAll(() => cluster.remove());

describe("lifecycle", () => {
  group("upgrade", cluster, () => upgrade(cluster));
  group("secrets", cluster, () => secrets(cluster));
  group("outages", cluster, () => outages(cluster));
  group("tls", cluster, () => changesOfTls(cluster));
  group("lynis", cluster, () => lynis(cluster));
  group("alerts", cluster, () => everyAlert(cluster), {
    monitor: true,
    monitoring: { webhook: true },
  });
  group("restore", cluster, () => restore(cluster));

  leftWell();
});
