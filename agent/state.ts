import { type GtidSet, NO_GTIDS, parseGtidSet } from "./gtid-set";

// What a database host and its peers are. Times are seconds; what could not be learnt in time is unknown.

/**
 * What a host holds: `unknown` when its server does not answer, `empty` when that has executed no transaction, `partial`
 * when it holds data and no term (a clone was interrupted), `member` when it holds the cluster's data.
 */
export type Contents = "unknown" | "empty" | "partial" | "member";

/**
 * Who may write: `open`, the app; `ready`, replication and root alone (`read_only`), so that it may be cloned and
 * replicated from; `closed`, nobody (`super_read_only`).
 */
export type Writability = "open" | "ready" | "closed";

/** Whether it replicates: `failed` when it stopped on an error, because what arrives does not fit the data. */
export type Replication = "running" | "failed" | "stopped";

/** What a server says of itself. */
export interface ServerState {
  readonly state: Contents;
  readonly writability: Writability;
  /** Number of the newest promotion that it knows; 0 when it knows none. */
  readonly term: number;
  /** The host which that promotion made primary. */
  readonly primary: string | undefined;
  readonly serverUuid: string;
  readonly executed: GtidSet;
  /** What it has executed and no longer has a binary log of. */
  readonly purged: GtidSet;
  /** What it received from its source; it may have applied less. */
  readonly received: GtidSet;
  /** The host that it is set to replicate from; an address that is no database host's is named `unknown`. */
  readonly source: string | undefined;
  readonly replication: Replication;
  /** Whether all that it received is applied. */
  readonly hasApplied: boolean;
  /** For how long nothing was heard of the source; infinite when it never was. */
  readonly silentSeconds: number;
  /** How far what is being applied is behind; infinite when that is not known. */
  readonly lagSeconds: number;
  /** Whether commits wait for a replica's acknowledgement right now. */
  readonly semiSync: boolean;
  readonly semiSyncReplicas: number;
}

/** What a server is taken for that does not answer. */
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
  semiSyncReplicas: 0,
};

/** This host: its server, and what else a decision depends on. */
export interface Own extends ServerState {
  readonly name: string;
  readonly number: number;
  /** Whether a person closed it, so that it must not reopen by itself. */
  readonly isHeld: boolean;
  /** Whether `lossless` forbids it to open: no replica acknowledges. */
  readonly lacksReplica: boolean;
  /** Whether the data volume has room for more. */
  readonly hasRoom: boolean;
}

/** Another database host, as its health port describes it. */
export interface Peer {
  readonly name: string;
  readonly number: number;
  readonly state: Contents;
  readonly writability: Writability;
  readonly term: number;
  readonly primary: string | undefined;
  readonly serverUuid: string;
  readonly executed: GtidSet;
  readonly purged: GtidSet;
  /** What it received from its source, as in {@link ServerState.received}. */
  readonly received: GtidSet;
  readonly semiSync: boolean;
  /** `PRIMARY:TERM`: its server has run on since it had received all that this primary had executed. */
  readonly caughtUpWith: string | undefined;
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

/** What a peer is taken for that does not answer, or whose answer makes no sense. */
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
  };
}

/** What the health port says at /state. */
export interface StateAnswer {
  readonly host: string;
  readonly state: Contents;
  readonly writability: Writability;
  readonly term: number;
  /** The host that is primary by the newest term it knows; `-` if none. */
  readonly primary: string;
  readonly serverUuid: string;
  /** The host it replicates from; `-` if none. */
  readonly source: string;
  readonly replication: Replication;
  /** How far it is behind; `null` when it replicates from nobody, or never heard of its source. */
  readonly lagSeconds: number | null;
  readonly semiSync: "on" | "off";
  readonly semiSyncReplicas: number;
  /** See {@link Peer.caughtUpWith}; `-` if it is not so. */
  readonly caughtUpWith: string;
  /** Its last decision (docs/database.md), and when it was first made, seconds since 1970. */
  readonly decision: string;
  readonly since: number;
  readonly gtidPurged: string;
  readonly gtidReceived: string;
  readonly gtidExecuted: string;
}

const NAME = /^[a-z0-9-]{1,63}$/;
const is = <Value>(known: readonly Value[], value: unknown): value is Value =>
  known.includes(value as Value);

/**
 * Reads what a peer answered. It came over the network, so each value must look as it should before it is used; where one
 * does not, the peer is unknown.
 *
 * @param answer the body of the answer at /state; `undefined` when there was none
 */
export function parsePeer(name: string, answer: string | undefined): Peer {
  try {
    const said: Partial<Record<keyof StateAnswer, unknown>> = JSON.parse(answer ?? "");
    const { state, writability, term, primary, serverUuid, caughtUpWith } = said;
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
        // Left out by hosts with an agent from before it was told.
        received:
          typeof said.gtidReceived === "string" ? parseGtidSet(said.gtidReceived) : NO_GTIDS,
        semiSync: said.semiSync === "on",
        caughtUpWith:
          typeof caughtUpWith === "string" && caughtUpWith !== "-" ? caughtUpWith : undefined,
      };
    }
  } catch {
    // As one that does not answer.
  }
  return unknownPeer(name);
}
