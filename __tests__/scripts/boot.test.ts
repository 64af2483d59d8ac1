import { gzipSync } from "node:zlib";
import { HostFolder } from "./host-folder";

// A host comes to its declared state: at a boot, and when what it is to carry has changed.

const WRITTEN = "var/lib/cluster/user-data.written";
const TAKEN = "var/lib/cluster/user-data";
const TEXT = { A: "#cloud-config of A\n", B: "#cloud-config of B\n" } as const;

jest.setTimeout(60_000);

let host: HostFolder;
let boot: string;
let scripts: Record<keyof typeof TEXT, string>;

/** The names of the programs that were called, and what tells one call from another. */
const told = () =>
  host.calls().map((call) => call.replaceAll(`${host.root}/`, "/").replace(/ --file .*/, ""));

/** What the platform says is the newest user-data, or that it does not answer. */
const newest = (name?: keyof typeof TEXT) =>
  host.standIn(
    "opt/cluster/platform.sh",
    `case $1 in
      archive) cp "$ROOT/store/$2" "$3" ;;
      user-data) ${name === undefined ? "exit 1" : `cp "$ROOT/store/${name}" "$2"`} ;;
      operator-access) [[ ! -e $ROOT/unreachable ]] ;;
      install-packages) [[ ! -e $ROOT/unavailable-\${@: -1} ]] ;;
    esac`,
  );

/** Boots, or looks for a change, with no earlier calls on the list. */
function ran(...args: string[]) {
  host.put("calls", "");
  return host.run(boot, args);
}

/** The scripts that brought the host to its state, and whether what it carries was written anew. */
const converged = () => told().filter((call) => call.startsWith("converge"));
const tookOver = () => told().includes("cloud-init single --name write_files --frequency always");

beforeEach(() => {
  host = new HostFolder();
  boot = host.bring("boot/boot.sh", "boot/fetch-archive.sh");
  const converge = (name: string) => `#!/usr/bin/env bash
    printf '%s\\n' "converge ${name}" >>"$ROOT/calls"
    [[ ! -e $ROOT/broken-${name} ]]
  `;
  scripts = {
    A: host.archive("scripts", { "host/converge.sh": converge("A") }),
    B: host.archive("scripts", { "host/converge.sh": converge("B") }),
  };
  for (const name of ["A", "B"] as const) {
    host.put(`store/${name}`, TEXT[name]);
    // What cloud-init would write of it.
    host.put(
      `store/of ${name}.env`,
      `HOST_NAME=web-1 SCRIPTS=${scripts[name]} PACKAGES='nginx package-of-${name}' EXPECTED_PACKAGES=debsums\n`,
    );
  }
  host.put("etc/cluster/host.env", host.read("store/of A.env"));
  host.put("var/lib/cloud/instance/user-data.txt", gzipSync(TEXT.A));
  host.standIn(
    "cloud-init",
    `[[ ! -e $ROOT/killed ]] || { rm "$ROOT/killed"; kill -KILL $PPID; }
    read -r _ _ name <"\${@: -1}"
    cat "$ROOT/store/of $name.env" >"$ROOT/etc/cluster/host.env"
    if [[ -e $ROOT/killed-late ]]; then rm "$ROOT/killed-late"; kill -KILL $PPID; fi`,
  );
  host.standIn("nft", "true");
  host.standIn("systemctl", "true");
  newest("A");
});
afterEach(() => host.remove());

describe("a first boot", () => {
  test("goes from the firewall to the scripts, without writing again what cloud-init has written", async () => {
    const { status, stderr } = await ran();
    expect([status, stderr]).toEqual([0, "boot.sh: web-1 has converged to its declared state\n"]);
    expect(told().map((call) => call.replace(/ \/.*/, ""))).toEqual([
      "nft",
      "platform.sh operator-access",
      "platform.sh install-packages nginx package-of-A",
      "platform.sh user-data",
      "nft",
      `platform.sh archive scripts/${scripts.A}.tar.gz`,
      "converge A",
      "platform.sh install-packages debsums",
    ]);
    expect(host.read(TAKEN)).toBe(TEXT.A);
  });

  test("goes on without packages that nothing needs", async () => {
    host.put("unavailable-debsums", "");
    const { status, stderr } = await ran();
    expect(status).toBe(0);
    expect(stderr).toMatch(/converged to its declared state\n.*going on without the packages/);
    expect(host.read(TAKEN)).toBe(TEXT.A);
  });

  test.each([
    ["compressed", gzipSync(TEXT.A)],
    ["as it is", TEXT.A],
    ["without its last line break", TEXT.A.trimEnd()],
  ])("knows the user-data it was made with, given %s", async (_how, userData) => {
    host.put("var/lib/cloud/instance/user-data.txt", userData);
    expect((await ran()).status).toBe(0);
    expect(host.read(WRITTEN)).toBe(TEXT.A);
    expect(tookOver()).toBe(false);
  });

  test("applies user-data that is newer than the host", async () => {
    newest("B");
    expect((await ran()).status).toBe(0);
    expect(tookOver()).toBe(true);
    expect(converged()).toEqual(["converge B"]);
    expect([host.read(WRITTEN), host.read(TAKEN)]).toEqual([TEXT.B, TEXT.B]);
  });

  test("continues if operator access cannot be set up", async () => {
    host.put("unreachable", "");
    const { status, stderr } = await ran();
    expect(status).toBe(0);
    expect(stderr).toContain("operators may not reach this host");
    expect(converged()).toEqual(["converge A"]);
  });

  test("continues with the current user-data if the newest cannot be fetched", async () => {
    newest(undefined);
    const { status, stderr } = await ran();
    expect(status).toBe(0);
    expect(stderr).toContain("could not be fetched; continuing with the current one");
    expect(converged()).toEqual(["converge A"]);
  });

  test("that was interrupted before it recorded its user-data starts again", async () => {
    host.put(`${WRITTEN}.new`, "#cloud-con");
    expect((await ran()).status).toBe(0);
    expect(host.read(WRITTEN)).toBe(TEXT.A);
  });
});

describe("an update", () => {
  beforeEach(async () => {
    expect((await ran()).status).toBe(0);
  });

  test("does nothing if nothing has changed", async () => {
    expect(await ran("--if-changed")).toEqual({ status: 0, stdout: "", stderr: "" });
    expect(converged()).toEqual([]);
    expect(tookOver()).toBe(false);
    expect(host.list("var/lib/cluster")).toEqual(["user-data", "user-data.written"]);
  });

  test("but a boot does everything", async () => {
    expect((await ran()).status).toBe(0);
    expect(converged()).toEqual(["converge A"]);
    expect(tookOver()).toBe(false);
  });

  test("applies a change with its packages, facts and scripts", async () => {
    newest("B");
    expect((await ran("--if-changed")).status).toBe(0);
    const calls = told();
    const written = calls.indexOf("cloud-init single --name write_files --frequency always");
    expect(calls[written + 1]).toBe("systemctl daemon-reload");
    expect(calls.indexOf("platform.sh install-packages nginx package-of-B")).toBeGreaterThan(
      written,
    );
    expect(converged()).toEqual(["converge B"]);
    expect([host.read(WRITTEN), host.read(TAKEN)]).toEqual([TEXT.B, TEXT.B]);
    expect(await ran("--if-changed")).toMatchObject({ status: 0 });
    expect(converged()).toEqual([]);
  });

  test("fails if the platform does not answer, and changes nothing", async () => {
    newest(undefined);
    expect((await ran("--if-changed")).status).toBe(1);
    expect(converged()).toEqual([]);
    expect(host.read(TAKEN)).toBe(TEXT.A);
  });

  test("retries a change that failed", async () => {
    newest("B");
    host.put("broken-B", "");
    expect((await ran("--if-changed")).status).toBe(1);
    expect((await ran("--if-changed")).status).toBe(1);
    expect(converged()).toEqual(["converge B"]);
    host.drop("broken-B");
    expect((await ran("--if-changed")).status).toBe(0);
    expect(converged()).toEqual(["converge B"]);
    expect(tookOver()).toBe(false);
    expect(host.read(TAKEN)).toBe(TEXT.B);
  });

  test("can revert a change that failed", async () => {
    newest("B");
    host.put("broken-B", "");
    expect((await ran("--if-changed")).status).toBe(1);
    newest("A");
    expect((await ran("--if-changed")).status).toBe(0);
    expect(tookOver()).toBe(true);
    expect(converged()).toEqual(["converge A"]);
    expect(host.read("etc/cluster/host.env")).toContain("package-of-A");
  });

  test("can revert a change whose packages are not available", async () => {
    newest("B");
    host.put("unavailable-package-of-B", "");
    expect((await ran("--if-changed")).status).toBe(1);
    expect((await ran("--if-changed")).status).toBe(1);
    expect(converged()).toEqual([]);
    newest("A");
    expect((await ran("--if-changed")).status).toBe(0);
    expect(converged()).toEqual(["converge A"]);
    expect(host.read("etc/cluster/host.env")).toContain("package-of-A");
  });

  test("reports packages that were removed, even if nothing has changed", async () => {
    host.put("unavailable-package-of-A", "");
    expect((await ran("--if-changed")).status).toBe(1);
    expect((await ran()).status).toBe(1);
    expect(converged()).toEqual([]);
  });

  test.each(["killed", "killed-late"])(
    "writes a change again where that was %s, and nothing unfinished piles up",
    async (when) => {
      newest("B");
      host.put(when, "");
      expect((await ran("--if-changed")).status).toBeNull();
      expect((await ran("--if-changed")).status).toBe(0);
      expect(tookOver()).toBe(true);
      expect(converged()).toEqual(["converge B"]);
      expect(host.list("var/lib/cluster")).toEqual(["user-data", "user-data.written"]);
    },
  );

  test("can revert a change that may have been written in part", async () => {
    newest("B");
    host.put("killed-late", "");
    expect((await ran("--if-changed")).status).toBeNull();
    newest("A");
    expect((await ran("--if-changed")).status).toBe(0);
    expect(host.read("etc/cluster/host.env")).toContain("package-of-A");
    expect(converged()).toEqual(["converge A"]);
  });

  test("a boot that finds half of a change, and gets no answer from the platform, applies it later", async () => {
    newest("B");
    host.put("killed-late", "");
    expect((await ran("--if-changed")).status).toBeNull();
    newest(undefined);
    expect((await ran()).status).toBe(0);
    newest("A");
    expect((await ran("--if-changed")).status).toBe(0);
    expect(tookOver()).toBe(true);
    expect(converged()).toEqual(["converge A"]);
  });

  test("waits for a boot that is in progress", async () => {
    newest("B");
    host.put("calls", "");
    const { status } = await host.shell(
      [],
      `exec 8>"$ROOT/run/cluster-boot.lock"; flock 8
      "$ROOT/${boot}" --if-changed 8>&- &
      /usr/bin/sleep 0.3; echo "the lock is free" >>"$ROOT/calls"; flock --unlock 8; wait $!`,
    );
    expect(status).toBe(0);
    expect(told()[0]).toBe("the lock is free");
    expect(converged()).toEqual(["converge B"]);
  });
});

describe("the scripts", () => {
  const installed = () => host.list("opt/cluster/archives");

  test("that were replaced are kept as long as they may be running", async () => {
    await ran();
    host.put("opt/cluster/archives/of-long-ago/x", "");
    newest("B");
    await ran("--if-changed");
    expect(installed()).toEqual([scripts.A, scripts.B].sort());
    expect(host.read("opt/cluster/scripts/host/converge.sh")).toContain("converge B");
  });

  test("that are present are not fetched again", async () => {
    await ran();
    await ran();
    expect(told().filter((call) => call.startsWith("platform.sh archive"))).toEqual([]);
    expect(installed()).toEqual([scripts.A]);
  });

  test("that arrive with another checksum do not run, and neither do the earlier ones", async () => {
    await ran();
    host.put(`store/scripts/${scripts.B}.tar.gz`, host.read("store/A"));
    newest("B");
    expect((await ran("--if-changed")).status).toBe(1);
    expect(converged()).toEqual([]);
    expect(installed()).toEqual([scripts.A]);
  });
});

// cloud-init writes its files where they are.
test("the script can be replaced while it runs", async () => {
  const text = host.read(boot);
  host.put(
    "store/converge",
    `#!/usr/bin/env bash
    { head --lines=10 "$ROOT/${boot}"; yes 'echo from the new one' | head --lines=1000; } >"$ROOT/new"
    cat "$ROOT/new" >"$ROOT/${boot}"\n`,
  );
  const writing = host.archive("scripts", { "host/converge.sh": host.read("store/converge") });
  host.put(
    "etc/cluster/host.env",
    `HOST_NAME=web-1 SCRIPTS=${writing} PACKAGES=nginx EXPECTED_PACKAGES=debsums\n`,
  );
  const { status, stdout } = await ran();
  expect([status, stdout]).toEqual([0, ""]);
  expect(host.read(boot)).not.toBe(text);
});

test("sourcing the script has no side effects", async () => {
  expect(await host.shell([boot], "")).toEqual({ status: 0, stdout: "", stderr: "" });
  expect(host.calls()).toEqual([]);
  expect(host.list("var/lib/cluster")).toEqual([]);
});
