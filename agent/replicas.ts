import type { Clock } from "./clock";
import { type GtidSet, isSubset, union } from "./gtid-set";
import type { Server } from "./mysql";
import { CONNECT_SECONDS, type Peers } from "./peers";
import { type Acknowledgements, nextForReplicas, patience, syncName } from "./record";

/** How long replicas are not looked at while nothing changes, in milliseconds. */
const LOOK_EVERY = 2_000;

/** What its server had executed, when certain replicas followed and commits waited for them. */
interface Baseline {
  readonly key: string;
  readonly executed: GtidSet | undefined;
}

/** What the replicas depend on; tests replace it. */
interface ReplicasSurroundings {
  readonly server: Server;
  readonly peers: Peers;
  readonly clock: Clock;
  readonly log: (line: string) => void;
  /** The record is to be written at once. */
  readonly wake: () => void;
}

/** What the holder knows of its replicas, and wants the record to say of them. */
export class Replicas {
  /** The `sync` that the record should have. */
  private wanted: readonly string[] | undefined;
  private isDegrading = false;
  private stalledSince: number | undefined;
  private lastAcknowledged = -1;
  private clients = 0;
  private baseline: Baseline | undefined;
  private following: readonly string[] = [];
  private lookedAt = Number.NEGATIVE_INFINITY;
  private areStrangers = false;

  constructor(
    private readonly identity: {
      readonly name: string;
      readonly durability: "available" | "lossless";
    },
    private readonly surroundings: ReplicasSurroundings,
  ) {}

  /** Whether more replicas acknowledge than the record names. */
  get hasStrangers(): boolean {
    return this.areStrangers;
  }

  /** Milliseconds until commits have waited for as long as they may; Infinity if none waits, or they have already. */
  get untilDegrade(): number {
    const left =
      (this.stalledSince ?? Number.NEGATIVE_INFINITY) +
      patience(this.clients) -
      this.surroundings.clock.monotonic();
    return left > 0 ? left : Number.POSITIVE_INFINITY;
  }

  /** The server was started anew: what replicas had received says nothing any more. */
  restarted(): void {
    this.baseline = undefined;
  }

  /** The record must not name other replicas now. */
  withdraw(): void {
    this.wanted = undefined;
  }

  /**
   * The replicas that the next renewal names.
   *
   * @returns `written`, to be called once that is stored
   */
  next(sync: readonly string[]): {
    readonly sync: readonly string[];
    readonly written: () => void;
  } {
    const { isDegrading, wanted } = this;
    this.wanted = undefined;
    return {
      sync: isDegrading ? [] : (wanted ?? sync),
      written: () => {
        if (isDegrading) {
          this.degrade();
        }
      },
    };
  }

  /** Only once it is recorded: no write that named a replica can be stored any more. */
  private degrade(): void {
    const { server, log } = this.surroundings;
    this.isDegrading = false;
    log("commits wait for no replica any more");
    server.waitForReplica("no").catch((error: Error) => log(`degrade: ${error.message}`));
  }

  /** For how long no commit was acknowledged although one waited, or no replica was there. */
  private stalled(seen: Acknowledgements, at: number): number {
    const isStalled =
      seen.clients === 0 || (seen.waiting > 0 && seen.acknowledged === this.lastAcknowledged);
    this.lastAcknowledged = seen.acknowledged;
    this.clients = seen.clients;
    this.stalledSince = isStalled && seen.isOn ? (this.stalledSince ?? at) : undefined;
    return this.stalledSince === undefined
      ? 0
      : this.surroundings.clock.monotonic() - this.stalledSince;
  }

  /** Whether a replica that follows has received all that was executed since they are the ones that follow. */
  private async lookForFollowers(executed: GtidSet): Promise<boolean> {
    const answers = await this.surroundings.peers.look(CONNECT_SECONDS.inHaste);
    const following = answers.filter(
      ({ state, follows, incarnation }) =>
        state === "member" && follows === this.identity.name && incarnation !== undefined,
    );
    this.following = following.map((peer) => syncName(peer.name, peer.incarnation as string));
    const key = this.following.join();
    const before = this.baseline?.key === key ? (this.baseline.executed ?? executed) : undefined;
    this.baseline = { key, executed: before };
    return (
      before !== undefined &&
      following.some((peer) => isSubset(before, union(peer.executed, peer.received)))
    );
  }

  /**
   * Judges the replicas of an open server.
   *
   * @param sync the replicas that the record names
   * @param at when the server was asked, milliseconds of the monotonic clock
   */
  async judge(
    seen: Acknowledgements & { readonly executed: GtidSet },
    sync: readonly string[],
    at: number,
  ): Promise<void> {
    const { server, log, wake } = this.surroundings;
    const stalled = this.stalled(seen, at);
    this.areStrangers = seen.isOn && sync.length > 0 && seen.clients > sync.length;
    const isSettled = this.following.join() === sync.join() && seen.isOn;
    let hasCaughtUp = false;
    if (!seen.isOn) {
      this.baseline = undefined;
    } else if (seen.clients > 0 && (!isSettled || at >= this.lookedAt + LOOK_EVERY)) {
      this.lookedAt = at;
      hasCaughtUp = await this.lookForFollowers(seen.executed);
    }
    const { durability } = this.identity;
    const { following } = this;
    const step = nextForReplicas({ ...seen, durability, sync, stalled, following, hasCaughtUp });
    if (step === "degrade") {
      if (!this.isDegrading) {
        log("no replica acknowledges");
      }
      this.wanted = undefined;
      this.baseline = undefined;
      this.isDegrading = true;
      wake();
    } else if (step === "await" && !this.isDegrading) {
      await server.waitForReplica("for-ever");
    } else if (step === "enter" && !this.isDegrading && this.baseline !== undefined) {
      this.wanted = following;
      wake();
    }
  }
}
