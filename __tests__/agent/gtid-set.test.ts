import {
  formatGtidSet,
  type GtidSet,
  isSubset,
  parseGtidSet,
  subtract,
  union,
  writtenBy,
} from "../../agent/gtid-set";
import { Chance } from "../../drill/chance";

const ONE = "3d52e61a-e9b7-11f1-85da-10666a30aade";
const OTHER = "4e63f72b-e9b7-11f1-85da-10666a30aade";

describe("a set as MySQL prints it", () => {
  test.each([
    ["", ""],
    [`${ONE}:1`, `${ONE}:1`],
    [`${ONE}:1-5:7`, `${ONE}:1-5:7`],
    [`${ONE.toUpperCase()}:1-5`, `${ONE}:1-5`],
    [`${ONE}:1-5,\n${OTHER}:3`, `${ONE}:1-5,${OTHER}:3`],
    [`${ONE}:1-3:4-6`, `${ONE}:1-6`],
    [`${ONE}:5:1-2:2-3`, `${ONE}:1-3:5`],
    [`${ONE}:1-2:tag:1-3:other:4`, `${ONE}:1-2,${ONE}:tag:1-3,${ONE}:other:4`],
    [`${ONE}:tag:1`, `${ONE}:tag:1`],
  ])("%j is %j", (text, formatted) => {
    expect(formatGtidSet(parseGtidSet(text))).toBe(formatted);
  });

  test.each([
    "no set",
    ONE,
    `${ONE}:`,
    `${ONE}:0`,
    `${ONE}:5-3`,
    `${ONE}:1-`,
    `${ONE}:-1`,
    `${ONE}:1.5`,
    `${ONE}:99999999999999999`,
    `${ONE.slice(1)}:1`,
    `:1`,
    `${ONE}:1;DROP`,
    `${ONE}:1 2`,
  ])("%j is none", (text) => {
    expect(() => parseGtidSet(text)).toThrow();
  });
});

/** The same, with each transaction by its name: slow, and plainly right. */
function naive(set: GtidSet): Set<string> {
  const names = new Set<string>();
  for (const [key, intervals] of set) {
    for (const [first, last] of intervals) {
      for (let number = first; number <= last; number++) {
        names.add(`${key}:${number}`);
      }
    }
  }
  return names;
}

function random(chance: Chance): GtidSet {
  const keys = [ONE, OTHER, `${ONE}:tag`].filter(() => chance.happens(0.7));
  const text = keys.map((key) => {
    const intervals = Array.from({ length: chance.between(1, 4) }, () => {
      const first = chance.between(1, 20);
      return `${first}-${first + chance.between(0, 5)}`;
    });
    return `${key}:${intervals.join(":")}`;
  });
  return parseGtidSet(text.join(","));
}

const sorted = (names: Iterable<string>) => [...names].sort();

test("random sets behave as sets of names do", () => {
  const chance = new Chance(7);
  for (let round = 0; round < 2_000; round++) {
    const one = random(chance);
    const other = random(chance);
    const [names, otherNames] = [naive(one), naive(other)];
    expect(sorted(naive(union(one, other)))).toEqual(sorted(new Set([...names, ...otherNames])));
    const rest = [...names].filter((name) => !otherNames.has(name));
    expect(sorted(naive(subtract(one, other)))).toEqual(sorted(rest));
    expect(isSubset(one, other)).toBe(rest.length === 0);
    expect(sorted(naive(writtenBy(one, OTHER)))).toEqual(
      sorted([...names].filter((name) => name.startsWith(OTHER))),
    );
    expect(parseGtidSet(formatGtidSet(one))).toEqual(one);
    // Whatever is made of two is one that MySQL could have printed.
    for (const set of [union(one, other), subtract(one, other)]) {
      expect(parseGtidSet(formatGtidSet(set))).toEqual(set);
    }
  }
});
