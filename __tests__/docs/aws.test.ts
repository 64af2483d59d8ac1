import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PROJECT } from "../../hosts/project";
import { machineOf, ROLES } from "../../topology/roles";
import { parseClusters } from "../../topology/settings";
import { buildTopology } from "../../topology/topology";

const DOCS = join(PROJECT, "docs");
const page = readFileSync(join(DOCS, "aws.md"), "utf8");
const [settings] = parseClusters([{ name: "demo" }]);
const topology = buildTopology(settings as never, "aws");

/** https://docs.aws.amazon.com/ec2/latest/instancetypes/gp.html */
const VCPUS: Readonly<Record<string, number>> = { "t3.micro": 2, "t3.small": 2 };

test("the page names the vCPUs that the default cluster needs", () => {
  const needed = topology.hosts.reduce(
    (sum, { role }) => sum + (VCPUS[machineOf(topology.settings, role).instanceType] ?? Number.NaN),
    0,
  );
  expect(page.replace(/\s+/g, " ")).toContain(`default cluster's five hosts have ${needed}:`);
});

describe("the deployer's policy", () => {
  const policy = JSON.parse(readFileSync(join(DOCS, "aws-deployer-policy.json"), "utf8"));
  const statement = (sid: string): { Action: string[]; Resource: string[] } => {
    const found = policy.Statement.find(({ Sid }: { Sid: string }) => Sid === sid);
    return { Action: found.Action, Resource: [found.Resource].flat() };
  };
  const covers = (sid: string, arn: string) =>
    statement(sid).Resource.some((pattern) =>
      new RegExp(`^${pattern.replaceAll("*", ".*")}$`).test(arn),
    );

  test.each(["flow-logs", "copies"])("covers the role of %s", (name) => {
    expect(covers("Roles", `arn:aws:iam::123456789012:role/demo-${name}`)).toBe(true);
  });

  test("covers the group of flow logs, and keys by their tag", () => {
    expect(covers("Logs", "arn:aws:logs:eu-central-1:123456789012:log-group:/demo/flow-logs")).toBe(
      true,
    );
    const { Condition } = policy.Statement.find(({ Sid }: { Sid: string }) => Sid === "Keys");
    expect(Condition).toEqual({ StringEquals: { "aws:ResourceTag/Cluster": "demo" } });
  });

  test.each(ROLES)("covers the role and the instance profile of %s hosts", (role) => {
    expect(covers("Roles", `arn:aws:iam::123456789012:role/demo-${role}`)).toBe(true);
    expect(covers("Roles", `arn:aws:iam::123456789012:instance-profile/demo-${role}`)).toBe(true);
  });

  test.each(["store", "backups", "logs", "copies"])(
    "covers the bucket %s and what is in it",
    (bucket) => {
      expect(covers("Buckets", `arn:aws:s3:::demo-${bucket}-2026`)).toBe(true);
      expect(covers("Buckets", `arn:aws:s3:::demo-${bucket}-2026/scripts/x.tar.gz`)).toBe(true);
    },
  );

  test("covers every parameter", () => {
    const names = topology.secrets.map(({ name }) => `secrets/${name}`);
    for (const name of [...names, "bucket", "backups-bucket", "copies/backup-password"]) {
      const arn = `arn:aws:ssm:eu-central-1:123456789012:parameter/demo/${name}`;
      expect(covers("Parameters", arn)).toBe(true);
    }
  });

  test("covers nothing of another cluster where AWS tells clusters apart", () => {
    expect(covers("Roles", "arn:aws:iam::123456789012:role/other-web")).toBe(false);
    expect(covers("Buckets", "arn:aws:s3:::other-store-2026")).toBe(false);
    expect(covers("Parameters", "arn:aws:ssm:eu-central-1:1:parameter/other/bucket")).toBe(false);
    expect(covers("Logs", "arn:aws:logs:eu-central-1:1:log-group:/other/flow-logs")).toBe(false);
  });

  test("names each action once", () => {
    const actions = policy.Statement.flatMap(({ Action }: { Action: string[] }) => Action);
    expect(actions.length).toBe(new Set(actions).size);
  });
});
