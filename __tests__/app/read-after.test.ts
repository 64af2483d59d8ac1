import {
  parseReadAfter,
  READ_FROM_PRIMARY,
  readAfterCookie,
  readAfterOf,
  readAfterWrite,
} from "../../app/read-after";

const A = "294e1812-e6a4-11f1-8b28-02fc00000001";
const B = "2ba4f604-e6a4-11f1-8069-02fc00000001";

describe("valid markers from requests", () => {
  test.each([
    `${A}:1`,
    `${A}:1-9`,
    `${A}:1-9:11`,
    `${A}:1-9,${B}:4`,
    `${A}:some_tag:1-3`,
    "primary",
  ])("%s", (value) => expect(parseReadAfter(value)).toBe(value));
});

describe("invalid markers", () => {
  test.each([
    "",
    A,
    `${A}:0`,
    `${A}:1,`,
    `${A}:1 `,
    `${A}:1\n`,
    `${A.toUpperCase()}:1`,
    `${A}:1');DROP TABLE guestbook_entries;--`,
    "' OR 1=1",
    "Primary",
    `${A}:${"9".repeat(40)}`,
    Array.from({ length: 40 }, () => `${A}:1`).join(),
  ])("%j", (value) => expect(parseReadAfter(value)).toBeUndefined());
});

test("a long hostile value is rejected at once", () => {
  const started = Date.now();
  expect(parseReadAfter(`${A}${":1".repeat(480)}!`)).toBeUndefined();
  expect(Date.now() - started).toBeLessThan(100);
});

describe("the marker of a write", () => {
  test("is the server's GTID set, without the line breaks it is printed with", () => {
    expect(readAfterWrite(`${A}:1-9,\n${B}:4`)).toBe(`${A}:1-9,${B}:4`);
  });

  test("is the primary if the server reported none, or one that is too long for a cookie", () => {
    const long = Array.from({ length: 40 }, () => `${A}:1`).join(",\n");
    expect([undefined, "", long].map(readAfterWrite)).toEqual(Array(3).fill(READ_FROM_PRIMARY));
  });
});

describe("sending it back", () => {
  const cookieOf = (set: string) => `theme=dark; ${set.split(";")[0]}; last=1`;

  test("a browser sends back the cookie that it was given", () => {
    const value = readAfterWrite(`${A}:1-9,${B}:4`);
    expect(readAfterOf({ cookie: cookieOf(readAfterCookie(value, false)) })).toBe(value);
  });

  test("the cookie is hidden from scripts, not sent by other sites, and expires soon", () => {
    const cookie = readAfterCookie(READ_FROM_PRIMARY, true);
    expect(cookie.split("; ").slice(1)).toEqual([
      "Max-Age=60",
      "Path=/",
      "HttpOnly",
      "SameSite=Lax",
      "Secure",
    ]);
    expect(readAfterCookie(READ_FROM_PRIMARY, false)).not.toContain("Secure");
  });

  test("a tampered or undecodable cookie counts as none", () => {
    expect(readAfterOf({ cookie: "guestbook_read_after=%" })).toBeUndefined();
    expect(readAfterOf({ cookie: "guestbook_read_after=%27%20OR%201" })).toBeUndefined();
    expect(readAfterOf({})).toBeUndefined();
  });

  test("the header takes precedence over the cookie", () => {
    const cookie = "guestbook_read_after=primary";
    expect(readAfterOf({ cookie, "x-read-after": `${A}:1` })).toBe(`${A}:1`);
  });
});
