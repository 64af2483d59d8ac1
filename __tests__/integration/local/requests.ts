import type { ScratchCluster } from "../../../drill/scratch/scratch-cluster";
import { makeWell } from "../well";
import { answers } from "./requests/answers";
import { claims } from "./requests/claims";
import { app } from "./requests/echo-app";
import { oldAndOdd } from "./requests/old-and-odd";
import { ownPaths } from "./requests/own-paths";
import { repeats } from "./requests/repeats";
import { sizes } from "./requests/sizes";
import { smuggling } from "./requests/smuggling";
import { upgrades } from "./requests/upgrades";
import { whatTakesLong } from "./requests/what-takes-long";

/** What happens to a request and its response on the way to somebody else's app and back. */
export function requests(cluster: ScratchCluster): void {
  // An app with its own limits replaces the guestbook.
  beforeAll(async () => {
    await makeWell(cluster, { app });
    await cluster.serving("/echo");
  }, 600_000);

  const slow = whatTakesLong(cluster);

  describe("slow requests", () => slow.begins());
  describe("upgrades", () => upgrades(cluster));
  describe("sizes", () => sizes(cluster));
  describe("requests that hide another one", () => smuggling(cluster));
  describe("unusual requests", () => oldAndOdd(cluster));
  describe("responses", () => answers(cluster));
  describe("headers that claim who or where a visitor is", () => claims(cluster));
  describe("the cluster's own paths", () => ownPaths(cluster));
  describe("slow requests, after the other tests", () => slow.ends());
  describe("retries", () => repeats(cluster));

  test("a rollback brings the guestbook back", async () => {
    cluster.apply();
    cluster.operate("rollback");
    await cluster.serving();
  }, 300_000);
}
