import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { HostFolder } from "./host-folder";

// What a host on AWS asks of its platform. curl and jq are real; a server of the tests' own answers as the instance
// metadata service, SSM and S3 do. How operators reach the host is in ../hosts/operator-access.test.ts.

jest.setTimeout(60_000);

const KEY = "AKIAQYLPMN5HFIQR7XYA";
const SECRET_KEY = "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";
const SESSION = "session-token-not-to-be-seen";
const VALUE = "the-value-of-the-parameter";

let host: HostFolder;
let platform: string;
let server: Server;
/** What a test has answered otherwise, by the beginning of what is asked. */
let otherwise: Record<string, RequestListener>;
let asked: { what: string; headers: IncomingMessage["headers"]; body: string }[];

beforeEach(async () => {
  host = new HostFolder("HOST_NAME=web-1 CLUSTER_NAME=demo PLATFORM_REGION=eu-central-1");
  platform = host.bring("platform/aws.sh");
  for (const name of ["curl", "jq"]) {
    host.standIn(name, `exec /usr/bin/${name} "$@"`);
  }
  asked = [];
  otherwise = {};
  server = createServer((request, response) => {
    let body = "";
    request.on("data", (part) => {
      body += part;
    });
    request.on("end", () => answer(request, response, body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  host.remove();
});

const PARAMETERS: Readonly<Record<string, string>> = {
  "/demo/bucket": "the-bucket",
  "/demo/backups-bucket": "other-bucket",
  "/demo/secrets/backup-password": VALUE,
};
const OBJECTS: Readonly<Record<string, string>> = {
  "/the-bucket/release": "one two\n",
  "/the-bucket/scripts/x.tar.gz": "an archive",
  "/the-bucket/hosts/web-1/user-data": "#cloud-config\n\n",
};

function answer(request: IncomingMessage, response: ServerResponse, body: string): void {
  const what = `${request.method} ${request.url}`;
  asked.push({ what, headers: request.headers, body });
  const other = Object.entries(otherwise).find(([start]) => what.startsWith(start))?.[1];
  if (other !== undefined) {
    other(request, response);
  } else if (what === "PUT /latest/api/token") {
    response.end("token-of-metadata");
  } else if (request.url?.startsWith("/latest/meta-data/iam/security-credentials/")) {
    const known = request.headers["x-aws-ec2-metadata-token"] === "token-of-metadata";
    const credentials = { AccessKeyId: KEY, SecretAccessKey: SECRET_KEY, Token: SESSION };
    response
      .writeHead(known ? 200 : 401)
      .end(request.url.endsWith("/") ? "the-role" : JSON.stringify(credentials));
  } else if (what === "POST /") {
    const Value = PARAMETERS[JSON.parse(body).Name as string];
    response
      .writeHead(Value === undefined ? 400 : 200)
      .end(
        JSON.stringify(
          Value === undefined ? { __type: "ParameterNotFound" } : { Parameter: { Value } },
        ),
      );
  } else {
    const object = OBJECTS[request.url as string];
    response.writeHead(object === undefined ? 404 : 200).end(object ?? "<Code>NoSuchKey</Code>");
  }
}

const breaksOff: RequestListener = (_, response) => {
  response.writeHead(200, { "content-length": 100 });
  response.write("half", () => response.destroy());
};
const says =
  (status: number, text: string): RequestListener =>
  (_, response) =>
    response.writeHead(status).end(text);

const environment = () => {
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return {
    AWS_EC2_METADATA_SERVICE_ENDPOINT: endpoint,
    AWS_ENDPOINT_URL: endpoint,
    NO_PROXY: "127.0.0.1",
  };
};
const ask = (...args: string[]) => host.run(platform, args, { env: environment() });
/** Lines of bash where the script was sourced. */
const shell = (lines: string) => host.shell([platform], lines);

describe("a secret", () => {
  test("is a parameter of the cluster, asked with the credentials of the role", async () => {
    expect(await ask("secret", "backup-password")).toEqual({
      status: 0,
      stdout: VALUE,
      stderr: "",
    });
    const { headers, body } = asked.at(-1) as (typeof asked)[number];
    expect(JSON.parse(body)).toEqual({
      Name: "/demo/secrets/backup-password",
      WithDecryption: true,
    });
    expect(headers["x-amz-target"]).toBe("AmazonSSM.GetParameter");
    expect(headers["x-amz-security-token"]).toBe(SESSION);
    expect(headers.authorization).toMatch(
      new RegExp(`^AWS4-HMAC-SHA256 Credential=${KEY}/\\d{8}/eu-central-1/ssm/aws4_request, `),
    );
  });

  test("and the credentials are never arguments of a program", async () => {
    await ask("secret", "backup-password");
    await ask("archive", "scripts/x.tar.gz", host.at("tmp/x"));
    const arguments_ = host.calls().join("\n");
    expect(host.calls().filter((call) => call.startsWith("curl")).length).toBeGreaterThan(8);
    for (const one of [KEY, SECRET_KEY, SESSION, VALUE, "token-of-metadata"]) {
      expect(arguments_).not.toContain(one);
    }
  });

  test.each([
    [
      "is not there",
      { "POST /": says(400, '{"__type":"ParameterNotFound"}') },
      "ParameterNotFound",
    ],
    ["SSM says nothing of", { "POST /": says(500, "") }, "no answer"],
    ["SSM breaks off", { "POST /": breaksOff }, "could not be read from SSM"],
    [
      "the instance has no role for",
      { "GET /latest/meta-data/": says(404, "no role") },
      "no credentials from the instance metadata service",
    ],
  ])("that %s fails, and is told why", async (_what, given, words) => {
    otherwise = given;
    const { status, stdout, stderr } = await ask("secret", "backup-password");
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toContain(words);
    expect(stderr).not.toContain(SECRET_KEY);
  });

  test("fails if the answer does not contain it", async () => {
    otherwise = { "POST /": says(200, "{}") };
    expect((await ask("secret", "backup-password")).status).not.toBe(0);
  });
});

describe("an object", () => {
  const FILE = "var/lib/cluster/file";
  const verbs = [
    ["archive", "scripts/x.tar.gz"],
    ["user-data", undefined],
  ] as const;
  const fetched = (verb: string, name?: string) =>
    ask(verb, ...(name === undefined ? [] : [name]), host.at(FILE));

  test.each([
    ["archive", "scripts/x.tar.gz", "an archive"],
    ["user-data", undefined, "#cloud-config\n\n"],
  ] as const)("arrives as it is: %s", async (verb, name, content) => {
    expect(await fetched(verb, name)).toEqual({ status: 0, stdout: "", stderr: "" });
    expect(host.read(FILE)).toBe(content);
    expect(host.list("var/lib/cluster")).toEqual(["file"]);
    const { headers } = asked.at(-1) as (typeof asked)[number];
    expect(headers.authorization).toContain("/eu-central-1/s3/aws4_request");
    expect(headers["x-amz-content-sha256"]).toMatch(/^e3b0c442/);
  });

  test.each(
    verbs.flatMap(
      ([verb, name]) =>
        [
          [
            verb,
            "is not there",
            says(404, "<Code>NoSuchKey</Code>"),
            "<Code>NoSuchKey</Code>",
            name,
          ],
          [
            verb,
            "S3 is busy with",
            says(503, "<Code>SlowDown</Code>"),
            "<Code>SlowDown</Code>",
            name,
          ],
          [verb, "breaks off", breaksOff, "could not be fetched from S3", name],
        ] as const,
    ),
  )("leaves what was there: %s that %s", async (verb, _what, given, words, name) => {
    otherwise = { "GET /the-bucket": given };
    host.put(FILE, "before");
    const { status, stderr } = await fetched(verb, name);
    expect(status).toBe(1);
    expect(stderr).toContain(words);
    expect(host.read(FILE)).toBe("before");
    expect(host.list("var/lib/cluster")).toEqual(["file"]);
  });

  test("is not requested while the bucket is unknown", async () => {
    otherwise = { "POST /": says(400, "AccessDenied") };
    expect((await fetched("archive", "scripts/x.tar.gz")).status).toBe(1);
    expect(asked.filter(({ what }) => what.startsWith("GET /the-bucket"))).toEqual([]);
  });
});

describe("the releases", () => {
  test("are read from the bucket", async () => {
    expect(await ask("release")).toEqual({ status: 0, stdout: "one two\n", stderr: "" });
    expect(host.list("tmp")).toEqual([]);
  });

  // A host asks once a second until there is one.
  test("leave no file behind if they do not exist", async () => {
    otherwise = { "GET /the-bucket": says(404, "") };
    expect(await ask("release")).toMatchObject({ status: 1, stdout: "" });
    expect(host.list("tmp")).toEqual([]);
  });
});

test("backups are kept in a bucket of their own", async () => {
  const { stdout } = await ask("backup-repository");
  expect(stdout).toBe(`s3:${environment().AWS_ENDPOINT_URL.slice(0, -1)}/other-bucket`);
});

test.each([
  ["eu-central-1", "https://s3.eu-central-1.amazonaws.com"],
  ["cn-north-1", "https://s3.cn-north-1.amazonaws.com.cn"],
])("a service of %s is at %s", async (region, expected) => {
  expect((await shell(`PLATFORM_REGION=${region}; address s3`)).stdout).toBe(expected);
});

describe("packages", () => {
  const POLICY = "usr/sbin/policy-rc.d";

  beforeEach(() => {
    host.standIn(
      "dpkg-query",
      `grep --quiet --line-regexp "\${@: -1}" "$ROOT/installed" && printf installed`,
      {
        quiet: true,
      },
    );
    host.standIn("dpkg", "[[ $* == '--configure --pending' ]]");
    host.standIn(
      "apt-get",
      `[[ -x $ROOT/${POLICY} ]] || echo "services may start" >>"$ROOT/calls"
      [[ $* != *install* || ! -e $ROOT/failing ]] || exit 100
      if [[ $* == *install* ]]; then printf '%s\\n' jq nginx >>"$ROOT/installed"; fi`,
    );
    host.put("installed", "jq\n");
    host.put("usr/sbin/other", "");
  });

  test("that are installed are not requested", async () => {
    expect(await ask("install-packages", "jq")).toEqual({ status: 0, stdout: "", stderr: "" });
    expect(host.calls()).toEqual([]);
  });

  test("that are missing are installed, without starting a service", async () => {
    expect((await ask("install-packages", "jq", "nginx")).status).toBe(0);
    expect(host.calls()).toHaveLength(3);
    expect(host.calls()[0]).toBe("dpkg --configure --pending");
    expect(host.calls()[2]).toMatch(/^apt-get .* install --no-install-recommends jq nginx$/);
    expect(host.has(POLICY)).toBe(false);
  });

  test("that cannot be installed are tried five times, and named", async () => {
    host.put("failing", "");
    const { status, stderr } = await ask("install-packages", "jq", "nginx");
    expect(status).toBe(1);
    expect(stderr).toContain("attempt 5 of 5");
    expect(stderr).toContain("packages could not be installed in 5 attempts: jq nginx");
    expect(host.read("proc/uptime")).toMatch(/^175\.00/);
    expect(host.has(POLICY)).toBe(false);
  });

  test("whose installation was interrupted are completed, and the policy against starting services is removed", async () => {
    const apt = host.read("bin/apt-get");
    host.standIn("apt-get", "kill -KILL $PPID");
    expect((await ask("install-packages", "nginx")).status).toBeNull();
    expect(host.has(POLICY)).toBe(true);
    host.put("bin/apt-get", apt, 0o755);
    expect((await ask("install-packages", "nginx")).status).toBe(0);
    expect(host.has(POLICY)).toBe(false);
    host.put(
      POLICY,
      "#!/bin/sh\n# Written by the cluster while packages are being installed.\nexit 101\n",
    );
    expect((await ask("install-packages", "nginx")).status).toBe(0);
    expect(host.has(POLICY)).toBe(false);
  });

  test("leave a policy that the script did not write as it is", async () => {
    host.put(POLICY, "#!/bin/sh\nexit 104\n", 0o755);
    expect((await ask("install-packages", "nginx")).status).toBe(0);
    expect(host.read(POLICY)).toBe("#!/bin/sh\nexit 104\n");
  });
});

describe("the data volume", () => {
  const FSTAB = "etc/fstab";
  const ROOT_LINE = "UUID=root / ext4 defaults 0 1\n";
  const DATA_LINE = "UUID=of-data /srv/data ext4 defaults,noatime,nofail 0 2\n";
  const files = () => host.at("srv/data");

  beforeEach(() => {
    host.put(FSTAB, ROOT_LINE);
    host.put("disks", "/dev/nvme0n1 disk Amazon Elastic Block Store\n");
    host.standIn(
      "findmnt",
      `case $* in *SOURCE*) echo /dev/nvme0n1p1 ;; *) cat "$ROOT/mounted" ;; esac`,
    );
    host.standIn(
      "lsblk",
      `case $* in *--inverse*) printf '%s\\n' "/dev/nvme0n1p1 part" "/dev/nvme0n1 disk" ;; *) cat "$ROOT/disks" ;; esac`,
    );
    // 2: nothing is found; 8: more than one thing.
    host.standIn(
      "blkid",
      `[[ -e $ROOT/filesystem ]] || exit "$(cat "$ROOT/found" || echo 2)"
      if [[ $* == *UUID* ]]; then echo of-data; fi`,
    );
    host.standIn("mkfs.ext4", `touch "$ROOT/filesystem"`);
    host.standIn("cmp", `[[ ! -e $ROOT/not-empty ]]`);
    host.standIn("mountpoint", `[[ -s $ROOT/mounted ]]`);
    host.standIn("mount", `echo of-data >"$ROOT/mounted"`);
    host.standIn("resize2fs", "true");
    host.standIn("systemctl", "true");
  });
  const DATA = "/dev/nvme1n1 disk Amazon Elastic Block Store\n";
  const INSTANCE_STORE = "/dev/nvme2n1 disk Amazon EC2 NVMe Instance Storage\n";
  const attach = (...disks: string[]) => host.put("disks", host.read("disks") + disks.join(""));
  const mount = () => host.shell([platform], `mount_data_volume "$ROOT/srv/data"`);
  const made = () => host.calls().filter((call) => call.startsWith("mkfs"));
  const table = () => host.read(FSTAB).replace(files(), "/srv/data");

  test("is formatted once, and mounted; neither the root disk nor instance storage is used", async () => {
    attach(DATA, INSTANCE_STORE);
    expect((await mount()).status).toBe(0);
    expect(made()).toEqual(["mkfs.ext4 -q -m 0 /dev/nvme1n1"]);
    expect(table()).toBe(ROOT_LINE + DATA_LINE);
    host.put("calls", "");
    expect((await mount()).status).toBe(0);
    expect(made()).toEqual([]);
    expect(host.calls().filter((call) => /^(mount|systemctl) /.test(call))).toEqual([]);
    expect(host.calls()).toContain("resize2fs /dev/nvme1n1");
  });

  test("that replaces another one replaces its line in fstab", async () => {
    host.put(
      FSTAB,
      `${ROOT_LINE}${DATA_LINE.replace("of-data", "of-old").replace("/srv/data", files())}`,
    );
    attach(DATA);
    host.put("filesystem", "");
    expect((await mount()).status).toBe(0);
    expect(table()).toBe(ROOT_LINE + DATA_LINE);
    expect(host.calls()).toContain("systemctl daemon-reload");
  });

  test.each([
    [
      "carries something without a filesystem",
      "not-empty",
      "",
      "is not empty; nothing was changed",
    ],
    ["cannot be read", "found", "4", "is ambiguous (blkid ended with"],
    ["carries more than one thing", "found", "8", "is ambiguous (blkid ended with"],
  ])("that %s is left as it is", async (_what, file, content, words) => {
    attach(DATA);
    host.put(file, content);
    const { status, stderr } = await mount();
    expect(status).toBe(1);
    expect(stderr).toContain(words);
    expect(made()).toEqual([]);
    expect(host.read(FSTAB)).toBe(ROOT_LINE);
  });

  test("is not guessed if there are two", async () => {
    attach(DATA, DATA.replace("nvme1n1", "nvme3n1"));
    const { status, stderr } = await mount();
    expect(status).toBe(1);
    expect(stderr).toContain("2 data volumes are attached: /dev/nvme1n1 /dev/nvme3n1");
    expect(made()).toEqual([]);
  });

  test("is waited for if it is attached late", async () => {
    host.standIn(
      "sleep",
      `printf '%s' "${DATA.replace("\n", "")}" >>"$ROOT/disks"; echo >>"$ROOT/disks"`,
    );
    expect((await mount()).status).toBe(0);
    expect(host.calls()).toContain("sleep 2");
    expect(made()).toHaveLength(1);
  });

  test("is refused if something else is mounted in its place", async () => {
    attach(DATA);
    host.put("filesystem", "");
    host.put("mounted", "of-another\n");
    const { status, stderr } = await mount();
    expect(status).toBe(1);
    expect(stderr).toContain("is the mount point of something other than the data volume of-data");
  });

  test("is used even if its file system cannot be grown", async () => {
    attach(DATA);
    host.standIn("resize2fs", "exit 1");
    const { status, stderr } = await mount();
    expect(status).toBe(0);
    expect(stderr).toContain("could not be grown");
  });
});

test.each([
  [[]],
  [["secret"]],
  [["secret", "a", "b"]],
  [["install-packages"]],
  [["archive", "a"]],
  [["release", "a"]],
  [["--help"]],
])("%j asks for nothing, and is told so", async (args) => {
  const { status, stdout, stderr } = await ask(...args);
  expect([status, stdout]).toEqual([1, ""]);
  expect(stderr).toContain("one of operator-access,");
  expect(asked).toEqual([]);
});

test("the script may be written anew while it runs", async () => {
  otherwise = {
    "POST /": (_, response) => {
      host.overwrite(platform, "echo from the new one\n".repeat(3000));
      response.end(JSON.stringify({ Parameter: { Value: VALUE } }));
    },
  };
  expect(await ask("secret", "backup-password")).toEqual({ status: 0, stdout: VALUE, stderr: "" });
});

test("sourcing the script does nothing", async () => {
  expect(await shell("")).toEqual({ status: 0, stdout: "", stderr: "" });
  expect(asked).toEqual([]);
});
