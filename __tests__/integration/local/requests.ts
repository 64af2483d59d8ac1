import type { ScratchCluster } from "../../../drill/scratch/scratch-cluster";
import { makeWell } from "../well";
import { answers } from "./requests/answers";
import { claims } from "./requests/claims";
import { app } from "./requests/echo-app";
import { oldAndOdd } from "./requests/old-and-odd";
import { ownPaths } from "./requests/own-paths";
import { repeats } from "./requests/repeats";
import { sizes } from "./requests/sizes";
import { upgrades } from "./requests/upgrades";
import { whatTakesLong } from "./requests/what-takes-long";

/** What happens to a request, and to what answers it, on the way to somebody else's app and back. */
export function requests(cluster: ScratchCluster): void {
  // An app with limits of its own takes the place of the guestbook.
  beforeAll(async () => {
    await makeWell(cluster, { app });
    await cluster.serving("/echo");
  }, 600_000);

  const slow = whatTakesLong(cluster);

  describe("what takes long", () => slow.begins());
  describe("upgrades", () => upgrades(cluster));
  describe("sizes", () => sizes(cluster));
  describe("old and odd requests", () => oldAndOdd(cluster));
  describe("answers", () => answers(cluster));
  describe("who and where a visitor says he is", () => claims(cluster));
  describe("the paths of the cluster itself", () => ownPaths(cluster));
  describe("what has taken long", () => slow.ends());
  describe("what is repeated", () => repeats(cluster));

  test("the guestbook is back", async () => {
    cluster.apply();
    cluster.operate("rollback");
    await cluster.serving();
  }, 300_000);
}
