import { runSync } from "../ops/run";
import type { ClusterSettingsInput } from "../topology/settings";
import type { Bounds } from "./measure";
import type { Stage } from "./stage";

/** A fault to inject into a cluster, and the bounds on its effects. */
export interface Fault {
  /** Its name on the command line. */
  readonly name: string;
  /** What happens, for docs/failover.md. */
  readonly what: string;
  /** Whether it is short enough for every run of the tests. */
  readonly short?: true;
  readonly bounds: Bounds;
  /** Settings that it needs, beside the drill's own; the cluster is changed to them before. */
  readonly settings?: Partial<ClusterSettingsInput>;
  /** The load, in requests per second. Default 12 reads and 4 writes. */
  readonly load?: { readonly readsPerSecond: number; readonly writesPerSecond: number };
  /** Calls `stage.begin()`, injects the fault, and starts the recovery of what does not recover by itself. */
  readonly inject: (stage: Stage) => Promise<void>;
}

/** Default duration of an outage, in seconds. */
export const AWAY = 15;

/** Kills all processes of a unit. */
export const kill = ({ cluster }: Pick<Stage, "cluster">, host: string, unit: string) =>
  cluster.on(host, `systemctl kill --signal=KILL ${unit}`);

/** Disconnects a host from the network, at the machine's end of its interface. Returns a function that reconnects it. */
export function cutOff({ cluster }: Pick<Stage, "cluster">, host: string): () => void {
  const state = JSON.parse(
    runSync(["incus", "query", `/1.0/instances/${host}/state?project=${cluster.incusProject}`]),
  );
  const device: string = state.network.eth0.host_name;
  runSync(["ip", "link", "set", device, "down"]);
  return () => runSync(["ip", "link", "set", device, "up"]);
}

/** Drops what a host sends to others and gets from them, on the host itself. Returns a function that ends it. */
export function dropPackets(
  { cluster }: Pick<Stage, "cluster">,
  host: string,
  others: readonly string[],
): () => void {
  const addresses = others.map((other) => cluster.address(other)).join(", ");
  cluster.on(
    host,
    `nft --file - <<'RULES'
table inet drill {
  chain input { type filter hook input priority -300; ip saddr { ${addresses} } drop; }
  chain output { type filter hook output priority -300; ip daddr { ${addresses} } drop; }
}
RULES`,
  );
  return () => cluster.on(host, "nft delete table inet drill");
}

/** Makes Terraform replace a host. */
export function replace(stage: Stage, host: string): void {
  stage.cluster.workspace.terraform(stage.cluster.stack, [
    "apply",
    "-auto-approve",
    "-no-color",
    `-replace=terraform_data.host["${host}"]`,
  ]);
}

/** Checks that an old primary has come back as a replica, and has set aside what never reached the new primary. */
export async function comesBackAsReplica(
  stage: Stage,
  old: string,
  unacknowledged: string | undefined,
) {
  const { replica } = await stage.databases();
  if (replica !== old) {
    throw new Error(`${old} came back as the primary`);
  }
  if (unacknowledged !== undefined) {
    const found = stage.cluster.on(
      old,
      `grep --recursive --count --no-filename '${unacknowledged}' /srv/data/set-aside || true`,
    );
    if (!/[1-9]/.test(found)) {
      throw new Error(`${old} has not set aside what never reached the new primary`);
    }
  }
}
