import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { renderHosts } from "../../hosts/render";
import { compressUserData } from "../../hosts/user-data";
import { makeApp } from "../../stacks/app";
import { AwsStack } from "../../stacks/aws";
import { LocalStack } from "../../stacks/local";
import { SCRIPTS, topologyOf } from "../hosts/rendered";

// Both stacks of the default cluster, whole. The user-data in them has snapshots of its own.

const workspace = mkdtempSync(join(tmpdir(), "snapshot-"));
const RELEASE = "fedcba9876543210".repeat(4);

afterAll(() => rmSync(workspace, { recursive: true }));

/** The Terraform of a stack, with each host's user-data by name instead of whole. */
function synthesized(stack: "aws" | "local"): unknown {
  const file = join(workspace, "archive.tar.gz");
  writeFileSync(file, "archive");
  const scripts = { sha256: SCRIPTS, name: `scripts/${SCRIPTS}.tar.gz`, file };
  const release = { sha256: RELEASE, name: `releases/${RELEASE}.tar.gz`, file };
  const app = makeApp(join(workspace, stack));
  const topology = topologyOf({}, stack);
  const Stack = stack === "aws" ? AwsStack : LocalStack;
  new Stack(app, stack, { topology, scripts, release });
  app.synth();
  const text = readFileSync(join(workspace, stack, "stacks", stack, "cdk.tf.json"), "utf8");
  const hosts = renderHosts(topology, { platform: stack, scripts: SCRIPTS });
  const named = new Map(
    hosts.flatMap(({ name, userData }) => [
      [userData, `<user-data of ${name}>`],
      [compressUserData(userData).toString("base64"), `<compressed user-data of ${name}>`],
    ]),
  );
  return JSON.parse(text, (_, value) => {
    const literal =
      typeof value === "string" ? value.replaceAll("$${", "${").replaceAll("%%{", "%{") : value;
    return named.get(literal) ?? value;
  });
}

test.each(["aws", "local"] as const)("stack %s", (stack) => {
  expect(synthesized(stack)).toMatchSnapshot();
});
