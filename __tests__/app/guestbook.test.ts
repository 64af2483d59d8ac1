import { checkTexts, problemWithRequestKey } from "../../app/guestbook";

describe("texts", () => {
  test("are trimmed, with line ends and accents in one form", () => {
    expect(checkTexts({ name: " Zoe\u0308 ", message: "one\r\ntwo\rthree\n" })).toEqual({
      name: "Zo\u00eb",
      message: "one\ntwo\nthree",
      problems: [],
    });
  });

  test("are measured in characters, not in the units of a string", () => {
    expect(checkTexts({ name: "🐬".repeat(80), message: "🎉".repeat(1000) }).problems).toEqual([]);
  });

  test("that are too long are all named, with how long they are", () => {
    expect(checkTexts({ name: "x".repeat(81), message: "y".repeat(1001) }).problems).toEqual([
      "the name has 81 characters; at most 80 are allowed",
      "the message has 1001 characters; at most 1000 are allowed",
    ]);
  });

  test.each([
    [{ name: " ", message: "\n" }, ["the name is missing", "the message is missing"]],
    [{}, ["the name is missing", "the message is missing"]],
    [{ name: ["a"], message: 7 }, ["the name must be text", "the message must be text"]],
    [{ name: null, message: "m" }, ["the name must be text"]],
  ])("that are absent or no texts are refused: %j", (sent, problems) => {
    expect(checkTexts(sent).problems).toEqual(problems);
  });

  test.each(["a\u0000b", "a\u001bb", "a\u0085b", "a\u202eb", "a\ud800b"])(
    "that could garble what is around them are refused: %j",
    (text) => {
      expect(checkTexts({ name: text, message: text }).problems).toEqual([
        "the name holds control characters",
        "the message holds control characters",
      ]);
    },
  );

  test("may hold line breaks and tabs only in a message", () => {
    expect(checkTexts({ name: "a\nb", message: "a\n\tb" }).problems).toEqual([
      "the name holds control characters",
    ]);
  });
});

describe("request keys", () => {
  test.each(["0123456789abcdef", "6f1d1c1e-4f0e-4a55-9a3f-0d7f2f1b2c3d", "A_".repeat(32)])(
    "%s is one",
    (key) => expect(problemWithRequestKey(key)).toBeUndefined(),
  );

  test.each([
    "",
    "short",
    "x".repeat(65),
    "0123456789abcde\n",
    "0123456789 abcdef",
    7,
    ["x"],
    null,
  ])("%j is none", (key) => expect(problemWithRequestKey(key)).toContain("16 to 64"));
});
