import type { Flow } from "../../topology/flows";
import type { Group, Role } from "../../topology/roles";
import { rolesOf, type Topology } from "../../topology/topology";
import { type Box, chip, drawing, glyph, middleOf, portOf, rectangle, text } from "./drawing";
import { endsOfRole, reachedBy, readBy } from "./reach";

const WIDTH = 820;
const MARGIN = 24;
const CARD = { x: MARGIN, width: 480 };
/** Right of the cards, where arrows pass that leave out a role. */
const ASIDE = 660;
const INTERNET_HEIGHT = 44;
const HEAD_HEIGHT = 62;
const LINE_HEIGHT = 20;
/** Between two cards, for the flows from one to the next. */
const GAP = 92;

/** What an intruder on a host of the role has at once, in a few words. */
const HAS: Readonly<Record<Role, string>> = {
  "load-balancer": "all requests and responses",
  web: "the app, and what it may do to its data",
  database: "all data",
  monitor: "the numbers of every host",
};

const NAMES: Readonly<Record<Role, string>> = {
  "load-balancer": "Load balancer",
  web: "Web server",
  database: "Database host",
  monitor: "Monitor",
};

interface Card {
  readonly role: Role;
  readonly secrets: readonly string[];
  readonly box: Box;
}

function cardsOf(topology: Topology): Card[] {
  let y = MARGIN + INTERNET_HEIGHT + GAP;
  return rolesOf(topology).map((role) => {
    const secrets = readBy(topology, role).map(({ name }) => name);
    const height = HEAD_HEIGHT + Math.max(1, secrets.length) * LINE_HEIGHT + 14;
    const box = { x: CARD.x, y, width: CARD.width, height };
    y += height + GAP;
    return { role, secrets, box };
  });
}

function drawnCard({ role, secrets, box }: Card): string[] {
  const lines = secrets.length === 0 ? ["no secret"] : secrets;
  return [
    rectangle(box, 10, `card ${role}`),
    glyph(role, box.x + 16, box.y + 14),
    text(box.x + 58, box.y + 25, "text strong", NAMES[role]),
    text(box.x + 58, box.y + 44, "faint", `has ${HAS[role]}, and reads:`),
    ...lines.map((line, index) =>
      text(box.x + 58, box.y + HEAD_HEIGHT + 8 + index * LINE_HEIGHT, "text mono", line),
    ),
  ];
}

const labels = (flows: readonly Flow[]) =>
  flows.map((flow): [string, string] => [flow.name, portOf(flow)]);

/** Flows from the hosts of one role to those of another, as which some of them may be voters. */
function between(topology: Topology, from: Role, to: Role): Flow[] {
  const ends = endsOfRole(topology, to);
  return reachedBy(topology, from).filter((flow) => ends.has(flow.to as Role | Group));
}

/** An arrow from each card to a later one: to the next straight down, to others at the side. */
function arrows(topology: Topology, cards: readonly Card[]): string[] {
  return cards.flatMap((from, index) =>
    cards.slice(index + 1).flatMap((to, distance): string[] => {
      const flows = between(topology, from.role, to.role);
      if (flows.length === 0) {
        return [];
      }
      const [bottom, top] = [from.box.y + from.box.height, to.box.y];
      if (distance === 0) {
        const x = middleOf(from.box);
        return [
          `<path d="M${x} ${bottom}V${top - 9}" class="flow ${from.role}" marker-end="url(#${from.role})"/>`,
          ...chip(x, (bottom + top) / 2, labels(flows), "chip"),
        ];
      }
      const [right, start, end] = [from.box.x + from.box.width, from.box.y + 40, to.box.y + 40];
      return [
        `<path d="M${right} ${start}H${ASIDE}V${end}H${right + 9}" class="flow ${from.role}" marker-end="url(#${from.role})"/>`,
        ...chip(ASIDE, (start + end) / 2, labels(flows), "chip"),
      ];
    }),
  );
}

/**
 * Draws how far an intruder gets from one role to the next: which flows lead on, and which secrets a host of each role
 * reads. Flows back, and those among hosts of one role, are left out.
 */
export function reachPicture(topology: Topology): string {
  const cards = cardsOf(topology);
  const internet = { x: CARD.x, y: MARGIN, width: CARD.width, height: INTERNET_HEIGHT };
  const last = cards.at(-1) as Card;
  const height = last.box.y + last.box.height + MARGIN;
  const incoming = topology.flows.filter(({ from }) => from === "internet");
  const [first] = cards as [Card];
  const x = middleOf(internet);
  const [from, to] = [internet.y + internet.height, first.box.y];
  const parts = [
    rectangle({ x: 0.5, y: 0.5, width: WIDTH - 1, height: height - 1 }, 12, "paper"),
    rectangle(internet, 10, "network"),
    text(x, internet.y + 27, "text strong middle", "Internet"),
    `<path d="M${x} ${from}V${to - 9}" class="outside" marker-end="url(#outside)"/>`,
    ...chip(x, (from + to) / 2, labels(incoming), "chip-out"),
    ...arrows(topology, cards),
    ...cards.flatMap(drawnCard),
  ];
  const summary = cards
    .map(({ role, secrets }) => `${NAMES[role]}: reads ${secrets.join(", ") || "no secret"}`)
    .join(". ");
  return drawing({
    width: WIDTH,
    height,
    title: "What an intruder on a host of each role could reach",
    summary,
    parts,
  });
}
