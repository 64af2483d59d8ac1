import { execFileSync, spawnSync } from "node:child_process";
import {
  errorsOf,
  parseAnswer,
  partCommand,
  SSM_ERRORS,
  SSM_OUTPUT,
  shellCommands,
  shellLine,
  unpacked,
} from "../../../ops/platform/ssm-answer";

/** What SSM has of a command: the first of its output, the first of its errors. */
function throughSsm(lines: readonly string[]) {
  let [stdout, stderr, status]: [string, string, number | null] = ["", "", 0];
  for (const line of lines) {
    const ran = spawnSync("sh", ["-c", line], { encoding: "utf8", maxBuffer: 1e9 });
    [stdout, stderr, status] = [ran.stdout, ran.stderr, ran.status];
  }
  return {
    exitCode: status,
    stdout: stdout.slice(0, SSM_OUTPUT),
    stderr: stderr.slice(0, SSM_ERRORS),
  };
}

/** What is read of a program's output. */
function carried(command: readonly string[]): { text: string; answers: number } {
  const first = parseAnswer(throughSsm(shellCommands(command, "test")).stdout);
  if (first.kind !== "parts") {
    return { text: first.kind === "whole" ? first.text : `cut: ${first.reason}`, answers: 1 };
  }
  const parts = [first.first];
  for (let number = 1; number < first.count; number++) {
    const part = parseAnswer(throughSsm([partCommand(first.file, number)]).stdout);
    parts.push(part.kind === "whole" ? part.text : "");
  }
  execFileSync("rm", [first.file]);
  const answer = unpacked(parts);
  return { text: answer.kind === "whole" ? answer.text : "cut", answers: parts.length };
}

const program = (javascript: string) => [process.execPath, "-e", javascript];
const printing = (expression: string) => program(`process.stdout.write(${expression})`);

test("arguments reach a shell unchanged", () => {
  const words = ["printf", "%s|", "a b", "it's", "$HOME", "`id`", 'x"y', "", "*", "\\"];
  expect(execFileSync("sh", ["-c", shellLine(words)], { encoding: "utf8" })).toBe(
    "a b|it's|$HOME|`id`|x\"y||*|\\|",
  );
  expect(carried(words).text).toBe("a b|it's|$HOME|`id`|x\"y||*|\\|");
});

describe("a host's output arrives complete", () => {
  test.each([
    ["nothing", "''", 1],
    ["a line", "'a line\\n'", 1],
    ["lines that look like the frame's own", "'answer end\\nanswer plain\\n\\nanswer end\\n'", 1],
    ["what SSM would just cut", "'x'.repeat(24_001)", 1],
    ["100,000 characters that pack well", "'0123456789'.repeat(10_000)", 1],
    [
      "100,000 characters that hardly pack",
      "Array.from({ length: 3125 }, (_, i) => require('crypto').createHash('md5').update(String(i)).digest('hex')).join('')",
      4,
    ],
    ["100,000 characters of more than one byte", "'\u00fc\u20ac'.repeat(50_000)", 1],
  ])("%s", (_, expression, answers) => {
    const expected = new Function("require", `return ${expression}`)(require);
    const { text, answers: counted } = carried(printing(expression));
    expect(text === expected).toBe(true);
    expect(counted).toBe(answers);
  });

  test("or its loss is reported: too much output, a lost part, a host without space for a file", () => {
    expect(parseAnswer("answer parts 900 /run/x\nAAAA\nanswer end\n")).toMatchObject({
      kind: "cut",
      reason: "even compressed, it would need 900 parts; the maximum is 60",
    });
    expect(parseAnswer(`answer plain\n${"x".repeat(30_000)}`.slice(0, SSM_OUTPUT)).kind).toBe(
      "cut",
    );
    expect(parseAnswer("x".repeat(SSM_OUTPUT)).kind).toBe("cut");
    expect(unpacked(["H4sIAPdz"]).kind).toBe("cut");
    expect(parseAnswer("plainly\n")).toEqual({ kind: "whole", text: "plainly\n" });
  });
});

describe("the end of an error is kept", () => {
  test("short errors completely, with the exit code", () => {
    expect(
      throughSsm(shellCommands(program("console.error('why'); process.exit(7)"), "test")),
    ).toEqual({
      exitCode: 7,
      stdout: "answer plain\n\nanswer end\n",
      stderr: "why\n",
    });
  });

  test("of long errors the end, with how much was omitted, and no partial character", () => {
    const { stderr, exitCode } = throughSsm(
      shellCommands(
        program(
          "process.stderr.write('x' + '\u20ac'.repeat(40_000) + '\\nthe last line\\n'); process.exitCode = 1",
        ),
        "test",
      ),
    );
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(
      /^\(the first 113016 of 120016 bytes were omitted\)\n\u20ac+\nthe last line\n$/,
    );
  });

  test("text that the SSM agent adds is removed, and truncation by SSM is reported", () => {
    expect(errorsOf("why\nfailed to run commands: exit status 3")).toBe("why");
    expect(errorsOf("x".repeat(SSM_ERRORS))).toMatch(/x\n\(truncated by SSM\)$/);
  });
});

test("a command that exceeds SSM's limit is sent in parts", () => {
  const random = Array.from({ length: 9000 }, (_, index) => Math.sin(index + 1)).join(",");
  const argument = random.slice(0, 100_000);
  const commands = shellCommands(["printf", "%s", argument], "test");
  expect(commands.length).toBeGreaterThan(2);
  expect(commands.every((line) => line.length < 40_000)).toBe(true);
  expect(carried(["printf", "%s", argument]).text === argument).toBe(true);
});
