/** Whether the process can take requests; if not, why. */
export type Readiness = { readonly ready: true } | { readonly ready: false; reason: string };

/** How long the result of a check is reused, in milliseconds. */
const REMEMBERED_MILLISECONDS = 500;
/** Timeout of one check, in milliseconds: the load balancer waits a second for the answer. */
const PATIENCE_MILLISECONDS = 800;
/**
 * How long a ready process stays ready while its checks fail, in milliseconds: as long as a read
 * waits. All web servers share the database, so one short outage of it would otherwise take all of
 * them out of service, and requests that could wait would fail.
 */
const LENIENCE_MILLISECONDS = 3_000;

/**
 * Answers health checks. At most one check runs at a time, and its result is reused for half a
 * second. A check that takes longer than 0.8 s has failed. Once ready, the process becomes unready
 * when its checks have failed for three seconds.
 */
export class ReadinessProbe {
  private remembered: { readiness: Readiness; at: number } | undefined;
  private underway: Promise<Readiness> | undefined;
  private readyAt = Number.NEGATIVE_INFINITY;
  private draining = false;

  /** @param check resolves when requests can be served, and rejects with the reason if not. */
  constructor(private readonly check: () => Promise<void>) {}

  /** From now on the process is not ready, because it is about to stop. */
  drain(): void {
    this.draining = true;
  }

  /** True once the process is about to stop. */
  get isDraining(): boolean {
    return this.draining;
  }

  /** Whether the process is ready. Never throws. */
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
