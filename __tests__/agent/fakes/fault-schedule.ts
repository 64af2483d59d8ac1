import { Chance } from "../../../drill/chance";
import type { Cluster } from "./cluster";
import type { Transaction } from "./disk";
import type { Host } from "./host";

/** How often things happened, so that it shows whether the schedules come to anything. */
export type Counts = Record<string, number>;

/** A fault, and how often it is drawn in proportion to the others. */
export type WeightedFault = readonly [weight: number, happen: () => void];

/** Faults over simulated hosts, drawn by a seed; subclasses say which, and what must hold all the while. */
export abstract class FaultSchedule {
  abstract readonly cluster: Cluster;
  readonly steps: string[] = [];
  protected readonly chance: Chance;
  private wrong: Error | undefined;

  /** @param longest how long a fault lasts at most that ends by itself, in milliseconds */
  constructor(
    readonly seed: number,
    private readonly counts: Counts,
    private readonly longest: number,
  ) {
    this.chance = new Chance(seed);
  }

  protected abstract go(): Promise<void>;

  /** @throws Error with what does not hold, and all that happened */
  async run(): Promise<void> {
    try {
      await this.go();
    } catch (error) {
      throw new Error(
        `seed ${this.seed}: ${(error as Error).message}\n${this.story()}\n${(error as Error).stack?.split("\n").slice(1, 4).join("\n")}`,
      );
    }
  }

  protected say(step: string): void {
    this.steps.push(`${(this.cluster.time.now / 1000).toFixed(3)} ${step}`);
  }

  protected count(what: string, times = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + times;
  }

  /** What is wrong is told between two steps: the agent would take an error for one of its own. */
  protected fail(because: string): void {
    this.wrong ??= new Error(because);
  }

  protected throwIfWrong(): void {
    if (this.wrong !== undefined) {
      throw this.wrong;
    }
  }

  /** Fails unless every one of these writes, which were acknowledged, is on the host that takes writes. */
  protected failIfLost(
    primary: Host,
    writes: readonly { readonly transaction: Transaction; readonly at: number }[],
  ): void {
    const here = new Set(primary.disk.applied);
    for (const { transaction, at } of writes) {
      if (!here.has(transaction)) {
        const { source, number } = transaction;
        this.fail(
          `${primary.name} takes writes, and lacks ${source}:${number}, acknowledged at ${at / 1000}`,
        );
      }
    }
  }

  protected stateOf(host: Host): string {
    const { disk, mysql } = host;
    return `${host.name}: on ${host.isOn}, frozen ${host.isFrozen}, ${mysql.writability}, held ${host.isHeld}, term ${disk.term} of ${disk.primary}, source ${disk.source}, ${host.healthPort.state}`;
  }

  /** Everything that is to be known of a schedule that failed. */
  private story(): string {
    const { cluster, steps } = this;
    const lines = [...steps, ...cluster.journal].sort(
      (one, other) => Number.parseFloat(one) - Number.parseFloat(other),
    );
    const hosts = cluster.hosts.map((host) => this.stateOf(host));
    return [`durability ${cluster.durability}`, ...lines, ...hosts].join("\n");
  }

  // --- What happens

  /** Something that ends by itself. */
  protected forAWhile(what: string, begin: () => void, end: () => void): void {
    const milliseconds = this.chance.between(300, this.longest);
    this.say(`${what} for ${milliseconds / 1000} s`);
    this.cluster.change(begin);
    this.cluster.time.after(milliseconds, () => {
      this.say(`it ends: ${what}`);
      this.cluster.change(end);
    });
  }

  protected killServer(host: Host): void {
    this.say(`the server of ${host.name} is killed`);
    this.cluster.change(() => host.mysql.end());
  }

  protected restartServer(host: Host): void {
    if (host.isOn && !host.isFrozen) {
      this.say(`the server of ${host.name} is restarted`);
      void host.restartServer();
    }
  }

  protected hangServer({ name, mysql: { run } }: Host): void {
    this.forAWhile(
      `the server of ${name} hangs`,
      () => run?.freeze(),
      () => run?.thaw(),
    );
  }

  protected freeze(host: Host): void {
    if (host.isOn && !host.isFrozen) {
      this.forAWhile(
        `${host.name} freezes`,
        () => host.freeze(),
        () => host.isFrozen && host.thaw(),
      );
    }
  }

  protected hangAgent({ name, agentLife }: Host): void {
    this.forAWhile(
      `the agent of ${name} hangs`,
      () => agentLife?.freeze(),
      () => agentLife?.thaw(),
    );
  }

  protected hangDisk(host: Host): void {
    this.forAWhile(
      `the disk of ${host.name} hangs`,
      () => host.hangDisk(),
      () => host.releaseDisk(),
    );
  }

  protected killAgent(host: Host): void {
    if (host.agent !== undefined && !host.isFrozen) {
      this.say(`the agent of ${host.name} is killed`);
      host.killAgent();
    }
  }

  /** Has one of these happen. */
  protected draw(faults: readonly WeightedFault[]): void {
    let left = this.chance.next() * faults.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, happen] of faults) {
      left -= weight;
      if (left < 0) {
        happen();
        return;
      }
    }
  }
}
