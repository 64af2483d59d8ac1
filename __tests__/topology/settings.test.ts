import clusters from "../../cluster.config";
import { type ClusterSettingsInput, parseClusters, SettingsError } from "../../topology/settings";

function problemsOf(...raw: unknown[]) {
  try {
    parseClusters(raw as ClusterSettingsInput[]);
  } catch (error) {
    if (error instanceof SettingsError) {
      return Object.fromEntries(error.problems.map(({ path, wanted }) => [path, wanted]));
    }
    throw error;
  }
  return {};
}

describe("sound settings", () => {
  test("the settings of the repository are sound", () => {
    expect(parseClusters(clusters)).toHaveLength(clusters.length);
  });

  test("everything but the name has a default", () => {
    expect(parseClusters([{ name: "demo" }])).toMatchObject([
      {
        loadBalancer: { algorithm: "roundrobin" },
        webServers: { count: 2, mode: "active-active" },
        database: { replicas: 1, durability: "available" },
        backend: { type: "local" },
      },
    ]);
  });

  test.each(["us-gov-west-1", "cn-north-1", "ap-east-2"])("a cluster can stand in %s", (region) => {
    const availabilityZones = [`${region}a`, `${region}b`];
    expect(problemsOf({ name: "demo", region, availabilityZones })).toEqual({});
  });

  test.each([
    "g4dn.xlarge",
    "m7i-flex.large",
    "t3a.small",
    "i3.metal",
    "u-6tb1.metal",
    "i7ie.large",
  ])("%s is an instance type of x86-64 and Nitro", (instanceType) => {
    expect(problemsOf({ name: "demo", webServers: { instanceType } })).toEqual({});
  });

  test("tags may be whatever all of AWS's services take", () => {
    const tags = {
      "Kostenstelle/Ä": "4711 @ü+=._:/-",
      ["k".repeat(127)]: "v".repeat(256),
      Empty: "",
      Cluster: "x",
    };
    expect(problemsOf({ name: "demo", tags })).toEqual({});
  });

  test("a load balancer that is no voter needs no memory for etcd", () => {
    const database = { failover: "automatic", replicas: 2 };
    expect(
      problemsOf({ name: "demo", database, loadBalancer: { memory: 200, connections: 900 } }),
    ).toEqual({});
  });

  test.each([0, 1, 3, 5])("%d replicas are possible", (replicas) => {
    expect(problemsOf({ name: "demo", database: { replicas } })).toEqual({});
  });

  test.each([
    "http://mirror.example.com/ubuntu",
    "https://mirror.example.com:8443",
    "http://192.0.2.7/a/b",
  ])("the mirror %s is possible", (mirror) => {
    expect(problemsOf({ name: "demo", local: { distribution: "ubuntu", mirror } })).toEqual({});
  });

  test("several clusters live side by side when name, network and port differ", () => {
    expect(
      problemsOf(
        { name: "one" },
        { name: "two", network: { cidr: "10.91.0.0/22" }, localPort: 81e2 },
      ),
    ).toEqual({});
  });
});

describe("every rule", () => {
  test.each<[string, unknown, string]>([
    ["name", { name: "Demo" }, "clusters[0].name"],
    ["no name", {}, "clusters[0].name"],
    ["a name AWS refuses", { name: "aws-demo" }, "clusters[0].name"],
    ["a name with two hyphens in a row", { name: "de--mo" }, "clusters[0].name"],
    ["a name of one letter", { name: "d" }, "clusters[0].name"],
    ["a name too long", { name: "d".repeat(21) }, "clusters[0].name"],
    ["region", { region: "Frankfurt" }, "clusters[0].region"],
    [
      "a region the provider does not know",
      {
        region: "ap-southeast-6",
        availabilityZones: ["ap-southeast-6a", "ap-southeast-6b"],
      },
      "clusters[0].region",
    ],
    [
      "a partition the cluster does not know",
      {
        region: "us-iso-east-1",
        availabilityZones: ["us-iso-east-1a", "us-iso-east-1b"],
      },
      "clusters[0].region",
    ],
    ["a security group's id as a name", { name: "sg-demo" }, "clusters[0].name"],
    ["one zone", { availabilityZones: ["eu-central-1a"] }, "clusters[0].availabilityZones"],
    [
      "a zone twice",
      { availabilityZones: ["eu-central-1a", "eu-central-1a"] },
      "clusters[0].availabilityZones",
    ],
    [
      "a zone of another region",
      { availabilityZones: ["eu-central-1a", "eu-west-1a"] },
      "clusters[0].availabilityZones[1]",
    ],
    ["no network", { network: { cidr: "10.90.0.0" } }, "clusters[0].network.cidr"],
    ["a public network", { network: { cidr: "8.8.0.0/16" } }, "clusters[0].network.cidr"],
    ["a network AWS refuses", { network: { cidr: "10.0.0.0/8" } }, "clusters[0].network.cidr"],
    [
      "an address within a network",
      { network: { cidr: "10.90.1.0/22" } },
      "clusters[0].network.cidr",
    ],
    [
      "a network too small for the hosts",
      { network: { cidr: "10.90.0.0/26" }, webServers: { count: 20 } },
      "clusters[0].network.cidr",
    ],
    ["algorithm", { loadBalancer: { algorithm: "random" } }, "clusters[0].loadBalancer.algorithm"],
    ["no web server", { webServers: { count: 0 } }, "clusters[0].webServers.count"],
    ["half a web server", { webServers: { count: 1.5 } }, "clusters[0].webServers.count"],
    ["web mode", { webServers: { mode: "passive" } }, "clusters[0].webServers.mode"],
    [
      "nobody to stand by",
      { webServers: { mode: "active-passive", count: 1 } },
      "clusters[0].webServers.count",
    ],
    ["replicas", { database: { replicas: 6 } }, "clusters[0].database.replicas"],
    [
      "lossless without a replica",
      { database: { durability: "lossless", replicas: 0 } },
      "clusters[0].database.durability",
    ],
    [
      "automatic failover without a replica",
      { database: { failover: "automatic", replicas: 0 } },
      "clusters[0].database.failover",
    ],
    [
      "a database host too small for etcd",
      { database: { failover: "automatic", memory: 800 } },
      "clusters[0].database.memory",
    ],
    [
      "a load balancer too small for etcd",
      { database: { failover: "automatic" }, loadBalancer: { memory: 200, connections: 900 } },
      "clusters[0].loadBalancer.memory",
    ],
    [
      "a load balancer too small for its connections",
      { loadBalancer: { connections: 8000 } },
      "clusters[0].loadBalancer.memory",
    ],
    [
      "an unlimited client that is no network",
      { loadBalancer: { unlimitedClients: ["203.0.113.7"] } },
      "clusters[0].loadBalancer.unlimitedClients[0]",
    ],
    ["a schema of MySQL's own", { database: { name: "mysql" } }, "clusters[0].database.name"],
    [
      "instance type",
      { webServers: { instanceType: "big" } },
      "clusters[0].webServers.instanceType",
    ],
    ["Arm", { webServers: { instanceType: "t4g.small" } }, "clusters[0].webServers.instanceType"],
    ["no Nitro", { database: { instanceType: "t2.small" } }, "clusters[0].database.instanceType"],
    ["volume size", { database: { dataVolumeSize: 1 } }, "clusters[0].database.dataVolumeSize"],
    ["memory", { database: { memory: "1G" } }, "clusters[0].database.memory"],
    ["a folder outside", { app: { directory: "../app" } }, "clusters[0].app.directory"],
    ["a port the host uses", { app: { port: 3306 } }, "clusters[0].app.port"],
    ["a command with quotes", { app: { command: "/bin/sh -c 'x'" } }, "clusters[0].app.command"],
    ["the project as the app's folder", { app: { directory: "./" } }, "clusters[0].app.directory"],
    [
      "the app's folder as its static one",
      { app: { staticDirectory: "." } },
      "clusters[0].app.staticDirectory",
    ],
    ["two commands", { app: { command: "/bin/a && /bin/b" } }, "clusters[0].app.command"],
    ["no time to start", { app: { startTimeout: 0 } }, "clusters[0].app.startTimeout"],
    ["more than a host", { app: { healthHost: "http://a/" } }, "clusters[0].app.healthHost"],
    ["health path", { app: { healthPath: "healthz" } }, "clusters[0].app.healthPath"],
    [
      "a variable's name",
      { app: { environment: { "a-b": "1" } } },
      "clusters[0].app.environment.a-b",
    ],
    [
      "a variable of the host",
      { app: { environment: { PORT: "1" } } },
      "clusters[0].app.environment.PORT",
    ],
    [
      "a variable with a quote",
      { app: { environment: { WHO: "it's" } } },
      "clusters[0].app.environment.WHO",
    ],
    ["a tag AWS keeps for itself", { tags: { "aws:x": "1" } }, "clusters[0].tags.aws:x"],
    [
      "a key EC2 finds too long",
      { tags: { ["k".repeat(128)]: "1" } },
      `clusters[0].tags.${"k".repeat(128)}`,
    ],
    ["a value with an apostrophe", { tags: { Team: "web's" } }, "clusters[0].tags.Team"],
    ["a value with a space at its end", { tags: { Team: "web " } }, "clusters[0].tags.Team"],
    [
      "a tag of the cluster in another case",
      { tags: { cluster: "1" } },
      "clusters[0].tags.cluster",
    ],
    ["two tags that differ in case", { tags: { Team: "1", team: "2" } }, "clusters[0].tags.team"],
    [
      "too many tags",
      { tags: Object.fromEntries(Array.from({ length: 41 }, (_, index) => [`t${index}`, ""])) },
      "clusters[0].tags",
    ],
    ["backend", { backend: { type: "gcs" } }, "clusters[0].backend.type"],
    [
      "a bucket without a region",
      { backend: { type: "s3", bucket: "abc" } },
      "clusters[0].backend.region",
    ],
    ["NAT gateways", { natGateways: "none" }, "clusters[0].natGateways"],
    ["a key", { aws: { encryptionKey: "mine" } }, "clusters[0].aws.encryptionKey"],
    ["flow logs", { aws: { flowLogs: "accepted" } }, "clusters[0].aws.flowLogs"],
    [
      "a number of days that CloudWatch Logs does not take",
      { aws: { keepLogsDays: 10 } },
      "clusters[0].aws.keepLogsDays",
    ],
    [
      "copies in a region that does not exist",
      { backup: { copyRegion: "eu-west-9" } },
      "clusters[0].backup.copyRegion",
    ],
    [
      "copies in the cluster's own region",
      { backup: { copyRegion: "eu-central-1" } },
      "clusters[0].backup.copyRegion",
    ],
    [
      "copies in another partition",
      { backup: { copyRegion: "cn-north-1" } },
      "clusters[0].backup.copyRegion",
    ],
    ["a port for root", { localPort: 80 }, "clusters[0].localPort"],
    ["a mode of TLS", { tls: { mode: "on" } }, "clusters[0].tls.mode"],
    ["TLS without a mode", { tls: "off" }, "clusters[0].tls"],
    ["an authority without a name to certify", { tls: { mode: "acme" } }, "clusters[0].domain"],
    ["a name without a dot", { domain: "localhost" }, "clusters[0].domain"],
    ["a name in capital letters", { domain: "WWW.example.org" }, "clusters[0].domain"],
    [
      "a wildcard, which HTTP-01 cannot validate",
      { domain: "*.example.org" },
      "clusters[0].domain",
    ],
    ["an address for a name", { domain: "192.0.2.1" }, "clusters[0].domain"],
    ["a URL for a name", { domain: "https://www.example.org" }, "clusters[0].domain"],
    ["a name with a trailing dot", { domain: "www.example.org." }, "clusters[0].domain"],
    [
      "a further name that is the site's",
      { domain: "example.org", tls: { mode: "acme", alsoFor: ["example.org"] } },
      "clusters[0].tls.alsoFor[0]",
    ],
    [
      "a further name twice",
      { domain: "example.org", tls: { mode: "acme", alsoFor: ["a.example.org", "a.example.org"] } },
      "clusters[0].tls.alsoFor[1]",
    ],
    [
      "a directory in plain text",
      { domain: "example.org", tls: { mode: "acme", directory: "http://acme.example/dir" } },
      "clusters[0].tls.directory",
    ],
    [
      "a directory that a shell would read on",
      { domain: "example.org", tls: { mode: "acme", directory: "https://acme.example/$(id)" } },
      "clusters[0].tls.directory",
    ],
    [
      "a contact without a domain",
      { domain: "example.org", tls: { mode: "acme", contact: "operator" } },
      "clusters[0].tls.contact",
    ],
    [
      "a profile in words",
      { domain: "example.org", tls: { mode: "acme", profile: "short lived" } },
      "clusters[0].tls.profile",
    ],
    [
      "a path where certificates are wanted",
      { domain: "example.org", tls: { mode: "acme", trust: "/etc/ssl/root.pem" } },
      "clusters[0].tls.trust",
    ],
    [
      "HSTS for ten years",
      { domain: "example.org", tls: { mode: "acme", strictTransportDays: 3650 } },
      "clusters[0].tls.strictTransportDays",
    ],
    [
      "a setting of another mode",
      { domain: "example.org", tls: { mode: "self-signed", contact: "me@example.org" } },
      "clusters[0].tls.contact",
    ],
    ["one port for both", { localPort: 8443, localTlsPort: 8443 }, "clusters[0].localTlsPort"],
    ["a port that leaves none for TLS", { localPort: 65500 }, "clusters[0].localTlsPort"],
    ["a distribution", { local: { distribution: "fedora" } }, "clusters[0].local.distribution"],
    ["a mirror's scheme", { local: { mirror: "ftp://example.com/x" } }, "clusters[0].local.mirror"],
    [
      "a mirror's password, which would be in the state",
      { local: { mirror: "http://me:secret@example.com/ubuntu" } },
      "clusters[0].local.mirror",
    ],
    [
      "a mirror's slash at the end",
      { local: { mirror: "http://example.com/ubuntu/" } },
      "clusters[0].local.mirror",
    ],
    ["an unknown setting", { colour: "red" }, "clusters[0].colour"],
    ["an unknown setting further in", { database: { engine: "x" } }, "clusters[0].database.engine"],
  ])("%s is a problem", (_, settings, path) => {
    const named = Object.keys(settings as object).length === 0 ? {} : { name: "demo" };
    expect(Object.keys(problemsOf({ ...named, ...(settings as object) }))).toEqual([path]);
  });

  test.each<[string, object, string]>([
    [
      "name",
      { name: "one", network: { cidr: "10.91.0.0/22" }, localPort: 8081 },
      "clusters[1].name",
    ],
    [
      "network",
      { name: "two", network: { cidr: "10.90.0.0/16" }, localPort: 8081 },
      "clusters[1].network.cidr",
    ],
    ["port", { name: "two", network: { cidr: "10.91.0.0/22" } }, "clusters[1].localPort"],
    [
      "port for TLS",
      { name: "two", network: { cidr: "10.91.0.0/22" }, localPort: 8081, localTlsPort: 8443 },
      "clusters[1].localTlsPort",
    ],
    [
      "port, one for TLS and the other one not",
      { name: "two", network: { cidr: "10.91.0.0/22" }, localPort: 8443 },
      "clusters[1].localPort",
    ],
  ])("two clusters cannot share a %s", (_, second, path) => {
    expect(Object.keys(problemsOf({ name: "one" }, second))).toEqual([path]);
  });

  test("a cluster without TLS has only one port", () => {
    const off = { tls: { mode: "off" } } as const;
    const second = { name: "two", network: { cidr: "10.91.0.0/22" }, localPort: 8443 };
    expect(problemsOf({ name: "one", ...off }, second)).toEqual({});
    expect(problemsOf({ name: "one", localPort: 65500, ...off })).toEqual({});
  });

  test("no cluster at all is a problem", () => {
    expect(Object.keys(problemsOf())).toEqual(["clusters"]);
  });
});

describe("the message", () => {
  test("names every problem of every cluster at once, with the value got and what would be right", () => {
    const wrong = [
      { name: "one", webServers: { count: "two" }, colour: "red" },
      { name: "one", network: { cidr: "nonsense" }, localPort: 8081 },
    ] as unknown as ClusterSettingsInput[];
    expect(() => parseClusters(wrong)).toThrow(
      new SettingsError([
        {
          path: "clusters[0].webServers.count",
          got: '"two"',
          wanted: "a whole number from 1 to 100",
        },
        {
          path: "clusters[0].colour",
          got: '"red"',
          wanted:
            "nothing: there is no such setting here; there are name, region, availabilityZones, network, loadBalancer, webServers, database, backup, app, monitor, monitoring, natGateways, aws, local, localPort, localTlsPort, domain, tls, tags, backend",
        },
        {
          path: "clusters[1].network.cidr",
          got: '"nonsense"',
          wanted: "an IPv4 network in CIDR notation, for example 10.90.0.0/22",
        },
        {
          path: "clusters[1].name",
          got: '"one"',
          wanted: "a unique name: clusters[0] already has this one",
        },
      ]),
    );
  });

  test("a network too small is told how wide it must be", () => {
    const problems = problemsOf({
      name: "demo",
      network: { cidr: "10.90.0.0/26" },
      webServers: { count: 50 },
    });
    expect(problems["clusters[0].network.cidr"]).toContain("a network of /24 or larger");
    expect(
      problemsOf({ name: "demo", network: { cidr: "10.90.0.0/24" }, webServers: { count: 50 } }),
    ).toEqual({});
  });
});
