import { HostFolder } from "./host-folder";

// Which connections to web servers are given up. HAProxy, Nginx and the kernel's sockets are stand-ins.

jest.setTimeout(60_000);

let host: HostFolder;

interface Server {
  readonly status?: string;
  readonly underWay?: number;
  readonly check?: string;
}

beforeEach(() => {
  host = new HostFolder(
    "HOST_NAME=load-balancer-1 HOST_ROLE=load-balancer WEB_SERVERS='web-1:10.90.2.12 web-10:10.90.2.21' WEB_PORT=80",
  );
  host.standIn(
    "socat",
    `read -r command
    case $command in
      show*) cat "$ROOT/stat" ;;
      *) printf '%s\\n' "$command" >>"$ROOT/calls" ;;
    esac`,
    { quiet: true },
  );
  host.standIn("curl", `[[ $* != *10.90.2.12* || -e $ROOT/nginx ]]`, { quiet: true });
  host.standIn("ss", "printf 'tcp\\ntcp\\n'");
});
afterEach(() => host.remove());

/** A look at web-1, as HAProxy prints it. */
function seen({ status = "UP 1/2", underWay = 3, check = "L7TOUT" }: Server): string {
  const fields = Array<string | number>(98).fill("");
  const put = (at: number, value: string | number) => {
    fields[at - 1] = value;
  };
  put(1, "web");
  put(2, "web-1");
  put(5, underWay);
  put(18, status);
  put(37, check);
  return `# pxname,svname\n${fields.join(",")}\n\n`;
}

/** What is done about web-1 if HAProxy is asked several times in one connection. */
async function doneAbout(...looks: readonly Server[]) {
  host.put("stat", looks.map(seen).join("Done.\n\n"));
  host.bring("host/lib.sh", "load-balancer/servers.sh");
  await host.shell([host.bring("load-balancer/watch-silence.sh")], "watch");
  return host.calls();
}

const GIVEN_UP = [
  "set server web/web-1 health down",
  "ss --kill --no-header --tcp --numeric state connected dst 10.90.2.12 dport = :80",
];

test.each<[string, Server]>([
  ["a check got no answer", {}],
  ["it takes no connection", { check: "L4TOUT" }],
  ["there is no way to it", { check: "L4CON" }],
  ["it is down already", { status: "DOWN" }],
  ["it is drained", { status: "DRAIN" }],
  ["the next check is under way", { check: "* L7TOUT" }],
])("a silent web server is given up: %s", async (_what, server) => {
  expect(await doneAbout(server)).toEqual(GIVEN_UP);
});

test.each<[string, Server]>([
  ["checks succeed", { check: "L7OK", status: "UP" }],
  ["its app answers that it cannot serve", { check: "L7STS" }],
  ["nothing is in flight to it", { underWay: 0 }],
  ["it is in maintenance", { status: "MAINT" }],
])("no web server is given up while %s", async (_what, server) => {
  expect(await doneAbout(server)).toEqual([]);
});

test("a web server whose app alone is slow keeps its connections", async () => {
  host.put("nginx", "");
  expect(await doneAbout({})).toEqual([]);
});

test("a web server that falls silent is given up at the next look, and what was seen before that counts no more", async () => {
  expect(await doneAbout({ check: "L7OK", status: "UP" }, {}, {})).toEqual(GIVEN_UP);
});
