import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Workspace } from "../../../drill/scratch/workspace";
import { PROJECT } from "../../../hosts/project";
import { attemptSync, runSync } from "../../../ops/run";
import type { ClusterSettingsInput } from "../../../topology/settings";
import { type Call, callsIn } from "./calls";
import { merged, overrides, type Resources } from "./limits";

/** What a plan does to one resource. */
export interface PlannedChange {
  /** For example `aws_instance.web-1`. */
  readonly address: string;
  readonly actions: readonly string[];
}

/** A line of what `terraform plan -json` prints; the relevant part. */
interface PlanMessage {
  readonly type: string;
  readonly change?: { readonly resource: { readonly addr: string }; readonly action: string };
}

/** What terraform says if it cannot get the provider at all. */
const NO_PROVIDER = /Failed to (query available provider packages|install provider)/;

/** Stack `aws` of one cluster, in a project of its own, deployed by plain terraform. */
export class EmulatedCluster {
  readonly workspace: Workspace;
  env: NodeJS.ProcessEnv = {};

  constructor(private readonly settings: ClusterSettingsInput) {
    this.workspace = new Workspace([settings]);
    this.synthesize();
  }

  private get stackDirectory(): string {
    return join(this.workspace.directory, "cdktf.out", "stacks", "aws");
  }

  /** The stack as it is deployed. */
  get text(): string {
    return readFileSync(join(this.stackDirectory, "cdk.tf.json"), "utf8");
  }

  /** The first release, whose object the stack declares. */
  get release(): string {
    return this.archive("first-release");
  }

  /** The archive of scripts, whose object the stack declares. */
  get scripts(): string {
    return this.archive("scripts");
  }

  private archive(object: string): string {
    const { key } = JSON.parse(this.text).resource.aws_s3_object[object];
    return /\/([0-9a-f]{64})\.tar\.gz$/.exec(key)?.[1] as string;
  }

  /**
   * Synthesizes the stack with some settings changed, and overrides what the emulator cannot do.
   *
   * @param options.whole leaves the overrides out
   * @param options.override further overrides, of resources and of data
   */
  synthesize(
    changes: Partial<ClusterSettingsInput> = {},
    options: { whole?: boolean; override?: { resource?: Resources; data?: Resources } } = {},
  ): void {
    this.workspace.set([{ ...this.settings, ...changes }]);
    runSync(
      [
        process.execPath,
        "-r",
        join(PROJECT, "node_modules", "ts-node", "register"),
        join(PROJECT, "drill", "scratch", "synthesize.ts"),
      ],
      {
        directory: this.workspace.directory,
        env: {
          CLUSTERS: join(this.workspace.directory, "clusters.json"),
          TS_NODE_PROJECT: join(PROJECT, "tsconfig.json"),
        },
      },
    );
    const file = join(this.stackDirectory, "emulator_override.tf.json");
    rmSync(file, { force: true });
    if (options.whole !== true) {
      writeFileSync(
        file,
        JSON.stringify({
          ...options.override,
          resource: merged(overrides(JSON.parse(this.text)).resource, options.override?.resource),
        }),
      );
    }
  }

  private arguments(args: readonly string[]): string[] {
    return ["terraform", `-chdir=${this.stackDirectory}`, ...args];
  }

  private get environment(): NodeJS.ProcessEnv {
    return {
      CHECKPOINT_DISABLE: "1",
      // Every command loads the provider's schemas; with Go's default, collecting that garbage takes a third of its time.
      GOGC: "400",
      TF_IN_AUTOMATION: "1",
      TF_LOG_PROVIDER: "DEBUG",
      TF_LOG_PATH: this.providerLog,
      ...this.env,
    };
  }

  private get providerLog(): string {
    return join(this.workspace.directory, "provider.log");
  }

  /** Every call that terraform has made to AWS so far. */
  get calls(): Call[] {
    return existsSync(this.providerLog) ? callsIn(readFileSync(this.providerLog, "utf8")) : [];
  }

  terraform(args: readonly string[], seconds = 120): string {
    return runSync(this.arguments(args), { env: this.environment, seconds });
  }

  /** Runs terraform, whatever it exits with. */
  attemptTerraform(args: readonly string[], seconds = 120) {
    const result = attemptSync(this.arguments(args), { env: this.environment, seconds });
    return { status: result.status, printed: `${result.stdout}${result.stderr}` };
  }

  /** @returns why this machine cannot run the stack, or undefined when it can */
  initialize(): string | undefined {
    const { status, printed } = this.attemptTerraform(["init", "-input=false", "-no-color"], 300);
    if (status === 0) {
      return undefined;
    }
    if (NO_PROVIDER.test(printed)) {
      return "Terraform cannot get the AWS provider";
    }
    throw new Error(`terraform init exited with ${status}:\n${printed}`);
  }

  /**
   * What an apply would change; the plan is kept beside the state.
   *
   * Only these tests change the emulator, so the plan does not refresh the state.
   */
  plan(): PlannedChange[] {
    const file = join(this.workspace.directory, "plan");
    // https://developer.hashicorp.com/terraform/internals/machine-readable-ui: to have the plan shown would load the
    // provider once more.
    return this.terraform(["plan", "-json", "-input=false", "-refresh=false", `-out=${file}`])
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as PlanMessage)
      .flatMap(({ type, change }) => (type === "planned_change" && change ? [change] : []))
      .map(({ resource, action }) => ({
        address: resource.addr,
        actions: action === "replace" ? ["delete", "create"] : [action],
      }))
      .filter(({ address }) => !address.startsWith("data."))
      .sort((one, other) => one.address.localeCompare(other.address));
  }

  /** The resources that a plan would destroy although they are protected. */
  refused(args: readonly string[] = []): string[] {
    const { printed } = this.attemptTerraform(["plan", "-no-color", "-refresh=false", ...args]);
    // Terraform wraps its messages, at any space.
    const refusals = printed
      .replace(/\s+/g, " ")
      .matchAll(/Resource (\S+) has lifecycle\.prevent_destroy set/g);
    return [...refusals].map(([, address]) => address as string).sort();
  }
}
