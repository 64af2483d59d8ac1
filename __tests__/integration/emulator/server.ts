import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "../../../drill/scratch/workspace";

export const REGION = "eu-central-1";

/** The account that moto simulates. */
const ACCOUNT = "123456789012";

const CANONICAL = "099720109477";

/** Two images as Canonical names them: moto has none of 26.04. */
export const IMAGES = ["20260501", "20260901"].map((day, index) => ({
  ami_id: `ami-${String(index + 1).repeat(17)}`,
  name: `ubuntu/images/hvm-ssd-gp3/ubuntu-resolute-26.04-amd64-server-${day}`,
  owner_id: CANONICAL,
  description: `Ubuntu 26.04 LTS of ${day}`,
  architecture: "x86_64",
  virtualization_type: "hvm",
  root_device_type: "ebs",
  root_device_name: "/dev/sda1",
  image_type: "machine",
  image_location: "amazon",
  hypervisor: "xen",
  public: true,
}));

/** The text of each element of one name in an XML answer of AWS. */
export function valuesOf(xml: string, tag: string): string[] {
  return [...xml.matchAll(new RegExp(`<${tag}>([^<]*)</${tag}>`, "g"))].map(
    ([, value]) => value as string,
  );
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** An AWS of its own: moto_server on a free port of the loopback. */
export class Emulator {
  private process?: ChildProcess;
  private directory = "";
  endpoint = "";

  async start(): Promise<void> {
    this.directory = mkdtempSync(join(tmpdir(), "emulator-"));
    const images = join(this.directory, "images.json");
    writeFileSync(images, JSON.stringify(IMAGES));
    const port = await freePort();
    this.endpoint = `http://127.0.0.1:${port}`;
    this.process = spawn("moto_server", ["-H", "127.0.0.1", "-p", String(port)], {
      env: {
        ...process.env,
        MOTO_AMIS_PATH: images,
        PYTHONPATH: [join(__dirname, "moto"), process.env.PYTHONPATH].filter(Boolean).join(":"),
        PYTHONDONTWRITEBYTECODE: "1",
      },
      stdio: "ignore",
    });
    await eventually("moto_server answers", async () => {
      const { status } = await fetch(`${this.endpoint}/moto-api/data.json`);
      return status === 200 || undefined;
    });
  }

  stop(): void {
    this.process?.kill("SIGKILL");
    if (this.directory !== "") {
      rmSync(this.directory, { recursive: true, force: true });
    }
  }

  /** The environment in which programs use the emulator as AWS. */
  get env(): NodeJS.ProcessEnv {
    return {
      AWS_ACCESS_KEY_ID: "test",
      AWS_SECRET_ACCESS_KEY: "test",
      AWS_EC2_METADATA_DISABLED: "true",
      AWS_ENDPOINT_URL: this.endpoint,
      // The emulator refuses a retry too.
      AWS_MAX_ATTEMPTS: "2",
      AWS_PROFILE: undefined,
      AWS_SESSION_TOKEN: undefined,
      AWS_CA_BUNDLE: undefined,
      NO_PROXY: "127.0.0.1",
    };
  }

  private async send(
    service: string,
    body: string,
    headers: Record<string, string>,
    region = REGION,
  ): Promise<string> {
    const scope = `test/20260101/${region}/${service}/aws4_request`;
    const response = await fetch(`${this.endpoint}/`, {
      method: body === "" ? "GET" : "POST",
      headers: {
        // Nothing checks this signature; the scope tells moto which service is meant.
        Authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=0`,
        ...headers,
      },
      ...(body === "" ? {} : { body }),
    });
    const answer = await response.text();
    if (!response.ok) {
      throw new Error(`${service} of the emulator answered ${response.status}: ${answer}`);
    }
    return answer;
  }

  /** Calls an action of one of AWS's query APIs. */
  query(service: "ec2" | "iam" | "sts", parameters: Record<string, string>): Promise<string> {
    const version = { ec2: "2016-11-15", iam: "2010-05-08", sts: "2011-06-15" }[service];
    return this.send(service, new URLSearchParams({ Version: version, ...parameters }).toString(), {
      "Content-Type": "application/x-www-form-urlencoded",
    });
  }

  /** Calls an action of one of AWS's JSON APIs, `target` being its name there, for example `AmazonSSM.GetParameter`. */
  private async json(service: string, target: string, parameters: unknown, region?: string) {
    const headers = {
      "Content-Type": "application/x-amz-json-1.1",
      "X-Amz-Target": target,
    };
    return JSON.parse(await this.send(service, JSON.stringify(parameters), headers, region));
  }

  ssm(action: string, parameters: unknown, region?: string): Promise<Record<string, unknown>> {
    return this.json("ssm", `AmazonSSM.${action}`, parameters, region);
  }

  /** Names of the buckets. */
  async buckets(): Promise<string[]> {
    return valuesOf(await this.send("s3", "", {}), "Name");
  }

  /** The value of a parameter, as its owner may read it. */
  async parameter(name: string, region?: string): Promise<string> {
    const wanted = { Name: name, WithDecryption: true };
    const { Parameter } = await this.ssm("GetParameter", wanted, region);
    return (Parameter as { Value: string }).Value;
  }

  /** The key that encrypts a parameter. */
  async keyOf(name: string, region?: string): Promise<string> {
    const wanted = { ParameterFilters: [{ Key: "Name", Values: [name] }] };
    const { Parameters } = await this.ssm("DescribeParameters", wanted, region);
    return (Parameters as [{ KeyId: string }])[0].KeyId;
  }

  /** Turns the checks of signatures and of roles' policies on or off. */
  async authorize(on: boolean): Promise<void> {
    await fetch(`${this.endpoint}/moto-api/reset-auth`, {
      method: "POST",
      headers: { "Content-Type": "text/plain" },
      body: on ? "0" : "inf",
    });
  }

  /** Credentials of an IAM role, in the form that the instance metadata service returns. */
  async credentials(role: string) {
    const answer = await this.query("sts", {
      Action: "AssumeRole",
      RoleArn: `arn:aws:iam::${ACCOUNT}:role/${role}`,
      RoleSessionName: "host",
    });
    return {
      AccessKeyId: valuesOf(answer, "AccessKeyId")[0],
      SecretAccessKey: valuesOf(answer, "SecretAccessKey")[0],
      Token: valuesOf(answer, "SessionToken")[0],
    };
  }

  /** The keys of clusters in a region that are not scheduled for deletion; the emulator does not tell AWS's own apart. */
  private async keys(region?: string): Promise<string[]> {
    const { Keys } = await this.json("kms", "TrentService.ListKeys", {}, region);
    const all = await Promise.all(
      Keys.map(({ KeyId }: { KeyId: string }) =>
        this.json("kms", "TrentService.DescribeKey", { KeyId }, region),
      ),
    );
    return all
      .map(({ KeyMetadata }) => KeyMetadata)
      .filter(
        ({ Description, KeyState }) =>
          Description.startsWith("Data of the cluster ") && KeyState === "Enabled",
      )
      .map(({ KeyId }) => KeyId);
  }

  /**
   * What is in the account, by kind, without a fresh account's own default network.
   *
   * @param copyRegion the region with copies of the backups
   */
  async inventory(copyRegion: string): Promise<Record<string, string[]>> {
    const ec2 = (action: string, filters: Record<string, string> = {}) => {
      const parameters = Object.entries(filters).flatMap(([name, values], index) => [
        [`Filter.${index + 1}.Name`, name],
        ...values
          .split(",")
          .map((value, position) => [`Filter.${index + 1}.Value.${position + 1}`, value]),
      ]);
      return this.query("ec2", { Action: action, ...Object.fromEntries(parameters) });
    };
    const network = { "is-default": "false" };
    const vpcs = valuesOf(await ec2("DescribeVpcs", network), "vpcId");
    const inVpcs = (xml: string) => (vpcs.length === 0 ? [] : valuesOf(xml, "vpcId"));
    const parameters = async (region?: string) => {
      const { Parameters } = await this.ssm("DescribeParameters", {}, region);
      return (Parameters as Array<{ Name: string }>).map(({ Name }) => Name);
    };
    const { logGroups } = await this.json("logs", "Logs_20140328.DescribeLogGroups", {});
    return {
      instances: valuesOf(
        await ec2("DescribeInstances", {
          "instance-state-name": "pending,running,stopping,stopped",
        }),
        "instanceId",
      ),
      volumes: valuesOf(await ec2("DescribeVolumes"), "volumeId"),
      snapshots: valuesOf(await ec2("DescribeSnapshots", { "owner-id": ACCOUNT }), "snapshotId"),
      vpcs,
      subnets: inVpcs(await ec2("DescribeSubnets", { "default-for-az": "false" })),
      interfaces: valuesOf(await ec2("DescribeNetworkInterfaces"), "networkInterfaceId"),
      addresses: valuesOf(await ec2("DescribeAddresses"), "allocationId"),
      gateways: valuesOf(await ec2("DescribeInternetGateways"), "internetGatewayId"),
      nat: valuesOf(await ec2("DescribeNatGateways", { state: "available" }), "natGatewayId"),
      endpoints: (await ec2("DescribeVpcEndpoints"))
        .split("<vpcEndpointId>")
        .slice(1)
        .filter((endpoint) => !endpoint.includes("<state>deleted</state>"))
        .map((endpoint) => endpoint.split("<")[0] as string),
      securityGroups: valuesOf(await ec2("DescribeSecurityGroups"), "groupName").filter(
        (name) => name !== "default",
      ),
      parameters: await parameters(),
      parametersOfCopies: await parameters(copyRegion),
      keys: await this.keys(),
      keysOfCopies: await this.keys(copyRegion),
      flowLogs: valuesOf(await ec2("DescribeFlowLogs"), "flowLogId"),
      logGroups: logGroups.map(({ logGroupName }: { logGroupName: string }) => logGroupName),
      buckets: await this.buckets(),
      roles: valuesOf(await this.query("iam", { Action: "ListRoles" }), "RoleName"),
      profiles: valuesOf(
        await this.query("iam", { Action: "ListInstanceProfiles" }),
        "InstanceProfileName",
      ),
    };
  }
}
