import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const SCRIPTS = join(__dirname, "../../scripts");
const scripts = readdirSync(SCRIPTS, { recursive: true, encoding: "utf8" }).filter((name) =>
  name.endsWith(".sh"),
);

// The hosts' date(1) is GNU's on Debian and uutils' on Ubuntu 26.04, version 0.8 of which drops zeros at the
// start of %3N and %6N, and of %-N, and rounds the fraction of @SECONDS.FRACTION.
// https://github.com/uutils/coreutils/issues/12001, https://github.com/uutils/coreutils/issues/9050
test.each(scripts)("%s uses no fractions of a second with date(1)", (name) => {
  const code = readFileSync(join(SCRIPTS, name), "utf8")
    .split("\n")
    .filter((line) => !/^\s*#/.test(line));
  expect(code.filter((line) => /%[-_0^#]*\d*N|--iso-8601=ns|--rfc-3339=ns/.test(line))).toEqual([]);
  expect(code.filter((line) => /\bdate\b.*@[^\s"]*\./.test(line))).toEqual([]);
});

describe("restore.sh", () => {
  /** Calls one of the script's functions, without the rest of the script. */
  function call(name: string, argument: string) {
    const { status, stdout, stderr } = spawnSync(
      "bash",
      [
        "--norc",
        "-c",
        `set -euo pipefail
         fail() { printf '%s\\n' "$*" >&2; exit 1; }
         source <(sed -n '/^microseconds() {/,/^}/p; /^moment() {/,/^}/p' "$1")
         "$2" "$3"`,
        "bash",
        join(SCRIPTS, "database/restore.sh"),
        name,
        argument,
      ],
      { encoding: "utf8", env: { PATH: process.env.PATH, TZ: "UTC" } },
    );
    return status === 0 ? stdout : `${status}: ${stderr.trim()}`;
  }

  test.each([
    ["2026-11-25T09:30:00Z", "1795599000000000"],
    ["2026-11-25T09:30:00.5Z", "1795599000500000"],
    ["2026-11-25T09:30:00.000042Z", "1795599000000042"],
    ["2026-11-25 09:30:00,05 UTC", "1795599000050000"],
    ["2026-11-25T10:30:00.012345678+01:00", "1795599000012345"],
    ["@1795599000.007", "1795599000007000"],
  ])("reads %s to the microsecond", (time, expected) => {
    expect(call("microseconds", time)).toBe(expected);
  });

  test.each(["1795599000000000", "1795599000000042", "1795599000050000"])(
    "prints %s as a time that it can read again",
    (microseconds) => {
      const told = call("moment", microseconds);
      expect(told).toMatch(/^2026-11-25T09:30:00\.\d{6}Z$/);
      expect(call("microseconds", told)).toBe(microseconds);
    },
  );

  test("reports an invalid time", () => {
    expect(call("microseconds", "soon.ish")).toMatch(/^1: not a time: soon\.ish; wanted is /);
  });
});
