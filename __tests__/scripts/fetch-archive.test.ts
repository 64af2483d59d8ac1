import { lstatSync, statSync } from "node:fs";
import { HostFolder } from "./host-folder";

// Fetching an archive: whole or not at all, whatever happens on the way.

const PLATFORM = "opt/cluster/platform.sh";
const DELIVER = `[[ $1 == archive ]] && cp "$ROOT/store/$2" "$3"`;
const RELEASES = "srv/app/releases";

jest.setTimeout(60_000);

let host: HostFolder;
let script: string;
let release: string;

beforeEach(() => {
  host = new HostFolder();
  script = host.bring("boot/fetch-archive.sh");
  release = host.archive("releases", { start: "#!/bin/sh\n", "app/server.js": "the app\n" });
  host.standIn(PLATFORM, DELIVER);
});
afterEach(() => host.remove());

const fetched = (sha256 = release) =>
  host.run(script, ["releases", sha256, host.at(`${RELEASES}/${sha256}`)]);

async function isWhole() {
  expect(await fetched()).toEqual({ status: 0, stdout: "", stderr: "" });
  expect(host.list(RELEASES)).toEqual([release]);
  expect(host.read(`${RELEASES}/${release}/app/server.js`)).toBe("the app\n");
}

test("an archive is requested from the platform by its name, and unpacked", async () => {
  await isWhole();
  expect(host.calls()).toHaveLength(1);
  expect(host.calls()[0]).toMatch(`platform.sh archive releases/${release}.tar.gz ${host.root}/`);
});

test("an archive that is present is not fetched again", async () => {
  await isWhole();
  host.standIn(PLATFORM, "exit 1");
  await isWhole();
});

test("everybody can read it, and execute what its owner can; only the owner can write", async () => {
  await isWhole();
  const mode = (name: string) => statSync(host.at(`${RELEASES}/${release}/${name}`)).mode & 0o777;
  expect([mode("."), mode("app"), mode("start")]).toEqual([0o755, 0o755, 0o755]);
});

test("a file that is not executable stays so, and a dangling link is kept", async () => {
  host.standIn(
    "tar",
    `/usr/bin/tar "$@"
    ln --symbolic /nowhere "\${@: -1}/link"
    chmod 0666 "\${@: -1}/app/server.js"`,
  );
  await isWhole();
  expect(statSync(host.at(`${RELEASES}/${release}/app/server.js`)).mode & 0o777).toBe(0o644);
  expect(lstatSync(host.at(`${RELEASES}/${release}/link`)).isSymbolicLink()).toBe(true);
});

test("an archive with another checksum is refused, and nothing of it is kept", async () => {
  const other = host.archive("releases", { start: "another\n" });
  host.standIn(PLATFORM, `cp "$ROOT/store/releases/${other}.tar.gz" "$3"`);
  const { status, stderr } = await fetched();
  expect(status).toBe(1);
  expect(stderr).toContain(
    `releases/${release}.tar.gz was fetched, but its SHA-256 does not match`,
  );
  expect(host.list(RELEASES)).toEqual([]);
});

test("a truncated archive is refused, and fetched again", async () => {
  host.standIn(PLATFORM, `head --bytes=100 "$ROOT/store/$2" >"$3"`);
  expect((await fetched()).status).toBe(1);
  expect(host.list(RELEASES)).toEqual([]);
  host.standIn(PLATFORM, DELIVER);
  await isWhole();
});

test("a failed fetch leaves nothing behind", async () => {
  host.standIn(PLATFORM, `echo "no such archive" >&2; exit 1`);
  expect(await fetched()).toMatchObject({ status: 1, stderr: "no such archive\n" });
  expect(host.list(RELEASES)).toEqual([]);
});

// The places at which it may end without a word; each platform has files of its own until one is whole.
test.each([
  ["before anything arrived", PLATFORM, "kill -KILL $PPID"],
  ["while it arrived on AWS", PLATFORM, `echo half >"$3.part"; kill -KILL $PPID`],
  [
    "while it arrived on a local host",
    PLATFORM,
    `echo half >"$(dirname "$3")/.unfinished.x"; kill -KILL $PPID`,
  ],
  ["while it was unpacked", "bin/tar", `/usr/bin/tar "$@"; kill -KILL $PPID`],
  ["before it was put in its place", "bin/mv", "kill -KILL $PPID"],
])("what was interrupted %s is done again, and leaves nothing", async (_when, program, code) => {
  host.standIn(program, code);
  expect((await fetched()).status).toBeNull();
  expect(host.has(`${RELEASES}/${release}`)).toBe(false);
  host.drop(program);
  host.standIn(PLATFORM, DELIVER);
  await isWhole();
});

test("an archive that another process is fetching is left alone", async () => {
  const other = `${RELEASES}/${"0".repeat(64)}.abcdef.partial`;
  host.put(`${other}/half`, "");
  expect((await fetched()).status).toBe(0);
  expect(host.has(other)).toBe(true);
});

// cloud-init writes its files where they are.
test("the script can be replaced while it runs", async () => {
  host.standIn(
    PLATFORM,
    `${DELIVER}
    { head --lines=4 "$ROOT/${script}"; yes 'echo from the new one' | head --lines=300; } >"$ROOT/new"
    cat "$ROOT/new" >"$ROOT/${script}"`,
  );
  await isWhole();
});

test("sourcing the script has no side effects", async () => {
  expect(await host.shell([script], "")).toEqual({ status: 0, stdout: "", stderr: "" });
  expect(host.calls()).toEqual([]);
});
