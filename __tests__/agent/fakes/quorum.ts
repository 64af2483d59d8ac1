import {
  type PrimaryRecord,
  parseRecord,
  type RecordStore,
  serializeRecord,
  TIMERS,
} from "../../../agent/record";
import type { Chance } from "../../../drill/chance";
import type { Life, VirtualTime } from "./time";

/** What etcd's members see of the world. */
interface Surroundings {
  readonly time: VirtualTime;
  readonly chance: Chance;
  isAlive(name: string): boolean;
  isOpen(from: string, to: string): boolean;
}

/** How etcd treats a request. */
interface Luck {
  /** How often a request is answered late, or too late. */
  slow: number;
  /** How often it is not known whether a write was done: it was, it is later, or it never is. */
  unknown: number;
}

/** A model of etcd: a value that a majority of the voters keeps, and a leader who has to be elected. */
export class Quorum {
  private text: string | undefined;
  private revision = 0;
  private leader: string;
  private electedAt = 0;
  private isCreated = false;
  /** Whether its members are down on all hosts, and nothing else is. */
  isAway = false;
  readonly luck: Luck = { slow: 0, unknown: 0 };
  /** Called with each record that is written. */
  written: (record: PrimaryRecord) => void = () => undefined;

  constructor(
    private readonly world: Surroundings,
    readonly voters: readonly string[],
  ) {
    this.leader = voters.at(-1) as string;
  }

  get record(): PrimaryRecord | undefined {
    return this.text === undefined ? undefined : parseRecord(this.text);
  }

  /** It was created long ago. */
  stand(record: PrimaryRecord): void {
    this.isCreated = true;
    this.put(record);
  }

  create(): void {
    if (this.isCreated) {
      throw new Error("create.sh refuses: there is a member's data");
    }
    this.isCreated = true;
  }

  /** Every member has set its data aside. */
  dissolve(): void {
    this.isCreated = false;
    this.text = undefined;
  }

  private put(record: PrimaryRecord): void {
    this.text = serializeRecord(record);
    this.revision++;
    this.written(record);
  }

  private hasMajority(voter: string): boolean {
    const { world, voters } = this;
    const reached = voters.filter(
      (other) => other === voter || (world.isAlive(other) && world.isOpen(voter, other)),
    );
    return world.isAlive(voter) && reached.length * 2 > voters.length;
  }

  /** Whether a host is served, by way of any voter that it reaches. */
  private serves(host: string): boolean {
    const { world, voters } = this;
    if (!this.isCreated || this.isAway || !this.isLed()) {
      return false;
    }
    return voters.some(
      (voter) =>
        (voter === host || world.isOpen(host, voter)) &&
        this.hasMajority(voter) &&
        (voter === this.leader || world.isOpen(voter, this.leader)),
    );
  }

  private isLed(): boolean {
    const { world } = this;
    if (!this.hasMajority(this.leader)) {
      const next = this.voters.find((voter) => this.hasMajority(voter));
      if (next === undefined) {
        return false;
      }
      this.leader = next;
      this.electedAt = world.time.now + world.chance.between(1_000, 1_600);
    }
    return world.time.now >= this.electedAt;
  }

  /** Moves the leader to this host, if it is there. */
  lead(host: string): void {
    if (this.voters.includes(host)) {
      this.leader = host;
    }
  }

  get leadingHost(): string {
    return this.leader;
  }

  private request<Result>(host: string, life: Life, act: () => Result): Promise<Result> {
    const { time, chance } = this.world;
    return new Promise((resolve, reject) => {
      const delay = chance.happens(this.luck.slow) ? chance.between(50, 1_600) : 3;
      const fail = () => life.enter(() => reject(new Error("no answer within 1.3 s")));
      if (delay > TIMERS.request || !this.serves(host)) {
        time.after(TIMERS.request, fail);
        return;
      }
      if (chance.happens(this.luck.unknown)) {
        const kind = chance.between(0, 2);
        if (kind < 2) {
          // It waits in a queue somewhere.
          time.after(kind === 0 ? delay : chance.between(0, 6_000), act);
        }
        time.after(TIMERS.request, fail);
        return;
      }
      time.after(delay / 2, () => {
        if (!this.serves(host)) {
          time.after(TIMERS.request - delay / 2, fail);
          return;
        }
        const result = act();
        time.after(delay / 2, () => life.enter(() => resolve(result)));
      });
    });
  }

  /** @param life the agent's */
  askedBy(host: string, life: Life): RecordStore {
    return {
      read: () =>
        this.request(host, life, () =>
          this.text === undefined
            ? undefined
            : { record: parseRecord(this.text), revision: String(this.revision) },
        ),
      write: (record, revision) =>
        this.request(host, life, () => {
          if (revision !== String(this.text === undefined ? 0 : this.revision)) {
            return undefined;
          }
          this.put(record);
          return String(this.revision);
        }),
      remove: (revision) =>
        this.request(host, life, () => {
          if (this.text === undefined || revision !== String(this.revision)) {
            return false;
          }
          this.text = undefined;
          this.revision++;
          return true;
        }),
      yieldLeadership: async () => {
        const other = this.voters.find((voter) => voter !== host && this.hasMajority(voter));
        if (this.leader === host && other !== undefined) {
          this.leader = other;
        }
      },
      members: async () => [],
      voter: async () => (this.isCreated && this.voters.includes(host) ? "member" : "none"),
    };
  }
}
