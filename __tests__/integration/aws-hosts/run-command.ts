import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";

/** How much SSM keeps of a command's output and of its errors, in characters. */
const KEPT = { output: 24_000, errors: 8_000 } as const;

/** The largest document that SSM accepts, in bytes. */
const LONGEST_DOCUMENT = 64 * 1024;

/** A response of AWS: its status and its body. */
export interface AwsAnswer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

const fault = (code: string, message = ""): AwsAnswer => ({
  status: 400,
  body: { __type: code, message },
});

interface SendCommand {
  readonly InstanceIds: readonly [string];
  readonly Parameters: {
    readonly commands: readonly string[];
    readonly executionTimeout?: [string];
  };
}

interface Invocation {
  status: string;
  code: number;
  output: string;
  errors: string;
  readonly cancel: () => void;
}

/**
 * SSM's Run Command, which the emulator only pretends to have: commands run in containers, in the shell and with the
 * limits that the agent has. Hosts whose agent does not run cannot be reached.
 * https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html
 */
export class RunCommand {
  private readonly invocations = new Map<string, Invocation>();

  /**
   * @param inHost the words that run the words after them on a host, by the id of its instance; undefined if there is
   *   no such instance
   * @param agentUnit the unit without which a host cannot be reached
   */
  constructor(
    private readonly inHost: (instanceId: string) => readonly string[] | undefined,
    private readonly agentUnit: string,
  ) {}

  /** Answers one of SSM's actions; undefined if it is not one of those that run commands. */
  async answer(action: string, request: unknown): Promise<AwsAnswer | undefined> {
    switch (action) {
      case "SendCommand":
        return this.send(request as SendCommand);
      case "GetCommandInvocation":
        return this.invocation(request as { CommandId: string; InstanceId: string });
      case "CancelCommand":
        this.invocations.get((request as { CommandId: string }).CommandId)?.cancel();
        return { status: 200, body: {} };
      default:
        return undefined;
    }
  }

  private async send({ InstanceIds: [id], Parameters }: SendCommand): Promise<AwsAnswer> {
    const host = this.inHost(id);
    if (host === undefined || !(await this.agentRuns(host))) {
      return fault("InvalidInstanceId", `Instances [[${id}]] not in a valid state for account`);
    }
    if (JSON.stringify(Parameters.commands).length > LONGEST_DOCUMENT) {
      return fault("MaxDocumentSizeExceeded", "The size limit of a document is 64 KB.");
    }
    const CommandId = randomUUID();
    this.invocations.set(CommandId, this.begin(host, Parameters));
    const Command = { CommandId, InstanceIds: [id], Status: "Pending", StatusDetails: "Pending" };
    return { status: 200, body: { Command } };
  }

  private agentRuns(host: readonly string[]): Promise<boolean> {
    const [program = "", ...args] = [...host, "systemctl", "--quiet", "is-active", this.agentUnit];
    return new Promise((resolve) => {
      // An agent that hangs with its host does not report to SSM.
      const child = spawn(program, args, { stdio: "ignore", timeout: 5000 });
      child.on("error", () => resolve(false));
      child.on("close", (code) => resolve(code === 0));
    });
  }

  /** The agent writes a command's lines to a file for sh. */
  private begin(
    host: readonly string[],
    { commands, executionTimeout: [seconds] = ["3600"] }: SendCommand["Parameters"],
  ): Invocation {
    const script = commands.join("\n");
    const [program = "", ...args] = [...host, "timeout", seconds, "sh", "-c", script];
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
    const running: Invocation = {
      status: "InProgress",
      code: -1,
      output: "",
      errors: "",
      cancel: () => child.kill(),
    };
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      running.output = (running.output + text).slice(0, KEPT.output);
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      running.errors = (running.errors + text).slice(0, KEPT.errors);
    });
    child.on("close", (code) => {
      running.code = code ?? -1;
      running.status = code === 0 ? "Success" : code === 124 ? "TimedOut" : "Failed";
      if (running.status === "Failed") {
        const own = `failed to run commands: exit status ${running.code}`;
        running.errors = `${running.errors}${own}`.slice(0, KEPT.errors);
      }
    });
    return running;
  }

  private invocation({
    CommandId,
    InstanceId,
  }: {
    CommandId: string;
    InstanceId: string;
  }): AwsAnswer {
    const found = this.invocations.get(CommandId);
    if (found === undefined) {
      return fault("InvocationDoesNotExist");
    }
    const { status, code, output, errors } = found;
    return {
      status: 200,
      body: {
        CommandId,
        InstanceId,
        DocumentName: "AWS-RunShellScript",
        Status: status,
        StatusDetails: status === "TimedOut" ? "ExecutionTimedOut" : status,
        ResponseCode: code,
        // The output is available once the command has ended.
        StandardOutputContent: status === "InProgress" ? "" : output,
        StandardErrorContent: status === "InProgress" ? "" : errors,
      },
    };
  }
}
