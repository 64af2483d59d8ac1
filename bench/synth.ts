import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PROJECT } from "../hosts/project";
import { median, type Run, report, timed } from "./measure";

// Times `npx cdktf synth` of this project, of the stock TypeScript template with one instance, and of this project with 50
// web servers. They alternate, so that all run under the same conditions.

const ROUNDS = 5;

/** What `cdktf init --template=typescript` generates, with the instance of its tutorial. */
const STOCK: Record<string, string> = {
  "main.ts": `import { Construct } from "constructs";
import { App, TerraformStack } from "cdktf";
import { AwsProvider } from "@cdktf/provider-aws/lib/provider";
import { Instance } from "@cdktf/provider-aws/lib/instance";

class MyStack extends TerraformStack {
  constructor(scope: Construct, id: string) {
    super(scope, id);
    new AwsProvider(this, "AWS", { region: "us-west-1" });
    new Instance(this, "compute", { ami: "ami-01456a894f71116f2", instanceType: "t2.micro" });
  }
}

const app = new App();
new MyStack(app, "stock");
app.synth();
`,
  "cdktf.json": JSON.stringify({
    language: "typescript",
    app: "npx ts-node main.ts",
    projectId: "00000000-0000-0000-0000-000000000000",
    sendCrashReports: "false",
    terraformProviders: [],
    terraformModules: [],
    context: {},
  }),
  "tsconfig.json": JSON.stringify({
    compilerOptions: {
      alwaysStrict: true,
      declaration: true,
      experimentalDecorators: true,
      inlineSourceMap: true,
      inlineSources: true,
      lib: ["es2018"],
      module: "CommonJS",
      noEmitOnError: true,
      noFallthroughCasesInSwitch: true,
      noImplicitAny: true,
      noImplicitReturns: true,
      noImplicitThis: true,
      noUnusedLocals: true,
      noUnusedParameters: true,
      resolveJsonModule: true,
      strict: true,
      strictNullChecks: true,
      strictPropertyInitialization: true,
      stripInternal: true,
      target: "ES2018",
      incremental: true,
      skipLibCheck: true,
    },
    include: ["**/*.ts"],
    exclude: ["node_modules", "cdktf.out"],
  }),
};

function makeStock(directory: string): void {
  mkdirSync(directory);
  for (const [name, content] of Object.entries(STOCK)) {
    writeFileSync(join(directory, name), content);
  }
  symlinkSync(join(PROJECT, "node_modules"), join(directory, "node_modules"));
}

/** What a copy of the project leaves out, besides hidden files. */
const NO_SOURCES = ["node_modules", "cdktf.out", "cluster.config.ts"];

/** This project with 50 web servers instead of two. */
function makeLarge(directory: string): void {
  mkdirSync(directory);
  const isSource = (name: string) => !name.startsWith(".") && !NO_SOURCES.includes(name);
  for (const name of readdirSync(PROJECT).filter(isSource)) {
    cpSync(join(PROJECT, name), join(directory, name), { recursive: true });
  }
  symlinkSync(join(PROJECT, "node_modules"), join(directory, "node_modules"));
  writeFileSync(
    join(directory, "cluster.config.ts"),
    `export default [{ name: "large", webServers: { count: 50 } }];\n`,
  );
}

function main(): void {
  const workspace = mkdtempSync(join(tmpdir(), "bench-synth-"));
  process.on("exit", () => rmSync(workspace, { recursive: true, force: true }));
  const projects = {
    ours: PROJECT,
    stock: join(workspace, "stock"),
    large: join(workspace, "large"),
  };
  makeStock(projects.stock);
  makeLarge(projects.large);

  const runs: Record<keyof typeof projects, Run[]> = { ours: [], stock: [], large: [] };
  for (let round = 0; round <= ROUNDS; round++) {
    for (const name of Object.keys(projects) as Array<keyof typeof projects>) {
      const output = join(workspace, `out-${name}`);
      const result = timed(["npx", "cdktf", "synth", "--output", output], projects[name]);
      // The first round warms caches and does not count.
      if (round > 0) {
        runs[name].push(result);
        console.log(
          `round ${round} ${name}: ${result.seconds.toFixed(2)} s, ${result.mebibytes.toFixed(0)} MiB`,
        );
      }
    }
  }

  const seconds = (name: keyof typeof projects) => median(runs[name].map((one) => one.seconds));
  const memory = median(runs.ours.map((one) => one.mebibytes));
  const toStock = seconds("ours") / seconds("stock");
  const toFive = seconds("large") / seconds("ours");
  report([
    {
      what: "synth, against the stock template's",
      measured: `${seconds("ours").toFixed(2)} s / ${seconds("stock").toFixed(2)} s = ${toStock.toFixed(2)}`,
      bound: "at most 1",
      holds: toStock <= 1,
    },
    {
      what: "largest process of a synth",
      measured: `${memory.toFixed(0)} MiB`,
      bound: "under 300 MB",
      holds: memory * 1.048576 < 300,
    },
    {
      what: "synth of 50 web servers, against two",
      measured: `${seconds("large").toFixed(2)} s / ${seconds("ours").toFixed(2)} s = ${toFive.toFixed(2)}`,
      bound: "at most 1.5",
      holds: toFive <= 1.5,
    },
  ]);
}

main();
