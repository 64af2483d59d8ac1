import { firstOutcome, type Part, tableOf } from "./rules";

// The record of who is primary, which etcd keeps (docs/record.md). Pure; times are milliseconds of a monotonic clock.

/**
 * What became of the primary: `open`, it takes writes while it renews the record; `taking`, a replica is becoming
 * primary; `vacant`, it closed itself, and a replica may take over at once.
 */
export type RecordState = "open" | "taking" | "vacant";

/** Who is primary. Changed by compare-and-swap only. */
export interface PrimaryRecord {
  /** Of the holder's promotion, the number that is also in the table of terms. */
  readonly term: number;
  /** The name of the host that is primary, is becoming it, or (`vacant`) was it last. */
  readonly holder: string;
  readonly state: RecordState;
  /**
   * `NAME@INCARNATION` of the replicas that had received everything when they were entered, and one of which has
   * received every write since before it was acknowledged. Empty if writes are acknowledged without a replica.
   */
  readonly sync: readonly string[];
  /** One higher with each renewal. */
  readonly sequence: number;
  /** The host that an operator wants to take over from a `vacant` record; omitted if it may be any. */
  readonly successor?: string;
}

/** A record as the store returned it. */
export interface Stored {
  readonly record: PrimaryRecord;
  /** Of the record in the store: changes with each write. */
  readonly revision: string;
}

/** A voter of the store, for an operator. */
export interface StoreMember {
  /** The host; the member's address if it is no known host's. */
  readonly name: string;
  readonly isLearner: boolean;
  readonly isLeader: boolean;
  /** Whether it answered within the timeout. */
  readonly isWell: boolean;
}

/** The revision to write with if there is no record yet. */
export const NO_REVISION = "0";

/** The key that the record is stored under. */
export const RECORD_KEY = "/cluster/primary";

/** Where the record is kept. */
export interface RecordStore {
  /**
   * A linearizable read; `undefined` if there is no record yet.
   *
   * @throws Error if no quorum answers within the timeout, or the stored text is no record
   */
  read(): Promise<Stored | undefined>;
  /**
   * Writes the record if the stored one still has this revision ({@link NO_REVISION}: if there is none).
   *
   * @returns the new revision; `undefined` if it was refused, because another write came first
   * @throws Error if it is not known whether it was written
   */
  write(record: PrimaryRecord, revision: string): Promise<string | undefined>;
  /**
   * Removes the record if it still has this revision. Whether it did.
   *
   * @throws Error if it is not known
   */
  remove(revision: string): Promise<boolean>;
  /** Makes another voter the store's leader, if the leader is on this host. Does nothing otherwise. @throws Error */
  yieldLeadership(): Promise<void>;
  /** The voters and learners, and which of them answer. @throws Error if no member answers */
  members(): Promise<readonly StoreMember[]>;
  /** Whether this host holds a member's data: `member` also if that member is not running. */
  voter(): Promise<"none" | "member">;
}

const HOST = /^[a-z0-9-]{1,63}$/;
const SYNCED = /^[a-z0-9-]{1,63}@[A-Za-z0-9.-]{1,64}$/;

const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0;

/**
 * The record as it is stored.
 *
 * @param write makes the text unique to one write: whoever wrote it recognises it
 */
export function serializeRecord(record: PrimaryRecord, write?: string): string {
  const { term, holder, state, sync, sequence, successor } = record;
  return JSON.stringify({ term, holder, state, sync, sequence, successor, write });
}

/**
 * Parses a stored record.
 *
 * @throws Error if the text is not such a record: nobody may then open, or take over
 */
export function parseRecord(text: string): PrimaryRecord {
  const wrong = (what: string) =>
    new Error(
      `${RECORD_KEY} in etcd is no record of the primary: ${what}, in ${text.slice(0, 300)}`,
    );
  let said: Partial<Record<keyof PrimaryRecord, unknown>>;
  try {
    said = Object(JSON.parse(text));
  } catch {
    throw wrong("it is not JSON");
  }
  const { term, holder, state, sync, sequence, successor } = said;
  if (!isCount(term) || term === 0) {
    throw wrong("term has to be a whole number above 0");
  }
  if (typeof holder !== "string" || !HOST.test(holder)) {
    throw wrong("holder has to be a host's name");
  }
  if (state !== "open" && state !== "taking" && state !== "vacant") {
    throw wrong("state has to be open, taking or vacant");
  }
  if (!Array.isArray(sync) || !sync.every((one) => typeof one === "string" && SYNCED.test(one))) {
    throw wrong("sync has to be a list of NAME@INCARNATION");
  }
  if (!isCount(sequence)) {
    throw wrong("sequence has to be a whole number");
  }
  if (successor === undefined) {
    return { term, holder, state, sync, sequence };
  }
  if (typeof successor !== "string" || !HOST.test(successor)) {
    throw wrong("successor has to be a host's name");
  }
  return { term, holder, state, sync, sequence, successor };
}

// --- What a host does next about the record

const timer = (milliseconds: number, says: string) => ({ milliseconds, says });

/**
 * Each timer, and what it is, worded as in the documentation. Only the monotonic clock counts. With clocks that run at
 * most 1 % apart:
 *
 * - (`close` + `kill`) · 1.01 < `takeOver` · 0.99, and `fence` · 1.01 < `takeOver` · 0.99: a holder that cannot renew
 *   is closed before anybody takes over
 * - an election of etcd (1.6 s, more than `request`) + `renew` + `late` ≤ `close`: the loss of etcd's leader closes nobody
 * - 2 · `request` < `close`: a holder whose requests all take so long is not closed
 */
export const TIMER_TABLE = {
  renew: timer(500, "between two renewals by the holder"),
  watch: timer(250, "between two reads by a host that may take over"),
  late: timer(
    400,
    "a member of etcd that has not answered for this long is late: another one is asked as well",
  ),
  request: timer(1_300, "the longest that one request to etcd takes"),
  close: timer(2_750, "after its last successful renewal was sent, the holder closes itself"),
  fence: timer(3_000, "after the same moment, the kernel closes MySQL's port to the web servers"),
  kill: timer(500, "a server that has not closed this long after it was told to is killed"),
  takeOver: timer(
    3_500,
    "after it last saw the record change, a replica may take over; a promise is as long",
  ),
  degrade: timer(
    1_000,
    "`available`: after this long without an acknowledgement, commits wait no more",
  ),
  gone: timer(
    500,
    "`available`: after this long without a replica that is connected, commits wait no more",
  ),
  unwell: timer(1_500, "a server that has not answered for this long is given up by the holder"),
  hung: timer(
    2_000,
    "a holder whose data volume has not taken a write for this long gives up its server",
  ),
  takeBack: timer(
    8_000,
    "after a host began to take over and did not finish, the primary before it takes back its role",
  ),
} as const;

type Timer = keyof typeof TIMER_TABLE;

/** The timers, in milliseconds. */
export const TIMERS = Object.fromEntries(
  Object.entries(TIMER_TABLE).map(([name, { milliseconds }]) => [name, milliseconds]),
) as Readonly<Record<Timer, number>>;

/** A replica's entry in `sync`. */
export const syncName = (name: string, incarnation: string) => `${name}@${incarnation}`;

/** The host of an entry in `sync`. */
export const hostOf = (entry: string) => entry.split("@")[0] ?? "";

/**
 * What other replicas in `sync` hold: `behind`, each answers as the run that was entered and has received no more than
 * this host (also if there is no other); `ahead`, one has received more; `unknown`, one does not answer, or was started
 * anew.
 */
export type Rivals = "behind" | "ahead" | "unknown";

/**
 * What is known of this host's server: `unseen` until its first answer; `silent`, it may be open and has not answered
 * for `TIMERS.unwell`, or its volume has taken no write for `TIMERS.hung`; `away`, it was closed and does not answer; `gone`, its process has ended, and no other has
 * answered yet; otherwise how it last answered.
 */
export type ServerCondition = "unseen" | "silent" | "away" | "gone" | "closed" | "ready" | "open";

/** What a host knows when it decides what to do about the record. */
export interface RecordView {
  readonly name: string;
  /** As last read or written; `undefined` if there was none, or none was read yet. */
  readonly record: PrimaryRecord | undefined;
  /** Whether the last request to the store succeeded. */
  readonly isAnswered: boolean;
  /** Whether this host knows that the record is what decides; until then the rules without a record apply. */
  readonly isRecorded: boolean;
  /** Whether it renewed the record within `TIMERS.close`. */
  readonly hasLease: boolean;
  /** Whether it may not stay open: its lease has ended, and the agent has had the time to renew it. */
  readonly isOverdue: boolean;
  /** Milliseconds since it first saw the record as it is, and since its last promise. */
  readonly quiet: number;
  readonly server: ServerCondition;
  /** Whether the settings have made failover manual, while a record may still let another host take over. */
  readonly isEnding: boolean;
  /** Whether every other database host says that failover is manual there: none takes over by itself. */
  readonly arePeersManual: boolean;
  /** Whether no database host, this one included, holds data of etcd's; false if one does not answer. */
  readonly isStoreless: boolean;
  /** Whether it holds the cluster's data, and can apply what it received. */
  readonly isSound: boolean;
  /** Whether it is known that all of its tables are InnoDB: of others it may have no rows, since no clone copies them. */
  readonly isWhole: boolean;
  readonly isHeld: boolean;
  /** Whether the server, or the host, is being stopped. */
  readonly isLeaving: boolean;
  readonly hasRoom: boolean;
  /** Its newest term in MySQL, and whether that term names this host. */
  readonly term: number;
  readonly isNamed: boolean;
  readonly incarnation: string | undefined;
  readonly rivals: Rivals;
}

/** What a host does next about the record. */
export type Step =
  | "renew"
  | "vacate"
  | "close"
  | "ask"
  | "promise"
  | "create"
  | "write"
  | "resume"
  | "take-over"
  | "take-back"
  | "finish"
  | "retire"
  | "end"
  | "wait";

/** The action for each step. */
export const STEP_DOES: Readonly<Record<Step, string>> = {
  renew: "writes the record again, with the replicas that are in sync",
  vacate: "closes itself, then records `vacant`",
  close:
    "closes itself: the kernel's fence first, then the server, which is killed if it does not close",
  ask: "asks every other database host for a promise, and tries again",
  promise: "promises, in `/state`, not to take over for as long as a replica waits for",
  create: "creates etcd's cluster, with this host as its only member",
  write: "writes the first record, or one in place of an older one",
  resume: "records `open` again, and reopens",
  "take-over": "records `taking`, applies everything, writes the term, records `open`, opens",
  "take-back": "records `open` with the next term, writes the term, opens",
  finish: "goes on with what it had begun to take over",
  retire: "removes the record, so that nobody takes over any more",
  end: "goes by the rules without a record, and says so in `/state`",
  wait: "waits",
};

const { predicate, rule } = tableOf<RecordView, Step>();

const isUnanswered = predicate("etcd does not answer", (view) => !view.isAnswered);
const isAnsweredNow = predicate("etcd answers", (view) => view.isAnswered);
const isUnrecorded = predicate("this host has seen no record yet", (view) => !view.isRecorded);
const hasNoRecord = predicate("there is no record", (view) => view.record === undefined);
const hasLease = predicate("its lease has not ended", (view) => view.hasLease);
const isEnding = predicate("the settings have made failover manual", ({ isEnding }) => isEnding);
const isAutomatic = predicate("failover is automatic", ({ isEnding }) => !isEnding);
const arePeersManual = predicate(
  "every other database host says that failover is manual there",
  (view) => view.arePeersManual,
);
const isOthers = predicate(
  "its newest term and the record name other hosts, and it is closed",
  ({ record, name, isNamed, server }) => record?.holder !== name && !isNamed && server === "closed",
);
const isOverdue = predicate("its lease has ended", (view) => view.isOverdue);
const mayBeOpen = predicate("it is not known to be closed", ({ server }) =>
  ["open", "ready", "silent"].includes(server),
);
const takesWrites = predicate("it is open", ({ server }) => server === "open");
const isUnseen = predicate(
  "its server has not answered since the agent started",
  ({ server }) => server === "unseen",
);
const isStoreless = predicate(
  "every other database host answers, and none of them nor this one holds data of etcd's",
  (view) => view.isStoreless,
);
const isHolder = predicate(
  "the record names this host",
  ({ record, name }) => record?.holder === name,
);
const is = (state: RecordState) =>
  predicate(`the record is \`${state}\``, ({ record }) => record?.state === state);
const [isTaking, isVacant] = [is("taking"), is("vacant")];
const isOpenOrVacant = predicate(
  "the record is `open` or `vacant`",
  ({ record }) => record?.state === "open" || record?.state === "vacant",
);
const isPrimary = predicate(
  "its newest term names it, and it is open or ready",
  ({ isNamed, server }) => isNamed && (server === "open" || server === "ready"),
);
const isNewerThanRecord = predicate(
  "its newest term is newer than the record's: a promotion while failover was manual",
  ({ record, term }) => record !== undefined && term > record.term,
);
const hasSuccessor = predicate(
  "a replica is in sync",
  ({ record }) => record !== undefined && record.sync.length > 0,
);
const hasNoSuccessor = predicate(
  "no replica is in sync",
  ({ record }) => record?.sync.length === 0,
);
const isHeld = predicate("an operator closed it", (view) => view.isHeld);
const mustGo = predicate(
  "it is being stopped, or its server does not answer or has ended",
  ({ isLeaving, server }) => isLeaving || server === "silent" || server === "gone",
);
const isDown = predicate(
  "its server does not answer or has ended, or holds no data",
  ({ server, isSound }) => ["silent", "away", "gone"].includes(server) || !isSound,
);
const isFit = predicate(
  "its server is closed, holds the data and can apply it, has space, and nobody closed or stops it",
  ({ server, isSound, isHeld, isLeaving, hasRoom }) =>
    (server === "closed" || server === "ready") && isSound && !isHeld && !isLeaving && hasRoom,
);
const isWhole = predicate("all of its tables are InnoDB", (view) => view.isWhole);
const isInSync = predicate(
  "this run of its server is in sync",
  ({ record, name, incarnation }) =>
    incarnation !== undefined && record?.sync.includes(syncName(name, incarnation)) === true,
);
const hasTaken = predicate(
  "its newest term is the record's",
  ({ record, term, isNamed }) => isNamed && record?.term === term,
);
const isFree = predicate(
  "the record is `vacant` and names no other successor, or has not changed for `takeOver`",
  ({ record, name, quiet }) =>
    (record?.state === "vacant" && (record.successor ?? name) === name) || quiet >= TIMERS.takeOver,
);
const isQuiet = predicate(
  "the record has not changed for `takeOver`",
  ({ quiet }) => quiet >= TIMERS.takeOver,
);
const isForemost = predicate(
  "every other replica in sync answers, and none has received more",
  ({ rivals }) => rivals === "behind",
);
const wasBefore = predicate(
  "it was the primary of the term before",
  ({ record, term, isNamed }) => isNamed && record?.term === term + 1,
);
const isStuck = predicate(
  "the record has not changed for `takeBack`",
  ({ quiet }) => quiet >= TIMERS.takeBack,
);

/** Every rule; the first that applies decides. */
export const STEP_PARTS: readonly Part<RecordView, Step>[] = [
  {
    title: "Failover has become manual",
    when: [isEnding],
    rules: [
      rule("end", isUnrecorded),
      // It never opens by itself.
      rule("end", isOthers),
      rule("end", isUnanswered, arePeersManual),
      rule("end", isAnsweredNow, hasNoRecord),
      // Nobody has taken over, and once it is removed nobody can.
      rule("retire", isAnsweredNow, isHolder, isOpenOrVacant),
    ],
  },
  {
    title: "etcd does not answer",
    when: [isUnanswered],
    rules: [
      // Until there is a record, the rules without one decide.
      rule("create", isUnrecorded, isPrimary, isStoreless),
      rule("wait", isUnrecorded),
      rule("ask", hasLease),
      rule("close", mayBeOpen, isOverdue),
      rule("promise"),
    ],
  },
  {
    title: "There is no record, or an older one",
    when: [hasNoRecord],
    rules: [
      rule("write", isUnrecorded, isPrimary),
      rule("wait", isUnrecorded),
      rule("close", mayBeOpen),
      rule("wait"),
    ],
  },
  {
    title: "The record is older than this primary",
    when: [isPrimary, isNewerThanRecord],
    rules: [rule("write")],
  },
  {
    title: "The record names this host",
    when: [isHolder],
    rules: [
      rule("finish", isTaking, hasTaken, isFit),
      rule("finish", isTaking, isInSync, isFit, isForemost),
      rule("close", isTaking, takesWrites),
      rule("wait", isTaking),
      // The replica comes first; if none takes over, everything is still here.
      rule("resume", isVacant, isFit, isQuiet),
      rule("resume", isVacant, isFit, hasNoSuccessor),
      rule("close", isVacant, mayBeOpen),
      rule("wait", isVacant),
      rule("wait", isUnseen),
      // The operator promotes another host, which compares what both hold; no replica has to be in sync for that.
      rule("vacate", isHeld),
      rule("vacate", hasSuccessor, mustGo),
      // A host that does not renew is succeeded.
      rule("wait", hasSuccessor, isDown),
      rule("renew"),
    ],
  },
  {
    title: "The record names another host",
    when: [],
    rules: [
      rule("wait", isUnrecorded),
      rule("close", mayBeOpen),
      rule("take-over", isAutomatic, isFree, isFit, isWhole, isInSync, isForemost),
      // It has all that was acknowledged, and whoever took over has acknowledged nothing yet.
      rule("take-back", isAutomatic, isTaking, isStuck, isFit, wasBefore),
      rule("wait"),
    ],
  },
];

/** What a host does next about the record. */
export const nextStep = firstOutcome(STEP_PARTS);

// --- What the holder does about its replicas

/** What the holder's server says about replicas that acknowledge. */
export interface Acknowledgements {
  /** Whether commits wait for a replica, for as long as it takes. */
  readonly isOn: boolean;
  /** Replicas that acknowledge. */
  readonly clients: number;
  /** Sessions whose commit waits now. */
  readonly waiting: number;
  /** Commits that were acknowledged by a replica since the server started. */
  readonly acknowledged: number;
}

export interface ReplicasView extends Acknowledgements {
  readonly durability: "available" | "lossless";
  readonly sync: readonly string[];
  /** Milliseconds for which no commit was acknowledged although one waited, or for which no replica was there. */
  readonly stalled: number;
  /** `NAME@INCARNATION` of the replicas that follow this host, as they answer. */
  readonly following: readonly string[];
  /**
   * Whether one of those has received everything that this server had executed at some moment since commits wait and
   * since they are the ones that follow.
   */
  readonly hasCaughtUp: boolean;
}

/**
 * - `degrade`: record `sync: []`, then let commits wait no more
 * - `await`: let commits wait for a replica
 * - `enter`: record the replicas that follow
 * - `keep`: nothing
 */
export type ReplicasStep = "degrade" | "await" | "enter" | "keep";

const isSame = (one: readonly string[], other: readonly string[]) =>
  one.length === other.length && one.every((entry) => other.includes(entry));

/** How long commits may wait for replicas, by how many are connected, in milliseconds. */
export const patience = (clients: number) => (clients === 0 ? TIMERS.gone : TIMERS.degrade);

/**
 * What the holder does about its replicas. Every acknowledged write is on at least one host of `sync`: so whoever may
 * acknowledge is entered, and all of them are asked before one takes over; and before the others are left out, one that
 * stays has received everything.
 */
export function nextForReplicas(view: ReplicasView): ReplicasStep {
  const { durability, sync, isOn, clients, stalled, following, hasCaughtUp } = view;
  if (durability === "available" && (isOn || sync.length > 0) && stalled >= patience(clients)) {
    return "degrade";
  }
  if (!isOn) {
    return durability === "lossless" || clients > 0 || sync.length > 0 ? "await" : "keep";
  }
  const isNew = !isSame(sync, following);
  return isNew && following.length > 0 && hasCaughtUp ? "enter" : "keep";
}

/** Whether the stored record is one that this holder wrote in this term: only it writes such. */
export function isOwnRecord(record: PrimaryRecord | undefined, own: PrimaryRecord): boolean {
  return (
    record !== undefined &&
    record.holder === own.holder &&
    record.term === own.term &&
    record.state === own.state
  );
}
