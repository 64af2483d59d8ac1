import { renderHosts } from "../../hosts/render";
import { SCRIPTS, topologyOf } from "./rendered";

const PAIR = { loadBalancer: { count: 2 } } as const;
const hosts = [topologyOf(), topologyOf(PAIR)].flatMap((topology) =>
  renderHosts(topology, { platform: "local", scripts: SCRIPTS }),
);
/** Enabled by user-data itself: they bring the scripts, which enable the others. */
const BY_USER_DATA = ["cluster-converge.service", "cluster-update.timer"];

test.each(hosts.map((host) => [host.name, host] as const))(
  "%s declares as enabled each of its own units that can be",
  (_name, host) => {
    const installable = host.files
      .filter(
        ({ path, content }) =>
          /^\/etc\/systemd\/system\/[^/]+$/.test(path) && /^\[Install\]$/m.test(content),
      )
      .map(({ path }) => path.replace(/^.*\//, ""));
    const units = (host.facts.UNITS ?? "").split(" ");
    const own = units.filter((unit) => /^(?:cluster-|app\.)/.test(unit));
    expect(own.sort()).toEqual(installable.filter((unit) => !BY_USER_DATA.includes(unit)).sort());
  },
);
