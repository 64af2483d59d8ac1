import { spawn } from "node:child_process";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { ask, type ScratchCluster } from "../../../drill/scratch/scratch-cluster";
import { HAPROXY_SOCKET } from "../../../hosts/agreed";
import { PROJECT } from "../../../hosts/project";
import { runSync } from "../../../ops/run";
import { localNames } from "../../../topology/names";
import type { Orders, Outcome } from "./abuse/attacker";

/** How long an honest visitor may wait while the cluster is attacked, in milliseconds. */
const WAIT = 1000;

/** How many addresses attack at most. */
const ATTACKERS = 5;

/** An attack, and what has to become of it. */
interface Row {
  readonly how: string;
  readonly attack: Orders["attack"];
  readonly count: number;
  readonly seconds?: number;
  /** How many of the attackers' addresses take part. Default 1. */
  readonly addresses?: number;
  /** How many requests may be passed on to web servers meanwhile, visitors' included. Default any number. */
  readonly passedOn?: number;
  /** Whether the attacker was held back. */
  readonly heldBack: (outcome: Outcome) => boolean;
}

const sum = (counts: Record<string, number>, pattern: RegExp) =>
  Object.entries(counts).reduce((all, [key, count]) => all + (pattern.test(key) ? count : 0), 0);

const refused = ({ answers }: Outcome) => sum(answers, /^429$/) > 0;

const rows: readonly Row[] = [
  {
    how: "10,000 idle connections of 5 addresses: 4,000 are let in at most",
    attack: "idle",
    count: 10_000,
    addresses: 5,
    heldBack: ({ open, ended }) => open < 4000 && ended > 6000,
  },
  {
    how: "3,000 connections that never begin TLS: one address has 2,000 at most",
    attack: "idleTls",
    count: 3000,
    heldBack: ({ open }) => open <= 2000,
  },
  {
    how: "2,500 requests whose headers arrive byte by byte: they end after 10 s",
    attack: "slowHeaders",
    count: 2500,
    seconds: 13,
    heldBack: ({ open, answers }) => open === 0 && sum(answers, /^408$/) > 1000,
  },
  {
    how: "6,000 requests of 3 addresses whose bodies arrive byte by byte",
    attack: "slowBodies",
    count: 6000,
    addresses: 3,
    heldBack: ({ answers }) => sum(answers, /^429$/) >= 1000,
  },
  {
    how: "500 large bodies of which the end never comes",
    attack: "largeSlowBodies",
    count: 500,
    heldBack: ({ answers }) => sum(answers, /^429$/) === 400,
  },
  {
    how: "300 connections that request and do not read",
    attack: "slowReading",
    seconds: 5,
    count: 300,
    heldBack: refused,
  },
  {
    how: "a flood of requests from one address",
    attack: "flood",
    seconds: 5,
    count: 40,
    heldBack: refused,
  },
  {
    how: "headers of 100 KB",
    attack: "largeHeaders",
    count: 300,
    heldBack: ({ open, answers }) => open === 0 && sum(answers, /^(?!431)/) === 0,
  },
  {
    how: "bytes that are no HTTP",
    attack: "malformed",
    count: 1000,
    heldBack: ({ open, answers }) => open === 0 && sum(answers, /^400$/) === 1000,
  },
  {
    how: "HTTP/2 rapid reset (CVE-2023-44487): the connection ends, and further ones are rejected",
    attack: "rapidReset",
    seconds: 5,
    count: 1,
    // A connection ends after 1,000, and after the second one others are rejected.
    passedOn: 3000,
    heldBack: ({ ended, answers }) => ended > 10 && sum(answers, /taken back/) >= 2000,
  },
  {
    how: "CONTINUATION frames without end: the connection ends",
    attack: "continuations",
    count: 20,
    heldBack: ({ open, ended }) => open === 0 && ended === 20,
  },
  {
    how: "HTTP/2 SETTINGS without end: the connection ends",
    attack: "settings",
    count: 20,
    heldBack: ({ open, ended }) => open === 0 && ended === 20,
  },
];

/** Begins an attack; what became of it, once it is over. */
function begin(orders: Orders): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(
      "bash",
      [
        "-c",
        'ulimit -n "$(ulimit -Hn)" && exec "$@"',
        "_",
        process.execPath,
        "-r",
        "ts-node/register",
        join(__dirname, "abuse/attacker.ts"),
        JSON.stringify(orders),
      ],
      { cwd: PROJECT, stdio: ["ignore", "pipe", "inherit"], timeout: 30_000 },
    );
    let printed = "";
    child.stdout.on("data", (data) => {
      printed += data;
    });
    child.on("error", reject);
    child.on("close", (code) =>
      code === 0 ? resolve(JSON.parse(printed)) : reject(new Error(`it exited with ${code}`)),
    );
  });
}

/** While a cluster is attacked, visitors are served, and what it does against one client does not hit others. */
export function abuse(cluster: ScratchCluster): void {
  const { bridge } = localNames(cluster.topology.clusterName);
  const target = () => cluster.address("load-balancer-1");
  // In the network's last subnet, whose hosts are placed from its beginning.
  const [prefix] = cluster.topology.network.subnets.at(-1)?.cidr.match(/^\d+\.\d+\.\d+\./) ?? [];
  // Addresses of this machine, none of which is exempt from limits.
  const [visitor, company, ...attackers] = Array.from(
    { length: 2 + ATTACKERS },
    (_, index) => `${prefix}${200 + index}`,
  ) as [string, string, ...string[]];

  const addresses = (verb: "replace" | "del") => {
    for (const address of [visitor, company, ...attackers]) {
      runSync(["ip", "address", verb, `${address}/32`, "dev", bridge]);
    }
  };

  const onBalancer = (command: string) => cluster.readOn("load-balancer-1", command).trim();

  /** HAProxy's first process and its restarts, and the most memory that its processes have had together, in MiB. */
  const state = () => {
    const kibibytes = onBalancer(
      "for process in $(pgrep haproxy); do cat /proc/$process/status; done",
    )
      .split("\n")
      .flatMap((line) => /^VmHWM:\s+(\d+) kB/.exec(line)?.[1] ?? [])
      .map(Number);
    return {
      process: onBalancer("systemctl show haproxy.service --property NRestarts,MainPID"),
      peak: kibibytes.reduce((all, one) => all + one, 0) / 1024,
    };
  };

  /** How many requests have been passed on to web servers: the eighth field (HAProxy's management guide, 9.1). */
  const passedOn = () =>
    Number(
      onBalancer(`echo 'show stat web 2 -1' | socat - ${HAPROXY_SOCKET} | grep ^web,BACKEND`).split(
        ",",
      )[7],
    );

  /** The longest that each kind of request took while something went on, and whatever was not answered as it should be. */
  const visits = async (work: Promise<unknown>) => {
    const longest: Record<string, number> = {};
    const wrong: string[] = [];
    let isOver = false;
    const watched = work.finally(() => {
      isOver = true;
    });
    const url = `http://${target()}`;
    for (let round = 0; !isOver; round++) {
      const key = `abuse-${Date.now()}-${round}`;
      for (const [kind, path, options, expected] of [
        ["static", "/static/guestbook.css", {}, 200],
        ["read", "/api/entries", {}, 200],
        [
          "write",
          "/api/entries",
          {
            method: "POST",
            headers: { "content-type": "application/json", "idempotency-key": key },
            body: JSON.stringify({ name: "integration", message: key }),
          },
          201,
        ],
      ] as const) {
        const since = performance.now();
        const was = await ask(url + path, { ...options, from: visitor }).then(
          ({ status }) => status,
          (error: Error) => error.message,
        );
        longest[kind] = Math.max(longest[kind] ?? 0, performance.now() - since);
        if (was !== expected) {
          wrong.push(`${kind}: ${was}`);
        }
      }
      await pause(100);
    }
    await watched;
    return { longest, wrong };
  };

  let before: ReturnType<typeof state>;

  beforeAll(() => {
    addresses("replace");
    before = state();
  });
  afterAll(() => addresses("del"));

  test.each(rows.map((row) => [row.how, row] as const))(
    "%s; meanwhile a visitor is served within a second",
    async (
      _,
      { attack, count, seconds = 3, addresses = 1, passedOn: most = Infinity, heldBack },
    ) => {
      const orders = {
        attack,
        count,
        seconds,
        target: target(),
        from: attackers.slice(0, addresses),
      };
      const passedOnBefore = passedOn();
      const begun = begin(orders);
      const { longest, wrong } = await visits(begun);
      const outcome = await begun;
      process.stderr.write(
        `  ${attack}: ${JSON.stringify(outcome)}; honest ${Object.entries(longest)
          .map(([kind, ms]) => `${kind} ${Math.round(ms)} ms`)
          .join(", ")}; ${Math.round(state().peak)} MiB\n`,
      );
      expect(wrong).toEqual([]);
      expect(Math.max(...Object.values(longest))).toBeLessThan(WAIT);
      expect([heldBack(outcome), outcome]).toEqual([true, outcome]);
      expect(passedOn() - passedOnBefore).toBeLessThan(most);
      // Rates of the next attack begin anew.
      onBalancer(
        `echo 'clear table clients; clear table requests; clear table uploads' | socat - ${HAPROXY_SOCKET} && echo cleared`,
      );
    },
    60_000,
  );

  test("300 people at one address who open a page each, and keep their connections, are all served", async () => {
    const outcome = await begin({
      attack: "people",
      target: target(),
      from: [company],
      count: 300,
      seconds: 10,
    });
    expect(outcome.answers).toEqual({ 200: 300 * 5 });
  }, 60_000);

  test("the load balancer's process is still the same, and has never had more than two thirds of the host's memory", () => {
    const after = state();
    expect(after.process).toBe(before.process);
    expect(after.peak).toBeGreaterThan(10);
    expect(after.peak).toBeLessThan((2 / 3) * cluster.topology.settings.loadBalancer.memory);
  });
}
