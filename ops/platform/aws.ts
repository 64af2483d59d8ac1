import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { OperatorError } from "../operator-error";
import { awsCommandLine } from "./aws-command-line";
import { AwsError, type Meaning, progressOf } from "./aws-errors";
import type { HostAccess, Power, Ran } from "./host-access";
import { errorsOf, parseAnswer, partCommand, shellCommands, unpacked } from "./ssm-answer";

/** Timeout for an agent to accept a command, in seconds. */
const DELIVERY_SECONDS = 15;

/**
 * SSM's own timeout for the delivery of a command: its minimum. By default an abandoned command would still be executed if
 * its host came back within an hour.
 */
const SSM_DELIVERY_SECONDS = 30;

/** How long AWS may be unreachable while a command is in progress, in seconds. */
const UNREACHED_SECONDS = 60;

/** Timeout for a host to stop, in seconds; EC2 itself forces the stop after some minutes. */
const STOP_SECONDS = 600;

/** Instance states, by how much the instance may still be running: if a host has several instances, the first counts. */
const STATES: ReadonlyArray<readonly [state: string, power: Power]> = [
  ["running", "running"],
  ["pending", "running"],
  ["stopping", "unknown"],
  // Its programs may still run.
  ["shutting-down", "unknown"],
  ["stopped", "stopped"],
];

const powerOf = (state: string): Power => new Map(STATES).get(state) ?? "absent";

interface Instance {
  readonly id: string;
  readonly state: string;
}

interface Invocation {
  readonly Status: string;
  readonly StatusDetails?: string;
  readonly ResponseCode: number;
  readonly StandardOutputContent: string;
  readonly StandardErrorContent: string;
}

const silence = (host: string, reason: string): Ran => ({
  exitCode: undefined,
  stdout: "",
  stderr: `${host} does not answer: ${reason}`,
});

/**
 * The result of a command from SSM's answer; `waiting` or `running` while it has not ended.
 *
 * @throws OperatorError if the operator has to fix the cause
 */
export function ranOf(host: string, invocation: Invocation): Ran | "waiting" | "running" {
  const progress = progressOf(invocation.Status, invocation.StatusDetails);
  const said = errorsOf(invocation.StandardErrorContent).trim();
  switch (progress.kind) {
    case "waiting":
    case "running":
      return progress.kind;
    case "operator":
      throw new OperatorError(`${host}: ${progress.reason}`);
    case "silent":
      return silence(host, [progress.reason, said].filter(Boolean).join(": "));
    case "ended":
      // The code is -1 if the command failed without having run.
      return invocation.ResponseCode < 0
        ? silence(host, `SSM could not start the command${said === "" ? "" : `: ${said}`}`)
        : {
            exitCode: invocation.ResponseCode,
            stdout: invocation.StandardOutputContent,
            stderr: errorsOf(invocation.StandardErrorContent),
          };
  }
}

/**
 * Access to the hosts of a cluster on EC2, by the AWS CLI: commands go through SSM, so no port is open for them. Errors are
 * classified in aws-errors.ts: with a transient one, or one of a single host, that host counts as silent; one that the
 * operator has to fix aborts all commands in progress.
 */
export function awsHostAccess(clusterName: string, region: string): HostAccess {
  const { once, patiently } = awsCommandLine(region);
  /** Aborts all commands in progress. */
  let underWay = new AbortController();

  function stopAll(error: Error): void {
    const stopped = underWay;
    underWay = new AbortController();
    stopped.abort(error);
  }

  async function instances(signal?: AbortSignal): Promise<Map<string, Instance[]>> {
    const answer = JSON.parse(
      await patiently(
        [
          "ec2",
          "describe-instances",
          "--filters",
          `Name=tag:Cluster,Values=${clusterName}`,
          `Name=instance-state-name,Values=${STATES.map(([state]) => state).join(",")}`,
        ],
        { signal },
      ),
    );
    const prefix = `${clusterName}-`;
    const found = new Map<string, Instance[]>();
    for (const { Instances } of answer.Reservations) {
      for (const { InstanceId, State, Tags } of Instances) {
        const tags: Array<{ Key: string; Value: string }> = Tags ?? [];
        const name = tags.find(({ Key }) => Key === "Name")?.Value ?? "";
        // Terminated instances are still listed for an hour.
        if (name.startsWith(prefix) && powerOf(State.Name) !== "absent") {
          const host = name.slice(prefix.length);
          found.set(host, [...(found.get(host) ?? []), { id: InstanceId, state: State.Name }]);
        }
      }
    }
    return found;
  }

  /** The state of a host with several instances. */
  function powerOfAll(all: readonly Instance[] = []): Power {
    const states = new Set(all.map(({ state }) => state));
    return STATES.find(([state]) => states.has(state))?.[1] ?? "absent";
  }

  let known: { readonly at: number; readonly found: Promise<Map<string, Instance[]>> } | undefined;

  /**
   * The running instance of a host, or the reason why there is none. The list of instances is cached; it is refreshed
   * before a negative answer, because hosts stop, start and are replaced.
   */
  async function instanceOf(host: string, signal: AbortSignal): Promise<Instance | string> {
    for (;;) {
      const asked = Date.now();
      known ??= { at: asked, found: instances(signal) };
      const { at, found } = known;
      const all = await found.catch((error) => {
        known = undefined;
        throw error;
      });
      const running = (all.get(host) ?? []).filter(({ state }) => powerOf(state) === "running");
      if (running.length === 1) {
        return running[0] as Instance;
      }
      if (asked - at < 1000) {
        return running.length === 0
          ? `it does not run`
          : `there are ${running.length} instances of this name: ${running.map(({ id }) => id).join(", ")}`;
      }
      known = undefined;
    }
  }

  /** Runs commands in an instance's shell, and waits until they have ended. */
  async function runThere(
    host: string,
    id: string,
    commands: readonly string[],
    seconds: number,
    signal: AbortSignal,
  ): Promise<Ran> {
    const sent = JSON.parse(
      await patiently(
        [
          "ssm",
          "send-command",
          "--instance-ids",
          id,
          "--document-name",
          "AWS-RunShellScript",
          "--timeout-seconds",
          String(SSM_DELIVERY_SECONDS),
          "--parameters",
          JSON.stringify({ commands, executionTimeout: [String(Math.ceil(Math.max(seconds, 5)))] }),
        ],
        // A retry by the CLI itself could run the command twice.
        { subject: host, signal, attempts: 1, seconds: Math.min(DELIVERY_SECONDS, seconds) },
      ),
    );
    const command = sent.Command.CommandId;
    const started = Date.now();
    const elapsed = () => (Date.now() - started) / 1000;
    const cancel = () => once(["ssm", "cancel-command", "--command-id", command]).catch(() => "");
    let heard = 0;
    let last: Ran | "waiting" | "running" = "waiting";
    for (;;) {
      let trouble: string;
      try {
        const answer = await once(
          ["ssm", "get-command-invocation", "--command-id", command, "--instance-id", id],
          { subject: host, signal },
        );
        heard = elapsed();
        last = ranOf(host, JSON.parse(answer));
        if (typeof last !== "string") {
          return last;
        }
        trouble =
          last === "running"
            ? `the command did not finish within ${seconds} s`
            : "SSM did not deliver the command";
      } catch (error) {
        const meaning: Meaning = error instanceof AwsError ? error.meaning : "operator";
        if (meaning === "silent") {
          return silence(host, (error as AwsError).code);
        }
        const passes =
          meaning === "busy" ||
          meaning === "not-yet" ||
          (meaning === "unreached" && elapsed() - heard < UNREACHED_SECONDS);
        if (!passes) {
          throw signal.aborted
            ? error
            : new OperatorError(
                `${(error as Error).message}\n  The command on ${host} may still be running.`,
              );
        }
        trouble = (error as AwsError).message.split("\n")[0] as string;
      }
      if (elapsed() > (last === "running" ? seconds : 0) + DELIVERY_SECONDS) {
        await cancel();
        return silence(host, trouble);
      }
      // The longer a command runs, the less often it is polled.
      await pause(Math.min(Math.max(elapsed() * 100, 500), 5000), undefined, { signal }).catch(
        () => {
          throw signal.reason;
        },
      );
    }
  }

  /** Fetches the complete output, if it exceeds SSM's limit. */
  async function whole(host: string, id: string, ran: Ran, signal: AbortSignal): Promise<Ran> {
    let answer = parseAnswer(ran.stdout);
    if (answer.kind === "parts") {
      const parts = [answer.first];
      for (let number = 1; number < answer.count; number++) {
        const next = await runThere(host, id, [partCommand(answer.file, number)], 20, signal);
        const part = parseAnswer(next.stdout);
        if (next.exitCode !== 0 || part.kind !== "whole") {
          const reason = `part ${number + 1} of ${answer.count} could not be fetched: ${next.stderr.trim()}`;
          return { ...ran, stdout: "", cut: reason };
        }
        parts.push(part.text);
      }
      answer = unpacked(parts);
    }
    return answer.kind === "whole"
      ? { ...ran, stdout: answer.text }
      : { ...ran, stdout: "", cut: answer.kind === "cut" ? answer.reason : "it is still in parts" };
  }

  async function runOn(
    host: string,
    command: readonly string[],
    seconds: number,
    signal: AbortSignal,
  ): Promise<Ran> {
    const instance = await instanceOf(host, signal);
    if (typeof instance === "string") {
      return silence(host, instance);
    }
    const commands = shellCommands(command, randomBytes(8).toString("hex"));
    let ran: Ran | undefined;
    for (const [index, line] of commands.entries()) {
      const limit = index === commands.length - 1 ? seconds : 20;
      ran = await runThere(host, instance.id, [line], limit, signal);
      if (ran.exitCode !== 0) {
        break;
      }
    }
    return ran === undefined || ran.exitCode === undefined
      ? (ran ?? silence(host, "there was no command"))
      : whole(host, instance.id, ran, signal);
  }

  return {
    async run(host, command, seconds = 60): Promise<Ran> {
      const { signal } = underWay;
      try {
        return await runOn(host, command, seconds, signal);
      } catch (error) {
        if (error instanceof AwsError && (error.meaning === "silent" || error.meaning === "busy")) {
          // The host may have been replaced.
          known = undefined;
          return silence(host, error.message);
        }
        if (!signal.aborted) {
          stopAll(error as Error);
        }
        throw error;
      }
    },

    async power(hosts) {
      const found = await instances(underWay.signal).catch((error) => {
        if (error instanceof AwsError && error.meaning === "busy") {
          return undefined;
        }
        throw error;
      });
      return new Map(
        hosts.map((host) => [host, found === undefined ? "unknown" : powerOfAll(found.get(host))]),
      );
    },

    async stop(host) {
      const started = Date.now();
      for (let looks = 0; ; looks++) {
        const all = (await instances()).get(host) ?? [];
        if (["stopped", "absent"].includes(powerOfAll(all))) {
          return;
        }
        if (Date.now() - started > STOP_SECONDS * 1000) {
          const states = all.map(({ id, state }) => `${id} is ${state}`).join(", ");
          throw new OperatorError(`${host} did not stop within ${STOP_SECONDS} s: ${states}`);
        }
        for (const { id } of all.filter(({ state }) => powerOf(state) === "running")) {
          await patiently(["ec2", "stop-instances", "--force", "--instance-ids", id], {
            subject: host,
          }).catch((error) => {
            // An instance cannot be stopped while it is starting or terminating: retry.
            const isPassing =
              error instanceof AwsError &&
              ["IncorrectInstanceState", "InvalidInstanceID.NotFound"].includes(error.code);
            if (!isPassing) {
              throw error;
            }
          });
        }
        await pause(looks === 0 ? 500 : 2000);
      }
    },
  };
}
