import { execFile } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

const SCRIPT = join(__dirname, "../../scripts/platform/aws.sh");
const SNAP = "snap.amazon-ssm-agent.amazon-ssm-agent.service";
const DEB = "amazon-ssm-agent.service";

// Real bash, curl and files; stand-ins for what would change this machine: systemctl knows the units that
// `units` names, and `active` is those that run.
const STAND_INS: Readonly<Record<string, string>> = {
  systemctl: `case $1 in
  cat) grep --quiet --line-regexp --fixed-strings "$2" "$HOST/units" ;;
  is-active) grep --quiet --line-regexp --fixed-strings "\${@: -1}" "$HOST/active" ;;
  enable) [[ ! -e $HOST/broken ]] && printf '%s\\n' "\${@: -1}" >>"$HOST/active" ;;
  esac`,
  snap: `[[ $* == "wait system seed.loaded" ]] || exit 1
  if [[ -e $HOST/seed ]]; then cat "$HOST/seed" >>"$HOST/units"; fi`,
  "apt-get": `file=\${@: -1}
  [[ $(<"$file") == "the agent" ]] || exit 1
  printf '%s\\n' ${DEB} >>"$HOST/units"`,
};

describe("operator access on AWS", () => {
  let host: string;
  let server: Server;
  let asked: string[];
  let answer: number;

  beforeEach(async () => {
    host = mkdtempSync(join(tmpdir(), "host-"));
    mkdirSync(join(host, "bin"));
    for (const [name, code] of Object.entries(STAND_INS)) {
      const path = join(host, "bin", name);
      writeFileSync(
        path,
        `#!/usr/bin/env bash\nprintf '%s\\n' "${name} $*" >>"$HOST/log"\n${code}\n`,
      );
      chmodSync(path, 0o755);
    }
    for (const name of ["units", "active", "log"]) {
      writeFileSync(join(host, name), "");
    }
    writeFileSync(join(host, "host.env"), "PLATFORM_REGION='eu-central-1'\n");
    asked = [];
    answer = 200;
    server = createServer((request, response) => {
      asked.push(request.url ?? "");
      response.writeHead(answer).end(answer === 200 ? "the agent" : "not there");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });

  afterEach(async () => {
    await new Promise((resolve) => server.close(resolve));
    rmSync(host, { recursive: true });
  });

  const write = (name: string, ...lines: string[]) =>
    writeFileSync(join(host, name), lines.map((line) => `${line}\n`).join(""));
  const read = (name: string) => readFileSync(join(host, name), "utf8");

  async function operatorAccess() {
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return new Promise<{ status: number; stderr: string }>((resolve) => {
      execFile(
        "bash",
        ["--norc", SCRIPT, "operator-access"],
        {
          encoding: "utf8",
          timeout: 30_000,
          env: {
            PATH: [join(host, "bin"), process.env.PATH].join(delimiter),
            HOST: host,
            TMPDIR: host,
            AWS_ENDPOINT_URL: endpoint,
            CLUSTER_FACTS: join(host, "host.env"),
            NO_PROXY: "127.0.0.1",
          },
        },
        (error, _, stderr) => resolve({ status: error === null ? 0 : Number(error.code), stderr }),
      );
    });
  }

  test.each([SNAP, DEB])("changes nothing if %s runs", async (unit) => {
    write("units", unit);
    write("active", unit);
    expect(await operatorAccess()).toEqual({ status: 0, stderr: "" });
    expect(read("log")).not.toMatch(/^systemctl enable|^snap|^apt-get/m);
    expect(asked).toEqual([]);
  });

  test.each([SNAP, DEB])("starts and enables %s if it does not run", async (unit) => {
    write("units", unit);
    expect((await operatorAccess()).status).toBe(0);
    expect(read("active")).toBe(`${unit}\n`);
    expect(read("log")).toContain(`systemctl enable --quiet --now ${unit}\n`);
    expect(asked).toEqual([]);
  });

  test("waits for the image's snap while it is being set up, and installs nothing else", async () => {
    write("seed", SNAP);
    expect((await operatorAccess()).status).toBe(0);
    expect(read("active")).toBe(`${SNAP}\n`);
    expect(asked).toEqual([]);
  });

  test("installs AWS's package from the region if the image has no agent", async () => {
    expect((await operatorAccess()).status).toBe(0);
    expect(asked).toEqual(["/amazon-ssm-eu-central-1/latest/debian_amd64/amazon-ssm-agent.deb"]);
    expect(read("log")).toMatch(/^apt-get .*DPkg::Lock::Timeout=300.* install .*\/agent\.deb$/m);
    expect(read("active")).toBe(`${DEB}\n`);
  });

  test("fails with the reason if no agent can be downloaded", async () => {
    answer = 404;
    const { status, stderr } = await operatorAccess();
    expect(status).toBe(1);
    expect(stderr).toMatch(/the SSM agent could not be installed/);
    expect(read("log")).not.toContain("apt-get");
  });

  test("fails with the reason if the agent does not start", async () => {
    write("units", SNAP);
    write("broken");
    const { status, stderr } = await operatorAccess();
    expect(status).toBe(1);
    expect(stderr).toContain(`the SSM agent (${SNAP}) does not start`);
  });
});

test("boot.sh sets up operator access before any step that may fail, and goes on without it", () => {
  const boot = readFileSync(join(__dirname, "../../scripts/boot/boot.sh"), "utf8");
  const access = boot.indexOf("platform.sh operator-access || log");
  expect(access).toBeGreaterThan(boot.indexOf("\n  load_firewall"));
  expect(boot.indexOf("platform.sh install-packages")).toBeGreaterThan(access);
});
