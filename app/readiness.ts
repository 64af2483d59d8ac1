/** Whether the process wants requests; if not, why. */
export type Readiness = { readonly ready: true } | { readonly ready: false; reason: string };

/** For how long, in milliseconds, an answer is given again without asking anew. */
const REMEMBERED_MILLISECONDS = 500;
/** How long, in milliseconds, one check may take: the load balancer waits a second for the answer. */
const PATIENCE_MILLISECONDS = 800;
/**
 * For how long, in milliseconds, a process that was ready stays so while its checks fail: as long as a read
 * waits. All web servers share the database. Were they to leave with its first hiccup, all would, and
 * requests that could wait would be refused.
 */
const LENIENCE_MILLISECONDS = 3_000;

/**
 * Answers health checks. However many come, one check is under way at a time and its outcome is
 * remembered for half a second. A check that takes longer than 0.8 s counts as failed. Once ready, a process
 * is unready when its checks have failed for three seconds.
 */
export class ReadinessProbe {
  private remembered: { readiness: Readiness; at: number } | undefined;
  private underway: Promise<Readiness> | undefined;
  private readyAt = Number.NEGATIVE_INFINITY;
  private draining = false;

  /** @param check resolves when requests can be served, and rejects with the reason if not. */
  constructor(private readonly check: () => Promise<void>) {}

  /** From now on the answer is no: the process is about to stop. */
  drain(): void {
    this.draining = true;
  }

  /** True once the process is about to stop. */
  get isDraining(): boolean {
    return this.draining;
  }

  /** Tells whether the process is ready. Never throws. */
  async ask(): Promise<Readiness> {
    if (this.draining) return { ready: false, reason: "The process is stopping." };
    const { remembered } = this;
    if (remembered !== undefined && Date.now() - remembered.at < REMEMBERED_MILLISECONDS) {
      return remembered.readiness;
    }
    this.underway ??= this.run();
    return await this.underway;
  }

  private async run(): Promise<Readiness> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(
        () => reject(new Error(`No answer within ${PATIENCE_MILLISECONDS} ms.`)),
        PATIENCE_MILLISECONDS,
      );
    });
    let readiness: Readiness;
    try {
      await Promise.race([this.check(), late]);
      readiness = { ready: true };
      this.readyAt = Date.now();
    } catch (error) {
      readiness =
        Date.now() - this.readyAt < LENIENCE_MILLISECONDS
          ? { ready: true }
          : { ready: false, reason: (error as Error).message };
    } finally {
      clearTimeout(timer);
    }
    this.remembered = { readiness, at: Date.now() };
    this.underway = undefined;
    return readiness;
  }
}
