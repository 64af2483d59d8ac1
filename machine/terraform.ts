import { join } from "node:path";
import { OperatorError } from "../ops/operator-error";
import { CommandFailed, run, runScript, type ScriptFacts } from "../ops/run";
import { Log, type Output, placeForLog } from "./log";
import { interruptedFromNow, type Line, Progress } from "./progress";

/** Where stages show: a line each on the screen, everything else in the log. */
export interface Stages {
  readonly progress: Progress;
  readonly log: Log;
}

/** Begins a command's stages, and says where the log is. */
export function beginStages(command: string, stack: string): Stages {
  const log = new Log(placeForLog(`${command}-${stack}`));
  const progress = new Progress();
  progress.say(`log: ${log.path}\n`);
  return { progress, log };
}

/** How much of a failure's lines is shown: what it begins with names it, what it ends with tells how it came to it. */
const FIRST_LINES = 4;
const LAST_LINES = 12;

/** Of what failed besides, which is mostly the same once more, only the last line: where to look. */
const LAST_LINES_OF_OTHERS = 1;

function shortened(lines: readonly string[], last = LAST_LINES): string[] {
  const left = lines.length - FIRST_LINES - last;
  return left <= 1
    ? [...lines]
    : [...lines.slice(0, FIRST_LINES), `  … ${left} lines …`, ...lines.slice(-last)];
}

/** What Terraform prints of a resource: `terraform_data.NAME["KEY"]: TEXT`, or of its script. */
const OF_RESOURCE = /terraform_data\.(\w+)(?:\["([^"]+)"\])?( \(local-exec\))?: (.*)$/;

/** What the command line of cdktf puts before what it hands on: the stack's name once, then as much room. */
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
  /** The hosts, and what they stand on, whose scripts failed. */
  readonly parts: readonly string[];
  readonly why: readonly string[];
}

/** Reads what Terraform prints, and has a line on the screen for each host that it does something to. */
export class TerraformReader {
  private readonly lines: string[] = [];
  private readonly hosts = new Map<string, Line>();
  /** What the scripts of parts have printed since Terraform began with them. */
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
        [made, "to make"],
        [changed, "to change"],
        [removed, "to remove"],
      ].filter(([count]) => count !== "0");
      this.stage.note(`parts: ${parts.map((words) => words.join(" ")).join(", ")}`);
    } else if (/No (changes|objects need to be destroyed)/.test(line)) {
      this.stage.note("nothing to change");
    } else if (line.includes("Initializing the backend")) {
      this.stage.note("Terraform looks at what is there");
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

  /** Ends what Terraform did not say the end of. */
  end(outcome: "done" | "failed" | "interrupted"): void {
    for (const line of this.hosts.values()) {
      line.end(outcome);
    }
  }

  /** Why it failed: in the words of the scripts that did, of Terraform, of the project, else what came last. */
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

/** What the project itself printed when it could not be read, as cdktf repeats it, indented. */
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

/** The last lines that say something: from an error of a script on, where there is one. */
function lastOf(lines: readonly string[]): string[] {
  const said = lines.map((line) => line.replace(OF_CDKTF, "")).filter((line) => line !== "");
  const error = said.findLastIndex((line) => line.startsWith("error: "));
  return error < 0 ? said.slice(-(FIRST_LINES + LAST_LINES)) : shortened(said.slice(error));
}

/** What is said when a stage failed: which, why, and where the rest is. */
function stageFailed(name: string, why: readonly string[], log: Log): OperatorError {
  return new OperatorError(
    [
      `\nFailed: ${name}`,
      ...why.map((line) => (line === "" ? "" : `  ${line}`)),
      `The whole log: ${log.path}`,
    ].join("\n"),
  );
}

/** Whether a command failed. What is thrown besides tells more than a log does. */
const isFailure = (error: unknown) => error instanceof CommandFailed;

/** A stage that is a script of scripts/local. */
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
      // The line has the stage's name and the seconds already.
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

/** A stage in which Terraform makes or removes a cluster. */
export function terraformStage(
  { progress, log }: Stages,
  name: string,
  work: (output: Output) => Promise<unknown>,
): Promise<void> {
  return progress.stage(name, async (line) => {
    line.note("the project is read");
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
 * Runs the cdktf command line of the project, with plain lines instead of a moving display and
 * without asking its maker's server for news.
 */
export async function runCdktf(output: Output, ...args: string[]): Promise<void> {
  await run([join("node_modules", ".bin", "cdktf"), ...args], {
    ...output,
    env: { CI: "1", CHECKPOINT_DISABLE: "1" },
  });
}
