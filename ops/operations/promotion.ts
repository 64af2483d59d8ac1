import type { Topology } from "../../topology/topology";
import { OperatorError } from "../clusters";
import type { Platform } from "../platform/platform";
import { type DatabaseFacts, gatherStatus, type HostStatus } from "./status";

// Who is primary, changed by an operator: gather, decide, act. A switchover hands the part over while
// both hosts answer; a promotion takes it when the primary does not.

/** What the operator asks for. */
export interface Request {
  readonly verb: "promote" | "switchover";
  /** The host that is to be primary; left out, the one that is fit. */
  readonly candidate?: string | undefined;
  /** Hosts for which the operator vouches that they are gone for good, or closed. */
  readonly lost: readonly string[];
  /** Hosts that are to be stopped first, so that they are known to be closed. */
  readonly fence: readonly string[];
  /** Whether acknowledged writes that the new primary lacks may go. */
  readonly acceptLoss: boolean;
}

/** What a candidate itself says against being promoted (scripts/database/promotion.sh). */
export interface Objection {
  readonly override: "nothing" | "lost" | "accept-loss" | "time";
  readonly host: string;
  readonly sentence: string;
}

/** Everything the decision depends on. */
export interface Gathered {
  /** The database hosts, silent ones as well. */
  readonly hosts: readonly HostStatus[];
  /** By candidate; a host that could not be asked has none. */
  readonly objections: ReadonlyMap<string, readonly Objection[]>;
}

/** Why not, and what the operator may say to have it done all the same. */
export interface Refusal {
  readonly reason: string;
  /** Left out where nothing but another state of things helps. */
  readonly override?: { readonly flag: string; readonly cost: string };
}

export type Decision =
  | { readonly kind: "nothing"; readonly because: string }
  | { readonly kind: "refuse"; readonly refusals: readonly Refusal[] }
  /** The primary, closed by an earlier switchover, takes writes again. */
  | { readonly kind: "release"; readonly primary: string }
  | {
      readonly kind: "act";
      readonly candidate: string;
      /** The open primary, which is closed first. */
      readonly close: string | undefined;
      readonly fence: readonly string[];
      /** Hosts that are taken for closed although they do not answer. */
      readonly lost: readonly string[];
    };

/** A replica that is further behind would have writes wait too long for it. */
const FRESH_SECONDS = 5;

const refuse = (...refusals: Refusal[]): Decision => ({ kind: "refuse", refusals });

const factsOf = ({ facts }: HostStatus): DatabaseFacts | undefined =>
  facts?.role === "database" ? facts : undefined;

/** The host that is primary by its own newest term, and may be held closed by an operator. */
function primaryOf(hosts: readonly HostStatus[], isWanted: (facts: DatabaseFacts) => boolean) {
  return hosts
    .filter((one) => {
      const facts = factsOf(one);
      return facts?.state === "member" && facts.primary === one.host && isWanted(facts);
    })
    .sort((one, other) => (factsOf(other)?.term ?? 0) - (factsOf(one)?.term ?? 0))[0]?.host;
}

function silentHost(host: string): Refusal[] {
  return [
    {
      reason: `${host} runs, but does not answer the others: whether it takes writes cannot be known`,
      override: {
        flag: `--fence ${host}`,
        cost: "stops that host; what it alone holds stays on its volume, and is set aside in a file when it is started again",
      },
    },
    {
      reason: `${host} may be out of reach of whoever could stop it`,
      override: {
        flag: `--lost ${host}`,
        cost: "you vouch that it is gone for good or closed; if web servers still reach it, they write nowhere until it has closed itself",
      },
    },
  ];
}

/** How each host that does not answer the candidate is known to be closed, or why it is not. */
function closedBy(gathered: Gathered, request: Request, silent: readonly string[]) {
  const lost: string[] = [];
  const fence: string[] = [];
  const refusals: Refusal[] = [];
  for (const host of silent) {
    const power = gathered.hosts.find((one) => one.host === host)?.power;
    if (request.lost.includes(host) || power === "stopped" || power === "absent") {
      lost.push(host);
    } else if (request.fence.includes(host)) {
      fence.push(host);
      lost.push(host);
    } else {
      refusals.push(...silentHost(host));
    }
  }
  return { lost, fence, refusals };
}

function judge(
  gathered: Gathered,
  request: Request,
  candidate: string,
  close: string | undefined,
): Decision {
  const objections = gathered.objections.get(candidate);
  if (objections === undefined) {
    return refuse({ reason: `${candidate} cannot be asked whether it could be primary` });
  }
  const silent = objections.filter(({ override }) => override === "lost").map(({ host }) => host);
  const { lost, fence, refusals } = closedBy(gathered, request, silent);
  for (const { override, host, sentence } of objections) {
    // It is closed first, and what it has by then is waited for.
    if (host === close) {
      continue;
    }
    if (override === "nothing") {
      refusals.push({ reason: sentence });
    } else if (override !== "lost" && !request.acceptLoss) {
      refusals.push({
        reason: sentence,
        override: {
          flag: "--accept-loss",
          cost: `writes that were acknowledged and never reached ${candidate} are not in the database any more; where ${host} still has them, they are set aside in a file there when it joins`,
        },
      });
    }
  }
  return refusals.length > 0
    ? { kind: "refuse", refusals }
    : { kind: "act", candidate, close, fence, lost };
}

/** The hosts that could be primary, the fittest first: the fewest objections, the least behind. */
function candidatesOf({ hosts, objections }: Gathered, except: string | undefined): string[] {
  return hosts
    .flatMap((one) => {
      const facts = factsOf(one);
      return facts?.state === "member" && facts.door === "closed" && one.host !== except
        ? [{ host: one.host, lag: facts.lagSeconds ?? 0 }]
        : [];
    })
    .sort(
      (one, other) =>
        (objections.get(one.host)?.length ?? 99) - (objections.get(other.host)?.length ?? 99) ||
        one.lag - other.lag,
    )
    .map(({ host }) => host);
}

function decideSwitchover(gathered: Gathered, request: Request): Decision {
  const open = primaryOf(gathered.hosts, ({ door }) => door === "open");
  const held = primaryOf(gathered.hosts, (facts) => facts.held);
  const primary = open ?? held;
  if (primary === undefined) {
    return refuse({ reason: "there is no primary to hand over from; see status, and promote" });
  }
  if (request.candidate === primary) {
    return open === undefined
      ? { kind: "release", primary }
      : { kind: "nothing", because: `${primary} is the primary` };
  }
  const candidate = request.candidate ?? candidatesOf(gathered, primary)[0];
  if (candidate === undefined) {
    return refuse({ reason: "there is no replica to hand over to" });
  }
  const facts = gathered.hosts.flatMap((one) => (one.host === candidate ? [factsOf(one)] : []))[0];
  if (facts === undefined) {
    return refuse({ reason: `${candidate} does not answer` });
  }
  if (open !== undefined) {
    if (facts.source !== primary || facts.replication !== "running") {
      return refuse({ reason: `${candidate} does not replicate from ${primary}: ${facts.doing}` });
    }
    if (facts.lagSeconds === null || facts.lagSeconds > FRESH_SECONDS) {
      return refuse({
        reason: `${candidate} is ${facts.lagSeconds ?? "some"} s behind: writes would have to wait as long`,
      });
    }
  }
  return judge(gathered, request, candidate, primary);
}

function decidePromote(gathered: Gathered, request: Request): Decision {
  const open = primaryOf(gathered.hosts, ({ door }) => door === "open");
  const candidate = request.candidate ?? candidatesOf(gathered, undefined)[0];
  if (candidate === undefined) {
    return refuse({ reason: "no database host answers and has data" });
  }
  if (open === candidate) {
    return { kind: "nothing", because: `${candidate} is the primary` };
  }
  return judge(gathered, request, candidate, undefined);
}

/** Decides what is done. Pure: it depends on nothing but what is given. */
export function decide(gathered: Gathered, request: Request): Decision {
  return request.verb === "switchover"
    ? decideSwitchover(gathered, request)
    : decidePromote(gathered, request);
}

const SCRIPTS = "/opt/cluster/scripts/database";

/** Asks every database host, and every one that could be primary what speaks against it. */
export async function gather(topology: Topology, platform: Platform): Promise<Gathered> {
  const { hosts } = await gatherStatus(topology, platform, ["database"], 8);
  const asked = await Promise.all(
    hosts
      .filter((one) => factsOf(one)?.state === "member" && factsOf(one)?.door === "closed")
      .map(async ({ host }) => {
        const ran = await platform.run(host, [`${SCRIPTS}/promote.sh`, "--check"], 20);
        return [host, ran.exitCode === 0 ? parseObjections(ran.stdout) : undefined] as const;
      }),
  );
  return {
    hosts,
    objections: new Map(
      asked.flatMap(([host, found]) => (found === undefined ? [] : [[host, found]])),
    ),
  };
}

/** Reads what `promote.sh --check` prints: fields between tabs. */
export function parseObjections(output: string): Objection[] {
  return output
    .split("\n")
    .map((line) => line.split("\t"))
    .filter((fields) => fields.length === 3)
    .map(([override, host, sentence]) => ({
      override: override as Objection["override"],
      host: host as string,
      sentence: sentence as string,
    }));
}

/** What a decision comes to, in sentences for the operator. */
export function explain(decision: Decision): string[] {
  switch (decision.kind) {
    case "nothing":
      return [`Nothing to do: ${decision.because}.`];
    case "refuse":
      return [
        "Refused:",
        ...decision.refusals.flatMap(({ reason, override }) => [
          `  ${reason}`,
          ...(override === undefined ? [] : [`    ${override.flag}: ${override.cost}`]),
        ]),
      ];
    case "release":
      return [`This will be done: ${decision.primary}, which was closed, takes writes again.`];
    case "act":
      return [
        "This will be done:",
        ...decision.fence.map((host) => `  ${host} is stopped`),
        ...decision.lost
          .filter((host) => !decision.fence.includes(host))
          .map((host) => `  ${host} is taken for closed`),
        ...(decision.close === undefined
          ? []
          : [`  ${decision.close} is closed; from then on writes wait`]),
        `  ${decision.candidate} applies all it has received and becomes the primary`,
        "  the web servers follow, and the other database hosts replicate from it",
      ];
  }
}

async function onHost(platform: Platform, host: string, script: string, args: readonly string[]) {
  const { exitCode, stderr } = await platform.run(host, [`${SCRIPTS}/${script}`, ...args], 60);
  if (exitCode !== 0) {
    throw new OperatorError(
      `${host}: ${stderr.trim() || "did not answer"}${exitCode === undefined ? " (out of reach)" : ""}`,
    );
  }
}

/** Does what was decided. Every step may be interrupted and repeated. */
export async function act(
  decision: Decision,
  request: Request,
  platform: Platform,
  say: (line: string) => void,
): Promise<void> {
  if (decision.kind === "release") {
    await onHost(platform, decision.primary, "close.sh", ["--release"]);
    return;
  }
  if (decision.kind !== "act") {
    return;
  }
  const { candidate, close, fence, lost } = decision;
  await Promise.all(fence.map((host) => platform.stop(host)));
  if (close !== undefined) {
    await onHost(platform, close, "close.sh", []);
    say(`${close} is closed`);
  }
  try {
    await onHost(platform, candidate, "promote.sh", [
      ...lost.flatMap((host) => ["--lost", host]),
      ...(request.acceptLoss ? ["--accept-loss"] : []),
    ]);
  } catch (error) {
    if (close !== undefined) {
      await onHost(platform, close, "close.sh", ["--release"]);
      say(`${close} takes writes again`);
    }
    throw error;
  }
  say(`${candidate} is the primary`);
}
