import { type GtidSet, NO_GTIDS, parseGtidSet } from "./gtid-set";

// The state of a database host and its peers. Times are in seconds; anything that could not be learnt in time is
// unknown.

/**
 * A host's contents: `unknown` if its server does not answer, `empty` if the server has executed no transaction,
 * `partial` if it holds data and no term (an interrupted clone), `member` if it holds the cluster's data.
 */
export type Contents = "unknown" | "empty" | "partial" | "member";

/**
 * Which accounts may write: `open`, the app's; `ready`, only replication's and root (`read_only`), so that the host can
 * be cloned and replicated from; `closed`, none (`super_read_only`).
 */
export type Writability = "open" | "ready" | "closed";

/** Whether it replicates: `failed` if it stopped on an error, because replicated changes do not match the data. */
export type Replication = "running" | "failed" | "stopped";

/** A server's state, as it reports it. */
export interface ServerState {
  readonly state: Contents;
  readonly writability: Writability;
  /** Number of the newest promotion that it knows; 0 when it knows none. */
  readonly term: number;
  /** The host which that promotion made primary. */
  readonly primary: string | undefined;
  readonly serverUuid: string;
  readonly executed: GtidSet;
  /** Executed transactions that are no longer in a binary log. */
  readonly purged: GtidSet;
  /** Transactions received from its source; it may have applied fewer. */
  readonly received: GtidSet;
  /** The host that it is configured to replicate from; an address that is not a database host's is named `unknown`. */
  readonly source: string | undefined;
  readonly replication: Replication;
  /** Whether everything it received is applied. */
  readonly hasApplied: boolean;
  /** Seconds since the source was last heard; infinite if it never was. */
  readonly silentSeconds: number;
  /** Lag of the transaction being applied; infinite if it is not known. */
  readonly lagSeconds: number;
  /** Whether commits wait for a replica's acknowledgement right now. */
  readonly semiSync: boolean;
  /** Whether they wait for as long as it takes, and not for a second. */
  readonly waitsForEver: boolean;
  readonly semiSyncReplicas: number;
}

/** The state assumed for a server that does not answer. */
export const UNKNOWN_SERVER: ServerState = {
  state: "unknown",
  writability: "closed",
  term: 0,
  primary: undefined,
  serverUuid: "",
  executed: NO_GTIDS,
  purged: NO_GTIDS,
  received: NO_GTIDS,
  source: undefined,
  replication: "stopped",
  hasApplied: false,
  silentSeconds: Number.POSITIVE_INFINITY,
  lagSeconds: Number.POSITIVE_INFINITY,
  semiSync: false,
  waitsForEver: false,
  semiSyncReplicas: 0,
};

/** This host: its server, and everything else that a decision depends on. */
export interface Own extends ServerState {
  readonly name: string;
  readonly number: number;
  /** Whether an operator closed it, so that it must not reopen by itself. */
  readonly isHeld: boolean;
  /** Whether `lossless` forbids opening it: no replica acknowledges. */
  readonly lacksReplica: boolean;
  /** Whether the data volume has space. */
  readonly hasRoom: boolean;
  /**
   * What the record of the primary allows this host: `any`, failover is manual or there is no record yet, and the rules
   * without one decide; `held`, the record names it, and its lease has not ended; `pending`, nothing is known yet;
   * `barred`, it must not be open.
   */
  readonly right: "any" | "held" | "pending" | "barred";
  /** The host that the record names; `undefined` if no record decides. */
  readonly holder: string | undefined;
  /** The run of its server, as it was before the server was queried; `undefined` while failover is manual. */
  readonly incarnation: string | undefined;
}

/** Another database host, as its health port describes it. */
export interface Peer
  extends Pick<
    ServerState,
    | "state"
    | "writability"
    | "term"
    | "primary"
    | "serverUuid"
    | "executed"
    | "purged"
    | "received"
    | "semiSync"
  > {
  readonly name: string;
  readonly number: number;
  /**
   * `PRIMARY:TERM`: its server has run without a restart since it had received everything that this primary had
   * executed.
   */
  readonly caughtUpWith: string | undefined;
  /** The run of its server, or since its source last changed; `undefined` while failover is manual there. */
  readonly incarnation: string | undefined;
  /** The host that it receives from and applies; `undefined` if it does not replicate. */
  readonly follows: string | undefined;
  /** The number of its promise not to take over; `undefined` if it promises nothing. See agent/lease.ts. */
  readonly promise: number | undefined;
  /** The newest term of the record that it knows, once it receives from no other host than the record's. */
  readonly heardTerm: number | undefined;
  /** Whether it holds data of a member of etcd; `undefined` if that is not known. */
  readonly voter: "none" | "member" | undefined;
  /** Whether it says that failover is manual there, so that it never takes over by itself. */
  readonly isManual: boolean;
}

/** The primary of a term, as {@link Peer.caughtUpWith} names it. */
export function caughtUpName(primary: string | undefined, term: number): string {
  return `${primary}:${term}`;
}

/** A database host's name and address. */
export interface Address {
  readonly name: string;
  readonly address: string;
}

/** The number at the end of a host's name. */
function numberOf(name: string): number {
  return Number(/\d+$/.exec(name)?.[0] ?? 0);
}

/** The state assumed for a peer that does not answer, or whose answer is invalid. */
export function unknownPeer(name: string): Peer {
  return {
    name,
    number: numberOf(name),
    state: "unknown",
    writability: "closed",
    term: 0,
    primary: undefined,
    serverUuid: "",
    executed: NO_GTIDS,
    purged: NO_GTIDS,
    received: NO_GTIDS,
    semiSync: false,
    caughtUpWith: undefined,
    incarnation: undefined,
    follows: undefined,
    promise: undefined,
    heardTerm: undefined,
    voter: undefined,
    isManual: false,
  };
}

/** What a host publishes for automatic failover; only `failover` while failover is manual. */
export interface LeaseAnswer {
  /** See {@link Peer.isManual}. */
  readonly failover: "automatic";
  /** See {@link Peer.incarnation}; `-` if there is none. */
  readonly incarnation: string;
  /** See {@link Peer.promise}; 0 if there is none. */
  readonly promise: number;
  /** See {@link Peer.heardTerm}; 0 if there is none. */
  readonly heardTerm: number;
  /** See {@link Peer.voter}. */
  readonly voter: "none" | "member" | "unknown";
}

/** The health port's answer at /state. */
export interface StateAnswer extends Partial<Omit<LeaseAnswer, "failover">> {
  readonly host: string;
  /** Omitted by hosts with an older agent. */
  readonly failover?: "manual" | "automatic";
  readonly state: Contents;
  readonly writability: Writability;
  readonly term: number;
  /** The host that is primary by the newest term it knows; `-` if none. */
  readonly primary: string;
  readonly serverUuid: string;
  /** The host it replicates from; `-` if none. */
  readonly source: string;
  readonly replication: Replication;
  /** Replication lag; `null` if it does not replicate, or never heard from its source. */
  readonly lagSeconds: number | null;
  readonly semiSync: "on" | "off";
  readonly semiSyncReplicas: number;
  /** See {@link Peer.caughtUpWith}; `-` if there is none. */
  readonly caughtUpWith: string;
  /** Its last decision (docs/database.md), and when it was first made, seconds since 1970. */
  readonly decision: string;
  readonly since: number;
  readonly gtidPurged: string;
  readonly gtidReceived: string;
  readonly gtidExecuted: string;
}

const NAME = /^[a-z0-9-]{1,63}$/;
const INCARNATION = /^[A-Za-z0-9.-]{1,64}$/;
const isPositive = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) > 0;
const is = <Value>(known: readonly Value[], value: unknown): value is Value =>
  known.includes(value as Value);

/**
 * Parses a peer's answer. It came over the network, so each value is validated before it is used; if one is invalid,
 * the peer is unknown.
 *
 * @param answer the body of the answer at /state; `undefined` if there was none
 */
export function parsePeer(name: string, answer: string | undefined): Peer {
  try {
    const said: Partial<Record<keyof StateAnswer, unknown>> = JSON.parse(answer ?? "");
    const { state, writability, term, primary, serverUuid, caughtUpWith, source } = said;
    const { incarnation, promise, heardTerm, voter } = said;
    if (
      said.host === name &&
      is(["empty", "partial", "member"] as const, state) &&
      is(["open", "ready", "closed"] as const, writability) &&
      Number.isSafeInteger(term) &&
      (term as number) >= 0 &&
      typeof primary === "string" &&
      NAME.test(primary) &&
      typeof serverUuid === "string" &&
      typeof said.gtidExecuted === "string" &&
      typeof said.gtidPurged === "string"
    ) {
      return {
        name,
        number: numberOf(name),
        state,
        writability,
        term: term as number,
        primary: primary === "-" ? undefined : primary,
        serverUuid,
        executed: parseGtidSet(said.gtidExecuted),
        purged: parseGtidSet(said.gtidPurged),
        // Omitted by hosts with an older agent.
        received:
          typeof said.gtidReceived === "string" ? parseGtidSet(said.gtidReceived) : NO_GTIDS,
        semiSync: said.semiSync === "on",
        caughtUpWith:
          typeof caughtUpWith === "string" && caughtUpWith !== "-" ? caughtUpWith : undefined,
        incarnation:
          typeof incarnation === "string" && incarnation !== "-" && INCARNATION.test(incarnation)
            ? incarnation
            : undefined,
        follows:
          said.replication === "running" && typeof source === "string" && NAME.test(source)
            ? source
            : undefined,
        promise: isPositive(promise) ? promise : undefined,
        heardTerm: isPositive(heardTerm) ? heardTerm : undefined,
        voter: is(["none", "member"] as const, voter) ? voter : undefined,
        isManual: said.failover === "manual",
      };
    }
  } catch {
    // Treated like a peer that does not answer.
  }
  return unknownPeer(name);
}
