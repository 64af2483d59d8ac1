import { type ImageFacts, imageFacts, packagesOf } from "../hosts/image";
import { renderHosts } from "../hosts/render";
import { parseClusters } from "../topology/settings";
import { buildTopology } from "../topology/topology";

/** How image.sh says that the distribution's archive does not answer: EX_UNAVAILABLE of sysexits.h. */
export const UNREACHABLE = 69;

/** What scripts/local/image.sh makes the image of Ubuntu's hosts from. */
export function ubuntuImageFacts(): ImageFacts {
  const [settings] = parseClusters([{ name: "test-ubuntu", local: { distribution: "ubuntu" } }]);
  const topology = buildTopology(settings as never, "local");
  const hosts = renderHosts(topology, { platform: "local", scripts: "" });
  return imageFacts(packagesOf(hosts), topology.settings.local);
}
