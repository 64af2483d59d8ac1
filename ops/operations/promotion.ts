import type { Objection } from "../../agent/objections";
import { hostsOf, type Topology } from "../../topology/topology";
import { OperatorError } from "../operator-error";
import type { HostAccess, Power } from "../platform/host-access";
import { onHost } from "./on-host";
import { type DatabaseState, parseFacts } from "./status";

// A change of the primary by an operator: gather, decide, act. A switchover hands the role over while both hosts
// answer; a promotion takes it when the primary does not.

/** The operator's request. */
export interface Request {
  readonly verb: "promote" | "switchover";
  /** The host to promote; if omitted, the best candidate. */
  readonly candidate?: string | undefined;
  /** Hosts that the operator declares to be permanently lost, or closed. */
  readonly lost: readonly string[];
  /** Hosts to stop first, so that they are known to be closed. */
  readonly fence: readonly string[];
  /** Whether acknowledged writes that the new primary lacks may be lost. */
  readonly acceptLoss: boolean;
}

/** What a database host reports for a decision about the primary. */
export interface Candidate extends DatabaseState {
  /**
   * Its own objections to being promoted. The host itself waits for those that `time` overrides, once others are
   * closed. `tables` is overridden in a promotion like `accept-loss`, and by nothing in a switchover: while the primary
   * is there, its data can be saved.
   */
  readonly objections: readonly Objection[];
}

/** A database host and its observed state. */
export interface Found {
  readonly host: string;
  /** Its state according to its platform, if it does not answer itself. */
  readonly power: Power;
  /** Its own report; `undefined` if it does not answer. */
  readonly state: Candidate | undefined;
}

/** The reason for a refusal, and the flag that overrides it. */
export interface Refusal {
  readonly reason: string;
  /** Omitted if nothing helps until the situation changes. */
  readonly override?: { readonly flag: string; readonly cost: string };
  /** Whether it may resolve by itself within seconds, for example because a host is just joining. Default no. */
  readonly passes?: true;
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
      /** Hosts that answer while their server does not: if the server comes back, it must stay closed. */
      readonly hold: readonly string[];
      /** Closed hosts that may reopen by themselves at any moment, and must not. */
      readonly keepClosed: readonly string[];
      readonly fence: readonly string[];
      /** Hosts that count as closed although they do not answer. */
      readonly lost: readonly string[];
    };

/** A replica that lags more than this would make writes wait too long. */
const FRESH_SECONDS = 5;

const stateOf = (hosts: readonly Found[], name: string): Candidate | undefined =>
  hosts.find(({ host }) => host === name)?.state;

const refuse = (...refusals: Refusal[]): Decision => ({ kind: "refuse", refusals });

/** The host that is primary by its own newest term, and may be held closed by an operator. */
function primaryOf(hosts: readonly Found[], isWanted: (state: Candidate) => boolean) {
  return hosts
    .filter(
      ({ host, state }) => state?.state === "member" && state.primary === host && isWanted(state),
    )
    .sort((one, other) => (other.state?.term ?? 0) - (one.state?.term ?? 0))[0]?.host;
}

function silentHost(host: string): Refusal[] {
  return [
    {
      reason: `${host} runs, but does not answer the other hosts: it is not known whether it accepts writes`,
      override: {
        flag: `--fence ${host}`,
        cost: "stops that host; writes that only it has remain on its volume, and are set aside in a file when it is started again",
      },
    },
    {
      reason: `${host} may also be impossible to stop from here`,
      override: {
        flag: `--lost ${host}`,
        cost: "you declare that it is permanently lost, or closed; if web servers still reach it, they write nowhere until it has closed itself",
      },
    },
  ];
}

/** Hosts that are closed, primary by their own newest term, and that nobody holds: they reopen as soon as they can. */
function mayReopen(hosts: readonly Found[], candidate: string): string[] {
  return hosts
    .filter(
      ({ host, state }) =>
        host !== candidate &&
        state?.state === "member" &&
        state.primary === host &&
        state.writability === "closed" &&
        !state.held,
    )
    .map(({ host }) => host);
}

/** How each host that does not answer the candidate is known to be closed, or why it is not. */
function closedBy(hosts: readonly Found[], request: Request, silent: readonly string[]) {
  const lost: string[] = [];
  const fence: string[] = [];
  const hold: string[] = [];
  const refusals: Refusal[] = [];
  for (const host of silent) {
    const { power, state } = hosts.find((one) => one.host === host) ?? {};
    if (request.lost.includes(host) || power === "stopped" || power === "absent") {
      lost.push(host);
    } else if (request.fence.includes(host)) {
      fence.push(host);
      lost.push(host);
    } else if (state?.state === "unknown") {
      hold.push(host);
      lost.push(host);
    } else {
      refusals.push(...silentHost(host));
    }
  }
  return { lost, fence, hold, refusals };
}

function judge(
  hosts: readonly Found[],
  request: Request,
  candidate: string,
  close: string | undefined,
): Decision {
  const objections = stateOf(hosts, candidate)?.objections;
  if (objections === undefined) {
    return refuse({
      reason: `${candidate} does not answer, so it is not known whether it could be primary`,
    });
  }
  const silent = objections.filter(({ override }) => override === "lost").map(({ host }) => host);
  const { lost, fence, hold, refusals } = closedBy(hosts, request, silent);
  for (const { override, host, sentence } of objections) {
    // It is closed first, and the replica then waits for what it still lacks.
    if (host === close || override === "time") {
      continue;
    }
    if (override === "nothing" || (override === "tables" && request.verb === "switchover")) {
      refusals.push({ reason: sentence });
    } else if (override === "tables" && !request.acceptLoss) {
      refusals.push({
        reason: sentence,
        override: {
          flag: "--accept-loss",
          cost: `rows of these tables that ${candidate} does not have are lost`,
        },
      });
    } else if (override !== "lost" && !request.acceptLoss) {
      refusals.push({
        reason: sentence,
        override: {
          flag: "--accept-loss",
          cost: `acknowledged writes that never reached ${candidate} are lost from the database; if ${host} still has them, they are set aside in a file there when it joins`,
        },
      });
    }
  }
  return refusals.length > 0
    ? { kind: "refuse", refusals }
    : { kind: "act", candidate, close, fence, hold, keepClosed: mayReopen(hosts, candidate), lost };
}

/** The candidates for primary, best first: the fewest objections, the smallest lag. */
function candidatesOf(hosts: readonly Found[], except: string | undefined): string[] {
  return hosts
    .flatMap(({ host, state }) =>
      state?.state === "member" && state.writability === "closed" && host !== except
        ? [{ host, against: state.objections.length, lag: state.lagSeconds ?? 0 }]
        : [],
    )
    .sort((one, other) => one.against - other.against || one.lag - other.lag)
    .map(({ host }) => host);
}

function decideSwitchover(hosts: readonly Found[], request: Request): Decision {
  const open = primaryOf(hosts, ({ writability }) => writability === "open");
  const held = primaryOf(hosts, ({ held }) => held);
  const primary = open ?? held;
  if (primary === undefined) {
    return refuse({
      reason: "there is no primary to switch over from; see status, and promote",
      passes: true,
    });
  }
  if (request.candidate === primary) {
    return open === undefined
      ? { kind: "release", primary }
      : { kind: "nothing", because: `${primary} is the primary` };
  }
  const candidate = request.candidate ?? candidatesOf(hosts, primary)[0];
  if (candidate === undefined) {
    return refuse({ reason: "there is no replica to switch over to", passes: true });
  }
  const state = stateOf(hosts, candidate);
  if (state === undefined) {
    return refuse({ reason: `${candidate} does not answer`, passes: true });
  }
  if (open !== undefined) {
    if (state.source !== primary || state.replication !== "running") {
      return refuse({
        reason: `${candidate} does not replicate from ${primary}: ${state.decision}`,
        passes: true,
      });
    }
    if (state.lagSeconds === null || state.lagSeconds > FRESH_SECONDS) {
      return refuse({
        reason: `${candidate} is ${state.lagSeconds ?? "an unknown number of"} s behind: writes would have to wait that long`,
        passes: true,
      });
    }
  }
  return judge(hosts, request, candidate, primary);
}

function decidePromote(hosts: readonly Found[], request: Request): Decision {
  const open = primaryOf(hosts, ({ writability }) => writability === "open");
  const candidate = request.candidate ?? candidatesOf(hosts, undefined)[0];
  if (candidate === undefined) {
    return refuse({
      reason: "there is no candidate: no closed database host answers and has data",
    });
  }
  if (open === candidate) {
    return { kind: "nothing", because: `${candidate} is the primary` };
  }
  const outdated = outdatedPrimary(hosts, open, candidate);
  const decision = judge(hosts, request, candidate, outdated);
  if (outdated === undefined || request.acceptLoss) {
    return decision;
  }
  return refuse(
    {
      reason: `${outdated} is open, but by an older promotion than the one that ${candidate} knows`,
      override: {
        flag: "--accept-loss",
        cost: `${outdated} is closed; the writes that it accepted since are set aside in a file there when it joins`,
      },
    },
    ...(decision.kind === "refuse" ? decision.refusals : []),
  );
}

/** The open primary, if the candidate knows a newer promotion: the primary never heard of that one. */
function outdatedPrimary(hosts: readonly Found[], open: string | undefined, candidate: string) {
  const termOf = (name: string) => stateOf(hosts, name)?.term ?? 0;
  return open !== undefined && termOf(open) < termOf(candidate) ? open : undefined;
}

/** Decides what to do. Pure: it depends only on its arguments. */
export function decide(hosts: readonly Found[], request: Request): Decision {
  return request.verb === "switchover"
    ? decideSwitchover(hosts, request)
    : decidePromote(hosts, request);
}

/** Whether every reason of a refusal may resolve by itself within seconds. */
export function isPassing({ refusals }: Extract<Decision, { kind: "refuse" }>): boolean {
  return refusals.every(({ passes }) => passes === true);
}

/** Queries every database host at once, since writes may be waiting. */
export async function gather(topology: Topology, access: HostAccess): Promise<Found[]> {
  const names = hostsOf(topology, "database").map(({ name }) => name);
  const states = await Promise.all(
    names.map(async (name) =>
      parseFacts<Candidate>(
        await access.run(name, ["/opt/cluster/scripts/database/agent.sh", "candidate"], 8),
      ),
    ),
  );
  const silent = names.filter((_, index) => states[index] === undefined);
  const power = silent.length > 0 ? await access.power(silent) : new Map<string, Power>();
  return names.map((host, index) => ({
    host,
    power: power.get(host) ?? "running",
    state: states[index],
  }));
}

/** The decision in sentences for the operator. */
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
      return [`This will be done: ${decision.primary}, which was closed, accepts writes again.`];
    case "act":
      return [
        "This will be done:",
        ...decision.fence.map((host) => `  ${host} is stopped`),
        ...decision.hold.map(
          (host) => `  ${host}, whose server does not answer, stays closed if it comes back`,
        ),
        ...decision.keepClosed.map(
          (host) => `  ${host}, which would otherwise reopen by itself, stays closed`,
        ),
        ...decision.lost
          .filter((host) => ![...decision.fence, ...decision.hold].includes(host))
          .map((host) => `  ${host} is assumed to be closed`),
        ...(decision.close === undefined
          ? []
          : [`  ${decision.close} is closed; from then on writes wait`]),
        `  ${decision.candidate} applies everything it has received, and becomes the primary`,
        "  the web servers switch to it, and the other database hosts replicate from it",
      ];
  }
}

/** Carries out the decision. Every step can be interrupted and repeated. */
export async function act(
  decision: Decision,
  request: Request,
  access: HostAccess,
  say: (line: string) => void,
): Promise<void> {
  if (decision.kind === "release") {
    await onHost(access, decision.primary, ["database/agent.sh", "release"]);
    return;
  }
  if (decision.kind !== "act") {
    return;
  }
  const { candidate, close, fence, keepClosed, lost } = decision;
  const hold = [...decision.hold, ...keepClosed];
  await Promise.all([
    ...fence.map((host) => access.stop(host)),
    ...hold.map((host) => onHost(access, host, ["database/agent.sh", "close"])),
  ]);
  if (close !== undefined) {
    await onHost(access, close, ["database/agent.sh", "close", candidate]);
    say(`${close} is closed`);
  }
  let promoted: string;
  try {
    promoted = await onHost(access, candidate, [
      "database/agent.sh",
      "promote",
      ...lost.flatMap((host) => ["--lost", host]),
      ...(request.acceptLoss ? ["--accept-loss"] : []),
    ]);
  } catch (error) {
    const closed: string[] = [];
    for (const host of [...(close === undefined ? [] : [close]), ...hold]) {
      await onHost(access, host, ["database/agent.sh", "release"]).then(
        () => say(`${host} may accept writes again`),
        ({ message }: Error) =>
          closed.push(`${message}\n${host} is still closed; to reopen it: switchover ${host}`),
      );
    }
    throw closed.length === 0
      ? error
      : new OperatorError([(error as Error).message, ...closed].join("\n"));
  }
  // That it is the primary, and whether writes wait.
  for (const line of promoted.trim().split("\n")) {
    say(line);
  }
}
