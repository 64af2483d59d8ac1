import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeApp } from "../../stacks/app";
import { LocalStack } from "../../stacks/local";
import { localNames } from "../../topology/names";
import { type ClusterSettingsInput, parseClusters } from "../../topology/settings";
import { buildTopology } from "../../topology/topology";

interface Resource {
  for_each?: Record<string, Record<string, string>>;
  input?: Record<string, string>;
  triggers_replace: Record<string, string>;
  provisioner: Array<{ "local-exec": { when: string; command: string; environment: object } }>;
}

const RELEASE = "a".repeat(64);
const SCRIPTS = "b".repeat(64);
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "local-stack-"));
  writeFileSync(join(folder, "archive.tar.gz"), "archive");
});

afterAll(() => rmSync(folder, { recursive: true }));

function synthesize(settings: Partial<ClusterSettingsInput> = {}, release = RELEASE) {
  const [parsed] = parseClusters([{ name: "demo", ...settings }]);
  const outdir = join(folder, "cdktf.out");
  const app = makeApp(outdir);
  const file = join(folder, "archive.tar.gz");
  new LocalStack(app, "local", {
    topology: buildTopology(parsed as NonNullable<typeof parsed>, "local"),
    scripts: { sha256: SCRIPTS, name: `scripts/${SCRIPTS}.tar.gz`, file },
    release: { sha256: release, name: `releases/${release}.tar.gz`, file },
  });
  app.synth();
  const stack = join(outdir, "stacks", "local");
  const text = readFileSync(join(stack, "cdk.tf.json"), "utf8");
  const json = JSON.parse(text);
  return {
    stack,
    text,
    json,
    resources: json.resource.terraform_data as Record<string, Resource>,
  };
}

/** The hosts whose configuration differs between two sets of settings. */
function touched(before: Partial<ClusterSettingsInput>, after: Partial<ClusterSettingsInput>) {
  const one = synthesize(before).resources.configuration?.for_each ?? {};
  const other = synthesize(after).resources.configuration?.for_each ?? {};
  return Object.keys({ ...one, ...other })
    .filter((name) => JSON.stringify(one[name]) !== JSON.stringify(other[name]))
    .sort();
}

describe("the synthesized stack", () => {
  test("needs no provider and names no path of this machine", () => {
    const { json, text } = synthesize();
    expect(json.provider).toBeUndefined();
    expect(Object.keys(json.resource)).toEqual(["terraform_data"]);
    expect(text).not.toContain(process.cwd());
    expect(text).not.toContain(folder);
  });

  test("is the same each time it is synthesized", () => {
    expect(synthesize().text).toBe(synthesize().text);
  });

  test("keeps its state in the project's directory", () => {
    expect(synthesize().json.terraform.backend.local.path).toBe("../../../terraform.local.tfstate");
  });

  test("comes with every file that its provisioners read", () => {
    const { stack, resources } = synthesize();
    for (const { provisioner } of Object.values(resources)) {
      for (const { "local-exec": exec } of provisioner) {
        const [, script] = exec.command.split(" ");
        expect(existsSync(join(stack, script as string))).toBe(true);
      }
    }
    expect(existsSync(join(stack, "archives", "scripts", `${SCRIPTS}.tar.gz`))).toBe(true);
    expect(existsSync(join(stack, "archives", "releases", `${RELEASE}.tar.gz`))).toBe(true);
    for (const name of Object.keys(resources.configuration?.for_each ?? {})) {
      expect(readFileSync(join(stack, "user-data", name), "utf8")).toMatch(/^#cloud-config\n/);
    }
  });

  test("removes the files of a host or a release that no longer exists", () => {
    synthesize({ webServers: { count: 3 } }, "c".repeat(64));
    const { stack } = synthesize();
    expect(existsSync(join(stack, "user-data", "web-3"))).toBe(false);
    expect(existsSync(join(stack, "archives", "releases", `${"c".repeat(64)}.tar.gz`))).toBe(false);
  });

  test("contains no user-data itself", () => {
    expect(synthesize().text).not.toContain("#cloud-config");
  });
});

describe("creation and removal", () => {
  test("are separate resources, so that a failed creation removes nothing", () => {
    for (const { provisioner } of Object.values(synthesize().resources)) {
      expect(new Set(provisioner.map(({ "local-exec": exec }) => exec.when)).size).toBe(1);
    }
  });

  test("a creation that was killed is repeated", () => {
    for (const { provisioner, triggers_replace } of Object.values(synthesize().resources)) {
      if (provisioner.some(({ "local-exec": exec }) => exec.when === "create")) {
        expect(triggers_replace.unfinished).toContain("/var/lib/dwi/unfinished/dwi-demo/");
      }
    }
  });

  test("removal reads only the resource itself", () => {
    for (const { provisioner } of Object.values(synthesize().resources)) {
      for (const { "local-exec": exec } of provisioner.filter(
        (entry) => entry["local-exec"].when === "destroy",
      )) {
        const expressions = JSON.stringify(exec.environment).split("${").slice(1);
        expect(expressions.map((expression) => expression.split("}")[0])).toEqual([
          "self.input.name",
          "self.input.project",
        ]);
      }
    }
  });

  test("only database hosts have volumes", () => {
    const { resources } = synthesize({ database: { replicas: 2 } });
    expect(Object.keys(resources.volume?.for_each ?? {})).toEqual([
      "database-1",
      "database-2",
      "database-3",
    ]);
  });
});

describe("a change of settings", () => {
  test("replaces no host unless its address or role changes", () => {
    const hosts = (settings: Partial<ClusterSettingsInput>) =>
      synthesize(settings).resources.host?.for_each;
    const before = hosts({});
    expect(hosts({ loadBalancer: { algorithm: "leastconn" } })).toEqual(before);
    expect(hosts({ database: { memory: 2048 } })).toEqual(before);
    expect(hosts({ webServers: { count: 3 } })).toMatchObject(before as object);
    expect(hosts({ network: { cidr: "10.91.0.0/22" } })).not.toEqual(before);
  });

  test("of the algorithm affects only the load balancer", () => {
    expect(touched({}, { loadBalancer: { algorithm: "leastconn" } })).toEqual(["load-balancer-1"]);
  });

  test("of the web servers' memory affects only them", () => {
    expect(touched({}, { webServers: { memory: 640 } })).toEqual(["web-1", "web-2"]);
  });

  test("of the app affects no host: releases are the operator's task", () => {
    expect(touched({}, { app: { directory: "other", port: 8081 } })).toEqual([]);
    const triggers = (release?: string) =>
      Object.values(synthesize({}, release).resources).map((one) => one.triggers_replace);
    expect(triggers("c".repeat(64))).toEqual(triggers());
  });

  test("of the distribution creates another image, and affects no existing host", () => {
    const ubuntu: Partial<ClusterSettingsInput> = { local: { distribution: "ubuntu" } };
    expect(touched({}, ubuntu)).toEqual([]);
    const [before, after] = [{}, ubuntu].map((settings) => synthesize(settings).resources);
    const changed = Object.keys(before ?? {}).filter(
      (name) =>
        JSON.stringify(before?.[name]?.triggers_replace) !==
        JSON.stringify(after?.[name]?.triggers_replace),
    );
    expect(changed).toEqual(["image"]);
  });

  test("of the mirror creates another image", () => {
    const recipe = (mirror?: string) =>
      synthesize({ local: { mirror } }).resources.image?.triggers_replace.recipe;
    expect(recipe("http://mirror.example.com/debian")).not.toBe(recipe());
  });

  test.each<Partial<ClusterSettingsInput>>([
    { localPort: 9090 },
    { localTlsPort: 9443 },
    { tls: { mode: "off" } },
  ])("of the ports affects only the load balancer: %j", (settings) => {
    expect(touched({}, settings)).toEqual(["load-balancer-1"]);
  });
});

describe("the ports of this machine", () => {
  const published = (settings: Partial<ClusterSettingsInput> = {}) => {
    const { json, resources } = synthesize(settings);
    const { configuration, publication } = resources;
    return {
      byHost: Object.entries(configuration?.for_each ?? {}).flatMap(([name, host]) =>
        host.published === "" ? [] : [`${name} ${host.published}`],
      ),
      byEntrance: publication?.triggers_replace.published,
      outputs: { url: json.output.url?.value, tlsUrl: json.output.tls_url?.value },
    };
  };

  test("are those for plain HTTP and for TLS, of the only load balancer", () => {
    expect(published()).toEqual({
      byHost: ["load-balancer-1 8080:80 8443:443"],
      byEntrance: undefined,
      outputs: { url: "http://127.0.0.1:8080/", tlsUrl: "https://127.0.0.1:8443/" },
    });
  });

  test("are those of the container in front of two load balancers", () => {
    const { byHost, byEntrance } = published({ loadBalancer: { count: 2 }, localPort: 8081 });
    expect(byHost).toEqual([]);
    expect(byEntrance).toBe("8081:80 8444:443");
  });

  test("are one without TLS", () => {
    const { byHost, outputs } = published({ tls: { mode: "off" } });
    expect(byHost).toEqual(["load-balancer-1 8080:80"]);
    expect(outputs).toEqual({ url: "http://127.0.0.1:8080/" });
  });
});

describe("localNames", () => {
  test("fit the limits of the kernel and Incus, even for the longest name", () => {
    const { project, bridge } = localNames("a".repeat(20));
    expect(bridge).toMatch(/^dwi-[0-9a-f]{8}$/);
    expect(bridge.length).toBeLessThanOrEqual(15);
    expect(project).toBe(`dwi-${"a".repeat(20)}`);
  });

  test("differ between clusters", () => {
    expect(localNames("demo")).not.toEqual(localNames("two"));
  });
});
