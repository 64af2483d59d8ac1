import { answersOf } from "../../agent/answers";
import { formatGtidSet, parseGtidSet } from "../../agent/gtid-set";
import { parsePeer, unknownPeer } from "../../agent/state";
import { Chance } from "../../drill/chance";
import { own } from "./views";

const SET = "3d52e61a-e9b7-11f1-85da-10666a30aade:1-5";
const OWN = own(2, {
  writability: "open",
  term: 3,
  primary: "database-2",
  serverUuid: "3d52e61a-e9b7-11f1-85da-10666a30aade",
  executed: parseGtidSet(SET),
  semiSync: true,
});
const { state: ANSWER } = answersOf(OWN, { decision: "serve", since: 1 }, false, "database-1:2");
const UNKNOWN = unknownPeer("database-2");

test("peers read a host's answer as it was written", () => {
  const peer = parsePeer("database-2", JSON.stringify(ANSWER));
  expect(peer).toMatchObject({
    name: "database-2",
    number: 2,
    state: "member",
    writability: "open",
    term: 3,
    primary: "database-2",
    semiSync: true,
    caughtUpWith: "database-1:2",
  });
  expect(formatGtidSet(peer.executed)).toBe(SET);
});

test("an answer of an earlier version, without the received transactions, is read", () => {
  const { gtidReceived, ...before } = ANSWER;
  expect(gtidReceived).toBe("");
  expect(parsePeer("database-2", JSON.stringify(before)).state).toBe("member");
});

describe("a peer is unknown", () => {
  test.each([
    undefined,
    "",
    "null",
    "[]",
    "{}",
    "1",
    '"member"',
    "<html>",
    '{"state":"unknown"}',
    "\u0000",
  ])("that answers %j", (answer) => {
    expect(parsePeer("database-2", answer)).toEqual(UNKNOWN);
  });

  test("if its answer is truncated", () => {
    const text = JSON.stringify(ANSWER);
    for (let length = 0; length < text.length; length++) {
      expect(parsePeer("database-2", text.slice(0, length))).toEqual(UNKNOWN);
    }
  });

  test.each<[string, object]>([
    ["another host", { host: "database-3" }],
    ["no host", { host: undefined }],
    ["no state that there is", { state: "fine" }],
    ["that its server does not answer", { state: "unknown" }],
    ["no writability that there is", { writability: "ajar" }],
    ["a term below nothing", { term: -1 }],
    ["half a term", { term: 1.5 }],
    ["a term in words", { term: "3" }],
    ["a term that is no safe number", { term: 2 ** 60 }],
    ["a primary with a space", { primary: "database-2 x" }],
    ["no primary", { primary: undefined }],
    ["a number as its identity", { serverUuid: 5 }],
    ["no transactions", { gtidExecuted: undefined }],
    ["transactions that are none", { gtidExecuted: "all" }],
    ["purged transactions that are none", { gtidPurged: "x:1" }],
    ["received transactions that are none", { gtidReceived: "x:1" }],
  ])("that says %s", (_, said) => {
    expect(parsePeer("database-2", JSON.stringify({ ...ANSWER, ...said }))).toEqual(UNKNOWN);
  });

  test("or complete, whatever is changed in its answer", () => {
    const chance = new Chance(11);
    const text = JSON.stringify(ANSWER);
    for (let round = 0; round < 5_000; round++) {
      const at = chance.between(0, text.length - 1);
      const changed =
        text.slice(0, at) +
        chance.oneOf(["", "x", '"', "9", "{", ",", "-", "\\"]) +
        text.slice(at + 1);
      const peer = parsePeer("database-2", changed);
      if (peer.state !== "unknown") {
        expect(JSON.parse(changed).host).toBe("database-2");
        expect(Number.isSafeInteger(peer.term)).toBe(true);
        expect(["open", "ready", "closed"]).toContain(peer.writability);
      } else {
        expect(peer).toEqual(UNKNOWN);
      }
    }
  });
});
