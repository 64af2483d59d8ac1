import type { Answers } from "../../../agent/answers";
import type { HealthPort } from "../../../agent/health-port";
import { secondsAt, type VirtualTime } from "./time";

/** The longest that an answer is one, in seconds; a clock may be set back by one (hosts/database.ts). */
const LONGEST_AGE = 3;

/** HAProxy with its memory. */
export class FakeHealthPort implements HealthPort {
  private said: { readonly answers: Answers; readonly at: number } | undefined;
  private text: string | undefined;
  /** When it was last told something, in milliseconds. */
  toldAt = Number.NEGATIVE_INFINITY;
  private primaryUntil = Number.NEGATIVE_INFINITY;

  /** @param clock the host's, whose date may be wrong */
  constructor(
    private readonly time: VirtualTime,
    private readonly clock: { readonly skew: number } = { skew: 0 },
  ) {}

  async permitPrimary(milliseconds: number): Promise<void> {
    this.primaryUntil = this.time.now + this.clock.skew + milliseconds;
  }

  /** Whether it answers 200 at /primary. */
  get isPrimary(): boolean {
    const isPermitted = this.time.now + this.clock.skew < this.primaryUntil;
    return this.answers?.primary === true && isPermitted;
  }

  async publish(answers: Answers, at: number): Promise<void> {
    this.said = { answers, at };
    this.text = undefined;
    this.toldAt = this.time.now;
  }

  /** It is started anew. */
  forget(): void {
    this.said = undefined;
    this.primaryUntil = Number.NEGATIVE_INFINITY;
    this.toldAt = this.time.now;
  }

  /** What counts now. */
  get answers(): Answers | undefined {
    if (this.said === undefined) {
      return undefined;
    }
    const age = secondsAt(this.time, this.clock.skew) - this.said.at;
    return age >= -1 && age <= LONGEST_AGE ? this.said.answers : undefined;
  }

  /** What is answered at /state, where that is 200. */
  get state(): string | undefined {
    const { answers } = this;
    if (answers === undefined) {
      return undefined;
    }
    this.text ??= JSON.stringify(answers.state);
    return this.text;
  }
}
