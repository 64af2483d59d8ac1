import { type Answers, answersOf, type Decided } from "./answers";
import { comparisonWith, leaderOf, type View } from "./decide";
import { formatGtidSet } from "./gtid-set";
import type { Lease } from "./lease";
import { type Comparison, compare } from "./relation";
import { type Own, type ServerState, UNKNOWN_SERVER } from "./state";
import type { Identity, Surroundings } from "./surroundings";
import { firstChange } from "./transactions";

/** Between two answers, in milliseconds. */
const ANSWER_EVERY = 900;

/**
 * How long `/primary` is permitted with each answer where no lease decides, in milliseconds: as long as an answer counts
 * (hosts/database.ts).
 */
const PRIMARY_FOR = 4_000;

/** Milliseconds until the data volume is checked again, while it has space. */
const ROOM_EVERY = 5_000;

/** Transactions that were examined, and the first change in them, if any. */
interface Judged {
  readonly extra: string;
  readonly change: string | undefined;
}

const NOTHING_JUDGED: Judged = { extra: "", change: undefined };

/** Observes this host and its peers, and publishes what it sees on the health port. */
export class Observer {
  /** The last decision of the main loop, which the answers name. */
  decided: Decided = { decision: "wait-for-server", since: 0 };
  /** Whether the data volume had space when last checked. */
  hasRoom = false;
  private own: Own;
  private roomLookedAt = Number.NEGATIVE_INFINITY;
  private judged = NOTHING_JUDGED;

  /** @param leaseNow this host's part in the record of the primary; `undefined` once failover is manual */
  constructor(
    private readonly identity: Identity,
    private readonly surroundings: Surroundings,
    private readonly leaseNow: () => Lease | undefined,
  ) {
    this.own = this.ownOf(UNKNOWN_SERVER, false, undefined);
  }

  private get lease(): Lease | undefined {
    return this.leaseNow();
  }

  // --- Observing

  private ownOf(server: ServerState, isHeld: boolean, incarnation: string | undefined): Own {
    const { name, number, peers, durability } = this.identity;
    // With the spread in front of the other properties, Node takes thirty times as long.
    return {
      name,
      number,
      isHeld,
      lacksReplica: durability === "lossless" && peers.length > 0 && server.semiSyncReplicas === 0,
      hasRoom: this.hasRoom,
      right: this.lease?.right ?? "any",
      holder: this.lease?.holder,
      incarnation,
      ...server,
    };
  }

  /** Checks whether the data volume has space, unless it had some a moment ago. */
  async lookForRoom(): Promise<void> {
    const { clock, marks } = this.surroundings;
    if (!this.hasRoom || clock.monotonic() >= this.roomLookedAt + ROOM_EVERY) {
      this.roomLookedAt = clock.monotonic();
      this.hasRoom = await marks.hasRoom();
    }
  }

  /** Queries this host's server. */
  async lookAtOwn(): Promise<Own> {
    const { server, marks, clock } = this.surroundings;
    if (this.lease === undefined) {
      return this.ownOf(await server.look(), await marks.isHeld(), undefined);
    }
    // Before the server is queried: if it restarts meanwhile, this is no longer its incarnation.
    const incarnation = await marks.incarnation();
    const at = clock.monotonic();
    const own = this.ownOf(await server.look(), await marks.isHeld(), incarnation);
    this.lease.noteOwn(own, at);
    return own;
  }

  /** Retries if a running server is slow to answer: it must not be taken for gone. */
  async lookPatiently<Seen>(look: () => Promise<Seen>, ownIn: (seen: Seen) => Own): Promise<Seen> {
    for (let attempt = 1; ; attempt++) {
      const seen = await look();
      if (
        ownIn(seen).state !== "unknown" ||
        attempt === 3 ||
        !(await this.surroundings.server.isRunning())
      ) {
        return seen;
      }
    }
  }

  /** Queries the peers first and then this host, so that their transactions are never newer than its own. */
  async look(connectSeconds: number): Promise<View> {
    const { peers, marks, clock } = this.surroundings;
    const at = clock.now();
    const seen = await peers.look(connectSeconds);
    for (const peer of seen) {
      if (peer.writability === "open" && peer.primary === peer.name) {
        const { name, term, semiSync } = peer;
        await marks.notePrimary({ name, term, semiSync, at });
      }
    }
    const own = await this.lookAtOwn();
    const comparisons = new Map(
      seen.map((peer) => [peer.name, compare(own, this.identity.name, peer)]),
    );
    return { own, peers: seen, comparisons };
  }

  /**
   * If this host holds transactions that the primary lacks, checks whether any changes a row. On a host that
   * replicates, such transactions will show up at the primary with its next answer, except for the host's own.
   */
  async judgeExtra(view: View): Promise<View> {
    const leader = leaderOf(view.peers);
    if (leader === undefined) {
      return view;
    }
    const comparison = comparisonWith(view, leader);
    const { relation, extra } = comparison;
    const isOnItsWay = view.own.replication === "running" && view.own.source === leader.name;
    const isToBeJudged =
      relation === "strayed" || (["behind", "diverged"].includes(relation) && !isOnItsWay);
    if (!isToBeJudged) {
      return view;
    }
    const text = formatGtidSet(extra);
    if (text !== this.judged.extra) {
      const printed = await this.surroundings.bootstrap.logged(extra);
      const change = printed === undefined ? "it is in no binary log" : firstChange(printed);
      this.judged = { extra: text, change };
    }
    if (this.judged.change !== undefined) {
      return view;
    }
    const rowless: Comparison = { ...comparison, relation: "rowless" };
    return { ...view, comparisons: new Map(view.comparisons).set(leader.name, rowless) };
  }

  /** To be called when the server may give GTIDs that were examined to other transactions. */
  forgetJudged(): void {
    this.judged = NOTHING_JUDGED;
  }

  // --- Answering

  /** Answers for ever; returns only if it throws, which is a bug. */
  async run(): Promise<never> {
    for (;;) {
      await this.answer().catch((error: Error) =>
        this.surroundings.log(`no answer: ${error.message}`),
      );
      await this.surroundings.clock.sleep(ANSWER_EVERY);
    }
  }

  /** An empty server that clones restarts at the end, and waits two seconds for open connections. */
  private isCloning(): boolean {
    return (
      (this.own.state === "empty" || this.own.state === "partial") &&
      this.decided.decision === "clone"
    );
  }

  private async answer(): Promise<void> {
    if (!this.isCloning()) {
      await this.observe();
    } else {
      await this.publish(this.own, this.surroundings.clock.now());
    }
    if (this.own.state !== "member") {
      this.surroundings.server.hangUp();
    }
  }

  /** Queries the server once, and publishes its state on the health port. */
  async observe(): Promise<void> {
    // Taken before the query: however long this process is stalled meanwhile, the observation is no newer than this.
    const at = this.surroundings.clock.now();
    this.own = await this.lookAtOwn();
    await this.publish(this.own, at);
  }

  private async publish(own: Own, at: number): Promise<void> {
    const { healthPort } = this.surroundings;
    const answers = await this.answers(own);
    if (own.right === "any") {
      await healthPort.permitPrimary(PRIMARY_FOR);
    }
    await healthPort.publish(answers, at);
    this.lease?.notePublished(answers.state.promise);
  }

  /** The primary that this run of the server has caught up with, see `Peer.caughtUpWith`. */
  async caughtUpWith(): Promise<string | undefined> {
    const { marks } = this.surroundings;
    const [incarnation, caughtUp] = await Promise.all([marks.incarnation(), marks.caughtUp()]);
    // An earlier version recorded it differently.
    const [run, primary] = /^(\S+) ([a-z0-9-]+:\d+)$/.exec(caughtUp ?? "")?.slice(1) ?? [];
    return incarnation !== undefined && run === incarnation ? primary : undefined;
  }

  /** What the health port says of this host in this state. */
  async answers(own: Own): Promise<Answers> {
    const { marks } = this.surroundings;
    const caughtUpWith = await this.caughtUpWith();
    const isRestoring = await marks.isRestoring();
    return answersOf(own, this.decided, isRestoring, caughtUpWith, this.lease?.answer(own));
  }
}
