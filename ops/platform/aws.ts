import { setTimeout as pause } from "node:timers/promises";
import { OperatorError } from "../clusters";
import { run } from "../run";
import type { Platform, Power, Ran } from "./platform";

/** Seconds after which a command that no agent has taken up is given up. */
const DELIVERY_SECONDS = 15;

const STATES: Readonly<Record<string, Power>> = {
  pending: "running",
  running: "running",
  stopping: "unknown",
  "shutting-down": "unknown",
  stopped: "stopped",
  terminated: "absent",
};

interface Instance {
  readonly id: string;
  readonly power: Power;
}

/** Words as one line for a shell, each as it is. */
export function shellLine(words: readonly string[]): string {
  return words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
}

interface Invocation {
  readonly Status: string;
  readonly StatusDetails?: string;
  readonly ResponseCode: number;
  readonly StandardOutputContent: string;
  readonly StandardErrorContent: string;
}

/** Tells how a command ended from what SSM says of it; `undefined` while it has not. */
export function ranOf(invocation: Invocation): Ran | undefined {
  if (["Pending", "InProgress", "Delayed", "Cancelling"].includes(invocation.Status)) {
    return undefined;
  }
  const finished = ["Success", "Failed"].includes(invocation.Status);
  return {
    // A command that failed without having run has the code -1.
    exitCode: finished && invocation.ResponseCode >= 0 ? invocation.ResponseCode : undefined,
    stdout: invocation.StandardOutputContent,
    stderr: invocation.StandardErrorContent,
  };
}

/**
 * The hosts of a cluster on EC2, reached by AWS's own command line: commands go through SSM, so no
 * port is open for them.
 */
export function awsPlatform(clusterName: string, region: string): Platform {
  /** Runs AWS's command line. With `attempt` an error is an empty answer. */
  async function aws(
    args: readonly string[],
    { attempt = false, input }: { attempt?: boolean; input?: string } = {},
  ): Promise<string> {
    const finished = await run("aws", ["--region", region, "--output", "json", ...args], {
      environment: { AWS_PAGER: "" },
      capture: true,
      attempt: true,
      input,
    }).catch((error: NodeJS.ErrnoException) => {
      throw error.code === "ENOENT"
        ? new OperatorError("The AWS command line (aws) is not installed, or not on the PATH.")
        : error;
    });
    if (finished.exitCode !== 0 && !attempt) {
      throw new OperatorError(`aws ${args.slice(0, 2).join(" ")}: ${finished.stderr.trim()}`);
    }
    return finished.exitCode === 0 ? finished.stdout : "";
  }

  async function instances(): Promise<Map<string, Instance>> {
    const answer = JSON.parse(
      await aws([
        "ec2",
        "describe-instances",
        "--filters",
        `Name=tag:Cluster,Values=${clusterName}`,
        "Name=instance-state-name,Values=pending,running,stopping,stopped",
      ]),
    );
    const found = new Map<string, Instance>();
    for (const { Instances } of answer.Reservations) {
      for (const { InstanceId, State, Tags } of Instances) {
        const tags: Array<{ Key: string; Value: string }> = Tags ?? [];
        const name = tags.find(({ Key }) => Key === "Name")?.Value ?? "";
        found.set(name.replace(`${clusterName}-`, ""), {
          id: InstanceId,
          power: STATES[State.Name] ?? "unknown",
        });
      }
    }
    return found;
  }

  let bucket: string | undefined;
  async function object(name: string): Promise<string> {
    bucket ??= JSON.parse(await aws(["ssm", "get-parameter", "--name", `/${clusterName}/bucket`]))
      .Parameter.Value;
    return `s3://${bucket}/${name}`;
  }

  let known: Promise<Map<string, Instance>> | undefined;

  return {
    async run(host, command, seconds = 60): Promise<Ran> {
      known ??= instances();
      const instance = (await known).get(host);
      if (instance?.power !== "running") {
        return { exitCode: undefined, stdout: "", stderr: `${host} does not run` };
      }
      const sent = JSON.parse(
        await aws([
          "ssm",
          "send-command",
          "--instance-ids",
          instance.id,
          "--document-name",
          "AWS-RunShellScript",
          "--parameters",
          JSON.stringify({
            commands: [shellLine(command)],
            executionTimeout: [String(Math.max(seconds, 5))],
          }),
        ]),
      );
      const id = sent.Command.CommandId;
      const started = Date.now();
      const elapsed = () => (Date.now() - started) / 1000;
      for (;;) {
        const answer = await aws(
          ["ssm", "get-command-invocation", "--command-id", id, "--instance-id", instance.id],
          // Not known yet, for a moment.
          { attempt: true },
        );
        const invocation: Invocation | undefined = answer === "" ? undefined : JSON.parse(answer);
        const ran = invocation && ranOf(invocation);
        if (ran !== undefined) {
          return ran;
        }
        const taken = invocation !== undefined && invocation.Status !== "Pending";
        if (elapsed() > (taken ? seconds + DELIVERY_SECONDS : DELIVERY_SECONDS)) {
          await aws(["ssm", "cancel-command", "--command-id", id], { attempt: true });
          return { exitCode: undefined, stdout: "", stderr: `${host} did not answer through SSM` };
        }
        await pause(500);
      }
    },

    async power(hosts) {
      const found = await instances();
      return new Map(hosts.map((host) => [host, found.get(host)?.power ?? "absent"]));
    },

    async stop(host) {
      const id = (await instances()).get(host)?.id;
      if (id === undefined) {
        return;
      }
      await aws(["ec2", "stop-instances", "--force", "--instance-ids", id]);
      await aws(["ec2", "wait", "instance-stopped", "--instance-ids", id]);
    },

    async store(name, file) {
      await aws(["s3", "cp", "--only-show-errors", file, await object(name)]);
    },

    async releases() {
      const text = await aws(["s3", "cp", "--only-show-errors", await object("release"), "-"], {
        attempt: true,
      });
      return text.split(/\s+/).filter(Boolean);
    },

    async setReleases(releases) {
      await aws(["s3", "cp", "--only-show-errors", "-", await object("release")], {
        input: `${releases.join(" ")}\n`,
      });
    },
  };
}
