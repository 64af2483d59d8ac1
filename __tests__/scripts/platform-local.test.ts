import { mkdirSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import { HostFolder } from "./host-folder";

// What a local host asks of its platform: the engine's socket is real, with an engine of the tests' own behind it.

jest.setTimeout(60_000);

let host: HostFolder;
let platform: string;
let server: Server | undefined;

beforeEach(() => {
  host = new HostFolder();
  platform = host.bring("platform/local.sh");
  mkdirSync(host.at("dev/incus"), { recursive: true });
});
afterEach(async () => {
  await new Promise((resolve) => (server === undefined ? resolve(0) : server.close(resolve)));
  server = undefined;
  host.remove();
});

/** Has the engine answer; tells what it is asked. */
async function engine(answer: RequestListener): Promise<string[]> {
  const asked: string[] = [];
  server = createServer((request, response) => {
    asked.push(request.url as string);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server?.listen(host.at("dev/incus/sock"), resolve));
  return asked;
}

const settings = (values: Readonly<Record<string, string>>): RequestListener => {
  return (request, response) => {
    const value = values[(request.url as string).replace("/1.0/config/", "")];
    response.writeHead(value === undefined ? 404 : 200).end(value ?? "not found");
  };
};

/** The engine's answer breaks off in the middle. */
const breaksOff: RequestListener = (_, response) => {
  response.writeHead(200, { "content-length": 100 });
  response.write("half", () => response.destroy());
};

const ask = (...args: string[]) => host.run(platform, args);

describe("a secret", () => {
  test("is the host's own setting, unchanged", async () => {
    const asked = await engine(settings({ "user.backup-password": " a'b\\n \n" }));
    expect(await ask("secret", "backup-password")).toEqual({
      status: 0,
      stdout: " a'b\\n \n",
      stderr: "",
    });
    expect(asked).toEqual(["/1.0/config/user.backup-password"]);
  });

  test("that does not exist is reported by its name, and requested once", async () => {
    const asked = await engine(settings({}));
    const { status, stdout, stderr } = await ask("secret", "other");
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toContain("this host has no secret other");
    expect(asked).toHaveLength(1);
  });

  test("is requested again if the engine answers 500", async () => {
    let times = 0;
    const found = settings({ "user.password": "found" });
    const asked = await engine((request, response) =>
      ++times < 3 ? response.writeHead(500).end("no such thing") : found(request, response),
    );
    expect(await ask("secret", "password")).toMatchObject({ status: 0, stdout: "found" });
    expect(asked).toHaveLength(3);
  });

  test("fails if it arrives truncated", async () => {
    await engine(breaksOff);
    expect((await ask("secret", "password")).status).toBe(1);
  });

  test("fails without an engine", async () => {
    const { status, stderr } = await ask("secret", "password");
    expect(status).toBe(1);
    expect(stderr).toContain("this host has no secret password");
  });
});

describe("user-data", () => {
  const FILE = "var/lib/cluster/user-data.newest";

  test.each(["#cloud-config\n", "#cloud-config", "#cloud-config\n\n\n", ""])(
    "arrives as it is set: %j",
    async (text) => {
      await engine(settings({ "cloud-init.user-data": text }));
      expect(await ask("user-data", host.at(FILE))).toEqual({ status: 0, stdout: "", stderr: "" });
      expect(host.read(FILE)).toBe(text);
      expect(host.list("var/lib/cluster")).toEqual(["user-data.newest"]);
    },
  );

  test.each([
    ["none", settings({})],
    ["half", breaksOff],
  ])("of which the engine gives %s leaves what was there", async (_what, answer) => {
    host.put(FILE, "before");
    await engine(answer);
    const { status, stderr } = await ask("user-data", host.at(FILE));
    expect(status).toBe(1);
    expect(stderr).toContain("this host has no user-data");
    expect(host.read(FILE)).toBe("before");
    expect(host.list("var/lib/cluster")).toEqual(["user-data.newest"]);
  });
});

describe("an archive", () => {
  test("is put in its place, in a folder that may not exist yet", async () => {
    const sha256 = host.archive("scripts", { x: "x" });
    host.put(`srv/shared/scripts/${sha256}.tar.gz`, host.bytes(`store/scripts/${sha256}.tar.gz`));
    expect((await ask("archive", `scripts/${sha256}.tar.gz`, host.at("some/where"))).status).toBe(
      0,
    );
    expect(host.bytes("some/where").equals(host.bytes(`store/scripts/${sha256}.tar.gz`))).toBe(
      true,
    );
    expect(host.list("some")).toEqual(["where"]);
  });

  test("that does not exist is reported", async () => {
    const { status, stderr } = await ask("archive", "scripts/x.tar.gz", host.at("some/where"));
    expect(status).toBe(1);
    expect(stderr).toContain("scripts/x.tar.gz is not in /");
    expect(host.has("some")).toBe(false);
  });

  test("that can be read only in part is an error", async () => {
    host.put("srv/shared/scripts/x.tar.gz", "whole");
    host.put("some/where", "before");
    host.standIn("cat", "printf half; exit 1");
    expect((await ask("archive", "scripts/x.tar.gz", host.at("some/where"))).status).toBe(1);
    expect(host.read("some/where")).toBe("before");
    expect(host.list("some")).toEqual(["where"]);
  });
});

describe("what is present or missing", () => {
  test("the releases", async () => {
    expect((await ask("release")).stderr).toContain("there is no release yet");
    host.put("srv/shared/release", "one two\n");
    expect(await ask("release")).toMatchObject({ status: 0, stdout: "one two\n" });
  });

  test("the volume and the folder for backups", async () => {
    host.standIn("mountpoint", `[[ -e $ROOT/mounted ]]`);
    expect((await ask("data-volume", "/srv/data")).stderr).toContain(
      "no data volume is mounted at /srv/data",
    );
    const missing = await ask("backup-repository");
    expect([missing.status, missing.stdout]).toEqual([1, ""]);
    host.put("mounted", "");
    expect((await ask("data-volume", "/srv/data")).status).toBe(0);
    expect(await ask("backup-repository")).toMatchObject({
      status: 0,
      stdout: host.at("srv/backups"),
    });
    expect(host.calls()).toContain("mountpoint --quiet /srv/data");
  });

  test("the packages: each that is missing is named, also one that was removed", async () => {
    // As dpkg-query tells, which fails where it knows one of them not at all.
    host.standIn(
      "dpkg-query",
      `printf ' jq=installed  nginx=config-files  libjq=installed '; [[ $* != *unknown* ]]`,
    );
    expect(await ask("install-packages", "jq", "libjq")).toMatchObject({ status: 0, stderr: "" });
    const { status, stderr } = await ask("install-packages", "jq", "nginx", "unknown", "q");
    expect(status).toBe(1);
    expect(stderr).toContain(
      "packages missing from the image that this host was created from: nginx unknown q;",
    );
  });

  test("operators, without any help", async () => {
    expect(await ask("operator-access")).toEqual({ status: 0, stdout: "", stderr: "" });
  });
});

test.each([[[]], [["secrets"]], [["secret"]], [["archive", "x"]], [["user-data"]]])(
  "%j asks for nothing, and is told so",
  async (args) => {
    const { status, stdout, stderr } = await ask(...args);
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/unknown verb: (none|secrets);|NAME|FILE/);
  },
);

test("the script can be replaced while it runs", async () => {
  const found = settings({ "user.password": "found" });
  await engine((request, response) => {
    host.overwrite(platform, `${"echo from the new one\n".repeat(1000)}`);
    found(request, response);
  });
  expect(await ask("secret", "password")).toEqual({ status: 0, stdout: "found", stderr: "" });
});

test("sourcing the script has no side effects", async () => {
  expect(await host.shell([platform], "")).toEqual({ status: 0, stdout: "", stderr: "" });
});
