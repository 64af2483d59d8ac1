import { HostFolder } from "./host-folder";

// Taking web servers out of service, and waiting for the load balancer's own checks of them. HAProxy is a stand-in,
// which answers as the real one does: https://docs.haproxy.org/3.2/management.html#9.1

interface Server {
  name?: string;
  status?: string;
  underWay?: number;
  failed?: number;
  downs?: number;
  since?: number;
  check?: string;
  answer?: string;
}

const STATE = "var/lib/cluster/haproxy-server-state";

jest.setTimeout(60_000);

let host: HostFolder;

beforeEach(() => {
  host = new HostFolder("HOST_NAME=load-balancer-1 HOST_ROLE=load-balancer");
  // Of the looks at it, each is seen once, and the last from then on.
  host.standIn(
    "socat",
    `read -r command
    case $command in
      "show stat web 4 -1")
        [[ ! -e $ROOT/silent ]] || exit 1
        looks=("$ROOT"/looks/*)
        cat "\${looks[0]}"
        ((\${#looks[@]} == 1)) || rm "\${looks[0]}" ;;
      "show servers state") cat "$ROOT/state" ;;
      "set server "*)
        printf '%s\\n' "$command" >>"$ROOT/commands"
        cat "$ROOT/answer" ;;
    esac`,
    { quiet: true },
  );
  host.put("answer", "\n");
  host.put("state", "1\n# what it knows\n");
  host.put("commands", "");
  host.put(STATE, "1\n");
});
afterEach(() => host.remove());

/** A line of the statistics: of its many fields those that are read, and a neighbour of each. */
function line(server: Server): string {
  const { name = "web-1", status = "UP", underWay = 0, failed = 3, downs = 1 } = server;
  const { since = 60, check = "L7OK", answer = "200" } = server;
  const fields = Array<string | number>(98).fill("");
  const put = (at: number, ...values: (string | number)[]) =>
    values.forEach((value, index) => {
      fields[at - 1 + index] = value;
    });
  put(1, "web", name, 7, 8, underWay, 9);
  put(17, "", status, 100, 1, 0, failed, downs, since, 11);
  put(36, "", check, answer, 4);
  return fields.join(",");
}

/** What HAProxy tells, from one look to the next. */
function looks(...seen: Server[][]): void {
  seen.forEach((servers, index) => {
    const lines = ["# pxname,svname,qcur", ...servers.map(line), ""];
    host.put(`looks/${String(index).padStart(3, "0")}`, `${lines.join("\n")}\n`);
  });
}

const commands = () => host.read("commands").split("\n").filter(Boolean);

describe("the web servers", () => {
  const known = (...servers: Server[]) => knownAfter(servers);
  const knownAfter = async (...seen: Server[][]) => {
    looks(...seen);
    host.bring("host/lib.sh", "load-balancer/servers.sh");
    const scripts = ["host/lib.sh", "load-balancer/servers.sh"];
    const { stdout } = await host.shell(
      scripts.map((name) => `opt/cluster/scripts/${name}`),
      "servers | as_json",
    );
    return JSON.parse(stdout);
  };

  test("are listed with the result of the last check of each", async () => {
    expect(
      await known(
        { underWay: 4, since: 12 },
        { name: "web-2", status: "DOWN 1/2", check: "* L7STS", answer: "503" },
      ),
    ).toEqual([
      {
        name: "web-1",
        status: "UP",
        underWay: 4,
        changedSecondsAgo: 12,
        check: "L7OK",
        answer: 200,
      },
      {
        name: "web-2",
        status: "DOWN 1/2",
        underWay: 0,
        changedSecondsAgo: 60,
        check: "L7STS",
        answer: 503,
      },
    ]);
  });

  test("are listed with the last check's HTTP status, also while the next check is in progress", async () => {
    const [server] = await knownAfter(
      [{ status: "DOWN", check: "* L7STS", answer: "0" }],
      [{ status: "DOWN", check: "* L7STS", answer: "" }],
      [{ status: "DOWN", check: "L7STS", answer: "400" }],
    );
    expect(server).toMatchObject({ check: "L7STS", answer: 400 });
  });

  test("are listed without it if checks are in progress all the time", async () => {
    const [server] = await known({ status: "DOWN", check: "* L7STS", answer: "0" });
    expect(server).toMatchObject({ check: "L7STS", answer: null });
  });

  test.each([
    ["L4CON", "0"],
    ["", ""],
  ])("of which a check had no answer (%s), it is told as none", async (check, answer) => {
    const [server] = await known({ status: "DOWN", check, answer });
    expect(server).toMatchObject({ check: check || "-", answer: null });
  });
});

describe("a drain", () => {
  const drain = (...args: string[]) =>
    host.run(host.bring("load-balancer/drain.sh", "host/lib.sh", "load-balancer/servers.sh"), args);
  const other = { name: "web-2" };

  test("sends no new requests, waits for those in flight, and survives a restart", async () => {
    looks(
      [{ underWay: 5 }, other],
      [{ underWay: 5 }, other],
      [{ status: "DRAIN", underWay: 5 }, other],
      [{ status: "DRAIN", underWay: 1 }, other],
      [{ status: "DRAIN" }, other],
    );
    expect(await drain("web-1")).toMatchObject({
      status: 0,
      stderr: "drain.sh: web-1 is drained\n",
    });
    expect(commands()).toEqual(["set server web/web-1 state drain"]);
    expect(host.list("looks")).toEqual(["004"]);
    expect(host.read(STATE)).toBe(host.read("state"));
  });

  test("does not wait for ever, and reports how many requests are left", async () => {
    looks([{ underWay: 5 }, other]);
    const script = host.bring("load-balancer/drain.sh", "host/lib.sh", "load-balancer/servers.sh");
    const { status, stderr } = await host.shell([script], 'PATIENCE=1; drain web-1 ""');
    expect(status).toBe(0);
    expect(stderr).toContain("web-1 is drained; 5 requests are still in progress after 1 s");
  });

  test.each<[string, Server[]]>([
    ["the only one", []],
    ["all others are down", [{ name: "web-2", status: "DOWN" }]],
    ["all others are drained", [{ name: "web-2", status: "DRAIN" }]],
    ["all others are in maintenance", [{ name: "web-2", status: "MAINT" }]],
    ["all others come up only now", [{ name: "web-2", status: "DOWN 1/2" }]],
  ])("of the last web server in service is refused: %s", async (_why, others) => {
    looks([{}, ...others]);
    const { status, stderr } = await drain("web-1");
    expect(status).toBe(1);
    expect(stderr).toContain("web-1 is the last web server that serves");
    expect(commands()).toEqual([]);
    expect((await drain("web-1", "--force")).status).toBe(0);
    expect(commands()).toEqual(["set server web/web-1 state drain"]);
  });

  test.each(["UP", "UP 1/2"])("is done where another one is %s", async (status) => {
    looks([{ name: "web-10", status: "DOWN" }, {}, { name: "web-2", status }]);
    expect((await drain("web-1")).status).toBe(0);
  });

  test.each(["DOWN", "DRAIN"])("of one that is %s takes nothing from visitors", async (status) => {
    looks([{ status }, { name: "web-2", status: "DOWN" }]);
    expect((await drain("web-1")).status).toBe(0);
  });

  test("of an unknown web server, or one whose name is a prefix of another, is refused", async () => {
    looks([{ name: "web-10" }, other]);
    for (const args of [["web-1"], ["web-1", "--force"], ["--undo", "web-1"]]) {
      const { status, stderr } = await drain(...args);
      expect(status).toBe(1);
      expect(stderr).toContain("the load balancer has no web server named web-1");
    }
    expect(commands()).toEqual([]);
  });

  test("can be undone, also of a web server that is down", async () => {
    looks([{ status: "DOWN" }]);
    expect(await drain("--undo", "web-1")).toMatchObject({ status: 0 });
    expect(commands()).toEqual(["set server web/web-1 state ready"]);
    expect(host.read(STATE)).toBe(host.read("state"));
  });

  test("that HAProxy rejects fails with HAProxy's message", async () => {
    looks([{}, other]);
    host.put("answer", "Require a server.\n");
    const { status, stderr } = await drain("web-1");
    expect(status).toBe(1);
    expect(stderr).toContain("HAProxy rejected the command: Require a server.");
    expect(host.read(STATE)).toBe("1\n");
  });

  test("fails if the server state cannot be saved, and the earlier one is kept", async () => {
    looks([{}, other]);
    host.put("state", "");
    const { status, stderr } = await drain("web-1");
    expect(status).toBe(1);
    expect(stderr).toContain("could not be saved");
    expect(host.read(STATE)).toBe("1\n");
  });

  test("is refused while HAProxy does not answer, even with --force", async () => {
    looks([{}, other]);
    host.put("silent", "");
    expect((await drain("web-1")).status).toBe(1);
    expect((await drain("web-1", "--force")).status).toBe(1);
    expect(commands()).toEqual([]);
  });

  test.each([
    [[]],
    [["--undo"]],
    [["web-1", "--undo"]],
    [["--force", "web-1"]],
    [["web-1", "--force", "web-2"]],
    [["--undo", "web-1", "--force"]],
    [["; quit"]],
  ])("is not what %j asks for", async (args) => {
    looks([{}, other]);
    const { status, stderr } = await drain(...args);
    expect(status).toBe(1);
    expect(stderr).toMatch(/usage: drain\.sh|has no web server named/);
    expect(commands()).toEqual([]);
  });
});

describe("waiting for checks", () => {
  const seconds = () => Number(host.read("proc/uptime").split(" ")[0]) - 100;
  const wait = async (...args: string[]) => {
    const { status, stdout, stderr } = await host.run(
      host.bring("load-balancer/await-checks.sh", "host/lib.sh", "load-balancer/servers.sh"),
      ["web-1", ...args],
    );
    expect(stderr).toBe("");
    return { status, seen: JSON.parse(stdout) };
  };
  const repeated = (server: Server, times: number) => Array<Server[]>(times).fill([server]);

  test("ends once they have succeeded for long enough", async () => {
    looks([{ name: "web-10", status: "DOWN" }, {}]);
    const { status, seen } = await wait("2", "10");
    expect(status).toBe(0);
    expect(seen).toMatchObject([{ name: "web-1", status: "UP", answer: 200 }]);
    expect(seconds()).toBeCloseTo(2, 1);
  });

  test.each<[string, Server]>([
    ["a check that failed", { failed: 4 }],
    ["a time that it went down", { downs: 2 }],
  ])("counts anew from %s, though all is well again when it looks", async (_what, server) => {
    looks(...repeated({}, 6), [server]);
    expect((await wait("2", "10")).status).toBe(0);
    expect(seconds()).toBeCloseTo(1.2 + 2, 1);
  });

  test.each<[string, Server]>([
    ["is down", { status: "DOWN" }],
    ["is about to go down", { status: "UP 1/2" }],
    ["is in maintenance", { status: "MAINT" }],
    ["answers 500", { check: "L7STS", answer: "500" }],
    ["answers another 2xx", { answer: "204" }],
    ["takes a connection and answers nothing", { check: "L7TOUT", answer: "0" }],
    ["takes no connection", { check: "L4CON", answer: "" }],
  ])("gives up on one that %s, and tells how it is seen", async (_what, server) => {
    looks([server]);
    const { status, seen } = await wait("1", "2");
    expect(status).toBe(1);
    expect(seen).toMatchObject([{ name: "web-1", status: server.status ?? "UP" }]);
    expect(seconds()).toBeCloseTo(2.2, 1);
  });

  test("starts counting again after a failure", async () => {
    looks(...repeated({}, 6), [{ status: "UP 1/2" }], [{}]);
    expect((await wait("2", "10")).status).toBe(0);
    expect(seconds()).toBeCloseTo(1.4 + 2, 1);
  });

  test("counts the last check as successful while the next is in progress", async () => {
    looks([{ check: "* L7OK" }]);
    expect((await wait("2", "10")).status).toBe(0);
  });

  test("also works for a drained web server, but not with --in-service", async () => {
    looks([{ status: "DRAIN" }]);
    expect((await wait("1", "2")).status).toBe(0);
    expect(await wait("1", "2", "--in-service")).toMatchObject({
      status: 1,
      seen: [{ status: "DRAIN" }],
    });
  });

  test("of an unknown web server fails", async () => {
    looks([{ name: "web-10" }]);
    const { status, stderr } = await host.run(
      host.bring("load-balancer/await-checks.sh", "host/lib.sh", "load-balancer/servers.sh"),
      ["web-1", "2", "5"],
    );
    expect(status).toBe(1);
    expect(stderr).toContain("the load balancer has no web server named web-1");
  });
});
