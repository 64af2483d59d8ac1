import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { type Answers, statusOf } from "./answers";

/** The destination of the answers. */
export interface HealthPort {
  /**
   * Publishes the answers for a few seconds: without an update the health port answers no.
   *
   * @param at when they were true, seconds since 1970
   */
  publish(answers: Answers, at: number): Promise<void>;
  /** Lets `/primary` be answered with 200 for so long, and no longer (hosts/database.ts). */
  permitPrimary(milliseconds: number): Promise<void>;
}

/**
 * HAProxy, which answers from memory (hosts/database.ts). It forgets everything at a restart, so everything is
 * published every time.
 */
export class HaproxyHealthPort implements HealthPort {
  /**
   * @param socket HAProxy's runtime socket
   * @param map the map that it answers from
   * @param authorityFile its answer for the certificate authority; none while there is no such file
   */
  constructor(
    private readonly socket: string,
    private readonly map: string,
    private readonly authorityFile: string,
  ) {}

  async publish({ primary, replica, readable, state }: Answers, at: number): Promise<void> {
    const authority = (await readFile(this.authorityFile, "utf8").catch(() => "")).trim() || "-";
    const statuses = [primary, replica, readable].map(statusOf).join("|");
    const now = `${at}|${statuses}|${JSON.stringify(state)}`;
    // Either would end the value.
    if (/[\s;]/.test(now)) {
      throw new Error(`an answer has white space or a semicolon in it: ${now}`);
    }
    await this.command(
      `set map ${this.map} now ${now}; set map ${this.map} certificate-authority ${authority}\n`,
    );
  }

  async permitPrimary(milliseconds: number): Promise<void> {
    const until = Math.floor(Date.now() + milliseconds);
    await this.command(`set map ${this.map} primary-until ${until}\n`);
  }

  /** HAProxy may be starting: clients that poll it then get no answer, and treat that as no. */
  private command(text: string): Promise<void> {
    return new Promise((resolve) => {
      const connection = connect(this.socket);
      connection.setTimeout(1_000, () => connection.destroy());
      connection.on("error", () => undefined);
      connection.on("close", () => resolve());
      connection.resume();
      connection.end(text);
    });
  }
}
