import {
  type DatabasesAnswering,
  type Draft,
  ENTRIES_SHOWN,
  type Entry,
  type Guestbook,
  KeyReusedError,
  type Listing,
  type Stored,
  UnavailableError,
} from "../../app/guestbook";
import { type ReadAfter, readAfterWrite } from "../../app/read-after";

/** The server that takes writes here, and the transactions it has executed, as a GTID's prefix. */
export const SERVER = "294e1812-e6a4-11f1-8b28-02fc00000001";

/** A guestbook for tests: it keeps the promises of the real one, and fails when told to. */
export class GuestbookInMemory implements Guestbook {
  readonly stored = new Map<string, Entry>();
  readonly askedToReadAfter: (ReadAfter | undefined)[] = [];
  checks = 0;
  closed = false;
  readsFail = false;
  writesFail = false;
  /** Awaited by every write, so that a test can hold one. */
  gate: Promise<void> = Promise.resolve();

  async list(after?: ReadAfter): Promise<Listing> {
    this.askedToReadAfter.push(after);
    if (this.readsFail) throw new UnavailableError("No database answers reads at the moment.");
    const entries = [...this.stored.values()].reverse().slice(0, ENTRIES_SHOWN);
    return { entries, database: "db-2", upToDate: true };
  }

  async add(draft: Draft): Promise<Stored> {
    await this.gate;
    if (this.writesFail) throw new UnavailableError("The database takes no writes at the moment.");
    const before = this.stored.get(draft.requestKey);
    if (before !== undefined) {
      const same = before.name === draft.name && before.message === draft.message;
      if (!same) throw new KeyReusedError();
      return { entry: before, replayed: true, readAfter: readAfterWrite(`${SERVER}:1-9`) };
    }
    const entry: Entry = {
      id: this.stored.size + 1,
      name: draft.name,
      message: draft.message,
      writtenAt: new Date(Date.UTC(2030, 0, 2, 3, 4, 5)),
      webServer: "web-1",
      database: "db-1",
    };
    this.stored.set(draft.requestKey, entry);
    return { entry, replayed: false, readAfter: readAfterWrite(`${SERVER}:${entry.id}`) };
  }

  async check(): Promise<void> {
    this.checks += 1;
    if (this.readsFail) throw new UnavailableError("No database answers reads at the moment.");
  }

  async databases(): Promise<DatabasesAnswering> {
    return { read: this.readsFail ? null : "db-2", write: this.writesFail ? null : "db-1" };
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}
