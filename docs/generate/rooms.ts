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
 * Every room, each after those that it may import: this order is the one way in which imports go. A room may be named
 * before it is there.
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
      "Shell that glues programs together, on hosts and on the machine that carries local ones.",
    imports: [],
  },
  {
    name: "agent",
    sentence: "The program that decides on a database host.",
    imports: [],
  },
  {
    name: "app",
    sentence: "The guestbook, an app like any other: nothing of the cluster knows it.",
    imports: [],
  },
  {
    name: "cluster.config.ts",
    sentence: "What a user changes, typed.",
    imports: ["topology"],
  },
  {
    name: "hosts",
    sentence: "What each host carries: files, units, user-data; pure.",
    imports: ["topology"],
  },
  {
    name: "archives",
    sentence: "What travels beside user-data: the scripts, and releases of the app.",
    imports: ["topology", "hosts"],
  },
  {
    name: "stacks",
    sentence: "Where hosts are placed, by cdktf: local (Incus) and aws (EC2).",
    imports: ["topology", "hosts", "archives"],
  },
  {
    name: "main.ts",
    sentence: "Which stacks there are.",
    imports: ["cluster.config.ts", "stacks"],
  },
  {
    name: "ops",
    sentence: "What an operator does to a cluster that is up.",
    imports: ["topology", "agent", "cluster.config.ts", "hosts", "archives"],
  },
  {
    name: "machine",
    sentence: "Bringing up and down a local cluster on one's own machine.",
    imports: ["topology", "hosts", "archives", "ops"],
  },
  {
    name: "drill",
    sentence: "Faults under load, on a scratch cluster of its own, as tests and benches use one.",
    imports: ["topology", "hosts", "stacks", "ops"],
  },
  {
    name: "bench",
    sentence: "What a synthesis and a deploy take, against what they are compared with.",
    imports: ["topology", "hosts", "stacks", "ops", "drill"],
  },
  {
    name: "docs",
    sentence: "What is written down, and what generates the parts of it that are derived.",
    imports: ["topology", "agent", "hosts"],
  },
  {
    name: "__tests__",
    sentence: "The tests, by the names of what they test.",
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
    sentence: "What runs all of it, in order, with one closing line.",
    imports: ["hosts", "ops", "machine", "drill", "__tests__"],
  },
];

const isFile = (name: string) => name.endsWith(".ts");

/** The rooms, the ground first, and what each may import. */
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
