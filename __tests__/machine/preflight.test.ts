import { networksOfRoutes } from "../../machine/inspect";
import {
  type Demand,
  FILES,
  type Machine,
  missingParts,
  PROGRAMS,
  problemsOf,
} from "../../machine/preflight";

const FIT: Machine = {
  platform: "linux",
  architecture: "x64",
  nodeVersion: "22.11.0",
  terraformVersion: "1.11.4",
  canBecomeRoot: true,
  distribution: { id: "debian", version: "12" },
  freeDiskGiB: 20,
  memoryMiB: 8000,
  networks: [{ cidr: "192.168.1.0/24", device: "eth0" }],
  portsTaken: [],
  programs: PROGRAMS,
  files: FILES,
};

const DEMAND: Demand = {
  cidr: "10.90.0.0/22",
  bridge: "dwi-2a97516c",
  published: [
    { setting: "localPort", localPort: 8080 },
    { setting: "localTlsPort", localPort: 8443 },
  ],
  memoryMiB: 3328,
  isDeployed: false,
};

function problems(machine: Partial<Machine>, demand: Partial<Demand> = {}): string[] {
  return problemsOf({ ...FIT, ...machine }, { ...DEMAND, ...demand });
}

describe("problemsOf", () => {
  test("finds no problem on a suitable machine", () => {
    expect(problems({})).toEqual([]);
  });

  test.each<[string, Partial<Machine>, RegExp]>([
    [
      "missing root privileges",
      { canBecomeRoot: false },
      /need root\. Run this as root, or allow sudo/,
    ],
    ["an unsupported processor", { architecture: "riscv64" }, /processor architecture is riscv64/],
    ["an old Debian", { distribution: { id: "debian", version: "11" } }, /Debian 12 or newer/],
    ["an old Ubuntu", { distribution: { id: "ubuntu", version: "22.04" } }, /Ubuntu 24\.04/],
    ["an unsupported distribution", { distribution: { id: "fedora", version: "41" } }, /fedora 41/],
    ["Node 18", { nodeVersion: "18.20.0" }, /Node is 18\.20\.0.*Install Node 22/],
    ["Node 20.8", { nodeVersion: "20.8.1" }, /Node is 20\.8\.1/],
    ["Node 24", { nodeVersion: "24.1.0" }, /Node is 24\.1\.0/],
    ["a missing Terraform", { terraformVersion: undefined }, /not installed.*Install 1\.11/],
    ["an old Terraform", { terraformVersion: "1.9.8" }, /Terraform is 1\.9\.8; 1\.11 or newer/],
    ["a full disk", { freeDiskGiB: 2.25 }, /Only 2\.3 GiB are free.*6 GiB are needed/],
    ["little memory", { memoryMiB: 2000 }, /has 2000 MiB of memory; the hosts need 3840 MiB/],
    [
      "a port in use",
      { portsTaken: [8080] },
      /Port 8080 on 127\.0\.0\.1 is already in use.*another localPort/,
    ],
    [
      "a port for TLS in use",
      { portsTaken: [8443] },
      /Port 8443 on 127\.0\.0\.1 is already in use.*another localTlsPort/,
    ],
    [
      "an overlapping network",
      { networks: [{ cidr: "10.0.0.0/8", device: "tun0" }] },
      /10\.90\.0\.0\/22 overlaps 10\.0\.0\.0\/8 of tun0.*network\.cidr/,
    ],
  ])("reports %s and the remedy", (_, machine, message) => {
    const found = problems(machine);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(message);
  });

  test("reports all problems at once", () => {
    expect(
      problems({ canBecomeRoot: false, nodeVersion: "24.0.0", terraformVersion: undefined }),
    ).toHaveLength(3);
  });

  test("reports only the platform if it is not Linux", () => {
    expect(problems({ platform: "darwin", canBecomeRoot: false })).toEqual([
      expect.stringContaining("The operating system is darwin"),
    ]);
  });

  test("accepts releases of Debian that have no version", () => {
    expect(problems({ distribution: { id: "debian", version: "" } })).toEqual([]);
  });

  test("counts 1.100 as newer than 1.11", () => {
    expect(problems({ terraformVersion: "1.100.0" })).toEqual([]);
  });

  test("ignores the port, memory and network that the running cluster itself uses", () => {
    expect(
      problems(
        {
          portsTaken: [8080, 8443],
          memoryMiB: 1000,
          freeDiskGiB: 1,
          networks: [{ cidr: DEMAND.cidr, device: DEMAND.bridge }],
        },
        { isDeployed: true },
      ),
    ).toEqual([]);
  });
});

describe("missingParts", () => {
  test("is empty if every program is installed", () => {
    expect(missingParts(FIT, ["machine", "debian", "ubuntu"])).toEqual([]);
  });

  test("names the package and the reason for each missing program", () => {
    const programs = PROGRAMS.filter((program) => program !== "mmdebstrap");
    expect(missingParts({ ...FIT, programs }, ["machine"])).toEqual([
      { package: "mmdebstrap", why: "builds the host image" },
    ]);
  });

  const packages = (id: string, wanted: Parameters<typeof missingParts>[1]) =>
    missingParts({ ...FIT, distribution: { id, version: "" }, files: [] }, wanted).map(
      (part) => part.package,
    );

  test("lists the key packages of another distribution only, each once", () => {
    expect(packages("debian", ["machine", "debian"])).toEqual([]);
    expect(packages("ubuntu", ["machine", "ubuntu"])).toEqual([]);
    expect(packages("debian", ["ubuntu", "machine", "ubuntu"])).toEqual([
      "ubuntu-keyring",
      "distro-info-data",
    ]);
    expect(packages("ubuntu", ["debian"])).toEqual(["debian-archive-keyring"]);
  });
});

describe("networksOfRoutes", () => {
  test("reads addresses and masks, and skips default routes", () => {
    const table = [
      "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT",
      "eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0",
      "eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0",
      "tun0\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0",
      "",
    ].join("\n");
    expect(networksOfRoutes(table)).toEqual([
      { cidr: "192.168.1.0/24", device: "eth0" },
      { cidr: "10.0.0.0/8", device: "tun0" },
    ]);
  });
});
