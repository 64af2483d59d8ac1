import type { Flow } from "../../topology/flows";
import { ROLES, type Role } from "../../topology/roles";

// What the drawings of the documentation have in common.

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

const LINE_HEIGHT = 17;

const SANS = "system-ui, -apple-system, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif";
const MONOSPACE = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'Liberation Mono', monospace";

interface Colours {
  readonly paper: string;
  readonly network: string;
  readonly subnet: string;
  readonly line: string;
  readonly text: string;
  readonly faint: string;
  readonly roles: Readonly<Record<Role, string>>;
}

const LIGHT: Colours = {
  paper: "#ffffff",
  network: "#f6f8fa",
  subnet: "#ffffff",
  line: "#d1d9e0",
  text: "#1f2328",
  faint: "#59636e",
  roles: { "load-balancer": "#0969da", web: "#1a7f37", database: "#8250df", monitor: "#9a6700" },
};

const DARK: Colours = {
  paper: "#0d1117",
  network: "#151b23",
  subnet: "#0d1117",
  line: "#3d444d",
  text: "#f0f6fc",
  faint: "#9198a1",
  roles: { "load-balancer": "#4493f8", web: "#3fb950", database: "#ab7df8", monitor: "#d29922" },
};

function rules({ paper, network, subnet, line, text, faint, roles }: Colours): string[] {
  return [
    `.paper { fill: ${paper}; stroke: ${line}; }`,
    `.network { fill: ${network}; stroke: ${line}; }`,
    `.zone { stroke: ${faint}; }`,
    `.subnet { fill: ${subnet}; stroke: ${line}; }`,
    `.card { fill: ${paper}; }`,
    `.chip { fill: ${network}; }`,
    `.chip-out { fill: ${paper}; }`,
    `.text { fill: ${text}; }`,
    `.faint { fill: ${faint}; }`,
    `.outside { stroke: ${faint}; }`,
    `.outside-head { fill: ${faint}; }`,
    ...ROLES.flatMap((role) => [
      `.${role} { stroke: ${roles[role]}; }`,
      `.${role}-fill { fill: ${roles[role]}; }`,
    ]),
  ];
}

const STYLE = [
  `text { font-family: ${SANS}; font-size: 13px; }`,
  `.mono { font-family: ${MONOSPACE}; font-size: 12.5px; }`,
  ".strong { font-weight: 600; font-size: 15px; }",
  ".small { font-size: 12px; }",
  ".middle { text-anchor: middle; }",
  ".end { text-anchor: end; }",
  ".flow { fill: none; stroke-width: 1.75; }",
  ".outside { fill: none; stroke-width: 1.75; stroke-dasharray: 5 4; }",
  ".zone { fill: none; stroke-dasharray: 4 4; stroke-opacity: 0.6; }",
  ".card { stroke-width: 1.5; }",
  ".glyph { fill: none; stroke-width: 1.75; stroke-linecap: round; stroke-linejoin: round; }",
];

function escaped(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

export function text(x: number, y: number, classes: string, content: string): string {
  return `<text x="${x}" y="${y}" class="${classes}">${escaped(content)}</text>`;
}

export function rectangle({ x, y, width, height }: Box, radius: number, classes: string): string {
  return `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="${radius}" class="${classes}"/>`;
}

/** A small drawing for each role, 28 by 28. */
export function glyph(role: Role, x: number, y: number): string {
  const paths: Record<Role, string> = {
    "load-balancer":
      "M2 14H10M10 14C16 14 15 5 24 5M10 14C16 14 15 23 24 23M10 14H24M21 2L24 5L21 8M21 11L24 14L21 17M21 20L24 23L21 26",
    web: "M3 4H25V24H3ZM3 10H25M6.5 7H6.6M10 7H10.1M8 15H20M8 19H16",
    database:
      "M4 6.5C4 4 8.5 2.5 14 2.5S24 4 24 6.5S19.5 10.5 14 10.5S4 9 4 6.5ZM4 6.5V21.5C4 24 8.5 25.5 14 25.5S24 24 24 21.5V6.5M4 14C4 16.5 8.5 18 14 18S24 16.5 24 14",
    monitor: "M3 4H25V20H3ZM14 20V25M9 25H19M6.5 13H10L12 8.5L15.5 16.5L17.5 12H21.5",
  };
  return `<path d="${paths[role]}" transform="translate(${x} ${y})" class="glyph ${role}"/>`;
}

/** The label of flows that lie on one arrow, a line for each. */
export function chip(
  x: number,
  y: number,
  lines: readonly [string, string][],
  classes: string,
): string[] {
  const longest = Math.max(...lines.map(([name, port]) => name.length + port.length));
  const width = Math.round(longest * 7 + 30);
  const height = lines.length * LINE_HEIGHT + 9;
  const top = y - height / 2;
  return [
    rectangle({ x: x - width / 2, y: top, width, height }, 6, classes),
    ...lines.map(
      ([name, port], index) =>
        `<text x="${x}" y="${top + 17 + index * LINE_HEIGHT}" class="text middle">${escaped(name)} <tspan class="faint mono">${escaped(port)}</tspan></text>`,
    ),
  ];
}

export function portOf({ protocol, port }: Flow): string {
  return port === undefined ? protocol : `${protocol} ${port}`;
}

export const middleOf = ({ x, width }: Box) => x + width / 2;

function marker(id: string, classes: string): string {
  return `<marker id="${id}" viewBox="0 0 10 10" refX="1" refY="5" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto-start-reverse"><path d="M0 0L10 5L0 10Z" class="${classes}"/></marker>`;
}

interface Drawing {
  readonly width: number;
  readonly height: number;
  readonly title: string;
  /** What the drawing says, in words. */
  readonly summary: string;
  /** Elements of SVG. */
  readonly parts: readonly string[];
}

/** A whole SVG file, in the reader's light or dark colours. */
export function drawing({ width, height, title, summary, parts }: Drawing): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title description">
<title id="title">${escaped(title)}</title>
<desc id="description">${escaped(summary)}</desc>
<style>
${[...STYLE, ...rules(LIGHT)].join("\n")}
@media (prefers-color-scheme: dark) {
${rules(DARK)
  .map((rule) => `  ${rule}`)
  .join("\n")}
}
</style>
<defs>
${[...ROLES.map((role) => marker(role, `${role}-fill`)), marker("outside", "outside-head")].join("\n")}
</defs>
${parts.join("\n")}
</svg>
`;
}
