import { type SpawnSyncReturns, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PROJECT } from "../../hosts/project";
import type { Output } from "../../machine/log";
import { attemptSync, run, runSync } from "../../ops/run";
import type { ClusterSettingsInput } from "../../topology/settings";

const TS_NODE = join(PROJECT, "node_modules", "ts-node", "register");
const SYNTHESIZE = join(__dirname, "synthesize.ts");
const OPERATE = ["npm", "run", "--silent", "cluster", "--"] as const;
const CDKTF = join(PROJECT, "node_modules", ".bin", "cdktf");

/** A project of its own outside the repository: cdktf runs in it, the state stays in it. */
export class Workspace {
  /** @param directory one that was made before, with what is deployed from it; default a new one */
  constructor(
    settings: readonly ClusterSettingsInput[],
    readonly directory = mkdtempSync(join(tmpdir(), "clusters-")),
  ) {
    writeFileSync(
      join(this.directory, "cdktf.json"),
      JSON.stringify({
        language: "typescript",
        app: `node -r ${TS_NODE} ${SYNTHESIZE}`,
        projectId: "00000000-0000-0000-0000-000000000000",
        sendCrashReports: "false",
      }),
    );
    this.set(settings);
  }

  /** Changes the settings; what is deployed stays as it is until the next deploy. */
  set(settings: readonly ClusterSettingsInput[]): void {
    writeFileSync(join(this.directory, "clusters.json"), JSON.stringify(settings));
  }

  private get env(): NodeJS.ProcessEnv {
    return {
      CHECKPOINT_DISABLE: "1",
      CI: "1",
      CLUSTERS: join(this.directory, "clusters.json"),
      TS_NODE_PROJECT: join(PROJECT, "tsconfig.json"),
    };
  }

  /** `cdktf ARGUMENTS...`, as a user would type it. */
  cdktf(args: readonly string[], seconds = 300): string {
    return runSync([CDKTF, ...args], { directory: this.directory, env: this.env, seconds });
  }

  attemptCdktf(args: readonly string[], seconds = 300): SpawnSyncReturns<string> {
    return attemptSync([CDKTF, ...args], { directory: this.directory, env: this.env, seconds });
  }

  /** The same without waiting for it; what it printed comes with the promise. */
  async cdktfInBackground(args: readonly string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await run([CDKTF, ...args], {
      directory: this.directory,
      env: this.env,
      capture: true,
      attempt: true,
    });
    const printed = `${stdout}${stderr}`;
    if (exitCode !== 0) {
      throw new Error(`cdktf ${args.join(" ")} exited with ${exitCode}:\n${printed.slice(-4000)}`);
    }
    return printed;
  }

  /** The same for somebody who reads what it prints where that goes to. */
  async cdktfInto(output: Output, args: readonly string[]): Promise<void> {
    await run([CDKTF, ...args], { directory: this.directory, env: this.env, ...output });
  }

  /**
   * Starts `cdktf ARGUMENTS...` and kills it, with everything it started, as soon as it has
   * printed something that matches. Resolves when all of it is gone.
   */
  interruptCdktf(args: readonly string[], when: RegExp): Promise<void> {
    return this.interrupt([CDKTF, ...args], this.directory, when);
  }

  /** The same with `npm run cluster -- ARGUMENTS...`. */
  interruptOperation(args: readonly string[], when: RegExp): Promise<void> {
    return this.interrupt([...OPERATE, ...args], PROJECT, when);
  }

  private async interrupt(
    [program = "", ...args]: readonly string[],
    directory: string,
    when: RegExp,
    seconds = 300,
  ): Promise<void> {
    const child = spawn(program, args, {
      cwd: directory,
      // A process group of its own, so that it can be ended as a whole by its id.
      detached: true,
      env: { ...process.env, ...this.env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let printed = "";
    await new Promise<void>((resolve, reject) => {
      const end = () => {
        try {
          process.kill(-(child.pid as number), "SIGKILL");
        } catch {
          // All of it has ended.
        }
      };
      const deadline = setTimeout(end, seconds * 1000);
      for (const stream of [child.stdout, child.stderr]) {
        stream.on("data", (data: Buffer) => {
          printed += data.toString();
          if (when.test(printed)) {
            end();
          }
        });
      }
      child.on("close", () => {
        clearTimeout(deadline);
        when.test(printed)
          ? resolve()
          : reject(
              new Error(`${program} ended without printing ${when}:\n${printed.slice(-2000)}`),
            );
      });
    });
  }

  /** Synthesizes, and has Terraform apply one stack: what `cdktf deploy` does, in half the time. */
  apply(stack: string, seconds = 300): void {
    runSync([process.execPath, "-r", TS_NODE, SYNTHESIZE], {
      directory: this.directory,
      env: this.env,
    });
    this.terraform(stack, ["init", "-input=false", "-no-color"]);
    this.terraform(stack, ["apply", "-auto-approve", "-input=false", "-no-color"], seconds);
  }

  /**
   * `npm run cluster -- ARGUMENTS...`, on the clusters of this workspace.
   *
   * @param input on standard input; default nothing
   */
  operate(args: readonly string[], input = ""): SpawnSyncReturns<string> {
    return attemptSync([...OPERATE, ...args], {
      directory: PROJECT,
      env: this.env,
      seconds: 600,
      input,
    });
  }

  /** Plain terraform, in the folder of one stack as cdktf wrote it. */
  terraform(stack: string, args: readonly string[], seconds = 300): string {
    return runSync(["terraform", `-chdir=cdktf.out/stacks/${stack}`, ...args], {
      directory: this.directory,
      env: this.env,
      seconds,
    });
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/**
 * Asks again until the answer is given, for so many seconds at most.
 *
 * @param explain what the message of the failure ends with
 */
export async function eventually<T>(
  what: string,
  ask: () => T | undefined | Promise<T | undefined>,
  seconds = 60,
  explain: () => string = () => "",
): Promise<T> {
  const deadline = Date.now() + seconds * 1000;
  let last: unknown;
  while (Date.now() < deadline) {
    const asked = Date.now();
    try {
      const answer = await ask();
      if (answer !== undefined && answer !== false) {
        return answer;
      }
    } catch (error) {
      last = error;
    }
    // What is waited for needs the processors that asking takes.
    const pause = Math.min(Math.max(300, 2 * (Date.now() - asked)), 1_000);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
  throw new Error(`${what}: not within ${seconds} s${last ? `; last: ${last}` : ""}${explain()}`);
}
