import { Chance } from "../../../drill/chance";
import type { Operation, Placed, Promised } from "../../../drill/history/operations";

// Histories of a list that keeps all promises: every append takes effect at one moment, and every read shows the list as
// it was at one moment. Those are drawn by a seed.

/** An operation, and the moment at which it takes effect; infinite if it never does. */
interface Effective {
  operation: Operation;
  effect: number;
}

const LIST = "list";

/** How many elements a read shows, the newest: fewer than there are. */
const SHOWN = 6;

const PROMISED: readonly Promised[] = ["linearizable", "read-your-writes", "none"];

/** The operations of several sessions, without what they read yet. */
function invoke(chance: Chance): Effective[] {
  const sessions = chance.between(2, 5);
  return Array.from({ length: sessions }, (_, process) => {
    let time = 0;
    return Array.from({ length: chance.between(4, 12) }, (_, index): Effective => {
      const invoked = time + chance.between(1, 5);
      const ended = invoked + chance.between(1, 20);
      time = ended;
      const effect = invoked + chance.next() * (ended - invoked);
      const common = { process, invoked, ended, list: LIST } as const;
      if (chance.happens(0.5)) {
        const promised = chance.oneOf(PROMISED);
        return { operation: { ...common, f: "read", type: "ok", promised }, effect };
      }
      const element = `${process}-${index}`;
      // Sessions that invoke it at about the same time want the same place.
      const base = chance.happens(0.3) ? `base ${Math.floor(invoked / 15)}` : undefined;
      const type = chance.happens(0.15) ? "info" : chance.happens(0.1) ? "fail" : "ok";
      const late = chance.happens(0.5) ? Number.POSITIVE_INFINITY : invoked + 100 * chance.next();
      return {
        operation: { ...common, f: "append", element, base, type },
        effect: type === "fail" ? Number.POSITIVE_INFINITY : type === "info" ? late : effect,
      };
    });
  }).flat();
}

/** Of those that depend on the same, the first has an effect, and the others are refused. */
function refuseLater(appends: readonly Effective[]): void {
  const taken = new Set<string>();
  for (const append of appends) {
    const { operation } = append;
    if (operation.f === "append" && operation.base !== undefined) {
      if (taken.has(operation.base)) {
        append.operation = {
          ...operation,
          type: operation.type === "info" ? "info" : "fail",
        };
        append.effect = Number.POSITIVE_INFINITY;
      } else if (Number.isFinite(append.effect)) {
        taken.add(operation.base);
      }
    }
  }
}

/** A history without an anomaly. Times are small numbers. */
export function simulatedHistory(seed: number): Operation[] {
  const chance = new Chance(seed);
  const all = invoke(chance);
  const byEffect = all
    .filter(({ operation }) => operation.f === "append")
    .sort((one, other) => one.effect - other.effect);
  refuseLater(byEffect);
  const stored = byEffect.filter(({ effect }) => Number.isFinite(effect));
  const at = (moment: number) =>
    stored
      .filter(({ effect }) => effect <= moment)
      .map(({ operation }, place): Placed => [(operation as { element: string }).element, place]);

  const done = all.map(({ operation, effect }): Operation => {
    if (operation.f === "append") {
      const place = stored.findIndex((one) => one.operation === operation);
      return operation.type === "ok" ? { ...operation, place } : operation;
    }
    const own = stored.filter(
      (one) =>
        one.operation.process === operation.process &&
        one.operation.type === "ok" &&
        one.operation.ended < operation.invoked,
    );
    const ownLast = Math.max(0, ...own.map((one) => one.effect));
    const moment = {
      linearizable: effect,
      "read-your-writes": ownLast + chance.next() * (operation.ended - ownLast),
      none: chance.next() * operation.ended,
    }[(operation as { promised: Promised }).promised];
    const elements = at(moment).slice(-SHOWN).reverse();
    return { ...operation, elements, from: elements.at(-1)?.[1] ?? 0 };
  });
  const end = Number.MAX_SAFE_INTEGER;
  const finals = ["database-1", "database-2"].map(
    (host): Operation => ({
      f: "final-read",
      type: "ok",
      list: LIST,
      host,
      process: host,
      invoked: end,
      ended: end,
      elements: at(end),
    }),
  );
  done.sort((one, other) => one.ended - other.ended);
  return [...done, ...finals];
}
