import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeApp } from "../../stacks/app";
import { AwsStack } from "../../stacks/aws";
import type { ClusterSettingsInput } from "../../topology/settings";
import { SCRIPTS, topologyOf } from "../hosts/rendered";

/** Stands for the archive of the first release. */
export const RELEASE = "fedcba9876543210".repeat(4);

// biome-ignore lint/suspicious/noExplicitAny: Terraform's JSON has no types.
export type Json = any;

/** Terraform of stack aws, of a cluster named demo with the given settings, as text and parsed. */
export function synthesizedAws(settings: Partial<ClusterSettingsInput> = {}): {
  text: string;
  json: Json;
} {
  const workspace = mkdtempSync(join(tmpdir(), "aws-"));
  try {
    const file = join(workspace, "archive.tar.gz");
    writeFileSync(file, "archive");
    const app = makeApp(join(workspace, "out"));
    new AwsStack(app, "aws", {
      topology: topologyOf(settings, "aws"),
      scripts: { sha256: SCRIPTS, name: `scripts/${SCRIPTS}.tar.gz`, file },
      release: { sha256: RELEASE, name: `releases/${RELEASE}.tar.gz`, file },
    });
    app.synth();
    const text = readFileSync(join(workspace, "out", "stacks", "aws", "cdk.tf.json"), "utf8");
    return { text, json: JSON.parse(text) };
  } finally {
    rmSync(workspace, { recursive: true });
  }
}
