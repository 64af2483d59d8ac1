import { spawn } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { join, relative } from "node:path";
import { packRelease } from "../../../archives/pack-release";
import { ask, type ScratchCluster, tally } from "../../../drill/scratch/scratch-cluster";
import { PROJECT } from "../../../hosts/project";
import { missingToServe, waitUntilServing } from "../../../machine/serving";
import type { LocalCluster } from "../../../ops/clusters";
import { localReleases } from "../../../ops/platform/local-releases";
import { localNames } from "../../../topology/names";
import type { ClusterSettingsInput } from "../../../topology/settings";

type App = NonNullable<ClusterSettingsInput["app"]>;

const FIXTURE = "__tests__/fixtures/moody-app";

/** An app that is healthy only in part, as its environment says. */
function moody(environment: Record<string, string>, more: Partial<App> = {}): App {
  return {
    directory: FIXTURE,
    command: "/usr/bin/node main.js",
    port: 8081,
    healthPath: "/up",
    startTimeout: 5,
    environment,
    ...more,
  };
}

/** A visitor that sends ten requests a second until it is killed, and prints each result. */
const VISITOR = `
const { get } = require("node:http");
const note = (what) => process.stdout.write(what + "\\n");
setInterval(() => {
  get(process.argv[1], { agent: false, timeout: 8000 }, (response) => {
    response.resume();
    note(response.statusCode);
  }).on("timeout", function () { this.destroy(); }).on("error", (error) => note(error.code));
}, 100);
setTimeout(() => process.exit(), 170_000);
`;

/** How often visitors get each status meanwhile. */
async function visited<Result>(url: string, act: () => Result) {
  const child = spawn(process.execPath, ["-e", VISITOR, url], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let noted = "";
  child.stdout.on("data", (data) => {
    noted += data;
  });
  const ended = new Promise((resolve) => child.on("close", resolve));
  try {
    return { result: act(), got: () => counted(noted) };
  } finally {
    child.kill();
    await ended;
  }
}

function counted(lines: string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const line of lines.split("\n").filter(Boolean)) {
    counts[line] = (counts[line] ?? 0) + 1;
  }
  return counts;
}

const releaseOn = (cluster: ScratchCluster, host: string) =>
  cluster.readOn(host, "basename $(readlink /srv/app/current)").trim();

const runOn = (cluster: ScratchCluster, host: string) =>
  cluster.readOn(host, "systemctl show --property InvocationID --value app.service").trim();

/** Expects what the message of a stopped release must contain. */
function expectStopped(
  { status, stdout, stderr }: { status: number | null; stdout: string; stderr: string },
  host: string,
  answer: string,
  line: string,
): void {
  const said = stdout + stderr;
  expect(said).toContain(`stopped at ${host} and rolled back`);
  expect(said).toContain("/up");
  expect(said).toMatch(/\d s/);
  expect(said).toContain(answer);
  expect(said).toContain(line);
  // The app's own lines, not those of systemd, which started it.
  expect(said).not.toMatch(/Main process exited|Scheduled restart|app\.service|systemd/);
  expect(status).toBe(1);
}

/** Releases that are unhealthy in different ways, and what an app's folder may contain. */
export function releases(cluster: ScratchCluster): void {
  const served = () => ["web-1", "web-2"].map((host) => releaseOn(cluster, host));
  const release = (app: App) => {
    cluster.set({ app });
    return cluster.attemptToOperate("release");
  };

  afterEach(() => cluster.set());

  describe("a release is stopped at the first web server, and no request fails", () => {
    test.each<[string, Record<string, string>, string, string]>([
      [
        "app answers 400 to any Host but its own",
        { OWN_HOST: "127.0.0.1" },
        "last answer: 400",
        "moody: no such host load-balancer",
      ],
      [
        "app exits 1.2 s after its first answer",
        { END_AFTER_FIRST_ANSWER_MS: "1200" },
        "returned 200",
        "moody: had enough",
      ],
      [
        "app exits while the load balancer checks it",
        { END_AFTER_FIRST_ANSWER_MS: "6000" },
        "returned 200",
        "moody: had enough",
      ],
      [
        "app answers 200 once, and 500 from then on",
        { GOOD_ANSWERS: "1", BAD_STATUS: "500" },
        "last answer: 500",
        "moody: asked",
      ],
      [
        "app hangs after a few answers",
        { GOOD_ANSWERS: "3" },
        "last answer: none within 1 s",
        "moody: asked",
      ],
      ["app answers with a redirect", { STATUS: "302" }, "last answer: 302", "moody: started"],
    ])("when its %s", async (_, environment, answer, line) => {
      await cluster.serving();
      const before = served();
      const run = runOn(cluster, "web-2");
      const { result, got } = await visited(`${cluster.url}/healthz`, () =>
        release(moody(environment)),
      );
      expectStopped(result, "web-1", answer, line);
      expect(served()).toEqual(before);
      expect(runOn(cluster, "web-2")).toBe(run);
      expect(Object.keys(got())).toEqual(["200"]);
    });
  });

  test("a release that is healthy on the first web server but not on the second is rolled back on both", async () => {
    await cluster.serving();
    const before = served();
    const { result, got } = await visited(`${cluster.url}/load-balancer-health`, () =>
      release(moody({ MOODY_ON: "web-2", OWN_HOST: "web-2.example.com" })),
    );
    expectStopped(result, "web-2", "400", "moody: no such host load-balancer");
    expect(served()).toEqual(before);
    expect(Object.keys(got())).toEqual(["200"]);
  }, 300_000);

  test("an app that answers only its own Host serves with app.healthHost, keeps its symlinks, and a rollback is checked the same way", async () => {
    // Inside the project, as apps are; with symlinks as npm and Python make them.
    const folder = mkdtempSync(join(PROJECT, ".cache", "linked-app-"));
    try {
      const moodyPackage = join(
        folder,
        "node_modules",
        ".pnpm",
        "moody@1",
        "node_modules",
        "moody",
      );
      cpSync(join(PROJECT, FIXTURE), moodyPackage, { recursive: true });
      chmodSync(join(moodyPackage, "main.js"), 0o755);
      mkdirSync(join(folder, "node_modules", ".bin"));
      symlinkSync(".pnpm/moody@1/node_modules/moody", join(folder, "node_modules", "moody"));
      symlinkSync("../moody/main.js", join(folder, "node_modules", ".bin", "moody"));
      mkdirSync(join(folder, ".venv", "bin"), { recursive: true });
      symlinkSync("/usr/bin/python3", join(folder, ".venv", "bin", "python3"));
      symlinkSync("python3", join(folder, ".venv", "bin", "python"));

      const before = served();
      const well = release(
        moody(
          { OWN_HOST: "shop.example.com", LABEL: "linked" },
          {
            directory: relative(PROJECT, folder),
            command: "/srv/app/current/app/node_modules/.bin/moody",
            healthHost: "shop.example.com",
          },
        ),
      );
      expect([well.status, well.stderr]).toEqual([0, ""]);
      const [linked] = served();
      expect(served()).toEqual([linked, linked]);
      const headers = { host: "shop.example.com" };
      const bodies = new Set<string>();
      for (let index = 0; index < 6; index++) {
        bodies.add((await ask(`${cluster.url}/`, { headers })).body.trim());
      }
      expect([...bodies].sort()).toEqual(["linked on web-1", "linked on web-2"]);
      expect(
        cluster.on("web-1", "cd /srv/app/current/app && .venv/bin/python -c 'print(6 * 7)'").trim(),
      ).toBe("42");

      // However many releases are uploaded and rolled back since, the remembered ones stay.
      const store = localReleases(cluster.incusProject);
      for (let index = 0; index < 10; index++) {
        await store.put(`releases/${String(index).repeat(64)}.tar.gz`, join(PROJECT, "LICENSE"));
      }
      // The previous release can no longer start there.
      const there = `/srv/app/releases/${before[0]}`;
      cluster.on("web-1", `chmod -x ${there}/start; sed -i 's/:30,/:3,/' ${there}/about.json`);
      cluster.set();
      const back = cluster.attemptToOperate("rollback");
      expect(back.status).toBe(1);
      expect(back.stderr).toContain("stopped at web-1 and rolled back");
      expect(served()).toEqual([linked, linked]);
      cluster.on("web-1", `rm -r ${there}`);
      cluster.operate("rollback");
      expect(served()).toEqual(before);
      await cluster.serving();
    } finally {
      rmSync(folder, { recursive: true });
    }
  }, 300_000);

  test("a first release that only seems healthy is not reported as serving, and status says why", async () => {
    const before = served();
    const { settings } = cluster.topology;
    const names = localNames(settings.name);
    const store = localReleases(cluster.incusProject);
    const local: LocalCluster = {
      stack: cluster.stack,
      settings,
      topology: cluster.topology,
      names,
    };
    const known = await store.list();
    /** Makes the web servers start a release as they start the one that Terraform gave the cluster. */
    const deployed = async (app: App) => {
      cluster.set({ app });
      const archive = packRelease(PROJECT, cluster.topology.settings.app);
      await store.put(archive.name, archive.file);
      await store.set([archive.sha256, ...known]);
      for (const host of ["web-1", "web-2"]) {
        cluster.on(host, "systemctl start cluster-app-setup.service");
      }
    };
    try {
      await deployed(moody({ END_AFTER_FIRST_ANSWER_MS: "1200" }));
      const seen = await waitUntilServing(local, 10, () => undefined);
      expect(missingToServe(seen)).not.toEqual([]);

      await deployed(moody({ OWN_HOST: "127.0.0.1" }));
      const refused = await waitUntilServing(local, 5, () => undefined);
      expect(missingToServe(refused)).not.toEqual([]);
      const { status, stdout } = cluster.attemptToOperate("status");
      expect(status).toBe(1);
      expect(stdout).not.toMatch(/^(web-|load-balancer-).* serves /m);
      expect(stdout).toContain("sends no requests to web-1: down, the check returned 400");
      // That the release is already there does not make it a success.
      const again = cluster.attemptToOperate("release");
      expect([again.status, again.stderr]).toEqual([
        1,
        expect.stringContaining("last answer: 400"),
      ]);
    } finally {
      await store.set(known);
      cluster.set();
      for (const host of ["web-1", "web-2"]) {
        cluster.on(host, "systemctl start cluster-app-setup.service");
      }
    }
    await cluster.serving();
    expect(served()).toEqual(before);
    expect(missingToServe(await waitUntilServing(local, 30, () => undefined))).toEqual([]);
    cluster.operate("status");
  }, 300_000);
}

/** The same on a cluster with one web server, which cannot be taken out of rotation while it is checked. */
export async function stoppedOnTheOnlyOne(cluster: ScratchCluster): Promise<void> {
  const before = releaseOn(cluster, "web-1");
  cluster.set({ app: moody({ OWN_HOST: "127.0.0.1" }) });
  const stopped = cluster.attemptToOperate("release");
  cluster.set();
  expectStopped(stopped, "web-1", "last answer: 400", "moody: no such host load-balancer");
  expect(releaseOn(cluster, "web-1")).toBe(before);
  expect(Object.keys(await tally(`${cluster.url}/api/whoami`, 5))).toEqual(["web-1"]);
}
