import { CONNECT_SECONDS } from "./peers";
import { hostOf, isOwnRecord, type PrimaryRecord } from "./record";
import type { RecordCopy } from "./record-copy";
import { compareRivals, rivalsIn } from "./rivals";
import type { ServerWatch } from "./server-watch";
import type { Own } from "./state";
import type { Identity, Surroundings } from "./surroundings";

/** How long a host that takes over waits for what it received to be applied before it tries anew, in milliseconds. */
const APPLY_WITHIN = 60_000;

/** Between two looks at what has been applied, in milliseconds. */
const PAUSE = 20;

/** How a host that is not the primary becomes it, in the record and in its server. It does not open the server. */
export class Takeover {
  /** @param look observes the server again, and takes note of that */
  constructor(
    private readonly identity: Identity,
    private readonly surroundings: Pick<
      Surroundings,
      "server" | "marks" | "peers" | "clock" | "log"
    >,
    private readonly copy: RecordCopy,
    private readonly watch: ServerWatch,
    private readonly look: () => Promise<Own>,
  ) {}

  /**
   * Records `taking`, applies everything that this host received, writes the term into MySQL, and records `open`.
   *
   * @param isFinish whether this host has recorded `taking` before
   * @param isForced whether an operator has decided that it may, whatever other replicas hold
   * @returns false if the record was changed by another host meanwhile, or etcd does not answer
   * @throws Error if the server was started anew, what it received is not applied in time, or another replica has
   *   received more
   */
  async run(isFinish: boolean, isForced: boolean): Promise<boolean> {
    const { server, marks, clock, log } = this.surroundings;
    const { name, durability } = this.identity;
    const before = this.copy.record;
    const incarnation = this.watch.incarnation;
    if (!isFinish) {
      const taking: PrimaryRecord = {
        term: Math.max(before?.term ?? 0, this.watch.own?.term ?? 0) + 1,
        holder: name,
        state: "taking",
        sync: isForced ? [] : (before?.sync ?? []),
        sequence: (before?.sequence ?? 0) + 1,
      };
      if (!(await this.copy.write(taking))) {
        return false;
      }
    }
    const taking = this.copy.record as PrimaryRecord;
    log(`becomes primary of term ${taking.term}`);
    const deadline = clock.monotonic() + APPLY_WITHIN;
    let own = await this.look();
    if (own.term !== taking.term) {
      if (own.source !== undefined && own.replication !== "failed") {
        await server.apply();
      }
      for (;;) {
        own = await this.look();
        const isForemost = own.hasApplied && (await this.isForemost(taking, isForced));
        if (this.watch.incarnation !== incarnation || clock.monotonic() > deadline) {
          throw new Error("the server was started anew, or does not come to an end");
        }
        if (!isOwnRecord(this.copy.record, taking)) {
          throw new Error(`${this.copy.record?.holder} has taken over meanwhile`);
        }
        if (own.hasApplied && isForemost) {
          break;
        }
        await clock.sleep(PAUSE);
      }
      await marks.noteOriginal();
      await server.promote({
        wait: durability === "lossless" ? "for-ever" : "no",
        open: false,
        outrankUnheard: false,
        term: taking.term,
      });
      await this.look();
    }
    return this.copy.write({
      ...taking,
      state: "open",
      sync: [],
      sequence: taking.sequence + 1,
    });
  }

  /**
   * Whether no other replica in sync has received more, by an answer that it gave after it had stopped receiving from
   * the primary before.
   */
  private async isForemost(taking: PrimaryRecord, isForced: boolean): Promise<boolean> {
    const rivals = rivalsIn(taking, this.identity.name);
    if (this.identity.peers.length === 1 || isForced) {
      return true;
    }
    const seen = await this.surroundings.peers.look(CONNECT_SECONDS.inHaste);
    const hasStopped = rivals.every((entry) =>
      seen.some(({ name, heardTerm }) => name === hostOf(entry) && heardTerm === taking.term),
    );
    const rank = compareRivals(this.watch.own, rivals, taking, seen);
    if (hasStopped && rank === "ahead") {
      await this.copy.write({ ...taking, state: "vacant", sequence: taking.sequence + 1 });
      throw new Error("another replica has received more, and takes over");
    }
    return hasStopped && rank === "behind";
  }
}
