import { join } from "node:path";
import { OperatorError } from "../ops/operator-error";
import { CommandFailed, run, runScript, type ScriptFacts } from "../ops/run";
import { Log, type Output, placeForLog } from "./log";
import { interruptedFromNow, type Line, Progress } from "./progress";

/** The output of a command's stages: a line for each on the screen, everything else in the log. */
export interface Stages {
  readonly progress: Progress;
  readonly log: Log;
}

/** Begins a command's stages, and prints the path of the log. */
export function beginStages(command: string, stack: string): Stages {
  const log = new Log(placeForLog(`${command}-${stack}`));
  const progress = new Progress();
  progress.say(`log: ${log.path}\n`);
  return { progress, log };
}

/** How many lines of an error are shown: the beginning names it, the end usually has the cause. */
const FIRST_LINES = 4;
const LAST_LINES = 12;

/** Of further errors, mostly the same again, only the last line is shown: it says where to look. */
const LAST_LINES_OF_OTHERS = 1;

function shortened(lines: readonly string[], last = LAST_LINES): string[] {
  const left = lines.length - FIRST_LINES - last;
  return left <= 1
    ? [...lines]
    : [...lines.slice(0, FIRST_LINES), `  … ${left} lines …`, ...lines.slice(-last)];
}

/** Terraform's output about a resource, or from its provisioner: `terraform_data.NAME["KEY"]: TEXT`. */
const OF_RESOURCE = /terraform_data\.(\w+)(?:\["([^"]+)"\])?( \(local-exec\))?: (.*)$/;

/** The prefix of the cdktf CLI before Terraform's output: the name of the stack once, then an indentation of its width. */
const OF_CDKTF = /^(?:local(?:-\S+)? {2}| {7,})/;

const isOfBox = (line: string) => /^[╷│╵]/.test(line);

/** The texts of Terraform's error boxes, each once: cdktf repeats them. */
function errorsIn(lines: readonly string[]): string[][] {
  const boxes = new Map<string, string[]>();
  let box: string[] | undefined;
  for (const line of lines.map((one) => one.replace(OF_CDKTF, ""))) {
    if (line.startsWith("╷")) {
      box = [];
    } else if (line.startsWith("╵") && box !== undefined) {
      const text = box.join("\n").trim();
      if (text.startsWith("Error: ")) {
        boxes.set(text, text.split("\n"));
      }
      box = undefined;
    } else {
      box?.push(line.replace(/^│ ?/, ""));
    }
  }
  return [...boxes.values()];
}

interface Failure {
  /** The parts of the cluster, such as hosts, whose scripts failed. */
  readonly parts: readonly string[];
  readonly why: readonly string[];
}

/** Parses Terraform's output, and shows a line for each host that it changes. */
export class TerraformReader {
  private readonly lines: string[] = [];
  private readonly hosts = new Map<string, Line>();
  /** The output of each part's script, since Terraform started it. */
  private readonly printed = new Map<string, string[]>();

  constructor(
    private readonly progress: Progress,
    private readonly stage: Line,
  ) {}

  read(line: string): void {
    this.lines.push(line);
    const [, resource = "", key = "", isOfScript, text = ""] = OF_RESOURCE.exec(line) ?? [];
    const part = key === "" ? resource : key;
    if (isOfScript !== undefined) {
      this.readScript(part, text);
    } else if (resource === "configuration" && text === "Creating...") {
      this.begin(key);
    } else if (resource === "configuration" && text.startsWith("Creation complete")) {
      this.hosts.get(key)?.end("done");
    } else if (resource === "host" && text.startsWith("Destroying...")) {
      this.begin(key).note("being removed");
    } else if (resource === "host" && text.startsWith("Destruction complete")) {
      this.hosts.get(key)?.end("done", "removed");
    } else if (resource === "" && !isOfBox(line.replace(OF_CDKTF, ""))) {
      this.readTerraform(line);
    }
  }

  private begin(host: string): Line {
    const line = this.progress.begin(`  ${host}`);
    this.hosts.set(host, line);
    this.printed.delete(host);
    return line;
  }

  private readTerraform(line: string): void {
    const plan = /Plan: (\d+) to add, (\d+) to change, (\d+) to destroy/.exec(line);
    if (plan !== null) {
      const [made, changed, removed] = plan.slice(1);
      const parts = [
        [made, "to create"],
        [changed, "to change"],
        [removed, "to remove"],
      ].filter(([count]) => count !== "0");
      this.stage.note(`parts: ${parts.map((words) => words.join(" ")).join(", ")}`);
    } else if (/No (changes|objects need to be destroyed)/.test(line)) {
      this.stage.note("nothing to change");
    } else if (line.includes("Initializing the backend")) {
      this.stage.note("Terraform refreshes its state");
    }
  }

  private readScript(part: string, text: string): void {
    if (text.startsWith("Executing: ")) {
      return;
    }
    const printed = this.printed.get(part) ?? [];
    this.printed.set(part, [...printed, text]);
    const host = this.hosts.get(part);
    if (host === undefined) {
      return;
    }
    if (text.startsWith("error: ")) {
      host.end("failed", text.replace(`error: host ${part}: `, "").replace("error: ", ""));
    } else if (text.startsWith(`${part}: `)) {
      host.note(text.slice(part.length + 2));
    }
  }

  /** Ends the lines of hosts whose end Terraform has not reported. */
  end(outcome: "done" | "failed" | "interrupted"): void {
    for (const line of this.hosts.values()) {
      line.end(outcome);
    }
  }

  /** The cause of a failure: the errors of scripts, of Terraform or of the synthesis; otherwise the last lines. */
  failure(): Failure {
    const ofScripts = [...this.printed].flatMap(([part, lines]) => {
      const from = lines.findIndex((line) => line.startsWith("error: "));
      return from < 0 ? [] : [{ part, lines: lines.slice(from) }];
    });
    const reasons = [
      ofScripts.map(({ lines }) => lines),
      errorsIn(this.lines),
      [ofSynthesis(this.lines)],
      [lastOf(this.lines)],
    ];
    const [first = [], ...others] = reasons.find(([lines = []]) => lines.length > 0) ?? [];
    return {
      parts: ofScripts.map(({ part }) => part),
      why: [
        ...shortened(first),
        ...others.flatMap((lines) => ["", ...shortened(lines, LAST_LINES_OF_OTHERS)]),
      ],
    };
  }
}

/** The output of a failed synthesis, which cdktf repeats, indented. */
function ofSynthesis(lines: readonly string[]): string[] {
  const heading = lines.findLastIndex((line) => line.startsWith("Command output on std"));
  const printed = lines.slice(heading + 1);
  const end = printed.findIndex((line) => line !== "" && !line.startsWith("    "));
  return heading < 0
    ? []
    : printed
        .slice(0, end < 0 ? undefined : end)
        .map((line) => line.slice(4))
        .filter((line) => line.trim() !== "");
}

/** The last non-empty lines, starting from a script's error if there is one. */
function lastOf(lines: readonly string[]): string[] {
  const said = lines.map((line) => line.replace(OF_CDKTF, "")).filter((line) => line !== "");
  const error = said.findLastIndex((line) => line.startsWith("error: "));
  return error < 0 ? said.slice(-(FIRST_LINES + LAST_LINES)) : shortened(said.slice(error));
}

/** The error for a failed stage: its name, the cause, and the path of the log. */
function stageFailed(name: string, why: readonly string[], log: Log): OperatorError {
  return new OperatorError(
    [
      `\nFailed: ${name}`,
      ...why.map((line) => (line === "" ? "" : `  ${line}`)),
      `Full log: ${log.path}`,
    ].join("\n"),
  );
}

/** Whether a command failed, with the cause in the log. Other errors carry their own message. */
const isFailure = (error: unknown) => error instanceof CommandFailed;

/** Runs a script of scripts/local as a stage. */
export function scriptStage(
  { progress, log }: Stages,
  name: string,
  script: string,
  facts: ScriptFacts,
): Promise<void> {
  return progress.stage(name, async (line) => {
    const lines: string[] = [];
    const read = (text: string) => {
      lines.push(text);
      // The line already shows the stage's name and duration.
      line.note(text.trim().replace(new RegExp(`^(${name} |\\d+ s: )`), ""));
    };
    try {
      await log.followed(() => runScript(script, [], facts, log.output), read);
      if (lines.length === 0) {
        line.note("nothing to do");
      }
    } catch (error) {
      throw isFailure(error) ? stageFailed(name, lastOf(lines), log) : error;
    }
  });
}

/** Runs Terraform as a stage, to create, change or remove a cluster. */
export function terraformStage(
  { progress, log }: Stages,
  name: string,
  work: (output: Output) => Promise<unknown>,
): Promise<void> {
  return progress.stage(name, async (line) => {
    line.note("synthesizing");
    const reader = new TerraformReader(progress, line);
    const interrupted = interruptedFromNow();
    try {
      await log.followed(
        () => work(log.output),
        (text) => reader.read(text),
      );
      reader.end(interrupted() ? "interrupted" : "done");
    } catch (error) {
      reader.end(interrupted() ? "interrupted" : "failed");
      if (!isFailure(error)) {
        throw error;
      }
      const { parts, why } = reader.failure();
      line.note(parts.join(", "));
      throw stageFailed([name, parts.join(", ")].filter(Boolean).join(" of "), why, log);
    }
  });
}

/**
 * Runs the project's cdktf CLI, with plain output and without its check for updates.
 */
export async function runCdktf(output: Output, ...args: string[]): Promise<void> {
  await run([join("node_modules", ".bin", "cdktf"), ...args], {
    ...output,
    env: { CI: "1", CHECKPOINT_DISABLE: "1" },
  });
}
