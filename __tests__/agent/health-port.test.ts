import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Answers, answersOf } from "../../agent/answers";
import { parseGtidSet } from "../../agent/gtid-set";
import { HaproxyHealthPort } from "../../agent/health-port";
import { parsePeer } from "../../agent/state";
import { own } from "./views";

const directory = mkdtempSync(join(tmpdir(), "health-port-"));
const socket = join(directory, "admin.sock");
const authority = join(directory, "authority");
let received = "";
let haproxy: Server;

beforeAll(
  () =>
    new Promise<void>((resolve) => {
      haproxy = createServer((connection) => {
        connection.on("data", (data) => {
          received += data;
        });
        connection.on("end", () => connection.end("\n"));
      }).listen(socket, resolve);
    }),
);
afterAll(() => {
  haproxy.close();
  rmSync(directory, { recursive: true });
});
beforeEach(() => {
  received = "";
});

const GTIDS = parseGtidSet(
  "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7:app:2,\n4e11fa47-71ca-11e1-9e33-c80aa9429562:1",
);
const REPLICA = own(2, {
  term: 1,
  primary: "database-1",
  source: "database-1",
  replication: "running",
  serverUuid: "4e11fa47-71ca-11e1-9e33-c80aa9429562",
  executed: GTIDS,
  silentSeconds: 0,
  lagSeconds: 0,
});

const port = new HaproxyHealthPort(socket, "/etc/haproxy/answers.map", authority);
const answers = (): Answers =>
  answersOf(REPLICA, { decision: "follow", since: 3 }, false, "database-1:1");

test("HAProxy gets all answers as one value, so that peers never read a mixture", async () => {
  await port.publish(answers(), 17);
  const [, now = ""] =
    /^set map \S+ now (\S+); set map \S+ certificate-authority -\n$/.exec(received) ?? [];
  const [at, primary, replica, readable, ...state] = now.split("|");
  expect([at, primary, replica, readable]).toEqual(["17", "503", "200", "200"]);
  expect(parsePeer("database-2", state.join("|"))).toMatchObject({
    name: "database-2",
    state: "member",
    caughtUpWith: "database-1:1",
    executed: GTIDS,
  });
});

test("the certificate authority is published as soon as it exists", async () => {
  writeFileSync(authority, "abc|def\n");
  await port.publish(answers(), 17);
  expect(received).toContain(" certificate-authority abc|def\n");
});

test("an answer that HAProxy would truncate is not published", async () => {
  const decided = { decision: "fol low", since: 3 };
  await expect(port.publish(answersOf(REPLICA, decided, false, undefined), 17)).rejects.toThrow(
    "white space",
  );
  expect(received).toBe("");
});

test("without HAProxy nothing is published, and nothing fails", async () => {
  const nobody = new HaproxyHealthPort(join(directory, "none.sock"), "/map", authority);
  await expect(nobody.publish(answers(), 17)).resolves.toBeUndefined();
});
