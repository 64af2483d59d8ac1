import { posix } from "node:path";
import * as z from "zod";
import { COMMAND_WANTED, problemOfCommand } from "./command";
import { problemOfInstanceType } from "./instance-types";
import { LOCAL_PORTS, PORTS } from "./ports";
import { REGIONS } from "./regions";

/** Ports above 1023 that load balancers, web servers or database hosts use themselves. */
const USED_PORTS: readonly number[] = [
  LOCAL_PORTS.databaseWrites,
  LOCAL_PORTS.databaseReads,
  PORTS.databaseHealth,
  LOCAL_PORTS.statistics,
  LOCAL_PORTS.nginxStatus,
  PORTS.hostMetrics,
  PORTS.proxyMetrics,
  PORTS.nginxMetrics,
  PORTS.appMetrics,
  PORTS.mysqlMetrics,
];

const WHOLE_NUMBER = "a whole number";

/** A whole number in an inclusive range; the message states both bounds. */
function whole(from: number, to: number, unit = "") {
  const wanted = `${WHOLE_NUMBER} from ${from} to ${to}${unit && ` (${unit})`}`;
  return z.number(wanted).int(wanted).min(from, wanted).max(to, wanted);
}

function oneOf<const T extends readonly [string, ...string[]]>(values: T) {
  return z.enum(values, `one of ${values.map((value) => `"${value}"`).join(", ")}`);
}

/** A string that must match a pattern; `wanted` describes what the pattern accepts. */
function text(pattern: RegExp, wanted: string) {
  return z.string(wanted).regex(pattern, wanted);
}

const instanceType = text(
  /^[a-z][a-z0-9-]*\.[a-z0-9-]+$/,
  'an EC2 instance type, for example "t3.small"',
).superRefine((type, context) => {
  const message = problemOfInstanceType(type);
  if (message !== undefined) {
    context.addIssue({ code: "custom", message });
  }
});

const relativeFolder = (inside: string) =>
  text(
    /^(?!\/)(?!(.*\/)?\.\.(\/|$))[\w@./-]+$/,
    `a folder inside ${inside}, relative to it`,
  ).refine((folder) => posix.normalize(`${folder}/`) !== "./", {
    message: `a separate folder inside ${inside}, not ${inside} itself`,
  });

const REGION = /^[a-z]{2}(-[a-z]+)+-\d$/;

/** A region that the provider knows; the message for other texts names the example. */
const region = (example: string) =>
  text(REGION, `a region, for example "${example}"`).refine((name) => REGIONS.includes(name), {
    message: `a region that version 5.100 of Terraform's AWS provider knows: ${REGIONS.join(", ")}`,
    when: ({ value }) => typeof value === "string" && REGION.test(value),
  });

const urlPath = text(/^\/[\w./~-]*$/, 'a path starting with "/", without a query');

/** The machine settings of a role. */
const machine = (defaults: { instanceType: string; memory: number; leastMemory?: number }) => ({
  instanceType: instanceType
    .default(defaults.instanceType)
    .describe("EC2 instance type (x86-64). Stack aws only."),
  rootVolumeSize: whole(8, 16384, "GiB").default(12).describe("Root volume, GiB. Stack aws only."),
  memory: whole(defaults.leastMemory ?? 192, 65536, "MiB")
    .default(defaults.memory)
    .describe("Memory limit of the container, MiB. Stack local only."),
});

const loadBalancer = z.strictObject({
  count: whole(1, 2)
    .default(1)
    .describe(
      "Number of load balancers. Of two, one serves, and the other one takes over the visitors' address when it fails.",
    ),
  algorithm: oneOf(["roundrobin", "leastconn", "source"])
    .default("roundrobin")
    .describe(
      "How HAProxy chooses a web server: in turn, the one with the fewest connections, or by a hash of the client's address.",
    ),
  connections: whole(500, 20_000)
    .default(4000)
    .describe(
      "Most connections of all clients at the same time; half as many may be requests in progress. Each may take 51 KiB of memory, on both platforms.",
    ),
  connectionsPerClient: whole(10, 20_000)
    .default(2000)
    .describe(
      "Most connections of one address at the same time, which may be a whole company's; a tenth while half of `connections` is taken.",
    ),
  connectionRatePerClient: whole(1, 10_000, "per second")
    .default(200)
    .describe("Most new connections of one address per second, over ten seconds."),
  requestsPerClient: whole(10, 20_000)
    .default(1000)
    .describe(
      "Most requests of one address in progress at the same time, each WebSocket being one; a tenth while half of all that are possible are in progress.",
    ),
  requestRatePerClient: whole(1, 100_000, "per second")
    .default(1000)
    .describe("Most requests of one address per second, over ten seconds."),
  uploadsPerClient: whole(1, 10_000)
    .default(100)
    .describe("Most requests of one address in progress with a body of more than 2 KB."),
  unlimitedClients: z
    .array(
      z.cidrv4("an IPv4 network in CIDR notation, for example 203.0.113.0/24"),
      "a list of IPv4 networks in CIDR notation",
    )
    .max(100, "at most 100 networks")
    .default([])
    .describe("Networks without these limits, for example those of a CDN, or of a load test."),
  ...machine({ instanceType: "t3.micro", memory: 384 }),
});

const webServers = z.strictObject({
  count: whole(1, 100).default(2).describe("Number of web servers."),
  mode: oneOf(["active-active", "active-passive"])
    .default("active-active")
    .describe("All web servers serve, or the first one serves and the others are on standby."),
  ...machine({ instanceType: "t3.micro", memory: 512 }),
});

const databaseShape = z.strictObject({
  name: text(
    /^(?!(mysql|sys|cluster|cluster_trial|performance_schema|information_schema)$)[a-z][a-z0-9_]{0,31}$/,
    "a lower-case letter, then up to 31 lower-case letters, digits or underscores; not a system schema of MySQL, nor cluster or cluster_trial",
  )
    .default("app")
    .describe(
      "Name of the app's database. It cannot be changed once the cluster has been founded.",
    ),
  replicas: whole(0, 5).default(1).describe("Number of replicas in addition to the primary."),
  durability: oneOf(["available", "lossless"])
    .default("available")
    .describe(
      "When no replica acknowledges: writes continue without it after one second (available), or wait for it (lossless).",
    ),
  failover: oneOf(["manual", "automatic"])
    .optional()
    .meta({ defaultInWords: '`"automatic"` with a replica, `"manual"` without one' })
    .describe(
      "When the primary fails: the cluster makes a replica the primary by itself (automatic), for which three of its hosts run etcd, or an operator does (manual).",
    ),
  dataVolumeSize: whole(8, 16384, "GiB")
    .default(20)
    .describe(
      "Data volume of each database host, GiB, apart from its root volume. Stack aws only.",
    ),
  terminationProtection: z
    .boolean("true or false")
    .default(true)
    .describe("Whether EC2 refuses to terminate a database host. Stack aws only."),
  preventDestroy: z
    .boolean("true or false")
    .default(true)
    .describe("Whether Terraform refuses to destroy a data volume. Stack aws only."),
  ...machine({ instanceType: "t3.small", memory: 1024, leastMemory: 768 }),
});

const database = databaseShape.transform(({ failover, ...rest }) => ({
  ...rest,
  failover: failover ?? (rest.replicas > 0 ? ("automatic" as const) : ("manual" as const)),
}));

const backup = z.strictObject({
  keepDays: whole(1, 365, "days")
    .default(14)
    .describe(
      "How long backups and archived binary logs are kept, days: any point in time in that period can be restored.",
    ),
  copyRegion: region("eu-west-1")
    .optional()
    .describe(
      "Another region, to which S3 copies all backups, with their password. If omitted: no copies. Stack aws only.",
    ),
  localDirectory: text(
    /^\/(?!(.*\/)?\.\.(\/|$))[\w@./-]+$/,
    "an absolute path of letters, digits or _@./-",
  )
    .default("/var/backups/dwi")
    .describe(
      "Folder on this machine for the backups of local clusters; each cluster has its own folder in it, which is kept when the cluster is destroyed. Stack local only.",
    ),
});

/**
 * The retention periods that CloudWatch Logs accepts, in days.
 * https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
 */
const RETENTION_DAYS = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288,
  3653,
] as const;

const aws = z.strictObject({
  encryptionKey: oneOf(["aws-managed", "customer-managed"])
    .default("aws-managed")
    .describe(
      "Key of volumes, secrets, buckets and flow logs: AWS's own, or a KMS key of the cluster, in each region with data of it. Existing volumes, secrets and objects keep the key they were created with. Stack aws only.",
    ),
  flowLogs: oneOf(["none", "rejected", "all"])
    .default("rejected")
    .describe(
      "Which connections to and from network interfaces are logged, in CloudWatch Logs: none, those that security groups reject, or all. Stack aws only.",
    ),
  bucketLogs: z
    .boolean("true or false")
    .default(true)
    .describe(
      "Whether S3 logs each request to the cluster's buckets, in a bucket of its own. Stack aws only.",
    ),
  keepLogsDays: z
    .literal(RETENTION_DAYS, `one of ${RETENTION_DAYS.join(", ")} (days)`)
    .default(90)
    .describe("How long flow logs and logs of buckets are kept, days. Stack aws only."),
});

const local = z.strictObject({
  distribution: oneOf(["machine", "debian", "ubuntu"])
    .default("machine")
    .describe(
      "Distribution of local hosts: the machine's own, Debian testing, or the Ubuntu that stack aws boots. A change applies to hosts created from then on. Stack local only.",
    ),
  mirror: text(
    /^https?:\/\/[\w.-]+(:[1-9]\d{0,4})?(\/[\w.~-]+)*$/,
    'an http or https URL without a trailing slash, for example "http://mirror.example.com/ubuntu"',
  )
    .optional()
    .describe(
      "Mirror of that distribution, with all the suites that local hosts' packages come from. If omitted: the machine's own mirror for the machine's own distribution, else the distribution's. Stack local only.",
    ),
});

const app = z.strictObject({
  directory: relativeFolder("the project")
    .default("app")
    .describe(
      "Folder of the app, relative to the project; released as it is, or bundled. Links in it stay links and must not lead out of it.",
    ),
  bundle: text(/^[\w.-]+\.(ts|js|mjs|cjs)$/, 'a source file of the folder, for example "server.ts"')
    .optional()
    .describe(
      "Entry point to bundle with esbuild into server.js. The release is then that file and the static folder. If omitted: the folder is released as it is.",
    ),
  command: z
    .string(COMMAND_WANTED)
    .superRefine((command, context) => {
      const message = problemOfCommand(command);
      if (message !== undefined) {
        context.addIssue({ code: "custom", message });
      }
    })
    .default("/usr/bin/node server.js")
    .describe(
      "Start command, run in the app's folder: a program by its absolute path, and its arguments. If you need a shell, put a script into the folder.",
    ),
  port: whole(1024, 65535)
    .refine((port) => !USED_PORTS.includes(port), {
      message: `a port that the host does not use itself (${USED_PORTS.join(", ")})`,
    })
    .default(3000)
    .describe("Port on 127.0.0.1 that the app listens on; passed to it as PORT."),
  healthPath: urlPath
    .default("/readyz")
    .describe(
      "Path that returns 200 when the app can serve; the load balancer's health check requests it.",
    ),
  healthHost: text(
    /^(?=.{1,255}$)[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[1-9]\d{0,4})?$/,
    'a host name or an IPv4 address, optionally with a port, for example "shop.example.com"',
  )
    .default("load-balancer")
    .describe(
      "Host header of the requests for healthPath. If the app only answers to its own host names, set one of them.",
    ),
  startTimeout: whole(1, 900, "seconds")
    .default(30)
    .describe(
      "How long the app may take from its start to its first 200 at healthPath, seconds. A release that takes longer is rolled back.",
    ),
  rereadsSecrets: z
    .boolean("true or false")
    .default(false)
    .describe(
      "Whether the app reads its password files and DATABASE_CA_FILE again before each new connection to the database, or at the latest when one is refused. If not, a rotation of these secrets restarts it, on one web server at a time.",
    ),
  responseTimeout: whole(1, 300, "seconds")
    .default(10)
    .describe(
      "How long the app may take to respond, and between two parts of its response, seconds. A request that takes longer is answered with 504 and not retried.",
    ),
  tunnelTimeout: whole(10, 86400, "seconds")
    .default(3600)
    .describe(
      "How long a WebSocket or another upgraded connection, or a stream of server-sent events, may be idle, seconds.",
    ),
  metricsPath: urlPath
    .optional()
    .describe(
      "Path at which the app gives its metrics, in the format of Prometheus. The monitor asks for it; visitors get 404 there. If omitted: the app has none.",
    ),
  maxBodySize: whole(1, 1024, "MiB")
    .default(1)
    .describe("Largest request body, MiB. A larger one is answered with 413."),
  staticDirectory: relativeFolder("the app's folder")
    .optional()
    .describe(
      "Folder inside the app's folder that Nginx itself serves at /static/. If omitted: none.",
    ),
  environment: z
    .record(
      text(/^[A-Z][A-Z0-9_]*$/, "an environment variable's name, upper case"),
      text(/^[^'\\\n]*$/, "a single line without single quotes or backslashes"),
      "an object of environment variables",
    )
    .default({})
    .describe("Additional environment variables. No secrets: they are readable on the host."),
});

// What EC2, IAM, SSM and S3 all accept. The length is EC2's: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Tag.html
const tagKey = text(
  /^(?!aws:| )[\p{L}\p{N} _.:/=+@-]{1,127}(?<! )$/iu,
  "1 to 127 letters, digits, spaces or _.:/=+-@, not starting with aws:, without leading or trailing spaces",
);
const tagValue = text(
  /^(?! )[\p{L}\p{N} _.:/=+@-]{0,256}(?<! )$/u,
  "up to 256 letters, digits, spaces or _.:/=+-@, without leading or trailing spaces",
);

const hostName = text(
  /^(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/,
  "a host name in lower case with at least one dot, for example www.example.org; no wildcard, which HTTP-01 cannot validate, and no address",
);

/** What a certificate that browsers trust is for, and what follows from it. */
const trusted = {
  alsoFor: z
    .array(hostName, "a list of host names")
    .max(20, "at most 20 host names")
    .default([])
    .describe("Further host names of the certificate."),
  strictTransportDays: whole(0, 730, "days")
    .default(365)
    .describe(
      "For how long browsers then refuse plain HTTP to these host names (HSTS, RFC 6797); 0 for not at all.",
    ),
};

/** Certificates of an authority that speaks ACME (RFC 8555). */
export const acme = z.strictObject({
  mode: z.literal("acme"),
  ...trusted,
  directory: z
    .url({
      protocol: /^https$/,
      error: 'the https URL of an ACME directory, for example "https://acme.example.org/directory"',
    })
    // It becomes a line of a configuration that a shell reads.
    .regex(/^[\w:/.~%?&=[\]-]+$/, "a URL without spaces and quotation marks")
    .default("https://acme-v02.api.letsencrypt.org/directory")
    .describe("The authority's ACME directory. By using it you accept the authority's terms."),
  contact: z
    .email("an e-mail address")
    .regex(/^[\w.+@-]+$/, "an e-mail address of letters, digits and .+_-@")
    .optional()
    .meta({ defaultInWords: "none" })
    .describe("Where the authority sends notices."),
  profile: text(/^[\w.-]{1,64}$/, 'the name of a profile, for example "shortlived"')
    .optional()
    .meta({ defaultInWords: "the authority's" })
    .describe("The certificate's profile, as the directory lists them."),
  trust: text(
    /^(?:\s*-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*)+$/,
    "certificates in PEM format",
  )
    .optional()
    .meta({ defaultInWords: "the distribution's" })
    .describe("PEM of the authorities by which the directory's own certificate is verified."),
});

const tls = z.discriminatedUnion(
  "mode",
  [
    z.strictObject({ mode: z.literal("off") }),
    z.strictObject({ mode: z.literal("self-signed") }),
    z.strictObject({ mode: z.literal("files"), ...trusted }),
    acme,
  ],
  '{ mode: "acme" }, { mode: "files" }, { mode: "self-signed" } or { mode: "off" }',
);

const address = z.email("an e-mail address");

const email = z.strictObject({
  to: address.describe("Where alerts are sent."),
  from: address.describe("Their sender."),
  server: text(
    /^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?:[1-9]\d{0,4}$/,
    'a mail server with its port, for example "smtp.example.org:587"',
  ).describe(
    "The mail server, with its port; the connection is encrypted by STARTTLS, or from its beginning at port 465.",
  ),
  user: text(/^[\w.+@-]+$/, "a user name of letters, digits and .+_-@")
    .optional()
    .describe(
      "User name at the mail server, whose password you give the cluster by `set-receiver email`. If omitted: none.",
    ),
});

const monitoring = z.strictObject({
  keepDays: whole(1, 365, "days").default(15).describe("How long metrics are kept, days."),
  dataVolumeSize: whole(8, 16384, "GiB")
    .default(10)
    .describe(
      "Data volume of the monitor, GiB, of which metrics take 70 % at most. Stack aws only; the limit applies locally as well.",
    ),
  webhook: z
    .boolean("true or false")
    .default(false)
    .describe(
      "Whether alerts are sent to a webhook, whose address you give the cluster by `set-receiver webhook`.",
    ),
  email: email.optional().describe("Alerts by e-mail. If omitted: none."),
  heartbeat: z
    .boolean("true or false")
    .default(false)
    .describe(
      "Whether the monitor tells an address every minute that it works, so that somebody else notices when it does not. You give the cluster the address by `set-receiver heartbeat`.",
    ),
  availability: z
    .number("a number from 90 to 99.99")
    .min(90, "a number from 90 to 99.99")
    .max(99.99, "a number from 90 to 99.99")
    .default(99.9)
    .describe(
      "Objective: the percentage of requests that are not answered with a status of 500 or more, over 30 days.",
    ),
  latency: z
    .literal([0.05, 0.1, 0.25, 0.5, 1, 2.5, 5], "one of 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5 (seconds)")
    .default(0.5)
    .describe(
      "Objective: 99 % of requests take no longer, seconds; judged by the app's own metrics (`http_request_duration_seconds`), if it has them.",
    ),
  ...machine({ instanceType: "t3.micro", memory: 512, leastMemory: 384 }),
});

const backend = z.discriminatedUnion(
  "type",
  [
    z.strictObject({ type: z.literal("local") }),
    z.strictObject({
      type: z.literal("s3"),
      bucket: text(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, "an S3 bucket's name").describe(
        "An existing bucket for the state.",
      ),
      region: text(REGION, 'a region, for example "eu-central-1"').describe("The bucket's region."),
    }),
  ],
  '{ type: "local" } or { type: "s3", bucket, region }',
);

/** One cluster's settings: their types, ranges, defaults and descriptions. */
export const clusterSchema = z.strictObject({
  name: text(
    /^(?!aws|ssm|sg-|xn--|sthree|amzn)[a-z](?:[a-z0-9]|-(?!-)){0,18}[a-z0-9]$/,
    "2 to 20 lower-case letters, digits or single hyphens, starting with a letter and ending with a letter or digit, and not starting with aws, ssm, sg-, xn--, sthree or amzn, which AWS does not allow",
  ).describe(
    "Name of the cluster, unique among the clusters; part of the name of everything it creates.",
  ),
  region: region("eu-central-1")
    .default("eu-central-1")
    .describe("AWS region, one that version 5.100 of the AWS provider knows. Stack aws only."),
  availabilityZones: z
    .array(
      text(/^[a-z]{2}(-[a-z]+)+-\d[a-z]$/, 'an availability zone, for example "eu-central-1a"'),
      "a list of 2 to 4 availability zones",
    )
    .min(2, "2 to 4 availability zones")
    .max(4, "2 to 4 availability zones")
    .default(["eu-central-1a", "eu-central-1b"])
    .describe("Availability zones of the region, across which the hosts alternate."),
  network: z
    .strictObject({
      cidr: z
        .cidrv4("an IPv4 network in CIDR notation, for example 10.90.0.0/22")
        .default("10.90.0.0/22")
        .describe(
          "The private network of all hosts, on both platforms: /16 to /26, private, divided into two subnets for each zone.",
        ),
    })
    .prefault({}),
  loadBalancer: loadBalancer.prefault({}),
  webServers: webServers.prefault({}),
  database: database.prefault({}),
  backup: backup.prefault({}),
  app: app.prefault({
    bundle: "server.ts",
    staticDirectory: "public",
    rereadsSecrets: true,
    metricsPath: "/metrics",
  }),
  monitor: z
    .boolean("true or false")
    .default(false)
    .describe(
      "Whether the cluster has a monitor, a host that watches the others and raises alerts.",
    ),
  monitoring: monitoring.prefault({}),
  natGateways: oneOf(["one", "per-zone"])
    .default("one")
    .describe(
      "One NAT gateway for all zones, or one in each: more expensive, but egress survives the loss of a zone. Stack aws only.",
    ),
  aws: aws.prefault({}),
  local: local.prefault({}),
  localPort: whole(1024, 65535)
    .default(8080)
    .describe(
      "Port on this machine's 127.0.0.1 that forwards to the load balancer. Stack local only.",
    ),
  localTlsPort: whole(1024, 65535)
    .optional()
    .meta({ defaultInWords: "`localPort` + 363, so `8443`" })
    .describe(
      "Port on this machine's 127.0.0.1 that forwards to the load balancer over TLS. Stack local only.",
    ),
  domain: hostName
    .optional()
    .meta({ defaultInWords: "none" })
    .describe("The site's host name. Its DNS record has to point to the visitors' address."),
  tls: tls
    .optional()
    .meta({
      defaultInWords:
        '`{ mode: "self-signed" }` locally; on AWS `{ mode: "acme" }` with a `domain`, else `{ mode: "off" }`',
    })
    .describe(
      "How visitors reach the site: over TLS, with a certificate for `domain` that each load balancer gets from an authority (acme), that you give the cluster by `set-certificate` (files), or that each load balancer makes for itself (self-signed); or in plain text only (off).",
    ),
  tags: z
    .record(tagKey, tagValue, "an object of tags")
    .default({})
    .describe(
      "Tags of every AWS resource, in addition to Cluster and ManagedBy. At most 40, whose keys differ in more than case.",
    ),
  backend: backend
    .default({ type: "local" })
    .describe(
      "Where Terraform keeps the state: a local file, or an S3 bucket with its native lock.",
    ),
});

/** The known settings by path, for the message about an unknown one. */
export const clusterShapes: Record<string, unknown> = {
  ...clusterSchema.shape,
  network: clusterSchema.shape.network.unwrap().shape,
  loadBalancer: loadBalancer.shape,
  webServers: webServers.shape,
  database: databaseShape.shape,
  backup: backup.shape,
  aws: aws.shape,
  local: local.shape,
  app: app.shape,
  monitoring: monitoring.shape,
};

/** The settings of one cluster as the user writes them: everything but the name has a default. */
export type ClusterSettingsInput = z.input<typeof clusterSchema>;

/** The settings of one cluster, with all defaults filled in. */
export type ClusterSettings = z.output<typeof clusterSchema>;

/** The JSON Schema of one cluster's settings, from which docs/settings.md is generated. */
export function settingsJsonSchema() {
  return z.toJSONSchema(clusterSchema, { io: "input", unrepresentable: "any" });
}
