import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import type { Answers } from "./answers";

/** Where the answers go. */
export interface HealthPort {
  /**
   * What is answered from now on, for a few seconds: one that hears nothing new answers no.
   *
   * @param at when that was so, seconds since 1970
   */
  publish(answers: Answers, at: number): Promise<void>;
}

const status = (yes: boolean) => (yes ? 200 : 503);

/**
 * HAProxy, which answers out of its memory (hosts/database.ts). It forgets everything when it is started anew, so all of
 * it is said every time.
 */
export class HaproxyHealthPort implements HealthPort {
  /**
   * @param socket HAProxy's runtime socket
   * @param map the map that it answers from
   * @param authorityFile what it tells of the certificate authority; nothing while there is no such file
   */
  constructor(
    private readonly socket: string,
    private readonly map: string,
    private readonly authorityFile: string,
  ) {}

  async publish({ primary, replica, readable, state }: Answers, at: number): Promise<void> {
    const authority = (await readFile(this.authorityFile, "utf8").catch(() => "")).trim() || "-";
    const statuses = [primary, replica, readable].map(status).join("|");
    const now = `${at}|${statuses}|${JSON.stringify(state)}`;
    // Either would end the value.
    if (/[\s;]/.test(now)) {
      throw new Error(`an answer has white space or a semicolon in it: ${now}`);
    }
    await this.command(
      `set map ${this.map} now ${now}; set map ${this.map} certificate-authority ${authority}\n`,
    );
  }

  /** HAProxy may be starting: whoever polls it then hears nothing, and takes that for no. */
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
