import { parseClusters, SettingsError } from "../../topology/settings";
import { clusterSchema, settingsJsonSchema } from "../../topology/settings-schema";
import { GENERATED, table } from "./markdown";

/** The parts of JSON Schema that the settings use. */
interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  /** In Markdown, where the default depends on other settings or on the platform. */
  readonly defaultInWords?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly oneOf?: readonly Schema[];
}

interface Setting {
  readonly path: readonly string[];
  readonly schema: Schema;
  readonly required: boolean;
}

/** A value that no setting takes. */
const NOT_A_SETTING = null;

/** Settings that are one of several kinds of object: what the kind with the most settings is recognized by. */
const UNIONS: Readonly<Record<string, object>> = {
  backend: { type: "s3" },
  tls: { mode: "acme" },
};

/** An object that holds a value at a path and nothing else, besides what a union needs. */
function holding(path: readonly string[], value: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) {
    return value;
  }
  const inner = holding(rest, value);
  const kind = UNIONS[key];
  return kind !== undefined && rest.length > 0
    ? { [key]: { ...kind, ...(inner as object) } }
    : { [key]: inner };
}

/** What a setting accepts, worded as in the message that refuses a wrong value. */
function accepted(path: readonly string[]): string {
  const result = clusterSchema.safeParse(holding(path, NOT_A_SETTING));
  const issue = result.error?.issues.find((one) => one.path.join(".") === path.join("."));
  if (issue === undefined) {
    throw new Error(`${path.join(".")} accepts ${NOT_A_SETTING}`);
  }
  return issue.message;
}

function settingsIn(schema: Schema, path: readonly string[] = []): Setting[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, inner]): Setting[] => {
    const here = [...path, key];
    if (inner.const !== undefined) {
      return [];
    }
    if (inner.properties !== undefined) {
      return settingsIn(inner, here);
    }
    const setting = {
      path: here,
      schema: inner,
      required: schema.required?.includes(key) === true,
    };
    const variants = (inner.oneOf ?? []).flatMap((variant) => settingsIn(variant, here));
    // Several kinds may have the same one.
    const distinct = new Map(variants.map((variant) => [variant.path.join("."), variant]));
    return [setting, ...distinct.values()];
  });
}

function row({ path, schema, required }: Setting): string[] {
  const fallback =
    schema.default === undefined
      ? (schema.defaultInWords ?? (required ? "required" : "none"))
      : `\`${JSON.stringify(schema.default)}\``;
  return [`\`${path.join(".")}\``, schema.description ?? "", accepted(path), fallback];
}

/** Settings with about one of each mistake, to show the error messages. */
const WRONG: readonly unknown[] = [
  {
    name: "aws-shop",
    region: "eu-central-1",
    availabilityZones: ["eu-central-1a", "eu-west-1a"],
    network: { cidr: "10.90.0.0/26" },
    loadBalancer: { algorithm: "random" },
    webServers: { count: 40, mode: "active-pasive" },
    database: { replicas: 0, durability: "lossless" },
    app: { port: 3306, environment: { PORT: "80" } },
    replicas: 2,
  },
  { name: "shop", network: { cidr: "10.90.0.0/24" }, localPort: 80 },
];

function wrongMessage(): string {
  try {
    parseClusters(WRONG as Parameters<typeof parseClusters>[0]);
  } catch (error) {
    if (error instanceof SettingsError) {
      return error.message;
    }
    throw error;
  }
  throw new Error("the wrong settings are accepted");
}

function asTypeScript(value: unknown): string {
  return JSON.stringify(value)
    .replace(/"(\w+)":/g, "$1: ")
    .replace(/,(?=\S)/g, ", ")
    .replace(/\{(?=\S)/g, "{ ")
    .replace(/(?<=\S)\}/g, " }")
    .replace(/\{ +\}/g, "{}");
}

function wrongSource(): string {
  return WRONG.map((cluster) => {
    const entries = Object.entries(cluster as object).map(
      ([key, value]) => `    ${key}: ${asTypeScript(value)},`,
    );
    return `  {\n${entries.join("\n")}\n  },`;
  }).join("\n");
}

/** The default of an object that is omitted entirely, if it differs from an empty one. */
function wholeDefault(schema: Schema | undefined): string[] {
  const whole = schema?.properties === undefined ? {} : (schema.default ?? {});
  return Object.keys(whole).length === 0
    ? []
    : [
        `If omitted entirely, it is \`${asTypeScript(whole)}\`. An object of your own does not include these.`,
      ];
}

/** The whole of docs/settings.md, from the schema that checks the settings. */
export function settingsPage(): string {
  const schema = settingsJsonSchema() as Schema;
  const settings = settingsIn(schema);
  const sections = new Map<string, Setting[]>();
  for (const setting of settings) {
    const section = setting.path.length > 1 ? (setting.path[0] as string) : "cluster";
    sections.set(section, [...(sections.get(section) ?? []), setting]);
  }
  // A union's own row belongs with its variants.
  for (const union of Object.keys(UNIONS)) {
    const of = (setting: Setting) => setting.path.length === 1 && setting.path[0] === union;
    const cluster = sections.get("cluster") ?? [];
    sections.set(
      "cluster",
      cluster.filter((setting) => !of(setting)),
    );
    sections.set(union, [...cluster.filter(of), ...(sections.get(union) ?? [])]);
  }
  const tables = [...sections].map(([section, of]) =>
    [
      `## ${section}`,
      table(["Setting", "Meaning", "Accepted", "Default"], of.map(row)),
      ...wholeDefault(schema.properties?.[section]),
    ].join("\n\n"),
  );
  return `${GENERATED}
# Settings

Settings are in \`cluster.config.ts\`: a list of clusters, each an object with the settings below.
Everything but \`name\` has a default. The file is typed, so an editor completes and checks it; what
types cannot express is checked before anything is written or deployed.

The first cluster of the list is deployed as the stacks \`local\` and \`aws\`, each further one as
\`local-<name>\` and \`aws-<name>\`. Clusters running side by side need distinct names, networks and
local ports.

A deploy applies a change to the affected hosts. Settings under \`app\` are applied by a
[release](operations.md#release-rollback) instead; \`app.responseTimeout\` and \`app.tunnelTimeout\` need both,
because the load balancer's timeouts follow them.

${tables.join("\n\n")}

## When settings are wrong

All problems are reported at once, each with its path, the value found there and the value wanted. The
exit code is 1, and nothing is written or deployed. These settings:

\`\`\`ts
const clusters = [
${wrongSource()}
];
\`\`\`

give this message:

\`\`\`text
${wrongMessage()}
\`\`\`
`;
}
