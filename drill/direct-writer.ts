import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { createConnection } from "mysql2/promise";
import { PORTS } from "../topology/ports";
import { messageOf } from "./load";
import type { ScratchCluster } from "./scratch/scratch-cluster";
import { streamTo } from "./scratch/stream-to";

/** How many clients there are. */
const CONNECTIONS = 4;

/** Between an answer and the next write, in milliseconds. */
const PAUSE = 50;

/** Clients on a web server that stay connected to one database host, whatever becomes of it, and write all the time. */
export class DirectWriter {
  /** Keys of the writes that were acknowledged. */
  readonly acknowledged: string[] = [];
  private readonly end = new AbortController();
  private readonly prefix = `drill-direct-${randomBytes(4).toString("hex")}`;

  constructor(
    private readonly cluster: ScratchCluster,
    private readonly host: string,
  ) {
    const account = cluster.appAccount();
    for (let number = 0; number < CONNECTIONS; number++) {
      // A client ends with its connection.
      this.write(account, number).catch(() => undefined);
    }
  }

  /** Ends all connections. */
  stop(): void {
    this.end.abort();
  }

  private async write(
    account: ReturnType<ScratchCluster["appAccount"]>,
    number: number,
  ): Promise<void> {
    const { cluster, host, prefix } = this;
    const target = `${cluster.address(host)}:${PORTS.mysql}`;
    const connection = await createConnection({
      ...account,
      stream: () => streamTo(cluster.incusProject, "web-1", target),
      ssl: { rejectUnauthorized: false },
    });
    connection.on("error", () => undefined);
    this.end.signal.addEventListener("abort", () => connection.destroy());
    for (let count = 0; !this.end.signal.aborted; count++) {
      const key = `${prefix}-${number}-${count}`;
      await connection.execute(
        `INSERT INTO guestbook_entries (request_key, name, message, written_at, web_server, database_host)
         VALUES (?, 'drill', ?, UTC_TIMESTAMP(3), 'none', ?)`,
        [key, messageOf(key), host],
      );
      this.acknowledged.push(key);
      await pause(PAUSE);
    }
  }
}
