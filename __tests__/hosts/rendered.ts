import type { Host } from "../../hosts/host";
import { type Placement, renderHosts } from "../../hosts/render";
import { type ClusterSettingsInput, parseClusters } from "../../topology/settings";
import { buildTopology, type Topology } from "../../topology/topology";

/** Stands for the archive of scripts, so that what is rendered does not change with them. */
export const SCRIPTS = "0123456789abcdef".repeat(4);

/** The topology of a cluster named demo with the given settings. */
export function topologyOf(
  settings: Partial<ClusterSettingsInput> = {},
  platform: Placement["platform"] = "local",
): Topology {
  return buildTopology(parseClusters([{ name: "demo", ...settings }])[0] as never, platform);
}

/** One rendered host of that cluster. */
export function hostOf(
  name: string,
  settings: Partial<ClusterSettingsInput> = {},
  platform: Placement["platform"] = "local",
): Host {
  const host = renderHosts(topologyOf(settings, platform), { platform, scripts: SCRIPTS }).find(
    (candidate) => candidate.name === name,
  );
  if (host === undefined) {
    throw new Error(`the topology has no host ${name}`);
  }
  return host;
}

/** The content of one of its files. */
export function fileOf(host: Host, path: string): string {
  const file = host.files.find((candidate) => candidate.path === path);
  if (file === undefined) {
    throw new Error(`${host.name} carries no ${path}`);
  }
  return file.content;
}
