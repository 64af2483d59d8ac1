import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { ScratchCluster } from "../drill/scratch/scratch-cluster";
import { eventually } from "../drill/scratch/workspace";
import { imageFacts, packagesOf } from "../hosts/image";
import { renderHosts } from "../hosts/render";
import { SCRIPTS } from "../hosts/scripts";
import { runSync } from "../ops/run";
import type { FoundationFacts } from "../stacks/local/foundation";
import { localNames } from "../topology/names";
import { median, report } from "./measure";

// Times a warm `cdktf deploy local`, until the cluster serves and its replica is in sync, against launching as many empty
// hosts from the same image, until cloud-init has finished in all of them. The two alternate, so that both run under the
// same conditions.

const ROUNDS = 3;
/** Seconds to wait before each measurement, because the previous cluster is still being cleaned up. */
const SETTLE = 5;
const LOCAL_SCRIPTS = join(SCRIPTS, "local");

const cluster = new ScratchCluster({
  name: "bench",
  network: { cidr: "10.95.0.0/22" },
  localPort: 18099,
});

const floor = {
  ...localNames("bench-floor"),
  gateway: "10.95.4.1",
  hosts: cluster.topology.hosts.map((_, index) => ({
    name: `empty-${index + 1}`,
    address: `10.95.4.${10 + index}/24`,
  })),
};

/** Runs a script of scripts/local with its facts, in the folder of the archives that they name. */
function script(name: string, args: string[], facts: Record<string, string>): void {
  runSync(["bash", join(LOCAL_SCRIPTS, `${name}.sh`), ...args], {
    directory: cluster.workspace.directory,
    env: { DWI_PROJECT: floor.project, ...facts },
  });
}

function imageAlias(): string {
  const hosts = renderHosts(cluster.topology, { platform: "local", scripts: "" });
  return runSync(["bash", "-c", `source ${LOCAL_SCRIPTS}/lib.sh; image_alias`], {
    env: imageFacts(packagesOf(hosts), cluster.topology.settings.local),
  }).trim();
}

const incus = (...args: string[]) => ["incus", "--project", floor.project, ...args];

/** Seconds until cloud-init has finished in as many empty hosts as the cluster has. */
async function timeEmptyHosts(image: string): Promise<number> {
  // foundation.sh requires archives and a folder for backups; empty hosts use neither.
  const [scripts, release] = ["scripts/none.tar.gz", "releases/none.tar.gz"];
  for (const archive of [scripts, release]) {
    const file = join(cluster.workspace.directory, "archives", archive);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, "");
  }
  script("foundation", [], {
    DWI_BRIDGE: floor.bridge,
    DWI_GATEWAY: `${floor.gateway}/24`,
    DWI_ROLES: "web",
    DWI_SECRETS: "",
    DWI_KEPT_SECRETS: "",
    DWI_BACKUPS: join(cluster.workspace.directory, "backups-of-empty-hosts"),
    DWI_SCRIPTS: scripts,
    DWI_RELEASE: release,
  } satisfies FoundationFacts);
  const started = process.hrtime.bigint();
  const launches = floor.hosts.map(({ name, address }) => {
    const settings = {
      "user.address": address,
      "user.gateway": floor.gateway,
      "cloud-init.user-data": "#cloud-config\n",
    };
    const flags = Object.entries(settings).flatMap(([key, value]) => ["-c", `${key}=${value}`]);
    return incus("launch", "--quiet", "--profile", "web", ...flags, image, name)
      .map((word) => `'${word}'`)
      .join(" ");
  });
  runSync(["bash", "-c", `${launches.map((launch) => `${launch} &`).join("\n")}\nwait`]);
  await eventually("cloud-init is done in every empty host", () => {
    const done = floor.hosts.every(
      ({ name }) =>
        spawnSync(
          "incus",
          incus("exec", name, "--", "test", "-e", "/run/cloud-init/result.json").slice(1),
        ).status === 0,
    );
    return done ? true : undefined;
  });
  return Number(process.hrtime.bigint() - started) / 1e9;
}

function removeEmptyHosts(): void {
  for (const { name } of floor.hosts) {
    script("remove", ["host"], { DWI_NAME: name });
  }
  script("remove", ["network"], { DWI_NAME: floor.bridge });
  script("remove", ["project"], {});
}

/** Seconds until the cluster serves and its replica is in sync, synthesis included. */
async function timeDeploy(): Promise<number> {
  const started = process.hrtime.bigint();
  cluster.deploy();
  await cluster.inSync();
  await cluster.serving();
  return Number(process.hrtime.bigint() - started) / 1e9;
}

async function main(): Promise<void> {
  const floors: number[] = [];
  const deploys: number[] = [];
  try {
    // Builds the image, if it does not exist, and warms the disk cache.
    await timeDeploy();
    cluster.destroy();
    const image = imageAlias();
    for (let round = 1; round <= ROUNDS; round++) {
      await pause(SETTLE * 1000);
      floors.push(await timeEmptyHosts(image));
      removeEmptyHosts();
      await pause(SETTLE * 1000);
      deploys.push(await timeDeploy());
      cluster.destroy();
      console.log(
        `round ${round}: ${floor.hosts.length} empty hosts ${floors.at(-1)?.toFixed(1)} s, the cluster ${deploys.at(-1)?.toFixed(1)} s`,
      );
    }
  } finally {
    removeEmptyHosts();
    cluster.workspace.attemptCdktf(["destroy", cluster.stack, "--auto-approve"]);
    cluster.workspace.remove();
  }
  const [empty, whole] = [median(floors), median(deploys)];
  report([
    {
      what: "a warm deploy until it serves in sync, against as many empty hosts",
      measured: `${whole.toFixed(1)} s / ${empty.toFixed(1)} s = ${(whole / empty).toFixed(2)}`,
      bound: "at most 3",
      holds: whole <= 3 * empty,
    },
  ]);
}

void main();
