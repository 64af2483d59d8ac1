import { execFileSync } from "node:child_process";
import { ranOf, shellLine } from "../../../ops/platform/aws";

test("words reach a shell as they are", () => {
  const words = ["printf", "%s|", "a b", "it's", "$HOME", "`id`", 'x"y', "", "*", "\\"];
  expect(execFileSync("sh", ["-c", shellLine(words)], { encoding: "utf8" })).toBe(
    "a b|it's|$HOME|`id`|x\"y||*|\\|",
  );
});

describe("how a command ended, as SSM tells it", () => {
  const invocation = (Status: string, ResponseCode: number) => ({
    Status,
    ResponseCode,
    StandardOutputContent: "out",
    StandardErrorContent: "error",
  });

  test.each([
    ["Success", 0, 0],
    ["Failed", 3, 3],
    // It never began.
    ["Failed", -1, undefined],
    ["TimedOut", -1, undefined],
    ["Cancelled", -1, undefined],
  ])("%s with code %d", (status, code, exitCode) => {
    expect(ranOf(invocation(status, code))).toEqual({ exitCode, stdout: "out", stderr: "error" });
  });

  test.each(["Pending", "InProgress", "Delayed"])("%s is no end", (status) => {
    expect(ranOf(invocation(status, -1))).toBeUndefined();
  });
});
