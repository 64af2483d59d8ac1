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

  constructor(private readonly time: VirtualTime) {}

  async publish(answers: Answers, at: number): Promise<void> {
    this.said = { answers, at };
    this.text = undefined;
    this.toldAt = this.time.now;
  }

  /** It is started anew. */
  forget(): void {
    this.said = undefined;
    this.toldAt = this.time.now;
  }

  /** What counts now. */
  get answers(): Answers | undefined {
    if (this.said === undefined) {
      return undefined;
    }
    const age = secondsAt(this.time) - this.said.at;
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
