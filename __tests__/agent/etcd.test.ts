import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { type EtcdFacts, EtcdRecordStore } from "../../agent/etcd";
import { NO_REVISION, type PrimaryRecord } from "../../agent/record";
import { describeWithEtcd, makeAuthority, makeCertificate, memberSettings } from "../etcd";

const ENDPOINTS = [
  { name: "database-1", address: "127.0.1.11" },
  { name: "database-2", address: "127.0.1.12" },
  { name: "load-balancer-1", address: "127.0.1.13" },
];
const RECORD: PrimaryRecord = {
  term: 3,
  holder: "database-1",
  state: "open",
  sync: ["database-2@5e1f"],
  sequence: 7,
};
const base64 = (text: string) => Buffer.from(text).toString("base64");
const HEADER = { cluster_id: "18446744073709551615", member_id: "11", revision: "9" };

const folder = mkdtempSync(join(tmpdir(), "etcd-"));

beforeAll(() => {
  makeAuthority(folder);
  for (const { name, address } of ENDPOINTS) {
    makeCertificate(folder, name, address);
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Tries until it works, for ten seconds. */
async function until<T>(attempt: () => Promise<T>): Promise<T> {
  for (let left = 100; ; left--) {
    try {
      return await attempt();
    } catch (error) {
      if (left === 0) {
        throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** What a host has of etcd: its certificate in a folder of its own. */
function factsOf(name: string, clientPort: number): EtcdFacts {
  const own = join(folder, `host-${name}`);
  mkdirSync(own, { recursive: true });
  cpSync(join(folder, "authority.pem"), join(own, "authority.pem"));
  cpSync(join(folder, `${name}.pem`), join(own, "host.pem"));
  cpSync(join(folder, `${name}.key`), join(own, "host.key"));
  return {
    name,
    endpoints: ENDPOINTS,
    clientPort,
    configuration: own,
    directory: join(own, "etcd"),
    volume: own,
  };
}

describe("with fake etcd members", () => {
  const PORT = 12_479;
  type Said = object | number | undefined;
  type Answer = (path: string, body: Record<string, unknown>) => Said | Promise<Said>;

  let servers: Server[] = [];
  let asked: string[] = [];
  let now = 1_000;
  /** More patient than the agent is: what a request takes on a busy machine is no matter of most tests. */
  let store: EtcdRecordStore;
  const PATIENT = { other: 2_000, last: 6_000 };
  const asPatientAsTheAgent = () =>
    new EtcdRecordStore(factsOf("database-1", PORT), { monotonic: () => now });

  beforeEach(() => {
    asked = [];
    now = 1_000;
    store = new EtcdRecordStore(factsOf("database-1", PORT), { monotonic: () => now }, PATIENT);
  });
  afterEach(async () => {
    for (const server of servers) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
    servers = [];
  });

  /** A member: a number is an error's status, `undefined` is silence. */
  function member(name: string, answer: Answer): Promise<void> {
    const server = createServer(
      {
        ca: readFileSync(join(folder, "authority.pem")),
        cert: readFileSync(join(folder, `${name}.pem`)),
        key: readFileSync(join(folder, `${name}.key`)),
        requestCert: true,
        rejectUnauthorized: true,
      },
      (incoming, outgoing) => {
        let text = "";
        incoming.on("data", (part) => {
          text += part;
        });
        incoming.on("end", async () => {
          const path = incoming.url?.replace("/v3/", "") ?? "";
          const { subject } = (incoming.socket as TLSSocket).getPeerCertificate();
          asked.push(`${name} ${path} by ${subject.CN}`);
          const said = await answer(path, JSON.parse(text));
          if (typeof said === "number") {
            outgoing.writeHead(said).end(JSON.stringify({ code: 14, message: "no leader" }));
          } else if (said !== undefined) {
            outgoing.end(JSON.stringify(said));
          }
        });
      },
    );
    servers.push(server);
    const address = ENDPOINTS.find((one) => one.name === name)?.address;
    return new Promise((resolve) => server.listen(PORT, address, resolve));
  }

  const stored = (revision = "41") => ({
    header: HEADER,
    kvs: [{ mod_revision: revision, value: base64(JSON.stringify(RECORD)) }],
  });

  test("a read asks this host's own member, linearizably, with the host's certificate", async () => {
    let request: object = {};
    await member("database-1", (_, body) => {
      request = body;
      return stored();
    });
    await member("database-2", () => stored("1"));
    expect(await store.read()).toEqual({ record: RECORD, revision: "41" });
    expect(asked).toEqual(["database-1 kv/range by database-1"]);
    // Without a word about it a read is linearizable.
    expect(request).toEqual({ key: base64("/cluster/primary") });
  });

  test("a missing record is read as undefined", async () => {
    await member("database-1", () => ({ header: HEADER }));
    expect(await store.read()).toBeUndefined();
  });

  test("an answer without etcd's header is an error", async () => {
    await member("database-1", () => ({}));
    await expect(store.read()).rejects.toThrow("etcd on database-1: it answers 200");
  });

  test("an invalid record is an error, not a missing record", async () => {
    await member("database-1", () => ({
      header: HEADER,
      kvs: [{ mod_revision: "2", value: base64("{}") }],
    }));
    await expect(store.read()).rejects.toThrow("is no record of the primary");
  });

  test("a write sends the revision that it replaces as text, and returns its own", async () => {
    let request: object = {};
    await member("database-1", (_, body) => {
      request = body;
      return { header: HEADER, succeeded: true };
    });
    expect(await store.write(RECORD, "9007199254740993")).toBe("9");
    expect(request).toEqual({
      compare: [
        {
          key: base64("/cluster/primary"),
          target: "MOD",
          result: "EQUAL",
          modRevision: "9007199254740993",
        },
      ],
      success: [{ requestPut: { key: base64("/cluster/primary"), value: expect.any(String) } }],
      failure: [{ requestRange: { key: base64("/cluster/primary") } }],
    });
    expect(JSON.parse(Buffer.from(putIn(request), "base64").toString())).toEqual({
      ...RECORD,
      write: expect.stringMatching(/^[0-9a-f]{16}$/),
    });
  });

  /** What a write would store. */
  const putIn = (body: object) =>
    (body as { success: [{ requestPut: { value: string } }] }).success[0].requestPut.value;

  /** Another write came first, or this one by way of another member: it is refused, and told what is stored. */
  const refusal = (value: string) => ({
    header: HEADER,
    responses: [{ response_range: { kvs: [{ mod_revision: "43", value }] } }],
  });

  test("a write is refused if another one came first", async () => {
    await member("database-1", () => refusal(base64(JSON.stringify(RECORD))));
    expect(await store.write(RECORD, NO_REVISION)).toBeUndefined();
  });

  test.each([
    ["is down", undefined],
    ["answers with an error", 503],
    ["does not answer", "silent"],
  ])(
    "when this host's member %s, reads go to another member, which is asked first for a while",
    async (_, fault) => {
      if (fault !== undefined) {
        await member("database-1", () => (fault === "silent" ? undefined : (fault as number)));
      }
      await member("database-2", () => stored());
      expect(await store.read()).toMatchObject({ revision: "41" });
      asked = [];
      expect(await store.read()).toMatchObject({ revision: "41" });
      expect(asked).toEqual(["database-2 kv/range by database-1"]);
      now += 5_001;
      asked = [];
      await store.read();
      expect(asked.at(-1)).toBe("database-2 kv/range by database-1");
      expect(asked).toHaveLength(fault === undefined ? 1 : 2);
    },
    20_000,
  );

  test("a write that one member delays goes to another one, and counts even if that one refuses it", async () => {
    await member("database-1", () => undefined);
    await member("database-2", (_, body) => refusal(putIn(body)));
    expect(await asPatientAsTheAgent().write(RECORD, "1")).toBe("43");
    expect(asked).toEqual(["database-1 kv/txn by database-1", "database-2 kv/txn by database-1"]);
  });

  test("an equal record stored by another write does not count as this write", async () => {
    const texts: string[] = [];
    await member("database-1", (_, body) => {
      texts.push(putIn(body));
      return refusal(texts[0] as string);
    });
    await store.write(RECORD, "1");
    expect(await store.write(RECORD, "1")).toBeUndefined();
  });

  test("a read waits for a slow member while no other member answers", async () => {
    const late = () => new Promise((resolve) => setTimeout(resolve, 700));
    await member("database-1", () => late().then(() => stored("41")));
    expect(await asPatientAsTheAgent().read()).toMatchObject({ revision: "41" });
  });

  test("if no member answers, the error states the reason of each within 1.3 s", async () => {
    await member("database-1", () => undefined);
    await member("database-2", () => 503);
    const begun = performance.now();
    await expect(asPatientAsTheAgent().read()).rejects.toThrow(
      /^etcd on database-1: no answer within 1[23]\d\d ms; etcd on database-2: no leader; etcd on load-balancer-1: .*ECONNREFUSED/,
    );
    expect(performance.now() - begun).toBeLessThan(1_700);
  });

  test("connections are reused", async () => {
    const sockets = new Set<unknown>();
    await member("database-1", () => stored());
    servers[0]?.on("secureConnection", (socket) => sockets.add(socket));
    for (let turn = 0; turn < 5; turn++) {
      await store.read();
    }
    expect(sockets.size).toBe(1);
  });

  test("the client picks up a certificate that arrives later, and a newer one", async () => {
    await member("database-1", () => stored());
    const facts = factsOf("database-1", PORT);
    rmSync(join(facts.configuration, "host.pem"));
    const late = new EtcdRecordStore(facts, { monotonic: () => now }, PATIENT);
    await expect(late.read()).rejects.toThrow(`no certificate in ${facts.configuration} yet`);
    factsOf("database-1", PORT);
    await late.read();
    for (const file of ["pem", "key"]) {
      cpSync(join(folder, `database-2.${file}`), join(facts.configuration, `host.${file}`));
    }
    now += 3_600_001;
    // Requests do not wait for it to be read.
    await late.read();
    await until(async () => {
      await late.read();
      expect(asked.at(-1)).toBe("database-1 kv/range by database-2");
    });
  });

  const members = [
    { ID: "11", name: "database-1", peerURLs: ["https://127.0.1.11:2380"] },
    { ID: "12", name: "database-2", peerURLs: ["https://127.0.1.12:2380"], isLearner: true },
    { ID: "13", peerURLs: ["https://127.0.1.13:2380"] },
  ];
  const memberOf = (own: string, leader?: string) => (path: string) =>
    path === "cluster/member/list"
      ? { header: HEADER, members }
      : { header: { ...HEADER, member_id: own }, ...(leader && { leader }) };

  test("the member list shows the leader, learners, and which members answer", async () => {
    await member("database-1", memberOf("11", "11"));
    await member("database-2", memberOf("12", "11"));
    expect(await store.members()).toEqual([
      { name: "database-1", isLearner: false, isLeader: true, isWell: true },
      { name: "database-2", isLearner: true, isLeader: false, isWell: true },
      { name: "load-balancer-1", isLearner: false, isLeader: false, isWell: false },
    ]);
  });

  test("leadership moves only from this host, and only to a voting member that answers", async () => {
    const targets: unknown[] = [];
    const leading = (leader: string) => (path: string, body: Record<string, unknown>) => {
      if (path === "maintenance/transfer-leadership") {
        targets.push(body);
        return {};
      }
      return memberOf("11", leader)(path);
    };
    let leader = "13";
    await member("database-1", (path, body) => leading(leader)(path, body));
    await member("database-2", memberOf("12"));
    await store.yieldLeadership();
    leader = "11";
    await store.yieldLeadership();
    expect(targets).toEqual([]);
    await member("load-balancer-1", memberOf("13"));
    await store.yieldLeadership();
    expect(targets).toEqual([{ targetID: "13" }]);
  });

  test("a host with a certificate of another authority gets no answer", async () => {
    await member("database-1", () => stored());
    const facts = factsOf("database-1", PORT);
    const elsewhere = mkdtempSync(join(folder, "other-"));
    makeAuthority(elsewhere);
    makeCertificate(elsewhere, "database-1", "127.0.1.11");
    cpSync(join(elsewhere, "database-1.pem"), join(facts.configuration, "host.pem"));
    cpSync(join(elsewhere, "database-1.key"), join(facts.configuration, "host.key"));
    await expect(new EtcdRecordStore(facts).read()).rejects.toThrow("etcd on database-1");
    expect(asked).toEqual([]);
  });
});

describe("a member's data", () => {
  test("is present, is absent, or counts as present while the volume is not mounted", async () => {
    const facts = factsOf("database-1", 1);
    // What is mounted is of another device: /dev/shm stands for the volume.
    const volume = mkdtempSync("/dev/shm/volume-");
    try {
      const mounted = { ...facts, volume: "/dev/shm", directory: join(volume, "etcd") };
      expect(await new EtcdRecordStore(mounted).voter()).toBe("none");
      mkdirSync(join(mounted.directory, "data/member/wal"), { recursive: true });
      expect(await new EtcdRecordStore(mounted).voter()).toBe("member");
      expect(await new EtcdRecordStore(facts).voter()).toBe("member");
    } finally {
      rmSync(volume, { recursive: true });
    }
  });
});

describeWithEtcd("with real etcd", (etcd) => {
  jest.setTimeout(60_000);
  const [CLIENTS, PEERS] = [12_579, 12_580];
  const running = new Map<string, ChildProcess>();

  beforeAll(async () => {
    for (const { name, address } of ENDPOINTS) {
      const settings = memberSettings({
        name,
        address,
        ports: { clients: CLIENTS, peers: PEERS },
        data: join(folder, `data-${name}`),
        certificate: join(folder, `${name}.pem`),
        key: join(folder, `${name}.key`),
        authority: join(folder, "authority.pem"),
      });
      const members = ENDPOINTS.map((one) => `${one.name}=https://${one.address}:${PEERS}`);
      const file = join(folder, `${name}.json`);
      writeFileSync(file, JSON.stringify({ ...settings, "initial-cluster": members.join(",") }));
      running.set(name, spawn(etcd, ["--config-file", file], { stdio: "ignore" }));
    }
    await until(() => storeOf("database-1").read());
  });
  afterAll(async () => {
    for (const child of running.values()) {
      if (child.exitCode === null && child.signalCode === null) {
        const ended = new Promise((resolve) => child.on("exit", resolve));
        child.kill("SIGKILL");
        await ended;
      }
    }
  });

  const storeOf = (name: string) => new EtcdRecordStore(factsOf(name, CLIENTS));

  test("of two writes with the same revision one succeeds, and both hosts read it", async () => {
    const [one, other] = [storeOf("database-1"), storeOf("database-2")];
    expect(await one.read()).toBeUndefined();
    const outcomes = await Promise.all([
      one.write(RECORD, NO_REVISION),
      other.write({ ...RECORD, holder: "database-2" }, NO_REVISION),
    ]);
    expect(outcomes.filter((revision) => revision !== undefined)).toHaveLength(1);
    const { record, revision } = (await one.read()) as { record: PrimaryRecord; revision: string };
    expect(outcomes).toContain(revision);
    expect(await other.read()).toEqual({ record, revision });
    const next = await other.write({ ...record, sequence: 8 }, revision);
    expect(Number(next)).toBeGreaterThan(Number(revision));
    expect(await one.write(record, revision)).toBeUndefined();
  });

  test("a record is removed only at the revision that was read", async () => {
    const store = storeOf("database-2");
    const { record, revision } = (await store.read()) as {
      record: PrimaryRecord;
      revision: string;
    };
    expect(await store.remove(String(Number(revision) - 1))).toBe(false);
    expect(await store.remove(revision)).toBe(true);
    expect(await store.read()).toBeUndefined();
    expect(await store.remove(revision)).toBe(false);
    expect(await store.write(record, NO_REVISION)).toBeDefined();
  });

  test("leadership moves away from the host that has it, and the member list shows it", async () => {
    const leader = async () =>
      (await storeOf("database-1").members()).find(({ isLeader }) => isLeader)?.name;
    const before = (await until(async () => {
      const name = await leader();
      if (name === undefined) {
        throw new Error("there is no leader");
      }
      return name;
    })) as string;
    await storeOf(before).yieldLeadership();
    const after = await leader();
    expect(after).toBeDefined();
    expect(after).not.toBe(before);
  });

  test("the record survives the loss of a member; without a majority reads and writes fail", async () => {
    const store = storeOf("database-1");
    running.get("load-balancer-1")?.kill("SIGKILL");
    const { revision } = (await until(() => store.read())) as { revision: string };
    expect(await until(() => store.write({ ...RECORD, sequence: 9 }, revision))).toBeDefined();
    running.get("database-2")?.kill("SIGKILL");
    await expect(store.read()).rejects.toThrow("etcd on database-1");
    await expect(store.write(RECORD, revision)).rejects.toThrow("etcd on");
    expect((await store.members()).filter(({ isWell }) => isWell)).toEqual([
      expect.objectContaining({ name: "database-1" }),
    ]);
  });
});
