import { setTimeout as pause } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { Chance } from "../chance";
import { GuestbookClient } from "./guestbook-client";
import { type Access, connecting, ListClient, listName } from "./list-client";
import { type Ending, GUESTBOOK, type Invocation } from "./operations";
import { monotonicClock, Recorder } from "./recorder";

// The sessions of a history, in a thread of their own. Each invokes one operation after the other, drawn by the seed.
// They end on request.

/** What the sessions need to know. */
export interface SessionSettings {
  readonly url: string;
  readonly access: Access;
  readonly seed: number;
  /** What all elements of this history begin with. */
  readonly prefix: string;
  readonly path: string;
  readonly origin: bigint;
}

/** What the sessions have done so far. */
export interface Tally {
  operations: number;
  ok: number;
  fail: number;
  info: number;
}

/** How many sessions there are: such that two processors have time left for the cluster itself. */
const SESSIONS = {
  /** With the guestbook; each sends along what its last write was told, as a browser does. */
  guestbook: 5,
  /** The same, whose reads have to go to the primary. */
  guestbookFromPrimary: 2,
  /** With the database, from a web server. */
  lists: 3,
} as const;

/** Between two operations of a session, in milliseconds. Some follow at once: then a replica may not have the write. */
const PAUSE = { shortest: 100, longest: 500, none: 0.4 } as const;

/** How long sessions claim the same key, in milliseconds. */
const CLAIM = 700;

/** How long sessions append to the same list, in seconds: a list is read as a whole, and is not to be long. */
export const LIST_SECONDS = 15;

/** What a session does next, by chance. */
type Step = () => Promise<Ending | undefined>;

function steps(settings: SessionSettings, recorder: Recorder, tally: Tally) {
  const { url, prefix, access, seed, origin } = settings;
  const clock = monotonicClock(origin);
  const connect = connecting(access);
  const clients: ListClient[] = [];

  /** Records an operation, and counts it. */
  const record = async (session: number, invocation: Invocation, act: () => Promise<Ending>) => {
    const ending = await recorder.record(session, invocation, act);
    tally.operations++;
    tally[ending.type]++;
    return ending;
  };

  const withGuestbook = (session: number, chance: Chance, fromPrimary: boolean): Step => {
    const client = new GuestbookClient(url, prefix, fromPrimary);
    let written = 0;
    return () => {
      const drawn = chance.next();
      if (drawn < (fromPrimary ? 0.7 : 0.45)) {
        return record(session, { f: "read", list: GUESTBOOK }, () => client.read());
      }
      const element = `${prefix}-${session}-${written++}`;
      if (drawn < 0.9) {
        return record(session, { f: "append", list: GUESTBOOK, element }, () =>
          client.append(element, `history-${element}`),
        );
      }
      // Several sessions use the same key at the same time.
      const base = `history-${prefix}-claim-${Math.floor(clock() / 1e6 / CLAIM)}`;
      return record(session, { f: "append", list: GUESTBOOK, element, base }, () =>
        client.append(element, base),
      );
    };
  };

  const withLists = (session: number, chance: Chance): Step => {
    const client = new ListClient(connect, session);
    clients.push(client);
    let written = 0;
    return () => {
      const list = listName(Math.floor(clock() / 1e9 / LIST_SECONDS));
      return chance.happens(0.6)
        ? client.append(list, `${prefix}-${session}-${written++}`, (invocation, act) =>
            record(session, invocation, act),
          )
        : record(session, { f: "read", list }, () => client.read(list));
    };
  };

  let session = 0;
  const several = (count: number, make: (session: number, chance: Chance) => Step) =>
    Array.from({ length: count }, () => {
      session++;
      const chance = new Chance(seed * 1_000 + session);
      return { chance, step: make(session, chance) };
    });
  return {
    sessions: [
      ...several(SESSIONS.guestbook, (one, chance) => withGuestbook(one, chance, false)),
      ...several(SESSIONS.guestbookFromPrimary, (one, chance) => withGuestbook(one, chance, true)),
      ...several(SESSIONS.lists, withLists),
    ],
    close: () => clients.map((client) => client.close()),
  };
}

function run(settings: SessionSettings): void {
  const recorder = new Recorder(settings.path, monotonicClock(settings.origin));
  const tally: Tally = { operations: 0, ok: 0, fail: 0, info: 0 };
  const { sessions, close } = steps(settings, recorder, tally);
  let isOver = false;
  const goOn = async ({ chance, step }: (typeof sessions)[number]) => {
    while (!isOver) {
      const ending = await step();
      const goesOn = ending?.type === "ok" && chance.happens(PAUSE.none);
      await pause(goesOn ? 0 : chance.between(PAUSE.shortest, PAUSE.longest));
    }
  };
  const all = Promise.all(sessions.map(goOn));
  parentPort?.on("message", async (message: "stop" | "tally") => {
    if (message === "stop") {
      isOver = true;
      await all;
      close();
      recorder.close();
      parentPort?.postMessage({ ended: tally });
      process.exit(0);
    } else {
      parentPort?.postMessage({ tally });
    }
  });
}

if (parentPort !== null) {
  run(workerData);
}
