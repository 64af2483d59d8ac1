import { setTimeout as pause } from "node:timers/promises";
import { run } from "../run";
import { AwsError, awsError } from "./aws-errors";

/** For how long requests are retried while AWS is busy, in seconds. */
const BUSY_SECONDS = 15;

/** The AWS CLI, for one region. Its errors are classified in aws-errors.ts. */
export function awsCommandLine(region: string) {
  /** @throws AwsError if it fails */
  async function once(
    args: readonly string[],
    {
      subject,
      input,
      argument,
      signal,
      attempts,
    }: {
      subject?: string;
      input?: string;
      /** What an argument `file:///dev/stdin` stands for, which so is in no process list. Read once. */
      argument?: string;
      signal?: AbortSignal;
      attempts?: number;
    } = {},
  ): Promise<string> {
    const action = args.slice(0, 2).join(" ");
    const words = ["aws", "--region", region, "--output", "json", ...args];
    // The standard input that Node gives a program is a socket, which cannot be opened by a name. Not by bash: it takes a
    // socket for a remote shell's, and then may read the user's .bashrc.
    const command = argument === undefined ? words : ["sh", "-c", 'cat | "$@"', "sh", ...words];
    const finished = await run(command, {
      env: {
        AWS_PAGER: "",
        AWS_CLI_AUTO_PROMPT: "off",
        AWS_RETRY_MODE: "standard",
        ...(attempts === undefined ? {} : { AWS_MAX_ATTEMPTS: String(attempts) }),
      },
      capture: true,
      attempt: true,
      input: argument ?? input,
      signal,
    }).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") {
        throw new AwsError(
          "The AWS CLI (aws) is not installed, or not on the PATH.",
          "operator",
          "ENOENT",
        );
      }
      throw signal?.aborted ? signal.reason : error;
    });
    if (finished.exitCode !== 0) {
      throw awsError(action, finished.stderr, subject);
    }
    return finished.stdout;
  }

  /** The same, with retries while AWS is busy. */
  async function patiently(
    args: readonly string[],
    options: Parameters<typeof once>[1] & { seconds?: number } = {},
  ): Promise<string> {
    const { seconds = BUSY_SECONDS, ...others } = options;
    const started = Date.now();
    for (let wait = 500; ; wait *= 2) {
      try {
        return await once(args, others);
      } catch (error) {
        const isBusy = error instanceof AwsError && error.meaning === "busy";
        if (!isBusy || Date.now() + wait - started > seconds * 1000) {
          throw error;
        }
        // Jitter, so that commands for several hosts are not retried simultaneously.
        await pause(wait * (0.75 + Math.random() / 2), undefined, { signal: others.signal }).catch(
          () => {
            throw others.signal?.reason;
          },
        );
      }
    }
  }

  return { once, patiently };
}
