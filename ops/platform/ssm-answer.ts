import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { PROJECT } from "../../hosts/project";

// How commands and what they print get through SSM, which limits both. The host's part is ssm-answer.sh.

/** What GetCommandInvocation keeps of a command's output, the first of it, in characters. */
export const SSM_OUTPUT = 24_000;
/** The same of its errors. */
export const SSM_ERRORS = 8_000;

/** Of one answer, in bytes: less than SSM keeps, with what stands around it. */
const PART = 23_000;
/** Likewise; the SSM agent adds a line of its own. */
const ERROR_PART = 7_000;
/** How many parts are fetched. What is packed into so many is some megabytes. */
const MAX_PARTS = 60;

/** A longer command is packed, and sent in parts of this size: with all it adds, SSM takes 64 KB. */
const COMMAND_PART = 30_000;

/** Words as one line for a shell, each as it is. */
export function shellLine(words: readonly string[]): string {
  return words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
}

let script: string | undefined;
function answerScript(args: readonly string[]): string {
  script ??= readFileSync(join(PROJECT, "ops", "platform", "ssm-answer.sh"), "utf8")
    .split("\n")
    .filter((line) => !/^\s*(#|$)/.test(line))
    .join("\n");
  return shellLine(["bash", "-c", script, "ssm-answer", ...args]);
}

/**
 * What a host's shell is to run, one after the other, so that a program runs and its output can be read.
 *
 * @param id letters and digits, another for each command
 */
export function shellCommands(command: readonly string[], id: string): string[] {
  const line = answerScript(["run", String(PART), String(ERROR_PART), ...command]);
  if (line.length <= COMMAND_PART) {
    return [line];
  }
  const packed = gzipSync(line).toString("base64");
  const file = `/run/cluster-command.${id}`;
  const lines: string[] = [];
  for (let at = 0; at < packed.length; at += COMMAND_PART) {
    const part = packed.slice(at, at + COMMAND_PART);
    lines.push(
      at === 0 ? `(umask 077; printf %s ${part} >${file})` : `printf %s ${part} >>${file}`,
    );
  }
  return [...lines, `command=$(base64 -d ${file} | gunzip); rm -f ${file}; eval "$command"`];
}

/** What a host's shell is to run to print a further part of an answer. */
export function partCommand(file: string, number: number): string {
  return answerScript(["part", String(PART), file, String(number)]);
}

/** What a command printed, as far as it has come. */
export type Answer =
  | { readonly kind: "whole"; readonly text: string }
  | {
      readonly kind: "parts";
      readonly first: string;
      readonly count: number;
      readonly file: string;
    }
  /** Some of it is missing, for a reason. */
  | { readonly kind: "cut"; readonly text: string; readonly reason: string };

const FRAME = /^answer (plain|packed|parts (\d+) (\S+))\n([\s\S]*)\nanswer end\s*$/;

/** Reads what SSM has of a command's output. */
export function parseAnswer(output: string): Answer {
  const [, kind, count, file, content = ""] = FRAME.exec(output) ?? [];
  switch (kind) {
    case undefined: {
      // A host where there was no room for a file prints as it is, up to what SSM keeps.
      const isCut = output.startsWith("answer ") || output.length >= SSM_OUTPUT;
      return isCut
        ? {
            kind: "cut",
            text: output,
            reason: `SSM kept no more than ${output.length} characters of it`,
          }
        : { kind: "whole", text: output };
    }
    case "plain":
      return { kind: "whole", text: content };
    case "packed":
      return unpacked([content]);
    default:
      return Number(count) > MAX_PARTS
        ? { kind: "cut", text: "", reason: `packed, it is ${count} times what SSM carries at once` }
        : { kind: "parts", first: content, count: Number(count), file: file as string };
  }
}

/** Puts the parts of an answer together. */
export function unpacked(parts: readonly string[]): Answer {
  try {
    return { kind: "whole", text: gunzipSync(Buffer.from(parts.join(""), "base64")).toString() };
  } catch {
    return { kind: "cut", text: "", reason: "what came is not what was sent" };
  }
}

/**
 * The errors of a command. The SSM agent adds how the shell ended, which is known; that some of it is missing is
 * said, as ssm-answer.sh does.
 */
export function errorsOf(errors: string): string {
  const own = errors.replace(/\n?failed to run commands: exit status \d+\s*$/, "");
  return errors.length >= SSM_ERRORS ? `${own}\n(SSM kept no more of this)` : own;
}
