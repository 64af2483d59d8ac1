import { CONNECT_SECONDS } from "./peers";
import { type RecordStore, type Rivals, TIMERS } from "./record";
import type { RecordCopy } from "./record-copy";
import { compareRivals, rivalsIn } from "./rivals";
import type { ServerWatch } from "./server-watch";
import type { Identity, Surroundings } from "./surroundings";

/** Between two looks for a voter of etcd on this host, in milliseconds. */
const VOTER_EVERY = 5_000;

/** How long other hosts are not looked at again while there is no record, in milliseconds. */
const LOOK_EVERY = 2_000;

/** What this host knows of the other database hosts, as far as it decides about the record. */
export class OtherHosts {
  /** Whether failover is manual at each of them. */
  areManual = false;
  /** Whether neither they nor this host hold data of etcd's; false if one does not answer. */
  isStoreless = false;
  /** Whether this host itself holds data of etcd's. */
  voter: "none" | "member" | "unknown" = "unknown";
  /** What other replicas in sync hold. */
  rivals: Rivals = "unknown";
  private voterAt = Number.NEGATIVE_INFINITY;
  private lookedAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly identity: Identity,
    private readonly surroundings: Pick<Surroundings, "peers" | "clock"> & {
      readonly store: RecordStore;
    },
    private readonly copy: RecordCopy,
    private readonly watch: ServerWatch,
  ) {}

  async lookForVoter(): Promise<void> {
    const { clock, store } = this.surroundings;
    const now = clock.monotonic();
    if (this.voter !== "member" && now >= this.voterAt + VOTER_EVERY) {
      this.voterAt = now;
      this.voter = await store.voter().catch(() => "unknown" as const);
    }
  }

  async lookForManual(): Promise<void> {
    const seen = await this.look();
    this.areManual = seen.every(({ isManual }) => isManual);
  }

  /** What a host that is not the holder has to know before it may take over. */
  async lookForRivals(): Promise<void> {
    const { record, quiet } = this.copy;
    const isDue = quiet > TIMERS.takeOver / 2 || record?.state !== "open";
    if (isDue) {
      this.watch.lookAtTables();
    }
    if (this.identity.peers.every(({ name }) => name === record?.holder)) {
      this.rivals = "behind";
    } else if (isDue) {
      const seen = await this.look();
      const rivals = rivalsIn(record, this.identity.name);
      this.rivals = compareRivals(this.watch.own, rivals, record, seen);
    }
  }

  /** What a primary has to know before it creates etcd's cluster: whether there is one already. */
  async lookForStore(): Promise<void> {
    const { clock, store } = this.surroundings;
    const isNamed = this.watch.own?.primary === this.identity.name;
    if (isNamed && !this.copy.isAnswered && clock.monotonic() >= this.lookedAt + LOOK_EVERY) {
      this.lookedAt = clock.monotonic();
      const seen = await this.look();
      const isNone = seen.every(({ state, voter }) => state !== "unknown" && voter === "none");
      this.isStoreless = isNone && (await store.voter()) === "none";
      this.voter = this.isStoreless ? "none" : this.voter;
    }
  }

  private look() {
    return this.surroundings.peers.look(CONNECT_SECONDS.inHaste);
  }
}
