import { HostFolder } from "./host-folder";

// How one of two load balancers hands the visitors' address over, tells the other one how it is, starts with what that
// one knows, and claims the address from its platform. HAProxy, keepalived's address and the other load balancer are
// stand-ins.

jest.setTimeout(60_000);

const LIBRARY = ["host/lib.sh", "load-balancer/servers.sh", "load-balancer/pair.sh"] as const;
const HAND_OVER = "run/cluster/pair/hand-over";
const STATE = "var/lib/cluster/haproxy-server-state";
const STATES = "1\n# be_id be_name srv_id srv_name\n3 web 1 web-1 10.90.2.12 2 8\n";

let host: HostFolder;

beforeEach(() => {
  host = new HostFolder(
    [
      "HOST_NAME=load-balancer-1 HOST_ROLE=load-balancer FLOATING_ADDRESS=10.90.0.5",
      "VISITORS_ADDRESS=10.90.0.5 PEER_NAME=load-balancer-2 PEER_ADDRESS=10.90.1.4 PEER_PORT=8405",
      "VISITORS_PORTS='80 443' PLATFORM=local PAIR_RUN=/run/cluster/pair PAIR_HAND_OVER=/run/cluster/pair/hand-over",
    ].join(" "),
  );
  // The facts name paths of the host.
  host.put(
    "etc/cluster/host.env",
    host.read("etc/cluster/host.env").replaceAll("=/run/", `=${host.at("run")}/`),
  );
  host.put(HAND_OVER, "0\n");
  host.put(STATE, "1\n");
  host.put("states", STATES);
  host.put("in-flight", "");
  host.put("up", "UP");
  // It holds the address while there is a file, and until it has handed over.
  host.standIn(
    "ip",
    `if [[ -e $ROOT/holds && $(<"$ROOT/${HAND_OVER}") == 0 ]]; then echo "2: eth0 inet 10.90.0.5/32"; fi`,
    { quiet: true },
  );
  host.standIn("systemctl", "[[ ! -e $ROOT/no-keepalived ]]", { quiet: true });
  host.standIn(
    "nft",
    'input=$(cat); grep -q "chain input" <<<"$input" && touch "$ROOT/held-back" || rm -f "$ROOT/held-back"',
  );
  host.standIn(
    "socat",
    `if [[ $* == *TCP:* ]]; then
      [[ -e $ROOT/peer ]] || exit 1
      # The other one takes over as soon as it may.
      if [[ $(<"$ROOT/${HAND_OVER}") == 0 || -e $ROOT/stuck ]]; then cat "$ROOT/peer"; else sed 's/^holds no/holds yes/' "$ROOT/peer"; fi
      exit
    fi
    read -r command
    case $command in
      "show stat web 4 -1") [[ ! -e $ROOT/silent ]] || exit 1
        printf 'web,web-1,,,0,,,,,,,,,,,,,%s,,,,0,0,1,,,,,,,,,,,,,L7OK,200\\n' "$(<"$ROOT/up")" ;;
      "show sess") cat "$ROOT/in-flight" ;;
      "show servers state") [[ ! -e $ROOT/silent ]] || exit 1; cat "$ROOT/states"; echo ;;
    esac`,
    { quiet: true },
  );
});
afterEach(() => host.remove());

const peer = ({ obstacle = "", up = 2, states = STATES } = {}) =>
  host.put("peer", `holds no\nobstacle ${obstacle}\nup ${up}\nservers\n${states}end\n`);

describe("handing over", () => {
  const handOver = (...args: string[]) =>
    host.run(host.bring("load-balancer/hand-over.sh", ...LIBRARY), args);

  test("holds new connections back until the other one has the address, and no longer", async () => {
    host.put("holds", "");
    peer();
    expect(await handOver("begin")).toMatchObject({
      status: 0,
      stderr: "hand-over.sh: load-balancer-2 holds the visitors' address\n",
    });
    expect(host.read(HAND_OVER)).toBe("-254\n");
    expect(host.calls()).toEqual(["nft --file -", "nft --file -"]);
    expect(host.has("held-back")).toBe(false);
    expect((await handOver("end")).status).toBe(0);
    expect(host.read(HAND_OVER)).toBe("0\n");
  });

  test("of one that does not hold it does nothing", async () => {
    expect((await handOver("begin")).status).toBe(0);
    expect(host.calls()).toEqual([]);
    expect(host.read(HAND_OVER)).toBe("0\n");
  });

  test("waits for requests in flight, but not for ever", async () => {
    host.put("holds", "");
    host.put("in-flight", "0x1: proto=tcpv4 src=10.0.0.1:5 fe=site be=web srv=web-1\n");
    peer();
    const { status, stderr } = await handOver("begin");
    expect(status).toBe(0);
    expect(stderr).toContain("requests are still in flight after 3 s");
  });

  test.each<[string, string, () => void]>([
    ["does not answer", "load-balancer-2 does not answer", () => {}],
    [
      "has handed it over itself",
      "it has handed the address over",
      () => peer({ obstacle: "it has handed the address over" }),
    ],
    ["has no web server", "sends no web server requests", () => peer({ up: 0 })],
    [
      "says only half of it",
      "does not answer",
      () => host.put("peer", "holds no\nobstacle\nup 2\n"),
    ],
  ])("is refused while the other one %s", async (_what, why, prepare) => {
    host.put("holds", "");
    prepare();
    const { status, stderr } = await handOver("begin");
    expect(status).toBe(1);
    expect(stderr).toContain(`this load balancer keeps the visitors' address: `);
    expect(stderr).toContain(why);
    expect(host.calls()).toEqual([]);
    expect(host.read(HAND_OVER)).toBe("0\n");
  });

  test("is taken back if the other one does not take the address", async () => {
    host.put("holds", "");
    host.put("stuck", "");
    peer();
    const { status, stderr } = await handOver("begin");
    expect(status).toBe(1);
    expect(stderr).toContain("load-balancer-2 has not taken the visitors' address within 3 s");
    expect(host.read(HAND_OVER)).toBe("0\n");
    expect(host.has("held-back")).toBe(false);
  });

  test("of the only load balancer does nothing", async () => {
    host.put("etc/cluster/host.env", "HAPROXY_SOCKET=x HOST_NAME=load-balancer-1\n");
    expect(await handOver("begin")).toMatchObject({ status: 0, stderr: "" });
  });

  test.each([[[]], [["start"]], [["begin", "now"]]])("is not what %j asks for", async (args) => {
    expect((await handOver(...args)).stderr).toContain("usage: hand-over.sh begin|end");
  });
});

describe("what it tells the other one", () => {
  const told = async () =>
    (await host.run(host.bring("load-balancer/tell-peer.sh", ...LIBRARY))).stdout;

  test("is that it holds the address, how many web servers it has, and what it knows of them", async () => {
    host.put("holds", "");
    expect(await told()).toBe(`holds yes\nobstacle \nup 1\nservers\n${STATES}end\n`);
  });

  test.each<[string, string]>([
    ["no-keepalived", "keepalived does not run"],
    ["silent", "HAProxy does not answer"],
  ])("is why it could not take it: %s", async (file, obstacle) => {
    host.put(file, "");
    expect(await told()).toContain(`\nobstacle ${obstacle}\n`);
    expect(await told()).toMatch(/\nend\n$/);
  });

  test("is that it has handed it over", async () => {
    host.put(HAND_OVER, "-254\n");
    expect(await told()).toContain("\nobstacle it has handed the address over\n");
  });
});

describe("HAProxy starts", () => {
  const adopt = () => host.run(host.bring("load-balancer/adopt-states.sh", ...LIBRARY));

  test("with what the other one knows of the web servers", async () => {
    peer();
    expect(await adopt()).toMatchObject({ status: 0, stderr: "" });
    expect(host.read(STATE)).toBe(STATES);
  });

  test.each<[string, () => void]>([
    ["does not answer", () => {}],
    ["runs no HAProxy", () => peer({ states: "" })],
    ["knows no web server", () => peer({ states: "1\n# be_id be_name srv_id srv_name\n" })],
  ])("with what it knew last, where the other one %s", async (_what, prepare) => {
    prepare();
    const { status, stderr } = await adopt();
    expect(status).toBe(0);
    expect(stderr).toContain("load-balancer-2");
    expect(host.read(STATE)).toBe("1\n");
  });
});

describe("claiming the address", () => {
  /** Runs one claim, and tells what is known of its failure. */
  const claim = async () => {
    host.bring("load-balancer/claim-address.sh", "host/lib.sh", "load-balancer/pair.sh");
    const { status } = await host.shell(
      ["opt/cluster/scripts/load-balancer/claim-address.sh"],
      "claim || exit 3",
    );
    return {
      status,
      failure: host.has("run/cluster/pair/failure") && host.read("run/cluster/pair/failure"),
    };
  };

  test("that fails leaves the reason until one succeeds", async () => {
    const script = "opt/cluster/scripts/load-balancer/address/local.sh";
    host.put(script, "#!/bin/sh\necho first >&2; echo 'EC2: no credentials' >&2; exit 1\n", 0o755);
    expect(await claim()).toEqual({ status: 3, failure: "EC2: no credentials\n" });
    host.put(script, "#!/bin/sh\n", 0o755);
    expect(await claim()).toEqual({ status: 0, failure: false });
  });

  test("is nothing to do locally", async () => {
    host.bring("host/lib.sh");
    expect((await host.run(host.bring("load-balancer/address/local.sh"), ["claim"])).status).toBe(
      0,
    );
    expect((await host.run(host.bring("load-balancer/address/local.sh"))).status).toBe(1);
  });
});

describe("claiming the address on AWS", () => {
  const ADDRESS = (more: string) =>
    `<DescribeAddressesResponse><addressesSet><item><allocationId>eipalloc-1</allocationId>${more}</item></addressesSet></DescribeAddressesResponse>`;
  const HELD = (address: string) =>
    ADDRESS(
      `<networkInterfaceId>eni-9</networkInterfaceId><privateIpAddress>${address}</privateIpAddress>`,
    );

  const claim = (found: string, associated = "") => {
    host.put(
      "etc/cluster/host.env",
      `${host.read("etc/cluster/host.env")} CLUSTER_NAME=demo PLATFORM_REGION=eu-central-1\n`,
    );
    host.put("found", found);
    host.put("associated", associated);
    host.standIn("jq", `exec /usr/bin/jq "$@"`, { quiet: true });
    host.standIn(
      "curl",
      `options=$(cat)
      asked=$(sed --quiet 's/^\\(url\\|data\\) = "\\(.*\\)"$/\\2/p' <<<"$options" | paste --serial --delimiters ' ')
      printf '%s\\n' "$asked" >>"$ROOT/asked"
      case $asked in
        *Action=DescribeAddresses*) cat "$ROOT/found" ;;
        *Action=AssociateAddress*) cat "$ROOT/associated"; [[ ! -s $ROOT/associated ]] ;;
        */security-credentials/) echo the-role ;;
        */security-credentials/*) echo '{"AccessKeyId":"A","SecretAccessKey":"S","Token":"T"}' ;;
        */interface-id) echo eni-1 ;;
        */meta-data/mac) echo 02:00:00:00:00:01 ;;
        *) echo token ;;
      esac`,
      { quiet: true },
    );
    host.bring("platform/aws.sh", "host/lib.sh");
    return host.run(host.bring("load-balancer/address/aws.sh"), ["claim"], {
      env: { CLUSTER_FACTS: host.at("etc/cluster/host.env") },
    });
  };
  const asked = () =>
    host
      .read("asked")
      .split("\n")
      .filter((line) => line.includes("Action="));

  test("asks for nothing where it is associated already", async () => {
    expect(await claim(HELD("10.90.0.5"))).toMatchObject({ status: 0, stderr: "" });
    expect(asked()).toEqual([
      "https://ec2.eu-central-1.amazonaws.com/ Version=2016-11-15&Action=DescribeAddresses&Filter.1.Name=tag%3AName&Filter.1.Value.1=demo-load-balancer&Filter.2.Name=tag%3ACluster&Filter.2.Value.1=demo",
    ]);
  });

  test.each([
    ["the other one has it", HELD("10.90.1.5")],
    ["nobody has it", ADDRESS("")],
  ])("moves it to its own floating address: %s", async (_what, found) => {
    expect((await claim(found)).status).toBe(0);
    expect(asked()[1]).toContain(
      "Action=AssociateAddress&AllocationId=eipalloc-1&NetworkInterfaceId=eni-1&PrivateIpAddress=10.90.0.5&AllowReassociation=true",
    );
  });

  test("fails with the words of EC2", async () => {
    const refusal =
      "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You are not authorized.</Message></Error></Errors></Response>";
    const { status, stderr } = await claim(HELD("10.90.1.5"), refusal);
    expect(status).toBe(1);
    expect(stderr).toContain("You are not authorized.");
  });

  test("fails where the address is not to be found", async () => {
    const { status, stderr } = await claim("<DescribeAddressesResponse/>");
    expect(status).toBe(1);
    expect(stderr).toContain("0 Elastic IPs have the tag Name=demo-load-balancer");
  });
});
