import { Progress } from "../../machine/progress";
import { TerraformReader } from "../../machine/terraform";

/** Reads what the command line of cdktf prints; `rows` is what is seen of it. */
function reading(text: string) {
  const rows: string[] = [];
  const progress = new Progress({ write: (row: string) => rows.push(row.trimEnd()) });
  const stage = progress.begin("deploy");
  const reader = new TerraformReader(progress, stage);
  for (const line of text.split("\n")) {
    reader.read(line);
  }
  return { reader, stage, rows };
}

const configuration = (host: string, text: string) =>
  `local  terraform_data.configuration["${host}"]${text}`;

test("a host gets a line once Terraform is done with it, with the last output of its script", () => {
  const { rows, reader, stage } = reading(
    [
      "local  Initializing the backend...",
      "       Plan: 16 to add, 0 to change, 2 to destroy.",
      '       terraform_data.host["web-9"]: Destroying... [id=1]',
      '       terraform_data.host["web-9"]: Destruction complete after 1s',
      configuration("database-1", ": Creating..."),
      configuration("web-1", ": Creating..."),
      configuration("web-1", ": Provisioning with 'local-exec'..."),
      configuration("web-1", ' (local-exec): Executing: ["/bin/sh" "-c" "bash host.sh"]'),
      configuration("web-1", " (local-exec): web-1: started"),
      configuration("web-1", ": Still creating... [10s elapsed]"),
      configuration("web-1", " (local-exec): web-1: ready"),
      configuration("web-1", ": Creation complete after 17s [id=5]"),
    ].join("\n"),
  );
  expect(rows).toEqual([
    "✓    0 s    web-9              removed",
    "✓    0 s    web-1              ready",
  ]);
  reader.end("done");
  stage.end("done");
  expect(rows.slice(2)).toEqual([
    "✓    0 s    database-1",
    "✓    0 s  deploy               parts: 16 to create, 2 to remove",
  ]);
});

test("a deploy without changes says that there is nothing to change", () => {
  const { rows, stage } = reading("local  No changes. Your infrastructure matches.");
  stage.end("done");
  expect(rows).toEqual(["✓    0 s  deploy               nothing to change"]);
});

test("a script's error ends its host's line at once, and is shortened and reported once as the reason", () => {
  const log = Array.from({ length: 20 }, (_, index) => `    line ${index}`);
  const lines = (host: string) =>
    [
      `error: host ${host}: its update failed`,
      "  broken",
      "  no unit failed; its log:",
      ...log,
      "  look inside",
    ].map((line) => configuration(host, ` (local-exec): ${line}`));
  const { reader, rows } = reading(
    [
      configuration("web-1", ": Creating..."),
      configuration("web-2", ": Creating..."),
      ...lines("web-2"),
      ...lines("web-1"),
      "       ╷",
      "       │ Error: local-exec provisioner error",
      "       ╵",
    ].join("\n"),
  );
  expect(rows).toEqual([
    "✗    0 s    web-2              failed: its update failed",
    "✗    0 s    web-1              failed: its update failed",
  ]);
  const { parts, why } = reader.failure();
  expect(parts).toEqual(["web-2", "web-1"]);
  expect(why.slice(0, 6)).toEqual([
    "error: host web-2: its update failed",
    "  broken",
    "  no unit failed; its log:",
    "    line 0",
    "  … 8 lines …",
    "    line 9",
  ]);
  expect(why.slice(-7)).toEqual([
    "",
    "error: host web-1: its update failed",
    "  broken",
    "  no unit failed; its log:",
    "    line 0",
    "  … 19 lines …",
    "  look inside",
  ]);
});

test("an error of Terraform's own is reported once, without its box, and warnings are ignored", () => {
  const box = (prefix: string, ...lines: string[]) =>
    ["╷", ...lines.map((line) => `│ ${line}`), "╵"].map((line) => `${prefix}${line}`).join("\n");
  const locked = ["Error: Error acquiring the state lock", "", "Lock Info:", "  ID: 7"];
  const { reader } = reading(
    [
      box("", "Warning: Unable to open CLI configuration file"),
      box("       ", ...locked),
      box("local  ", ...locked),
      "Invoking Terraform CLI failed with exit code 1",
    ].join("\n"),
  );
  expect(reader.failure()).toEqual({ parts: [], why: locked });
});

test("invalid settings are reported in the project's own words", () => {
  const { reader } = reading(
    [
      "[2026-11-27T03:48:01.415] [ERROR] default - cluster.config.ts has 1 problem:",
      "  clusters[0].app.directory: got nowhere",
      "ERROR: cdktf encountered an error while synthesizing",
      "",
      "Synth command: node -r ts-node/register main.ts",
      "Error:         non-zero exit code 1",
      "",
      "Command output on stderr:",
      "",
      "    cluster.config.ts has 1 problem:",
      "      clusters[0].app.directory: got nowhere",
      "",
      "",
      "⠸  Synthesizing",
    ].join("\n"),
  );
  expect(reader.failure().why).toEqual([
    "cluster.config.ts has 1 problem:",
    "  clusters[0].app.directory: got nowhere",
  ]);
});

test("the last lines are the reason if they contain no known error", () => {
  const lines = Array.from({ length: 30 }, (_, index) => `line ${index}`);
  const { reader } = reading(lines.join("\n"));
  expect(reader.failure().why).toEqual(lines.slice(-16));
});
