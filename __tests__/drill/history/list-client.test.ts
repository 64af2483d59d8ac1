import { ListClient, type SqlConnection } from "../../../drill/history/list-client";
import type { Ending, Invocation } from "../../../drill/history/operations";

/** A server with one list, which fails as it is told. */
class FakeServer {
  elements: string[] = [];
  /** The code of the error that the next change, or the next read, ends with. */
  failure: { change?: string; read?: string } = {};
  /** What happens between a read and the change that follows. */
  between: () => void = () => undefined;
  readonly turns: number[] = [];

  readonly connect = async (turn: number): Promise<SqlConnection> => {
    this.turns.push(turn);
    return {
      execute: async ({ sql, values }) => {
        const kind = sql.startsWith("UPDATE") ? "change" : "read";
        const code = this.failure[kind];
        if (code !== undefined) {
          this.failure = {};
          throw Object.assign(new Error(code), { code });
        }
        if (kind === "read") {
          const text = this.elements.map((element) => `${element} `).join("");
          return [[{ version: this.elements.length, elements: text }], undefined];
        }
        this.between();
        const [element, , version] = values as [string, string, number];
        const affectedRows = version === this.elements.length ? 1 : 0;
        if (affectedRows === 1) {
          this.elements.push(element.trim());
        }
        return [{ affectedRows }, undefined];
      },
      on: () => undefined,
      destroy: () => undefined,
    };
  };
}

const recorded: Invocation[] = [];
const record = (invocation: Invocation, act: () => Promise<Ending>) => {
  recorded.push(invocation);
  return act();
};

test("an append is based on the list as it was read, and the element is read at its place", async () => {
  const client = new ListClient(new FakeServer().connect, 0);
  expect(await client.append("list-0", "a", record)).toEqual({ type: "ok", place: 0 });
  expect(await client.append("list-0", "b", record)).toEqual({ type: "ok", place: 1 });
  expect(recorded.map((invocation) => (invocation as { base?: string }).base)).toEqual([
    "0 elements of list-0",
    "1 elements of list-0",
  ]);
  expect(await client.read("list-0")).toEqual({
    type: "ok",
    promised: "linearizable",
    elements: [
      ["a", 0],
      ["b", 1],
    ],
  });
});

test("an append is refused if another session was first", async () => {
  const server = new FakeServer();
  server.between = () => server.elements.push("first");
  const outcome = await new ListClient(server.connect, 0).append("list-0", "a", record);
  expect(outcome).toMatchObject({ type: "fail" });
  expect(server.elements).toEqual(["first"]);
});

test.each([
  ["ER_OPTION_PREVENTS_STATEMENT", "fail"],
  ["ER_LOCK_DEADLOCK", "fail"],
  ["PROTOCOL_CONNECTION_LOST", "info"],
  ["PROTOCOL_SEQUENCE_TIMEOUT", "info"],
  ["ER_SERVER_SHUTDOWN", "info"],
])(
  "an append that ends with %s counts as %s, and the next web server is used afterwards",
  async (change, type) => {
    const server = new FakeServer();
    const client = new ListClient(server.connect, 4);
    server.failure = { change };
    expect(await client.append("list-0", "a", record)).toEqual({ type, details: change });
    await client.read("list-0");
    expect(server.turns).toEqual([4, 5]);
  },
);

test("nothing is appended to a list that cannot be read, and a failed read shows nothing", async () => {
  const server = new FakeServer();
  const client = new ListClient(server.connect, 0);
  const before = recorded.length;
  server.failure = { read: "ECONNREFUSED" };
  expect(await client.append("list-0", "a", record)).toBeUndefined();
  expect(recorded.length).toBe(before);
  server.failure = { read: "ECONNREFUSED" };
  expect(await client.read("list-0")).toEqual({ type: "fail", details: "ECONNREFUSED" });
});
