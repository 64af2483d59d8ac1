import { table } from "./markdown";

/** A part of the project: a folder at its top, or a file there. */
interface Room {
  readonly name: string;
  /** What is in it, one sentence. */
  readonly sentence: string;
  /** The rooms whose files it may import, besides its own. */
  readonly imports: readonly string[];
}

/**
 * Every room, each after those that it may import: imports only go backwards in this order. A room may be listed
 * before it exists.
 */
export const ROOMS: readonly Room[] = [
  {
    name: "topology",
    sentence: "What the cluster is: settings, roles, addresses, flows, secrets and names; pure.",
    imports: [],
  },
  {
    name: "scripts",
    sentence:
      "Shell that glues programs together, on hosts and on the machine that runs local hosts.",
    imports: [],
  },
  {
    name: "agent",
    sentence: "The agent on each database host.",
    imports: [],
  },
  {
    name: "app",
    sentence: "The guestbook, an app like any other: the cluster knows nothing about it.",
    imports: [],
  },
  {
    name: "cluster.config.ts",
    sentence: "What a user changes, typed.",
    imports: ["topology"],
  },
  {
    name: "hosts",
    sentence: "The content of each host: files, units, user-data; pure.",
    imports: ["topology"],
  },
  {
    name: "archives",
    sentence: "What is delivered alongside user-data: the scripts, and releases of the app.",
    imports: ["topology", "hosts"],
  },
  {
    name: "stacks",
    sentence: "The stacks that hosts are placed in, by cdktf: local (Incus) and aws (EC2).",
    imports: ["topology", "hosts", "archives"],
  },
  {
    name: "main.ts",
    sentence: "Which stacks there are.",
    imports: ["cluster.config.ts", "stacks"],
  },
  {
    name: "ops",
    sentence: "What an operator does to a running cluster.",
    imports: ["topology", "agent", "cluster.config.ts", "hosts", "archives"],
  },
  {
    name: "machine",
    sentence: "Bringing a local cluster up and down on your own machine.",
    imports: ["topology", "hosts", "archives", "ops"],
  },
  {
    name: "drill",
    sentence:
      "Faults under load, on a scratch cluster of its own; tests and benchmarks use such clusters too.",
    imports: ["topology", "agent", "hosts", "stacks", "ops", "machine"],
  },
  {
    name: "bench",
    sentence: "Benchmarks: how long a synthesis and a deploy take, against a baseline.",
    imports: ["topology", "hosts", "stacks", "ops", "drill"],
  },
  {
    name: "docs",
    sentence: "The documentation, and the generators of its derived parts.",
    imports: ["topology", "agent", "hosts", "drill"],
  },
  {
    name: "__tests__",
    sentence: "The tests, in folders named after what they test.",
    imports: [
      "topology",
      "agent",
      "app",
      "cluster.config.ts",
      "hosts",
      "archives",
      "stacks",
      "ops",
      "machine",
      "drill",
      "docs",
    ],
  },
  {
    name: ".ci",
    sentence: "Runs everything in order, and ends with one summary line.",
    imports: ["hosts", "ops", "machine", "drill", "__tests__"],
  },
];

const isFile = (name: string) => name.endsWith(".ts");

/** The rooms, lowest layer first, and what each may import. */
export function roomsTable(): string {
  const shown = (name: string) => (isFile(name) ? `\`${name}\`` : `\`${name}/\``);
  return table(
    ["Room", "What is in it", "Imports"],
    ROOMS.map(({ name, sentence, imports }) => [
      shown(name),
      sentence,
      imports.map(shown).join(" ") || "nothing",
    ]),
  );
}
