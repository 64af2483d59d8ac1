import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { imageFacts } from "../../hosts/image";
import { PROJECT } from "../../hosts/project";

const SCRIPTS = join(PROJECT, "scripts", "local");

type Local = Parameters<typeof imageFacts>[1];

/** What a function of scripts/local/lib.sh prints. */
function lib(call: string, local: Local, packages = "haproxy nginx"): string {
  const { status, stdout, stderr } = spawnSync("bash", ["-c", `. ${SCRIPTS}/lib.sh; ${call}`], {
    encoding: "utf8",
    env: { ...process.env, ...imageFacts(packages, local) },
  });
  expect([status, stderr]).toEqual([0, ""]);
  return stdout;
}

describe("the hosts' distribution", () => {
  test.each<[Local["distribution"], string]>([
    ["debian", "debian testing"],
    ["ubuntu", "ubuntu resolute"],
  ])("is %s in the release that stack aws or MySQL 9 requires", (distribution, expected) => {
    const call = 'printf "%s %s" "$(host_distribution)" "$(host_suite)"';
    expect(lib(call, { distribution })).toBe(expected);
  });

  test("is the machine's own by default", () => {
    const call =
      'machine_distribution() { printf ubuntu; }; host_distribution; printf " "; host_suite';
    expect(lib(call, { distribution: "machine" })).toBe("ubuntu resolute");
  });

  test("is refused if the machine runs neither Debian nor Ubuntu", () => {
    const call = "machine_distribution() { printf fedora; }; image_alias";
    const { status, stderr } = spawnSync("bash", ["-c", `. ${SCRIPTS}/lib.sh; ${call}`], {
      encoding: "utf8",
      env: { ...process.env, ...imageFacts("nginx", { distribution: "machine" }) },
    });
    expect(status).not.toBe(0);
    expect(stderr).toMatch(/the distribution is fedora; hosts can run debian or ubuntu/);
  });
});

describe("a host image's name", () => {
  const alias = (local: Local, packages?: string) => lib("image_alias", local, packages);

  test("changes with everything that the image is made of", () => {
    const names = [
      alias({ distribution: "debian" }),
      alias({ distribution: "ubuntu" }),
      alias({ distribution: "ubuntu", mirror: "http://mirror.example.com/ubuntu" }),
      alias({ distribution: "ubuntu" }, "haproxy nginx nodejs"),
    ];
    expect(new Set(names).size).toBe(names.length);
  });

  test("is the same whether the distribution is the machine's default or named", () => {
    const call = "machine_distribution() { printf ubuntu; }; image_alias";
    expect(lib(call, { distribution: "machine" })).toBe(alias({ distribution: "ubuntu" }));
  });
});

describe("the sources of a host image's packages", () => {
  const KEYRING = "/usr/share/keyrings/some.gpg";

  function completed(sources: string, ...args: string[]): string[] {
    const root = mkdtempSync(join(tmpdir(), "sources-"));
    try {
      const list = join(root, "etc", "apt", "sources.list");
      mkdirSync(join(root, "etc", "apt"), { recursive: true });
      writeFileSync(list, `${sources}\n`);
      const script = join(SCRIPTS, "image-sources.sh");
      const { status, stderr } = spawnSync("bash", [script, root, ...args], { encoding: "utf8" });
      expect([status, stderr]).toEqual([0, ""]);
      return readFileSync(list, "utf8").trim().split("\n");
    } finally {
      rmSync(root, { recursive: true });
    }
  }

  test("for the machine's own Ubuntu stay unchanged", () => {
    const sources = "deb http://mirror.example.com/ubuntu resolute main universe";
    expect(completed(sources, "ubuntu", "")).toEqual([sources]);
  });

  test("for another Ubuntu are trusted only with its own keys", () => {
    const mirror = "http://mirror.example.com/ubuntu";
    expect(
      completed(
        `deb ${mirror} resolute main\ndeb [arch=amd64] ${mirror} resolute-security main`,
        "ubuntu",
        KEYRING,
      ),
    ).toEqual([
      `deb [signed-by=${KEYRING}] ${mirror} resolute main`,
      `deb [signed-by=${KEYRING} arch=amd64] ${mirror} resolute-security main`,
    ]);
  });

  test("for Debian include unstable, whatever the age of the mirror's index", () => {
    const mirror = "http://mirror.example.com/debian";
    expect(completed(`deb ${mirror} testing main`, "debian", KEYRING)).toEqual(
      ["testing", "unstable"].map(
        (suite) => `deb [check-valid-until=no signed-by=${KEYRING}] ${mirror} ${suite} main`,
      ),
    );
  });
});
