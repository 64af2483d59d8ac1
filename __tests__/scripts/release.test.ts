import { createHmac } from "node:crypto";
import { existsSync, readlinkSync, statSync } from "node:fs";
import { HostFolder } from "./host-folder";

// The releases of the app on a web server: from one to the other, and back where the new one is not healthy. systemd,
// Nginx and the app's answers are stand-ins; fetching, unpacking and what becomes of the files are real.

const SCRIPTS = "opt/cluster/scripts/web";
const AUTHORITY = "etc/cluster/certificate-authority.pem";
const PASSWORD = "p".repeat(24);

jest.setTimeout(60_000);

let host: HostFolder;
let releases: Record<"old" | "one" | "two" | "three", string>;

beforeEach(() => {
  host = new HostFolder(
    "HOST_NAME=web-1 HOST_ROLE=web WEB_HEALTH_PATH=/.cluster/health DATABASE_HEALTH_PORT=8008 HAPROXY_SOCKET=/run/haproxy/admin.sock DATABASE_HOSTS='10.0.0.11 10.0.0.12'",
  );
  host.bring(
    "host/lib.sh",
    "boot/fetch-archive.sh",
    "web/release.sh",
    "web/activate-release.sh",
    "web/install-release.sh",
    "web/set-up-app.sh",
    "web/app-lines.sh",
    "web/secrets.sh",
    "web/apply-secret.sh",
  );
  const release = (name: string, seconds = 5) =>
    host.archive("releases", {
      start: `#!/bin/sh\n# ${name}\n`,
      "about.json": JSON.stringify({
        startTimeout: seconds,
        healthPath: "/up",
        healthHost: "shop",
      }),
    });
  releases = {
    old: release("old"),
    one: release("one"),
    two: release("two", 7),
    three: release("three"),
  };
  host.put("etc/cluster/app.env", "HOST=127.0.0.1\n");
  host.put("etc/systemd/system/app.service", "[Service]\n");
  host.put(AUTHORITY, "the authority\n");
  host.put("store/release", releases.one);
  host.standIn(
    "opt/cluster/platform.sh",
    `case $1 in
      archive) cp "$ROOT/store/$2" "$3" ;;
      secret) if [[ -e $ROOT/secrets/$2 ]]; then cat "$ROOT/secrets/$2"; else printf '%s' ${PASSWORD}; fi ;;
      release) cat "$ROOT/store/release" ;;
    esac`,
    { quiet: true },
  );
  // The app that runs is the one that was current when it was started; each start is a run of its own.
  host.standIn(
    "systemctl",
    `case $* in
      *"is-active app.service") [[ -e $ROOT/running ]] ;;
      *"show --property InvocationID"*)
        echo "$(<"$ROOT/run-of-app")" ;;
      *"stop app.service") rm --force "$ROOT/running" ;;
      *"start app.service")
        echo x >>"$ROOT/run-of-app"
        readlink "$ROOT/srv/app/current" >"$ROOT/running" ;;
    esac`,
  );
  host.put("run-of-app", "x\n");
  host.standIn("nginx", `[[ ! -e $(readlink "$ROOT/srv/app/current")/refused ]]`);
  host.standIn(
    "journalctl",
    `case $* in
      *--show-cursor*) echo "-- cursor: here" ;;
      *"--after-cursor here"*) cat "$ROOT/printed" ;;
    esac`,
    { quiet: true },
  );
  host.put("printed", "");
  // What the app that runs answers: the first line each time, and the last from then on.
  host.standIn(
    "curl",
    `case $* in
      */.cluster/health)
        if [[ -e $ROOT/running ]]; then running=$(<"$ROOT/running") file=$ROOT/answers/\${running##*/}; else file=/nowhere; fi
        mapfile -t lines <"$file"
        answer=\${lines[0]:-nothing}
        if ((\${#lines[@]} > 1)); then printf '%s\\n' "\${lines[@]:1}" >"$file"; fi
        case $answer in
          nothing) printf 000; exit 7 ;;
          slow) printf 000; exit 28 ;;
          *) printf '%s' "$answer" ;;
        esac 2>/dev/null ;;
      *) file=$ROOT/tells/\${*: -1}; cat "\${file/http:\\/\\//}" ;;
    esac 2>/dev/null`,
    { quiet: true },
  );
  for (const name of Object.values(releases)) {
    answers(name, "200");
  }
});
afterEach(() => host.remove());

function answers(release: string, ...lines: string[]): void {
  host.put(`answers/${release}`, `${lines.join("\n")}\n`);
}

const link = (name: string) =>
  existsSync(host.at(`srv/app/${name}`))
    ? readlinkSync(host.at(`srv/app/${name}`))
        .split("/")
        .at(-1)
    : undefined;

/** What is current, what was before, what runs, and what else is here; by names of releases. */
function state() {
  const nameOf = (sha256: string | undefined) =>
    Object.entries(releases).find(([, value]) => value === sha256)?.[0];
  return {
    current: nameOf(link("current")),
    previous: nameOf(link("previous")),
    runs: host.has("running") ? nameOf(host.read("running").trim().split("/").at(-1)) : undefined,
    here: host
      .list("srv/app/releases")
      .map((name) => nameOf(name) ?? name)
      .sort(),
  };
}

const seconds = () => Number(host.read("proc/uptime").split(" ")[0]) - 100;
const starts = () => host.calls().filter((call) => call.includes(" start app.service")).length;

async function activate(release: string, ...more: string[]) {
  host.put("calls", "");
  host.put("proc/uptime", "100.00 100.00\n");
  return host.run(`${SCRIPTS}/activate-release.sh`, [release, "2", ...more]);
}

/** The same, which takes its first good answer. */
const activateAtOnce = (release: string) =>
  host.run(`${SCRIPTS}/activate-release.sh`, [release, "0"]);

async function serving(...names: (keyof typeof releases)[]) {
  for (const name of names) {
    expect((await activateAtOnce(releases[name])).status).toBe(0);
  }
}

describe("a release", () => {
  test("that is healthy serves, and the one before stays beside it", async () => {
    await serving("old", "one");
    const { status, stderr } = await activate(releases.two);
    expect([status, stderr]).toEqual([
      0,
      `activate-release.sh: web-1 serves release ${releases.two.slice(0, 12)}\n`,
    ]);
    expect(state()).toEqual({ current: "two", previous: "one", runs: "two", here: ["one", "two"] });
    expect(seconds()).toBeCloseTo(2, 1);
  });

  test("that serves already is left alone", async () => {
    await serving("one", "two");
    expect((await activate(releases.two)).status).toBe(0);
    expect(starts()).toBe(0);
    expect(host.calls().join("\n")).not.toMatch(/nginx|stop|reload/);
    expect(state()).toMatchObject({ current: "two", previous: "one", runs: "two" });
  });

  test("that serves already, and is not healthy, is started anew", async () => {
    await serving("one", "two");
    answers(releases.two, "500", "200");
    expect((await activate(releases.two)).status).toBe(0);
    expect(starts()).toBe(1);
    expect(state()).toMatchObject({ current: "two", previous: "one", runs: "two" });
  });

  test("that serves already, and does not become healthy, gives way to the one before", async () => {
    await serving("one", "two");
    answers(releases.two, "500");
    const { status, stderr } = await activate(releases.two);
    expect(status).toBe(1);
    expect(stderr).toContain(`web-1 serves release ${releases.one.slice(0, 12)} again`);
    expect(state()).toMatchObject({ current: "one", previous: undefined, runs: "one" });
  });

  test("that takes its time to start may", async () => {
    await serving("one");
    answers(releases.two, ...Array(20).fill("502"), "200");
    expect((await activate(releases.two)).status).toBe(0);
    expect(seconds()).toBeCloseTo(5 + 2, 1);
  });

  test("of which one answer is missing is still healthy", async () => {
    await serving("one");
    answers(releases.two, "200", "200", "slow", "200");
    expect((await activate(releases.two)).status).toBe(0);
    // Steady from the miss on.
    expect(seconds()).toBeCloseTo(0.75 + 2, 1);
  });

  test.each([
    [["500"], "did not return 200 within 7 s of the start; last answer: 500"],
    [["404"], "did not return 200 within 7 s of the start; last answer: 404"],
    [["nothing"], "did not return 200 within 7 s of the start; last answer: none"],
    [["slow"], "did not return 200 within 7 s of the start; last answer: none within 1 s"],
    [["502"], "502 from Nginx: the app accepts no connections"],
    [["500", "200", "500"], "returned 200 at first, but no longer after 0.5 s; last answer: 500"],
    [
      Array(40).fill(["200", "500"]).flat(),
      "returned 200 intermittently, but never for 2 s in a row within 9.0 s",
    ],
  ])("that answers %.20j is taken back, with words that tell", async (given, words) => {
    await serving("old", "one");
    answers(releases.two, ...given);
    host.put("printed", "starting\ncannot read the settings\n");
    const { status, stderr } = await activate(releases.two);
    expect(status).toBe(1);
    expect(stderr).toContain("/up, requested like the load balancer's health check (Host: shop),");
    expect(stderr).toContain(words);
    expect(stderr).toContain("last lines of the app:\n  starting\n  cannot read the settings\n");
    expect(stderr).toContain(`web-1 serves release ${releases.one.slice(0, 12)} again`);
    expect(state()).toMatchObject({ current: "one", previous: "old", runs: "one" });
  });

  test("whose app is started anew again and again is taken back", async () => {
    await serving("one");
    answers(releases.one, "200");
    host.standIn(
      "sleep",
      `read -r up _ <"$ROOT/proc/uptime"; printf '%s 0\\n' "$((\${up%.*} + 1)).00" >"$ROOT/proc/uptime"
      if [[ $(<"$ROOT/running") == *${releases.two} ]]; then echo x >>"$ROOT/run-of-app"; fi`,
      { quiet: true },
    );
    const { status, stderr } = await activate(releases.two);
    expect(status).toBe(1);
    expect(stderr).toContain("the app exited within 1.0 s and was restarted; last answer: 200");
    expect(state()).toMatchObject({ current: "one", runs: "one" });
  });

  test("that Nginx refuses is taken back, without the app being stopped before", async () => {
    await serving("one");
    releases.two = host.archive("releases", { refused: "" });
    answers(releases.two, "200");
    const { status, stderr } = await activate(releases.two);
    expect(status).toBe(1);
    expect(stderr).toContain("Nginx rejects its configuration");
    expect(state()).toMatchObject({ current: "one", runs: "one" });
    expect(starts()).toBe(1);
  });

  test("with none before it stays, and is told to be unhealthy", async () => {
    answers(releases.one, "500");
    const { status, stderr } = await activate(releases.one);
    expect(status).toBe(1);
    expect(stderr).toContain("there is no release to roll back to");
    expect(stderr).toContain("the app has printed nothing");
    expect(state()).toMatchObject({ current: "one", runs: "one" });
  });

  test("that fails as the one before does too says so of both", async () => {
    await serving("one");
    answers(releases.one, "500");
    answers(releases.two, "500");
    const { status, stderr } = await activate(releases.two);
    expect(status).toBe(1);
    expect(stderr).toContain(
      `the previous release ${releases.one.slice(0, 12)} is not healthy either`,
    );
  });

  test("that says nothing of itself has 30 s", async () => {
    await serving("one");
    releases.two = host.archive("releases", { start: "" });
    answers(releases.two, "500");
    host.standIn(
      "sleep",
      `read -r up _ <"$ROOT/proc/uptime"; echo "$((\${up%.*} + 1)).00 0" >"$ROOT/proc/uptime"`,
      { quiet: true },
    );
    expect((await activate(releases.two)).stderr).toContain("did not return 200 within 30 s");
  });

  test("that arrives as something else changes nothing", async () => {
    await serving("one");
    host.put(`store/releases/${releases.two}.tar.gz`, "something else");
    const { status, stderr } = await activate(releases.two);
    expect(status).toBe(1);
    expect(stderr).toContain("its SHA-256 does not match");
    expect(starts()).toBe(0);
    expect(state()).toMatchObject({ current: "one", runs: "one", here: ["one"] });
  });
});

describe("a release that is to be forgotten", () => {
  test("gives way to the one named, and no way leads back to it", async () => {
    await serving("one", "two");
    expect((await activate(releases.one, "--take-back")).status).toBe(0);
    expect(state()).toEqual({ current: "one", previous: undefined, runs: "one", here: ["one"] });
  });

  test("gives way also to one that is not healthy, which is told", async () => {
    await serving("one", "two");
    answers(releases.one, "500");
    const { status, stderr } = await activate(releases.one, "--take-back");
    expect(status).toBe(1);
    expect(stderr).toContain("is not healthy either");
    expect(stderr).toContain("last answer: 500");
  });
});

// Whoever is connected to the host may be gone halfway; what runs is then not what is current.
describe("what was interrupted", () => {
  const places = [
    ["while the archive arrived", "opt/cluster/platform.sh", "archive"],
    ["before Nginx looked at it", "bin/nginx", ""],
    ["before Nginx read it", "bin/systemctl", "reload-or-restart nginx"],
    ["before the app was stopped", "bin/systemctl", "stop app"],
    ["before the app was started", "bin/systemctl", "start app"],
  ] as const;

  async function interrupted(program: string, words: string) {
    await serving("old", "one");
    const before = host.read(program);
    host.put(
      program,
      before.replace(
        "\n",
        `\nif [[ $* == *"${words}"* && ! -e $ROOT/killed ]]; then touch "$ROOT/killed"; kill -KILL $PPID; exit; fi\n`,
      ),
      0o755,
    );
    const { status } = await activateAtOnce(releases.two);
    expect(host.has("killed")).toBe(true);
    return status;
  }

  test.each(places)("%s is done by the next attempt", async (_when, program, words) => {
    expect(await interrupted(program, words)).not.toBe(0);
    expect((await activateAtOnce(releases.two)).status).toBe(0);
    expect(state()).toEqual({ current: "two", previous: "one", runs: "two", here: ["one", "two"] });
  });

  test.each(places)("%s is done when the app is set up", async (_when, program, words) => {
    await interrupted(program, words);
    host.put("store/release", releases.two);
    expect((await host.run(`${SCRIPTS}/set-up-app.sh`)).status).toBe(0);
    expect(state()).toMatchObject({ current: "two", runs: "two" });
  });

  test.each(places)("%s is taken back by the one before", async (_when, program, words) => {
    await interrupted(program, words);
    expect((await activateAtOnce(releases.one)).status).toBe(0);
    expect(state()).toMatchObject({ current: "one", runs: "one" });
  });
});

describe("a release that is fetched", () => {
  const install = async (release: string) => {
    const { status, stdout } = await host.run(`${SCRIPTS}/install-release.sh`, [release]);
    return status === 0 ? JSON.parse(stdout) : status;
  };

  test("serves nobody yet, and tells how long it and the other may take", async () => {
    await serving("one");
    expect(await install(releases.two)).toEqual({ startTimeout: 7, startTimeoutBefore: 5 });
    expect(state()).toEqual({
      current: "one",
      previous: undefined,
      runs: "one",
      here: ["one", "two"],
    });
  });

  test("may be the first", async () => {
    expect(await install(releases.two)).toEqual({ startTimeout: 7, startTimeoutBefore: 30 });
  });

  test("is not there where it arrived as something else", async () => {
    host.put(`store/releases/${releases.two}.tar.gz`, "something else");
    expect(await install(releases.two)).toBe(1);
    expect(state().here).toEqual([]);
  });
});

describe("what the app has printed", () => {
  const lines = async () => (await host.run(`${SCRIPTS}/app-lines.sh`)).stdout;

  test("is told from its last start on: ten lines, each cut", async () => {
    await serving("one");
    const printed = Array.from({ length: 12 }, (_, index) => `${index} ${"x".repeat(600)}`);
    host.put("printed", `${printed.join("\n")}\n`);
    const [head, ...told] = (await lines()).trimEnd().split("\n");
    expect(head).toBe("the last lines of the app:");
    expect(told).toEqual(printed.slice(2).map((line) => `  ${line.slice(0, 500)}`));
  });

  test("may be nothing", async () => {
    await serving("one");
    expect(await lines()).toBe("the app has printed nothing\n");
  });
});

describe("setting the app up", () => {
  const setUp = async () => {
    host.put("calls", "");
    return host.run(`${SCRIPTS}/set-up-app.sh`);
  };
  const tells = (address: string, password: string, certificate: string, proof?: string) =>
    host.put(
      `tells/${address}:8008/certificate-authority`,
      `${proof ?? createHmac("sha256", password).update(certificate).digest("hex")}|${Buffer.from(certificate).toString("base64")}\n`,
    );

  beforeEach(() => {
    host.drop(AUTHORITY);
    tells("10.0.0.12", PASSWORD, "the authority\n");
  });

  test("starts the release that the platform names first", async () => {
    host.put("store/release", `${releases.two} ${releases.one}\n`);
    expect(await setUp()).toEqual({ status: 0, stdout: "", stderr: "" });
    expect(state()).toEqual({ current: "two", previous: undefined, runs: "two", here: ["two"] });
    expect(host.read(AUTHORITY)).toBe("the authority\n");
  });

  test("changes nothing where all is as it is to be", async () => {
    await setUp();
    expect((await setUp()).status).toBe(0);
    expect(starts()).toBe(0);
  });

  test.each(["etc/cluster/app.env", "etc/systemd/system/app.service"])(
    "starts the app anew where %s changed",
    async (file) => {
      await setUp();
      host.put(file, "changed\n");
      expect((await setUp()).status).toBe(0);
      expect(starts()).toBe(1);
    },
  );

  test("starts an app that does not run", async () => {
    await setUp();
    host.drop("running");
    expect((await setUp()).status).toBe(0);
    expect(state().runs).toBe("one");
  });

  test("waits until the platform names a release", async () => {
    host.put("store/release", "");
    const { status, stderr } = await setUp();
    expect(status).toBe(1);
    expect(stderr).toContain("the platform has no release yet");
  });

  test("waits until a database host tells the authority", async () => {
    host.drop("tells");
    const { status, stderr } = await setUp();
    expect(status).toBe(1);
    expect(stderr).toContain("no database host has published the certificate authority yet");
    expect(starts()).toBe(0);
    tells("10.0.0.11", PASSWORD, "the authority\n");
    expect((await setUp()).status).toBe(0);
    expect(state().runs).toBe("one");
  });

  test.each([
    ["another password", "q".repeat(24), undefined],
    ["no proof", PASSWORD, ""],
    ["a wrong proof", PASSWORD, "0".repeat(64)],
  ])("leaves an authority with %s aside, and believes the next", async (_how, password, proof) => {
    tells("10.0.0.11", password, "somebody else's\n", proof);
    const { status, stderr } = await setUp();
    expect(status).toBe(0);
    expect(stderr).toContain("ignoring the certificate authority from 10.0.0.11");
    expect(host.read(AUTHORITY)).toBe("the authority\n");
  });

  test("believes no answer that is none", async () => {
    for (const address of ["10.0.0.11", "10.0.0.12"]) {
      host.put(`tells/${address}:8008/certificate-authority`, "<html>not here</html>\n");
    }
    expect((await setUp()).status).toBe(1);
    expect(host.has(AUTHORITY)).toBe(false);
  });

  test("goes by the authority it knows while nobody tells", async () => {
    host.put(AUTHORITY, "known from before\n");
    host.drop("tells");
    expect((await setUp()).status).toBe(0);
    expect(host.read(AUTHORITY)).toBe("known from before\n");
    expect(host.list("tmp")).toEqual([]);
  });

  test("gives no program the password", async () => {
    for (const name of ["curl", "sha256sum", "base64", "cat", "install", "mv"]) {
      const code = host.has(`bin/${name}`)
        ? host.read(`bin/${name}`).split("\n").slice(1).join("\n")
        : `exec /usr/bin/${name} "$@"`;
      host.standIn(name, code);
    }
    expect((await setUp()).status).toBe(0);
    expect(host.calls().length).toBeGreaterThan(10);
    expect(host.calls().join("\n")).not.toContain(PASSWORD);
  });
});

describe("a secret of the app's is rotated", () => {
  const OTHER = "q".repeat(24);
  const apply = (...args: string[]) => host.run(`${SCRIPTS}/apply-secret.sh`, args);
  const handed = (name: string) => host.read(`run/cluster/secrets/app/database-${name}`);
  const tells = (password: string, certificates: string) =>
    host.put(
      "tells/10.0.0.11:8008/certificate-authority",
      `${createHmac("sha256", password).update(certificates).digest("hex")}|${Buffer.from(certificates).toString("base64")}\n`,
    );

  beforeEach(async () => {
    tells(PASSWORD, "the authority\n");
    expect((await host.run(`${SCRIPTS}/set-up-app.sh`)).status).toBe(0);
    host.put("calls", "");
  });

  test("the app finds the new password in the same file, in one step, and is not restarted", async () => {
    expect([handed("password"), handed("read-password")]).toEqual([PASSWORD, PASSWORD]);
    for (const [content, value] of [
      [`${PASSWORD} next ${OTHER}`, PASSWORD],
      [`${OTHER} previous ${PASSWORD}`, OTHER],
      [`${OTHER} former ${PASSWORD}`, OTHER],
    ] as const) {
      host.put("secrets/mysql-app-password", content);
      expect(await apply("mysql-app-password")).toEqual({ status: 0, stdout: "", stderr: "" });
      expect([handed("password"), handed("read-password")]).toEqual([value, PASSWORD]);
    }
    expect(host.list("run/cluster/secrets/app")).toEqual([
      "database-password",
      "database-read-password",
    ]);
    expect(statSync(host.at("run/cluster/secrets")).mode & 0o777).toBe(0o700);
    expect(statSync(host.at("run/cluster/secrets/app/database-password")).mode & 0o777).toBe(0o444);
    expect(starts()).toBe(0);
  });

  test("an app that does not read it again is restarted, once, and proves healthy", async () => {
    host.put("secrets/mysql-read-password", `${OTHER} previous ${PASSWORD}`);
    answers(releases.one, "nothing", "503", "200");
    expect((await apply("mysql-read-password", "--restart")).status).toBe(0);
    expect([handed("read-password"), starts()]).toEqual([OTHER, 1]);
  });

  test("one that is not healthy afterwards is an error, with its last lines", async () => {
    host.put("secrets/mysql-read-password", `${OTHER} previous ${PASSWORD}`);
    host.put("printed", "access denied\n");
    answers(releases.one, "503");
    const { status, stderr } = await apply("mysql-read-password", "--restart");
    expect(status).toBe(1);
    expect(stderr).toContain("access denied");
    expect(stderr).toContain("the app is not healthy on web-1 after its restart: /up,");
  });

  test("an authority that was fetched restarts no app later either", async () => {
    tells(PASSWORD, "the authority\nthe next one\n");
    expect((await apply("certificate-authority-seed")).status).toBe(0);
    expect(host.read(AUTHORITY)).toBe("the authority\nthe next one\n");
    expect((await host.run(`${SCRIPTS}/set-up-app.sh`)).status).toBe(0);
    expect(starts()).toBe(0);
  });

  test("no authority is an error, and the one from before stays", async () => {
    tells("z".repeat(24), "somebody else's\n");
    const { status, stderr } = await apply("certificate-authority-seed");
    expect([status, host.read(AUTHORITY)]).toEqual([1, "the authority\n"]);
    expect(stderr).toContain("no database host answers with the certificate authority");
  });

  test("an authority is believed with either password while that is being rotated", async () => {
    for (const [content, password, certificates] of [
      [`${PASSWORD} next ${OTHER}`, OTHER, "one\n"],
      [`${OTHER} previous ${PASSWORD}`, PASSWORD, "two\n"],
    ] as const) {
      host.put("secrets/mysql-app-password", content);
      await apply("mysql-app-password");
      tells(password, certificates);
      expect((await apply("certificate-authority-seed")).status).toBe(0);
      expect(host.read(AUTHORITY)).toBe(certificates);
    }
  });

  test("a secret that no web server has is refused", async () => {
    const { status, stderr } = await apply("backup-password");
    expect([status, stderr]).toEqual([
      1,
      "apply-secret.sh: a web server has no use for the secret backup-password\n",
    ]);
  });
});

test.each(["activate-release", "install-release", "set-up-app", "apply-secret"])(
  "sourcing %s does nothing",
  async (name) => {
    const ran = await host.shell([`${SCRIPTS}/${name}.sh`], "");
    expect(ran).toEqual({ status: 0, stdout: "", stderr: "" });
    expect(host.calls()).toEqual([]);
    expect(host.list("srv")).toEqual([]);
  },
);
