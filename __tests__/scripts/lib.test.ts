import { createHash, createHmac, randomBytes, randomInt } from "node:crypto";
import { statSync } from "node:fs";
import { HostFolder } from "./host-folder";

// The words that every script on a host starts with.

jest.setTimeout(60_000);

let host: HostFolder;
let lib: string;

beforeEach(() => {
  host = new HostFolder();
  lib = host.bring("host/lib.sh");
});
afterEach(() => host.remove());

const shell = (lines: string, input = "") => host.shell([lib], lines, { input });

describe("computations that give the same results as openssl", () => {
  const key = (length: number) =>
    Array.from({ length }, () => String.fromCharCode(randomInt(0x20, 0x7f))).join("");
  // Each byte there is, among them those that a shell cannot keep in a variable.
  const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const messages = [everyByte, Buffer.alloc(0), Buffer.from("\n\n"), randomBytes(5000)];

  test("bytes from hexadecimal digits, and their SHA-256", async () => {
    for (const message of messages) {
      const { stdout, stderr } = await shell(`from_hex "${message.toString("hex")}" | sha256`);
      expect([stdout, stderr]).toEqual([createHash("sha256").update(message).digest("hex"), ""]);
    }
  });

  test("HMAC, with keys of every length up to a block's", async () => {
    const tried = Array.from({ length: 65 }, (_, length) => ({
      key: key(length),
      message: messages[length % 3] as Buffer,
    }));
    const { stdout, stderr } = await shell(
      `while IFS=: read -r message key; do
        from_hex "$message" | hmac_sha256 "\${key%|}"
        echo
      done`,
      tried.map((one) => `${one.message.toString("hex")}:${one.key}|\n`).join(""),
    );
    expect(stderr).toBe("");
    expect(stdout.trim().split("\n")).toEqual(
      tried.map((one) => createHmac("sha256", one.key).update(one.message).digest("hex")),
    );
  });

  test("HMAC of input that is longer than one read", async () => {
    const message = randomBytes(300_000).toString("base64");
    const { stdout } = await shell("hmac_sha256 'the key'", message);
    expect(stdout).toBe(createHmac("sha256", "the key").update(message).digest("hex"));
  });

  test("a key that HMAC would have to shorten is refused", async () => {
    const { status, stdout, stderr } = await shell(`hmac_sha256 ${"k".repeat(65)}`);
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toContain("has 65 characters; at most 64");
  });

  test("no key is an argument of another program", async () => {
    host.standIn("sha256sum", "exec /usr/bin/sha256sum");
    await shell("hmac_sha256 'not to be seen'", "message");
    expect(host.calls()).toEqual(["sha256sum", "sha256sum"]);
  });
});

describe("a secret", () => {
  const SECRET = "run/cluster/secrets/backup-password";
  const platform = (code: string) => host.standIn("opt/cluster/platform.sh", code);

  test("is requested from the platform once, and cached for root only", async () => {
    platform("printf 'a\\nb'");
    const { stdout } = await shell("secret backup-password; secret backup-password");
    expect(stdout).toBe("a\nba\nb");
    expect(host.calls()).toEqual(["platform.sh secret backup-password"]);
    expect(host.read(SECRET)).toBe("a\nb");
    expect(statSync(host.at(SECRET)).mode & 0o777).toBe(0o400);
    expect(statSync(host.at("run/cluster/secrets")).mode & 0o777).toBe(0o700);
    expect(host.list("run/cluster/secrets")).toEqual(["backup-password"]);
  });

  test("that is cached needs no platform", async () => {
    host.put(SECRET, "kept");
    platform("exit 1");
    expect(await shell("secret backup-password")).toMatchObject({ status: 0, stdout: "kept" });
  });

  test("is requested again if caching it was interrupted", async () => {
    host.put(SECRET, "");
    host.put(`${SECRET}.4711`, "ha", 0o400);
    platform("printf whole");
    expect(await shell("secret backup-password")).toMatchObject({ status: 0, stdout: "whole" });
  });

  test("that the platform does not have is an error", async () => {
    platform("true");
    const { status, stdout, stderr } = await shell("secret backup-password");
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toContain("the platform has no secret named backup-password");
    expect(host.has(SECRET)).toBe(false);
  });

  // In a substitution the shell goes on after what failed.
  test.each(["secret backup-password", 'value=$(secret backup-password); printf "%s" "$value"'])(
    "that broke off halfway is none: %s",
    async (line) => {
      platform("printf half; exit 1");
      const { status, stdout } = await shell(line);
      expect([status, stdout]).toEqual([1, ""]);
      expect(host.list("run/cluster/secrets")).toEqual([]);
    },
  );

  test("is never an argument of a program", async () => {
    platform("printf '%s' not-to-be-seen");
    for (const name of ["install", "mv", "cat"]) {
      host.standIn(name, `exec /usr/bin/${name} "$@"`);
    }
    expect((await shell("secret backup-password")).stdout).toBe("not-to-be-seen");
    expect(host.calls().length).toBeGreaterThan(3);
    expect(host.calls().join("\n")).not.toContain("not-to-be-seen");
  });
});

describe("a secret that is being rotated", () => {
  const NAME = "backup-password";
  const content = (text: string) =>
    host.standIn("opt/cluster/platform.sh", `printf '%s' '${text}'`, { quiet: true });
  const TELL = `read_secret ${NAME}; printf '%s' "$value $phase $other"`;

  test.each([
    ["Aa1", "Aa1 steady "],
    ["Aa1 next Bb2", "Aa1 next Bb2"],
    ["Bb2 previous Aa1", "Bb2 previous Aa1"],
    ["Bb2 former Aa1", "Bb2 former Aa1"],
    // What is no phase is a value like any other.
    ["Aa1 later Bb2", "Aa1 later Bb2 steady "],
  ])("%s", async (text, told) => {
    content(text);
    expect(await shell(TELL)).toEqual({ status: 0, stdout: told, stderr: "" });
    const [value = ""] = told.split(/ (steady|next|previous|former)/);
    expect((await shell(`secret ${NAME}`)).stdout).toBe(value);
    expect(host.read(`run/cluster/secrets/${NAME}`)).toBe(value);
  });

  test("is the same until it is fetched anew, and then as the platform has it", async () => {
    content("Aa1");
    await shell(`secret ${NAME}`);
    for (const text of ["Aa1 next Bb2", "Bb2 previous Aa1", "Bb2 former Aa1", "Bb2"]) {
      const before = (await shell(TELL)).stdout;
      content(text);
      expect((await shell(TELL)).stdout).toBe(before);
      await shell(`fetch_secret ${NAME}`);
      expect((await shell(TELL)).stdout).toBe(text.includes(" ") ? text : `${text} steady `);
      expect(host.read(`run/cluster/secrets/${NAME}`)).toBe(text.split(" ")[0]);
    }
    expect(host.list("run/cluster/secrets")).toEqual([NAME]);
  });

  test("is as it was if the platform does not answer", async () => {
    content("Aa1 next Bb2");
    await shell(`secret ${NAME}`);
    host.standIn("opt/cluster/platform.sh", "exit 1");
    expect((await shell(`fetch_secret ${NAME}`)).status).toBe(1);
    expect((await shell(TELL)).stdout).toBe("Aa1 next Bb2");
  });

  test("is in files that only root can read, and is forgotten as a whole", async () => {
    content("Aa1 next Bb2");
    await shell(`secret ${NAME}`);
    expect(statSync(host.at(`run/cluster/secrets/${NAME}.rotation`)).mode & 0o777).toBe(0o400);
    await shell(`forget_secret ${NAME}`);
    expect(host.list("run/cluster/secrets")).toEqual([]);
  });
});

describe("whether files changed", () => {
  const changed = async () =>
    (await shell('if changed some "$ROOT/one" "$ROOT/two"; then echo yes; else echo no; fi'))
      .stdout;
  const mark = async () =>
    expect(await shell('mark some "$ROOT/one" "$ROOT/two"')).toEqual({
      status: 0,
      stdout: "",
      stderr: "",
    });

  beforeEach(() => {
    host.put("one", "1\n");
    host.put("two", "2\n");
  });

  test("they have, until they are marked, and after each change", async () => {
    expect(await changed()).toBe("yes\n");
    await mark();
    expect(await changed()).toBe("no\n");
    host.put("two", "two\n");
    expect(await changed()).toBe("yes\n");
    await mark();
    expect(await changed()).toBe("no\n");
  });

  test("removing or adding a file counts as a change", async () => {
    await mark();
    host.drop("one");
    expect(await changed()).toBe("yes\n");
    host.put("one", "1\n");
    expect(await changed()).toBe("no\n");
  });

  test("a file that does not exist yet can be marked", async () => {
    host.drop("two");
    await mark();
    expect(await changed()).toBe("no\n");
    host.put("two", "2\n");
    expect(await changed()).toBe("yes\n");
  });
});

describe("a service", () => {
  beforeEach(() => {
    host.put("served.cfg", "one\n");
    host.standIn(
      "systemctl",
      `case $* in
        *is-active*) [[ -e $ROOT/active ]] ;;
        reload-or-restart*) [[ ! -e $ROOT/broken ]] && touch "$ROOT/active" ;;
      esac`,
    );
  });
  const keepServing = async () => {
    host.put("calls", "");
    const { status } = await shell('keep_serving served "$ROOT/served.cfg"');
    return { status, reloads: host.calls().filter((call) => call.includes("reload-or-restart")) };
  };
  const RELOADED = ["systemctl reload-or-restart served.service"];

  test("is started, then left alone, then reloaded after a change", async () => {
    expect(await keepServing()).toEqual({ status: 0, reloads: RELOADED });
    expect(await keepServing()).toEqual({ status: 0, reloads: [] });
    host.put("served.cfg", "two\n");
    expect(await keepServing()).toEqual({ status: 0, reloads: RELOADED });
    expect(await keepServing()).toEqual({ status: 0, reloads: [] });
  });

  test("that is not running is started, even without a change", async () => {
    await keepServing();
    host.drop("active");
    expect(await keepServing()).toEqual({ status: 0, reloads: RELOADED });
  });

  test("that fails to reload is reloaded again the next time", async () => {
    await keepServing();
    host.put("served.cfg", "two\n");
    host.put("broken", "");
    expect(await keepServing()).toEqual({ status: 1, reloads: RELOADED });
    expect(await keepServing()).toEqual({ status: 1, reloads: RELOADED });
  });
});

test("sourcing the library has no side effects", async () => {
  expect(await shell("")).toEqual({ status: 0, stdout: "", stderr: "" });
  expect(host.calls()).toEqual([]);
  expect(host.list("var/lib/cluster")).toEqual([]);
  expect(host.list("run/cluster")).toEqual([]);
});
