import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { PROJECT } from "../../hosts/project";

// Encodes commands and their output for SSM, which limits the size of both. The host's side is ssm-answer.sh.

/** SSM keeps only this many characters of a command's standard output, from its start. */
export const SSM_OUTPUT = 24_000;
/** The same for standard error. */
export const SSM_ERRORS = 8_000;

/** Maximum size of one part of an answer, in bytes: leaves room for the lines around it. */
const PART = 23_000;
/** Maximum size of the errors, in bytes: leaves room for a line that the SSM agent adds. */
const ERROR_PART = 7_000;
/** Maximum number of parts: compressed output of some megabytes. */
const MAX_PARTS = 60;

/** A longer command is compressed, and sent in parts of this size: SSM's limit is 64 KB, including what it adds. */
const COMMAND_PART = 30_000;

/** Quotes words as one line for a shell. */
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
 * The shell commands, to be run one after the other, that run a program and print its encoded output.
 *
 * @param id letters and digits, unique for each command
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

/** The shell command that prints another part of an answer. */
export function partCommand(file: string, number: number): string {
  return answerScript(["part", String(PART), file, String(number)]);
}

/** The decoded output of a command, or its first part. */
export type Answer =
  | { readonly kind: "whole"; readonly text: string }
  | {
      readonly kind: "parts";
      readonly first: string;
      readonly count: number;
      readonly file: string;
    }
  /** Part of it is missing. */
  | { readonly kind: "cut"; readonly text: string; readonly reason: string };

const FRAME = /^answer (plain|packed|parts (\d+) (\S+))\n([\s\S]*)\nanswer end\s*$/;

/** Decodes a command's output. */
export function parseAnswer(output: string): Answer {
  const [, kind, count, file, content = ""] = FRAME.exec(output) ?? [];
  switch (kind) {
    case undefined: {
      // Without room for a temporary file, a host prints the output verbatim, and SSM truncates it.
      const isCut = output.startsWith("answer ") || output.length >= SSM_OUTPUT;
      return isCut
        ? {
            kind: "cut",
            text: output,
            reason: `SSM truncated it to ${output.length} characters`,
          }
        : { kind: "whole", text: output };
    }
    case "plain":
      return { kind: "whole", text: content };
    case "packed":
      return unpacked([content]);
    default:
      return Number(count) > MAX_PARTS
        ? {
            kind: "cut",
            text: "",
            reason: `even compressed, it would need ${count} parts; the maximum is ${MAX_PARTS}`,
          }
        : { kind: "parts", first: content, count: Number(count), file: file as string };
  }
}

/** Decodes the parts of an answer. */
export function unpacked(parts: readonly string[]): Answer {
  try {
    return { kind: "whole", text: gunzipSync(Buffer.from(parts.join(""), "base64")).toString() };
  } catch {
    return { kind: "cut", text: "", reason: "it was corrupted on the way" };
  }
}

/**
 * The standard error of a command, without the exit status that the SSM agent appends, and with a note if it was
 * truncated, like that of ssm-answer.sh.
 */
export function errorsOf(errors: string): string {
  const own = errors.replace(/\n?failed to run commands: exit status \d+\s*$/, "");
  return errors.length >= SSM_ERRORS ? `${own}\n(truncated by SSM)` : own;
}
