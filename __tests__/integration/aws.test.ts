import { execFile, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { PROJECT } from "../../hosts/project";
import { renderHosts } from "../../hosts/render";
import { awsHostAccess } from "../../ops/platform/aws";
import { awsReleases } from "../../ops/platform/aws-releases";
import { awsSecrets } from "../../ops/platform/aws-secrets";
import { PHASES } from "../../ops/platform/secret-store";
import { type ClusterSettingsInput, parseClusters } from "../../topology/settings";
import { buildTopology } from "../../topology/topology";
import { HostFolder } from "../scripts/host-folder";
import { actionsFor, allowedBy, matches, UNSEEN } from "./emulator/calls";
import { EmulatedCluster } from "./emulator/emulated-cluster";
import { LIMITS, type Resources } from "./emulator/limits";
import { MetadataService } from "./emulator/metadata";
import { Emulator, IMAGES, REGION, valuesOf } from "./emulator/server";

// Stack `aws`, applied by real Terraform and the real provider to an emulator of AWS's API.

const OPEN = { terminationProtection: false, preventDestroy: false };
const SETTINGS = { name: "emulated", database: OPEN, tags: { Team: "web", Stage: "test" } };

/** Another value of each setting that can be changed on an existing cluster. */
const CHANGED: Partial<ClusterSettingsInput> = {
  loadBalancer: { count: 2, algorithm: "leastconn", instanceType: "t3.small", rootVolumeSize: 14 },
  webServers: { count: 3, instanceType: "t3.small", rootVolumeSize: 14 },
  database: {
    replicas: 2,
    instanceType: "t3.medium",
    rootVolumeSize: 20,
    dataVolumeSize: 40,
    terminationProtection: true,
    preventDestroy: true,
  },
  backup: { copyRegion: "eu-west-1" },
  aws: { encryptionKey: "customer-managed", flowLogs: "all", keepLogsDays: 30 },
  natGateways: "per-zone",
  tags: { Team: "shop", Owner: "somebody" },
};

/** What a later version of the project may change in place. */
const LATER_VERSION: Resources = {
  aws_iam_role: {
    "web-role": {
      description: "Hosts of another description",
      assume_role_policy: JSON.stringify({
        Version: "2012-10-17",
        Statement: [
          {
            Sid: "Later",
            Effect: "Allow",
            Principal: { Service: "ec2.amazonaws.com" },
            Action: "sts:AssumeRole",
          },
        ],
      }),
    },
  },
  aws_instance: { "web-1": { metadata_options: { http_put_response_hop_limit: 2 } } },
  aws_network_interface: { "web-1-interface": { description: "Another description" } },
  aws_vpc_security_group_ingress_rule: { "visitors-in": { description: "Another description" } },
};

const cluster = new EmulatedCluster(SETTINGS);
const emulator = new Emulator();
const topologyOf = (change: Partial<ClusterSettingsInput>) =>
  buildTopology(parseClusters([{ ...SETTINGS, ...change }])[0] as never, "aws");
const topology = topologyOf({});

const has = (program: string) =>
  spawnSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore" }).status === 0;

function missing(): string | undefined {
  const programs = ["terraform", "moto_server", "aws", "curl", "jq"].filter(
    (program) => !has(program),
  );
  return programs.length > 0 ? `not installed: ${programs.join(", ")}` : cluster.initialize();
}

const reason = missing();
if (reason !== undefined) {
  console.warn(`stack aws against the emulator is skipped: ${reason}`);
  // jest runs no afterAll if every test is skipped.
  cluster.workspace.remove();
}
const describeIf = reason === undefined ? describe : describe.skip;

const update = (name: string) => ({ address: name, actions: ["update"] });
const create = (name: string) => ({ address: name, actions: ["create"] });

/** Allows a role an action on every resource, where the emulator asks for no less. */
const allowOnEverything = (role: string, action: string) =>
  emulator.query("iam", {
    Action: "PutRolePolicy",
    RoleName: `${SETTINGS.name}-${role}`,
    PolicyName: "emulator",
    PolicyDocument: JSON.stringify({
      Version: "2012-10-17",
      Statement: [{ Effect: "Allow", Action: action, Resource: "*" }],
    }),
  });

const allowNothingMore = (role: string) =>
  emulator.query("iam", {
    Action: "DeleteRolePolicy",
    RoleName: `${SETTINGS.name}-${role}`,
    PolicyName: "emulator",
  });

/** Runs a host's platform script as a host of the cluster, with a role's credentials. */
async function onHost(name: string, role: string, args: readonly string[]): Promise<string> {
  await emulator.authorize(false);
  const roleName = `${SETTINGS.name}-${role}`;
  const credentials = await emulator.credentials(roleName);
  const metadata = new MetadataService(() => ({ id: name, role: roleName, credentials }));
  await metadata.start();
  const facts = join(cluster.workspace.directory, "host.env");
  writeFileSync(
    facts,
    `CLUSTER_NAME='${SETTINGS.name}'\nHOST_NAME='${name}'\nPLATFORM_REGION='${REGION}'\n`,
  );
  await emulator.authorize(true);
  try {
    const { stdout } = await promisify(execFile)(
      "bash",
      [join(PROJECT, "scripts", "platform", "aws.sh"), ...args],
      {
        encoding: "utf8",
        timeout: 60_000,
        env: {
          PATH: process.env.PATH,
          AWS_ENDPOINT_URL: emulator.endpoint,
          AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.endpoint,
          CLUSTER_FACTS: facts,
        },
      },
    );
    return stdout;
  } finally {
    await metadata.stop();
    await emulator.authorize(false);
  }
}

/**
 * Has a load balancer claim the visitors' address, with its role's credentials and the signatures checked.
 *
 * @returns the ID of its interface
 */
async function claim(name: string): Promise<string> {
  const role = `${SETTINGS.name}-load-balancer`;
  await emulator.authorize(false);
  const state = JSON.parse(cluster.terraform(["show", "-json"]));
  const interfaceId = state.values.root_module.resources.find(
    ({ address }: { address: string }) => address === `aws_network_interface.${name}-interface`,
  ).values.id;
  const credentials = await emulator.credentials(role);
  const metadata = new MetadataService(() => ({ id: name, role, credentials, interfaceId }));
  await metadata.start();
  const host = new HostFolder(
    `CLUSTER_NAME=${SETTINGS.name} HOST_NAME=${name} PLATFORM_REGION=${REGION} VISITORS_ADDRESS=${topologyOf(CHANGED).floatingAddresses.get(name)}`,
  );
  await emulator.authorize(true);
  try {
    const script = host.bring("load-balancer/address/aws.sh", "host/lib.sh", "platform/aws.sh");
    const { status, stderr } = await host.run(script, ["claim"], {
      env: {
        AWS_ENDPOINT_URL: emulator.endpoint,
        AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.endpoint,
        CLUSTER_FACTS: host.at("etc/cluster/host.env"),
      },
    });
    expect(`${status} ${stderr}`).toMatch(/^0 .*is associated with/);
    return interfaceId;
  } finally {
    await metadata.stop();
    host.remove();
    await emulator.authorize(false);
  }
}

jest.setTimeout(180_000);

afterAll(() => {
  emulator.stop();
  cluster.workspace.remove();
});

describeIf(`stack aws${reason === undefined ? "" : ` (skipped: ${reason})`}`, () => {
  let secrets: string[] = [];

  beforeAll(async () => {
    await emulator.start();
    cluster.env = emulator.env;
  });

  test("terraform accepts the whole stack as valid", () => {
    cluster.synthesize({}, { whole: true });
    expect(JSON.parse(cluster.terraform(["validate", "-json"]))).toMatchObject({
      valid: true,
      diagnostics: [],
    });
  });

  test(`the plan of the whole stack includes what the emulator cannot do: ${Object.keys(LIMITS).join("; ")}`, () => {
    cluster.synthesize({ database: {} }, { whole: true });
    const planned = cluster.plan();
    expect(planned.every(({ actions }) => actions[0] === "create")).toBe(true);
    expect(planned).toContainEqual(create("aws_s3_bucket_policy.store-policy"));
    expect(planned).toContainEqual(create("aws_instance.database-1"));
  });

  test("apply creates the stack", async () => {
    cluster.synthesize();
    cluster.terraform(["apply", "-auto-approve", "-input=false", "-no-color"], 400);
    secrets = await Promise.all(
      topology.secrets.map(({ name }) => emulator.parameter(`/${SETTINGS.name}/secrets/${name}`)),
    );
  }, 420_000);

  test("a second plan is empty", () => {
    // With -detailed-exitcode a plan that changes something exits with 2.
    cluster.terraform(["plan", "-detailed-exitcode", "-no-color"]);
  });

  test("secrets are long, distinct, and only in their parameters", () => {
    expect(new Set(secrets).size).toBe(topology.secrets.length);
    expect(secrets.every((secret) => /^[A-Za-z0-9]{48}$/.test(secret))).toBe(true);

    cluster.plan();
    const directory = cluster.workspace.directory;
    const planned = cluster.terraform(["show", "-json", join(directory, "plan")]);
    const states = readdirSync(directory).filter((name) => name.includes("tfstate"));
    expect(states).toContain("terraform.aws.tfstate");
    const texts = [
      planned,
      cluster.text,
      cluster.terraform(["show", "-json"]),
      cluster.terraform(["output", "-json"]),
      ...states.map((name) => readFileSync(join(directory, name), "utf8")),
    ];
    for (const secret of secrets) {
      expect(texts.some((text) => text.includes(secret))).toBe(false);
    }
  });

  test("a secret is rotated by the real AWS CLI, and no deploy notices or undoes it", async () => {
    const [{ name = "" } = {}] = topology.secrets;
    const parameter = `/${SETTINGS.name}/secrets/${name}`;
    const before = process.env;
    process.env = { ...before, ...emulator.env };
    try {
      const store = awsSecrets(SETTINGS.name, REGION);
      const contents: string[] = [];
      for (const phase of PHASES) {
        expect(await store.phase(name)).toBe(phase);
        await store.advance(name, phase);
        contents.push(await emulator.parameter(parameter));
        if (phase === "next") {
          // In the middle of a rotation as well.
          cluster.terraform(["plan", "-detailed-exitcode", "-no-color"]);
        }
      }
      const [former, value = ""] = [secrets[0], contents.at(-1)];
      expect(value).toMatch(/^[A-Za-z0-9]{48}$/);
      expect(contents).toEqual([
        `${former} next ${value}`,
        `${value} previous ${former}`,
        `${value} former ${former}`,
        value,
      ]);
      await expect(store.advance(name, "next")).rejects.toThrow("is in phase steady, not next");
      cluster.terraform(["apply", "-auto-approve", "-input=false", "-no-color"]);
      expect(await emulator.parameter(parameter)).toBe(value);
      secrets = [value, ...secrets.slice(1)];
    } finally {
      process.env = before;
    }
  }, 420_000);

  describe("a host with its role's credentials", () => {
    const file = () => join(cluster.workspace.directory, "fetched");

    beforeAll(async () => {
      for (const role of ["load-balancer", "web", "database"]) {
        await allowOnEverything(role, "ssm:GetParameter");
      }
    });

    afterAll(async () => {
      for (const role of ["load-balancer", "web", "database"]) {
        await allowNothingMore(role);
      }
    });

    test("reads a secret", async () => {
      const [{ name = "" } = {}] = topology.secrets;
      expect(await onHost("web-1", "web", ["secret", name])).toBe(secrets[0]);
    });

    test("fetches the current release and the scripts", async () => {
      expect((await onHost("web-1", "web", ["release"])).trim()).toBe(cluster.release);
      for (const [name, role, kind, expected] of [
        ["web-1", "web", "releases", cluster.release],
        ["web-1", "web", "scripts", cluster.scripts],
        ["database-1", "database", "scripts", cluster.scripts],
        ["load-balancer-1", "load-balancer", "scripts", cluster.scripts],
      ] as const) {
        await onHost(name, role, ["archive", `${kind}/${expected}.tar.gz`, file()]);
        const sha256 = createHash("sha256").update(readFileSync(file())).digest("hex");
        expect([name, kind, sha256]).toEqual([name, kind, expected]);
      }
    });

    test("fetches its own user-data exactly as it was rendered", async () => {
      const hosts = renderHosts(topology, { platform: "aws", scripts: cluster.scripts });
      for (const { name, role, userData } of hosts) {
        await onHost(name, role, ["user-data", file()]);
        expect(readFileSync(file(), "utf8") === userData).toBe(true);
      }
    });

    test("finds the backup repository in a bucket of its own", async () => {
      const bucket = await emulator.parameter(`/${SETTINGS.name}/backups-bucket`);
      expect(bucket).toMatch(/^emulated-backups-/);
      expect(await onHost("database-1", "database", ["backup-repository"])).toBe(
        `s3:${emulator.endpoint}/${bucket}`,
      );
    });

    test.each([
      ["a release", "load-balancer-1", "load-balancer", ["archive", "releases/RELEASE.tar.gz"]],
      ["a release", "database-1", "database", ["archive", "releases/RELEASE.tar.gz"]],
      ["user-data of another role", "database-1", "web", ["user-data"]],
    ])("is refused %s (as %s, role %s)", async (_, name, role, words) => {
      const target = join(cluster.workspace.directory, "refused");
      const args = words.map((word) => word.replace("RELEASE", cluster.release));
      await expect(onHost(name, role, [...args, target])).rejects.toThrow(/AccessDenied/);
      expect(existsSync(target)).toBe(false);
      expect(existsSync(`${target}.part`)).toBe(false);
    });

    test("reports which archive is missing", async () => {
      const wrong = `releases/${"0".repeat(64)}.tar.gz`;
      await expect(onHost("web-1", "web", ["archive", wrong, file()])).rejects.toThrow(
        /object releases\/0+\.tar\.gz could not be fetched from S3/,
      );
    });

    test("reports which parameter it could not read", async () => {
      await expect(onHost("web-1", "web", ["secret", "none"])).rejects.toThrow(
        /parameter \/emulated\/secrets\/none could not be read from SSM: .*ParameterNotFound/s,
      );
    });
  });

  describe("a change of settings", () => {
    test("another balance algorithm updates one object in place", () => {
      cluster.synthesize({ loadBalancer: { algorithm: "leastconn" } });
      expect(cluster.plan()).toEqual([update("aws_s3_object.load-balancer-1-user-data")]);
    });

    test("another web server is created, and only user-data of other hosts changes", () => {
      cluster.synthesize({ webServers: { count: 3 } });
      const planned = cluster.plan();
      expect(planned.filter(({ actions }) => actions[0] === "create")).toEqual([
        create("aws_instance.web-3"),
        create("aws_network_interface.web-3-interface"),
        create("aws_s3_object.web-3-user-data"),
      ]);
      const others = planned.filter(({ actions }) => actions[0] !== "create");
      expect(others).toContainEqual(update("aws_s3_object.load-balancer-1-user-data"));
      for (const { address, actions } of others) {
        expect(address).toMatch(/^aws_s3_object\..*-user-data$/);
        expect(actions).toEqual(["update"]);
      }
    });

    test("another app changes nothing: it is released, not deployed", () => {
      cluster.synthesize({ app: { directory: "__tests__/fixtures/other-app" } });
      expect(cluster.plan()).toEqual([]);
    });

    test("larger databases are changed in place", () => {
      cluster.synthesize({
        database: { ...OPEN, instanceType: "t3.medium", rootVolumeSize: 20, dataVolumeSize: 40 },
      });
      const planned = cluster.plan();
      expect(planned).toContainEqual(update("aws_instance.database-1"));
      expect(planned).toContainEqual(update("aws_ebs_volume.database-1-data"));
      expect(planned.every(({ actions }) => actions.join() === "update")).toBe(true);
    });

    test("a NAT gateway per zone adds a gateway and changes one route", () => {
      cluster.synthesize({ natGateways: "per-zone" });
      expect(cluster.plan()).toEqual([
        create("aws_eip.nat-b-address"),
        create("aws_nat_gateway.nat-b"),
        update("aws_route.private-b-to-internet"),
      ]);
    });

    test("a newer image changes nothing", () => {
      const filter = [{ name: "name", values: [IMAGES[1]?.name] }];
      const state = JSON.parse(cluster.terraform(["show", "-json"]));
      const used = JSON.stringify(state).match(/ami-[12]{17}/)?.[0];
      filter[0] = {
        name: "name",
        values: [IMAGES.find(({ ami_id }) => ami_id !== used)?.name],
      };
      cluster.synthesize({}, { override: { data: { aws_ami: { ubuntu: { filter } } } } });
      expect(cluster.plan()).toEqual([]);
    });

    test("moving databases to other zones is refused, and so is destroying them", () => {
      cluster.synthesize({ database: {}, availabilityZones: ["eu-central-1b", "eu-central-1a"] });
      expect(cluster.refused()).toEqual(
        expect.arrayContaining([
          "aws_ebs_volume.database-1-data",
          "aws_network_interface.database-1-interface",
        ]),
      );

      // Here Terraform stops at the hosts, before it reaches their volumes and interfaces.
      cluster.synthesize({ database: {} });
      expect(cluster.refused(["-destroy"])).toEqual([
        "aws_instance.database-1",
        "aws_instance.database-2",
      ]);
    });
  });

  describe("an operator with the AWS CLI", () => {
    const before = { ...process.env };
    const platform = () => awsHostAccess(SETTINGS.name, REGION);
    const releases = () => awsReleases(SETTINGS.name, REGION);

    beforeAll(() => {
      for (const [name, value] of Object.entries(emulator.env)) {
        if (value === undefined) {
          delete process.env[name];
        } else {
          process.env[name] = value;
        }
      }
    });
    afterAll(() => {
      process.env = before;
    });

    test("uploads a release, and makes it the current one", async () => {
      const later = "f".repeat(64);
      const archive = join(cluster.workspace.directory, "later.tar.gz");
      writeFileSync(archive, "a later release");
      expect(await releases().list()).toEqual([cluster.release]);
      await releases().put(`releases/${later}.tar.gz`, archive);
      await releases().set([later, cluster.release]);
      expect(await releases().list()).toEqual([later, cluster.release]);

      const bucket = await emulator.parameter(`/${SETTINGS.name}/bucket`);
      const object = `s3://${bucket}/releases/${later}.tar.gz`;
      const { stdout } = await promisify(execFile)("aws", ["s3", "cp", object, "-"], {
        env: process.env,
      });
      expect(stdout).toBe("a later release");
      cluster.synthesize();
      expect(cluster.plan()).toEqual([]);
    });

    test("runs a command on a host, by its name", async () => {
      // What the emulator cannot do: "commands through SSM".
      expect((await platform().run("web-1", ["/bin/true"])).exitCode).toBe(0);
      expect(await platform().run("web-9", ["/bin/true"])).toMatchObject({
        exitCode: undefined,
        stderr: "web-9 does not answer: it does not run",
      });
    });

    test("stops a host, and sees that it is stopped", async () => {
      await platform().stop("web-2");
      expect([...(await platform().power(["web-1", "web-2", "web-9"]))]).toEqual([
        ["web-1", "running"],
        ["web-2", "stopped"],
        ["web-9", "absent"],
      ]);
    });
  });

  test("every setting changes in place, and protection can be turned off again", () => {
    const apply = ["apply", "-auto-approve", "-input=false", "-no-color", "-refresh=false"];
    cluster.synthesize(CHANGED, { override: { resource: LATER_VERSION } });
    const planned = cluster.plan();
    expect(planned.filter(({ actions }) => !["create", "update"].includes(actions.join()))).toEqual(
      [
        // Of two load balancers, the one that holds the visitors' address claims it by itself.
        { address: "aws_eip_association.visitor-address-association", actions: ["delete"] },
        // It holds nothing: what was logged is in its group.
        { address: "aws_flow_log.flow-logs", actions: ["delete", "create"] },
      ],
    );
    cluster.terraform(apply, 300);

    // As docs/aws.md describes it before a destroy.
    cluster.synthesize({ ...CHANGED, database: { ...CHANGED.database, ...OPEN } });
    cluster.terraform(apply, 300);
  }, 620_000);

  test("a key of the cluster changes no secret, and their copy in the other region is the same", async () => {
    const now = await Promise.all(
      topology.secrets.map(({ name }) => emulator.parameter(`/${SETTINGS.name}/secrets/${name}`)),
    );
    expect(now.map((value, index) => value === secrets[index])).toEqual(now.map(() => true));
    const name = "backup-password";
    const original = await emulator.parameter(`/${SETTINGS.name}/secrets/${name}`);
    const copied = await emulator.parameter(`/${SETTINGS.name}/copies/${name}`, "eu-west-1");
    expect(copied === original).toBe(true);
  });

  test("a rotation keeps a secret's key, and its copy in the other region follows", async () => {
    const name = "backup-password";
    const original = `/${SETTINGS.name}/secrets/${name}`;
    const copy = `/${SETTINGS.name}/copies/${name}`;
    const before = process.env;
    process.env = { ...before, ...emulator.env };
    try {
      const store = awsSecrets(SETTINGS.name, REGION, [{ name, region: "eu-west-1" }]);
      const keys = () => Promise.all([emulator.keyOf(original), emulator.keyOf(copy, "eu-west-1")]);
      const keysBefore = await keys();
      for (const phase of PHASES) {
        await store.advance(name, phase);
        const content = await emulator.parameter(original);
        expect((await emulator.parameter(copy, "eu-west-1")) === content).toBe(true);
      }
      expect(await keys()).toEqual(keysBefore);
      const value = await emulator.parameter(original);
      secrets = topology.secrets.map((one, index) =>
        one.name === name ? value : (secrets[index] as string),
      );
    } finally {
      process.env = before;
    }
  });

  test("keys that are no longer asked for are kept, and only forgotten by Terraform", () => {
    cluster.synthesize({
      ...CHANGED,
      database: { ...CHANGED.database, ...OPEN },
      aws: { ...CHANGED.aws, encryptionKey: "aws-managed" },
    });
    const planned = cluster.plan();
    const keys = planned.filter(({ address }) => address.startsWith("aws_kms_key."));
    expect(keys).toEqual(
      ["copies-eu-west-1-encryption-key", "encryption-key"].map((id) => ({
        address: `aws_kms_key.${id}`,
        actions: ["remove"],
      })),
    );
    const others = planned.filter(({ address }) => !address.startsWith("aws_kms_key."));
    expect(others.filter(({ actions }) => actions.join() !== "update")).toEqual([]);
  });

  test("a plan that would lose track of the copies in another region is refused", () => {
    cluster.synthesize({ ...CHANGED, database: { ...CHANGED.database, ...OPEN }, backup: {} });
    const { status, printed } = cluster.attemptTerraform(["plan", "-no-color", "-refresh=false"]);
    expect(status).toBe(1);
    expect(printed.replace(/\s+/g, " ")).toMatch(
      /Provider configuration not present .*aws_s3_bucket\.copies-eu-west-1/,
    );
  });

  test("either of two load balancers can claim the visitors' address, and the next plan leaves it there", async () => {
    await allowOnEverything("load-balancer", "ec2:AssociateAddress");
    for (const name of topologyOf(CHANGED).floatingAddresses.keys()) {
      const interfaceId = await claim(name);
      const found = await emulator.query("ec2", {
        Action: "DescribeAddresses",
        "Filter.1.Name": "tag:Name",
        "Filter.1.Value.1": `${SETTINGS.name}-load-balancer`,
      });
      expect(valuesOf(found, "networkInterfaceId")).toEqual([interfaceId]);
    }
    await allowNothingMore("load-balancer");
    cluster.synthesize({ ...CHANGED, database: { ...CHANGED.database, ...OPEN } });
    const planned = cluster.plan().filter(({ address }) => /eip|network_interface/.test(address));
    expect(planned).toEqual([]);
  });

  test("destroy leaves nothing behind", async () => {
    cluster.synthesize({ ...CHANGED, database: { ...CHANGED.database, ...OPEN } });
    const destroy = () =>
      cluster.attemptTerraform(["destroy", "-auto-approve", "-input=false", "-no-color"], 300);
    const first = destroy();
    for (const error of first.printed.match(/^Error: .*/gm) ?? []) {
      // What the emulator cannot do: "interfaces of terminated instances".
      expect(error).toMatch(/detaching EC2 Network Interface .* cannot be detached/);
    }
    const interfaces = valuesOf(
      await emulator.query("ec2", { Action: "DescribeNetworkInterfaces" }),
      "networkInterfaceId",
    );
    for (const id of interfaces) {
      await emulator.query("ec2", { Action: "DeleteNetworkInterface", NetworkInterfaceId: id });
    }
    const second = destroy();
    expect(`${second.status} ${second.status === 0 ? "" : second.printed}`.trim()).toBe("0");

    const left = Object.entries(await emulator.inventory("eu-west-1")).filter(
      ([, names]) => names.length > 0,
    );
    expect(left).toEqual([]);
  }, 400_000);

  test("the deployer's policy allows exactly the actions that these tests needed", () => {
    const policy = JSON.parse(
      readFileSync(join(PROJECT, "docs", "aws-deployer-policy.json"), "utf8"),
    );
    const needed = [...actionsFor(cluster.calls), ...Object.keys(UNSEEN)];
    // One call of each kind of run: apply, change, destroy.
    expect(needed).toEqual(
      expect.arrayContaining(["ec2:RunInstances", "ec2:ReplaceRoute", "ec2:TerminateInstances"]),
    );
    const allowed = allowedBy(policy);
    const denied = needed.filter((action) => !allowed.some((pattern) => matches(pattern, action)));
    expect(denied).toEqual([]);
    const unused = allowed.filter((pattern) => !needed.some((action) => matches(pattern, action)));
    expect(unused).toEqual([]);
  });
});
