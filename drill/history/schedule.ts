import { Chance } from "../chance";

/** What a fault takes away; two that take different things may be there at once. */
export type Part = "database" | "etcd" | "web" | "load-balancer";

/** What the schedule has to know of a fault. */
export interface Schedulable {
  readonly name: string;
  readonly takes: readonly Part[];
}

/** A fault of a schedule. */
export interface Scheduled<Fault extends Schedulable> {
  readonly fault: Fault;
  /** At least 0, less than 1: chooses among the hosts that it may happen to. */
  readonly choice: number;
}

/** What happens next: one fault, or two at once. */
export interface Step<Fault extends Schedulable> {
  readonly faults: readonly Scheduled<Fault>[];
  /** How long it lasts where it does not end by itself, in seconds. */
  readonly lasts: number;
  /** How long the cluster is left alone once it has recovered, in seconds. */
  readonly rest: number;
}

/** How often a second fault comes with the first. */
const BOTH = 0.2;

/**
 * Shorter and longer than the time after which a replica takes over (4 s), in seconds: a primary that comes back just
 * before, and one that comes back to find another.
 */
const LASTS = { shortest: 2, longest: 12 } as const;

const REST = { shortest: 1, longest: 4 } as const;

/**
 * The faults that a seed draws, without end: each of them once, in another order each time. Two at once take different
 * parts of the cluster.
 */
export function* schedule<Fault extends Schedulable>(
  seed: number,
  faults: readonly Fault[],
): Generator<Step<Fault>, never> {
  const chance = new Chance(seed);
  let left: Fault[] = [];
  const draw = (fits: (fault: Fault) => boolean): Scheduled<Fault> | undefined => {
    const fitting = left.filter(fits);
    if (fitting.length === 0) {
      return undefined;
    }
    const fault = chance.oneOf(fitting);
    left = left.filter((one) => one !== fault);
    return { fault, choice: chance.next() };
  };
  for (;;) {
    left = left.length === 0 ? [...faults] : left;
    const first = draw(() => true);
    if (first === undefined) {
      throw new Error("a schedule needs a fault");
    }
    const isApart = ({ takes }: Fault) => !takes.some((part) => first.fault.takes.includes(part));
    const second = chance.happens(BOTH) ? draw(isApart) : undefined;
    yield {
      faults: second === undefined ? [first] : [first, second],
      lasts: chance.between(LASTS.shortest * 10, LASTS.longest * 10) / 10,
      rest: chance.between(REST.shortest * 10, REST.longest * 10) / 10,
    };
  }
}
