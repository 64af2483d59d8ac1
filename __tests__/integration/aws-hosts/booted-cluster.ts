import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ScratchCluster } from "../../../drill/scratch/scratch-cluster";
import { PROJECT } from "../../../hosts/project";
import { SCRIPTS } from "../../../hosts/scripts";
import { runSync } from "../../../ops/run";
import { localNames } from "../../../topology/names";
import type { ClusterSettingsInput } from "../../../topology/settings";
import type { TopologyHost } from "../../../topology/topology";
import { EmulatedCluster } from "../emulator/emulated-cluster";
import { Emulator, REGION, valuesOf } from "../emulator/server";
import type { Amazon } from "./amazon";
import { makeContainer } from "./container";
import { AMAZON, makeCertificate, makeNetwork, removeRules } from "./network";

const AGENT = "amazon-ssm-agent";

/** The operator's IAM user, with the policy from docs/aws.md. */
const OPERATOR = "operator";

interface Instance {
  readonly id: string;
  readonly host: TopologyHost;
  /** The exact bytes that EC2 has as its user-data. */
  readonly userData: Buffer;
  readonly role: string;
}

/**
 * Stack `aws`, applied to the emulator, with containers of this machine as its instances: they boot the user-data that
 * the emulator has for them, and find the emulator where they expect AWS.
 */
export class BootedCluster extends ScratchCluster {
  readonly emulator = new Emulator();
  readonly emulated: EmulatedCluster;
  instances: Instance[] = [];
  private readonly image: string;
  private amazon?: ChildProcess;
  private endpoint = "";

  /** @param image the host image that containers are made from */
  constructor(settings: ClusterSettingsInput, image: string) {
    const emulated = new EmulatedCluster(settings);
    super(settings, [], emulated.workspace.directory);
    this.emulated = emulated;
    this.image = image;
  }

  override get stack(): string {
    return "aws";
  }

  override get url(): string {
    const [entrance] = this.topology.hosts.filter(({ role }) => role === "load-balancer");
    return `http://${entrance?.address}`;
  }

  private get bridge(): string {
    return localNames(this.topology.clusterName).bridge;
  }

  private file(name: string): string {
    return join(this.workspace.directory, name);
  }

  /** Applies the stack, and boots its instances. */
  async up(): Promise<void> {
    this.removeHosts();
    await this.emulator.start();
    this.emulated.env = this.emulator.env;
    this.emulated.terraform(["apply", "-auto-approve", "-input=false", "-no-color"], 400);
    await this.readInstances();
    const { gateway, prefixLength } = this.topology.network;
    makeNetwork(this.bridge, `${gateway}/${prefixLength}`);
    this.makeProject();
    makeCertificate(REGION, this.certificate);
    await this.startAmazon();
    for (const instance of this.instances) {
      await this.makeHost(instance);
    }
    await this.becomeOperator();
    for (const { host } of this.instances) {
      this.incus(["start", host.name]);
    }
  }

  /** Removes everything. */
  down(): void {
    this.amazon?.kill();
    this.removeHosts();
    this.emulator.stop();
    this.workspace.remove();
  }

  private aws(args: readonly string[], endpoint = this.emulator.endpoint): string {
    const command = ["aws", "--region", REGION, "--output", "json", ...args];
    return runSync(command, { env: { ...this.emulator.env, AWS_ENDPOINT_URL: endpoint } });
  }

  /** Does something as the account's owner, whose keys the emulator does not know. */
  async asOwner(act: () => void): Promise<void> {
    await this.emulator.authorize(false);
    try {
      act();
    } finally {
      await this.emulator.authorize(true);
    }
  }

  /** Makes EC2 reboot, start or stop a host's instance. */
  ec2(
    action: "reboot-instances" | "start-instances" | "stop-instances",
    host: string,
  ): Promise<void> {
    const instance = this.instances.find((one) => one.host.name === host);
    const args = ["ec2", action, "--instance-ids", String(instance?.id)];
    return this.asOwner(() => {
      this.aws(args, this.endpoint);
    });
  }

  /** Deploys a change of the original settings. */
  async change(change: Partial<ClusterSettingsInput>): Promise<void> {
    this.emulated.synthesize(change);
    this.set(change);
    await this.asOwner(() => {
      this.emulated.terraform(["apply", "-auto-approve", "-input=false", "-no-color"], 300);
    });
  }

  /**
   * Repairs what a failed test may have left: hosts that do not run, other settings, another release, a drained web
   * server, no primary.
   */
  async bringBack(): Promise<void> {
    const states = this.incus(["list", "--format", "csv", "--columns", "ns"]).trim().split("\n");
    for (const [name = "", state] of states.map((line) => line.split(","))) {
      if (state === "FROZEN") {
        this.incus(["resume", name]);
      } else if (state === "STOPPED") {
        await this.ec2("start-instances", name);
      }
    }
    await this.change({});
    for (const { name } of this.topology.hosts.filter(({ role }) => role === "web")) {
      this.attemptToOperate("undrain", name);
    }
    await this.inSync(180).catch(() => {
      this.operate("promote", "--accept-loss");
      return this.inSync();
    });
    this.operate("release");
    await this.serving("/api/whoami", 120);
  }

  /** Reads what EC2 says about its instances. */
  private async readInstances(): Promise<void> {
    const { Reservations } = JSON.parse(this.aws(["ec2", "describe-instances"]));
    for (const {
      Instances: [{ InstanceId, Tags, IamInstanceProfile, PrivateIpAddress }],
    } of Reservations) {
      const name = Tags.find(({ Key }: { Key: string }) => Key === "Name").Value;
      const host = this.topology.hosts.find(
        (one) => name === `${this.topology.clusterName}-${one.name}`,
      );
      if (host === undefined || host.address !== PrivateIpAddress) {
        throw new Error(`${name} has the address ${PrivateIpAddress}, which no host is to have`);
      }
      const of = ["--instance-id", InstanceId, "--attribute", "userData"];
      const { UserData } = JSON.parse(this.aws(["ec2", "describe-instance-attribute", ...of]));
      const profile = IamInstanceProfile.Arn.split("/").at(-1);
      const roles = await this.emulator.query("iam", {
        Action: "GetInstanceProfile",
        InstanceProfileName: profile,
      });
      this.instances.push({
        id: InstanceId,
        host,
        userData: Buffer.from(UserData.Value, "base64"),
        role: valuesOf(roles, "RoleName")[0] as string,
      });
    }
  }

  private makeProject(): void {
    const features = ["images=false", "profiles=true", "storage.volumes=true"];
    const flags = features.flatMap((feature) => ["-c", `features.${feature}`]);
    runSync(["incus", "project", "create", this.incusProject, "--quiet", ...flags]);
  }

  /** The names under which hosts reach AWS. */
  private async names(): Promise<string[]> {
    const buckets = await this.emulator.buckets();
    return [
      `ssm.${REGION}.amazonaws.com`,
      `s3.${REGION}.amazonaws.com`,
      // restic uses the second, the dual-stack name, although it is configured with s3.REGION.
      ...buckets.flatMap((bucket) =>
        [`${bucket}.s3`, `${bucket}.s3.dualstack`].map((name) => `${name}.${REGION}.amazonaws.com`),
      ),
    ];
  }

  private get certificate(): Amazon["certificate"] {
    return { key: this.file("amazon.key"), certificate: this.file("amazon.pem") };
  }

  private async startAmazon(): Promise<void> {
    runSync(["bash", join(__dirname, "agent-package.sh"), AGENT, this.file("agent.deb")]);
    const incus = ["incus", "--project", this.incusProject];
    const amazon: Amazon = {
      address: AMAZON,
      certificate: this.certificate,
      emulator: this.emulator.endpoint,
      execute: [...incus, "exec", "--force-noninteractive"],
      power: {
        // What is frozen does not go on for a moment while it is stopped: a real instance would not either.
        StopInstances: [
          "env",
          `DWI_PROJECT=${this.incusProject}`,
          ...["bash", join(SCRIPTS, "local", "power.sh"), "stop"],
        ],
        StartInstances: [...incus, "start"],
        RebootInstances: [...incus, "restart"],
      },
      agentUnit: `${AGENT}.service`,
      agentPackage: {
        path: `/amazon-ssm-${REGION}/latest/debian_amd64/${AGENT}.deb`,
        file: this.file("agent.deb"),
      },
      instances: await Promise.all(
        this.instances.map(async ({ id, host, role }) => ({
          id,
          host: host.name,
          address: host.address,
          role,
          credentials: await this.emulator.credentials(role),
        })),
      ),
    };
    writeFileSync(this.file("amazon.json"), JSON.stringify(amazon), { mode: 0o600 });
    const tsNode = join(PROJECT, "node_modules", "ts-node", "register");
    const child = spawn(
      process.execPath,
      ["-r", tsNode, join(__dirname, "amazon.ts"), this.file("amazon.json")],
      {
        env: { ...process.env, TS_NODE_PROJECT: join(PROJECT, "tsconfig.json") },
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    this.amazon = child;
    const endpoint = await new Promise<string>((resolve, reject) => {
      child.stdout.once("data", (data) => resolve(String(data).trim()));
      child.once("close", (code) => reject(new Error(`what stands for AWS ended with ${code}`)));
    });
    this.endpoint = endpoint;
  }

  /**
   * From now on signatures are checked, roles are limited to their policies, and the operator has the policy from
   * docs/aws.md.
   */
  private async becomeOperator(): Promise<void> {
    const { clusterName } = this.topology;
    const iam = (Action: string, parameters: Record<string, string>) =>
      this.emulator.query("iam", { Action, ...parameters });
    // What the emulator cannot do: "resources of SSM permissions", "conditions of an identity's policy".
    const emulatorPolicy = (...Action: string[]) => ({
      PolicyName: "emulator",
      PolicyDocument: JSON.stringify({
        Version: "2012-10-17",
        Statement: [{ Effect: "Allow", Action, Resource: "*" }],
      }),
    });
    for (const role of new Set(this.instances.map((instance) => instance.role))) {
      await iam("PutRolePolicy", { RoleName: role, ...emulatorPolicy("ssm:GetParameter") });
    }
    const policy = readFileSync(join(PROJECT, "docs", "aws-operator-policy.json"), "utf8");
    await iam("CreateUser", { UserName: OPERATOR });
    await iam("PutUserPolicy", {
      UserName: OPERATOR,
      PolicyName: "operator",
      PolicyDocument: policy.replaceAll("demo", clusterName),
    });
    await iam("PutUserPolicy", {
      UserName: OPERATOR,
      ...emulatorPolicy("ssm:GetParameter", "ec2:StopInstances"),
    });
    const keys = await iam("CreateAccessKey", { UserName: OPERATOR });
    Object.assign(process.env, {
      AWS_ENDPOINT_URL: this.endpoint,
      AWS_ACCESS_KEY_ID: valuesOf(keys, "AccessKeyId")[0],
      AWS_SECRET_ACCESS_KEY: valuesOf(keys, "SecretAccessKey")[0],
      AWS_EC2_METADATA_DISABLED: "true",
      NO_PROXY: "127.0.0.1",
    });
    for (const name of ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE"]) {
      delete process.env[name];
    }
    await this.emulator.authorize(true);
  }

  private async makeHost({ host, userData }: Instance): Promise<void> {
    const { gateway, prefixLength } = this.topology.network;
    const isDatabase = host.role === "database";
    makeContainer({
      project: this.incusProject,
      image: this.image,
      bridge: this.bridge,
      host: host.name,
      // The memory of a t3.small, and of a t3.micro.
      memory: isDatabase ? 2048 : 1024,
      address: `${host.address}/${prefixLength}`,
      gateway,
      disk: isDatabase ? this.makeDisk(host.name) : undefined,
      userData,
      names: [`${AMAZON} ${(await this.names()).join(" ")}`],
      authority: readFileSync(this.certificate.certificate, "utf8"),
      directory: this.workspace.directory,
    });
  }

  /** A disk as large as a data volume, backed by a sparse file. */
  private makeDisk(host: string): string {
    const file = this.file(`${this.incusProject}-${host}.disk`);
    writeFileSync(file, "");
    truncateSync(file, this.topology.settings.database.dataVolumeSize * 2 ** 30);
    return runSync(["losetup", "--find", "--show", file]).trim();
  }

  private removeHosts(): void {
    const facts = { DWI_PROJECT: this.incusProject, DWI_NAME: this.bridge };
    for (const part of ["project", "network"]) {
      runSync(["bash", join(PROJECT, "scripts", "local", "remove.sh"), part], { env: facts });
    }
    const loops = runSync(["losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE"]);
    for (const line of loops.split("\n").filter((one) => one.includes(`/${this.incusProject}-`))) {
      runSync(["losetup", "--detach", line.split(/\s+/)[0] as string]);
    }
    removeRules(this.bridge);
  }
}
