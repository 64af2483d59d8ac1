import { randomBytes } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { Agent as Keeper, request } from "node:https";
import { dirname, join } from "node:path";
import { answerText } from "./answer-text";
import { type Clock, SYSTEM_CLOCK } from "./clock";
import {
  NO_REVISION,
  type PrimaryRecord,
  parseRecord,
  RECORD_KEY,
  type RecordStore,
  type Stored,
  type StoreMember,
  serializeRecord,
  TIMERS,
} from "./record";
import type { Address } from "./state";

// The record in etcd, through the JSON gateway of its members: integers are text there, keys and values base64, and
// what is zero or false is left out. https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/

/** Where etcd is, and what this host has of it. */
export interface EtcdFacts {
  /** This host's name. */
  readonly name: string;
  /** The voters. */
  readonly endpoints: readonly Address[];
  readonly clientPort: number;
  /** The folder with authority.pem, host.pem and host.key. */
  readonly configuration: string;
  /** The folder of a member's data on this host, which is on the volume. */
  readonly directory: string;
  /** Where the data volume is mounted. */
  readonly volume: string;
}

/** How long a member that failed, or was late, is asked last, in milliseconds. */
const AVOIDED = 5_000;

/**
 * How often the certificate is read again, in milliseconds: usually, and after a failure. A rotation of the authority waits
 * for it (scripts/etcd/apply-secret.sh).
 */
const READ_AGAIN = { usually: 2_000, afterFailure: 1_000 } as const;

/** The longest answer that is read, in characters. */
const LONGEST = 1_000_000;

/** The one request whose answer has no header. */
const TRANSFER = "maintenance/transfer-leadership";

interface Header {
  readonly cluster_id: string;
  readonly member_id: string;
  readonly revision?: string;
}

interface Member {
  readonly ID: string;
  readonly name?: string;
  readonly peerURLs: readonly string[];
  readonly isLearner?: boolean;
}

interface Status {
  readonly header: Header;
  /** The leader's id; omitted if there is none. */
  readonly leader?: string;
}

const encoded = (text: string) => Buffer.from(text, "utf8").toString("base64");
const decoded = (text: string) => Buffer.from(text, "base64").toString("utf8");
const KEY = encoded(RECORD_KEY);

/** Part of an answer: a key and its value. Both are omitted where they are empty. */
interface KeyValue {
  readonly value?: string;
  readonly mod_revision: string;
}

/** How long a request may take, in milliseconds. */
interface Patience {
  /** After so long without an answer of one member, another one is asked as well. */
  readonly other: number;
  /** After so long without an answer of any, the request has failed; connections included. */
  readonly last: number;
}

/** The record in etcd. */
export class EtcdRecordStore implements RecordStore {
  private keeper: { readonly agent: Keeper; readonly made: string } | undefined;
  private readAt = Number.NEGATIVE_INFINITY;
  private reading: Promise<void> | undefined;
  private hasFailed = false;
  private readonly badAt = new Map<string, number>();

  constructor(
    private readonly facts: EtcdFacts,
    private readonly clock: Pick<Clock, "monotonic"> = SYSTEM_CLOCK,
    private readonly patience: Patience = { other: TIMERS.late, last: TIMERS.request },
  ) {}

  async read(): Promise<Stored | undefined> {
    const { kvs } = await this.first<{ readonly kvs?: readonly KeyValue[] }>("kv/range", {
      key: KEY,
    });
    const found = kvs?.[0];
    return found === undefined
      ? undefined
      : { record: parseRecord(decoded(found.value ?? "")), revision: found.mod_revision };
  }

  /**
   * The text is unique to this call. So the request can go to several members: if one of them has written it, the
   * others refuse it, and return it as what is stored.
   */
  async write(record: PrimaryRecord, revision: string): Promise<string | undefined> {
    const value = encoded(serializeRecord(record, randomBytes(8).toString("hex")));
    const answer = await this.first<{
      readonly header: Header;
      readonly succeeded?: boolean;
      readonly responses?: ReadonlyArray<{
        readonly response_range?: { readonly kvs?: readonly KeyValue[] };
      }>;
    }>("kv/txn", {
      compare: [{ key: KEY, target: "MOD", result: "EQUAL", modRevision: revision || NO_REVISION }],
      success: [{ requestPut: { key: KEY, value } }],
      failure: [{ requestRange: { key: KEY } }],
    });
    if (answer.succeeded !== true) {
      const stored = answer.responses?.[0]?.response_range?.kvs?.[0];
      return stored?.value === value ? stored.mod_revision : undefined;
    }
    if (answer.header.revision === undefined) {
      throw new Error("etcd does not tell the revision of what it has written");
    }
    return answer.header.revision;
  }

  /** Sent to several members, only one removes it: the others answer that it is gone. */
  async remove(revision: string): Promise<boolean> {
    const answer = await this.first<{ readonly header: Header; readonly succeeded?: boolean }>(
      "kv/txn",
      {
        compare: [{ key: KEY, target: "MOD", result: "EQUAL", modRevision: revision }],
        success: [{ requestDeleteRange: { key: KEY } }],
      },
    );
    return answer.succeeded === true;
  }

  async yieldLeadership(): Promise<void> {
    const own = this.facts.endpoints.find(({ name }) => name === this.facts.name);
    if (own === undefined) {
      return;
    }
    const { header, leader } = await this.ask<Status>(own, "maintenance/status", {});
    if (leader !== header.member_id) {
      return;
    }
    const others = this.facts.endpoints.filter(({ name }) => name !== own.name);
    const wellMembers = await Promise.all(
      others.map((one) =>
        this.ask<Status>(one, "maintenance/status", {}).then(
          (status) => status.header.member_id,
          () => undefined,
        ),
      ),
    );
    const { members = [] } = await this.ask<{ readonly members?: readonly Member[] }>(
      own,
      "cluster/member/list",
      {},
    );
    const successor = members.find(
      ({ ID, isLearner = false }) => !isLearner && wellMembers.includes(ID),
    );
    if (successor !== undefined) {
      await this.ask(own, TRANSFER, { targetID: successor.ID });
    }
  }

  async members(): Promise<readonly StoreMember[]> {
    const statuses = await Promise.all(
      this.facts.endpoints.map((one) =>
        this.ask<Status>(one, "maintenance/status", {}).catch(() => undefined),
      ),
    );
    // From the member's own memory, so that it answers without a majority.
    const { members = [] } = await this.first<{ readonly members?: readonly Member[] }>(
      "cluster/member/list",
      { linearizable: false },
    );
    const leader = statuses.find((status) => status?.leader !== undefined)?.leader;
    return members.map(({ ID, peerURLs, isLearner = false }) => {
      const address = new URL(peerURLs[0] ?? "https://unknown").hostname;
      return {
        name: this.facts.endpoints.find((one) => one.address === address)?.name ?? address,
        isLearner,
        isLeader: ID === leader,
        isWell: statuses.some((status) => status?.header.member_id === ID),
      };
    });
  }

  async voter(): Promise<"none" | "member"> {
    const { directory, volume } = this.facts;
    try {
      const [mounted, above] = await Promise.all([stat(volume), stat(dirname(volume))]);
      if (mounted.dev !== above.dev) {
        await stat(join(directory, "data", "member", "wal"));
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") {
        return "none";
      }
    }
    // Also if it cannot be told, as while the volume is not mounted: a second cluster must not be created.
    return "member";
  }

  /** The members in the order in which they are asked: this host's first, and those that have just failed or were late last. */
  private ordered(): Address[] {
    const now = this.clock.monotonic();
    const rank = ({ name }: Address) =>
      (now - (this.badAt.get(name) ?? Number.NEGATIVE_INFINITY) < AVOIDED ? 2 : 0) +
      (name === this.facts.name ? 0 : 1);
    return [...this.facts.endpoints].sort((one, other) => rank(one) - rank(other));
  }

  /**
   * The answer of the first member that gives one. The next member is asked when one fails, and when one is late.
   *
   * @throws Error with the reason of each that gave none
   */
  private first<Answer>(path: string, body: object): Promise<Answer> {
    const members = this.ordered();
    if (members.length === 0) {
      return Promise.reject(new Error("there are no voters: database.failover is manual"));
    }
    const until = performance.now() + this.patience.last;
    const failures = new Map<Address, string>();
    return new Promise<Answer>((resolve, reject) => {
      const rest = [...members];
      let timer: NodeJS.Timeout | undefined;
      const askNext = () => {
        clearTimeout(timer);
        const member = rest.shift();
        if (member === undefined) {
          return;
        }
        timer = setTimeout(() => {
          this.badAt.set(member.name, this.clock.monotonic());
          askNext();
        }, this.patience.other);
        this.ask<Answer>(member, path, body, until - performance.now()).then(
          (answer) => {
            rest.length = 0;
            clearTimeout(timer);
            resolve(answer);
          },
          ({ message }: Error) => {
            failures.set(member, message);
            askNext();
            if (failures.size === members.length) {
              reject(new Error(members.map((one) => failures.get(one)).join("; ")));
            }
          },
        );
      };
      askNext();
    });
  }

  /**
   * @param patience in milliseconds
   * @throws Error
   */
  private async ask<Answer>(
    member: Address,
    path: string,
    body: object,
    patience = this.patience.other,
  ): Promise<Answer> {
    const begun = performance.now();
    let isGood = false;
    try {
      const agent = await this.connections();
      const answer = await this.send<Answer>(agent, member, path, body, patience);
      isGood = performance.now() - begun < this.patience.other;
      return answer;
    } catch (error) {
      this.hasFailed = true;
      throw error;
    } finally {
      if (isGood) {
        this.badAt.delete(member.name);
      } else {
        this.badAt.set(member.name, this.clock.monotonic());
      }
    }
  }

  private send<Answer>(
    agent: Keeper,
    { name, address }: Address,
    path: string,
    body: object,
    patience: number,
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const text = JSON.stringify(body);
      const outgoing = request({
        agent,
        host: address,
        port: this.facts.clientPort,
        path: `/v3/${path}`,
        method: "POST",
        headers: { "content-type": "application/json", "content-length": Buffer.byteLength(text) },
      });
      const fail = (reason: string) => {
        clearTimeout(deadline);
        reject(new Error(`etcd on ${name}: ${reason}`));
        outgoing.destroy();
      };
      const deadline = setTimeout(
        () => fail(`no answer within ${Math.round(patience)} ms`),
        patience,
      );
      outgoing.on("error", ({ message }) => fail(message));
      outgoing.on("response", (incoming) => {
        answerText(incoming, LONGEST).then(
          (answer) => {
            let parsed: { readonly header?: Header; readonly message?: string };
            try {
              parsed = Object(JSON.parse(answer));
            } catch {
              fail(`its answer is no JSON: ${answer.slice(0, 100)}`);
              return;
            }
            // Without a header an empty answer could be taken for an empty store.
            const isWhole = parsed.header !== undefined || path === TRANSFER;
            if (incoming.statusCode !== 200 || !isWhole) {
              fail(parsed.message ?? `it answers ${incoming.statusCode}`);
              return;
            }
            clearTimeout(deadline);
            resolve(parsed as Answer);
          },
          ({ message }) => fail(message),
        );
      });
      outgoing.end(text);
    });
  }

  /**
   * The connections with this host's certificate. It is read again from time to time while requests go on with the
   * one before, so that a disk that hangs holds up none.
   *
   * @throws Error if there is no certificate yet
   */
  private async connections(): Promise<Keeper> {
    const age = this.clock.monotonic() - this.readAt;
    if (age >= (this.hasFailed ? READ_AGAIN.afterFailure : READ_AGAIN.usually)) {
      this.reading ??= this.readCertificate().finally(() => {
        this.reading = undefined;
      });
    }
    if (this.keeper === undefined && this.reading !== undefined) {
      await this.reading;
    }
    if (this.keeper === undefined) {
      this.readAt = Number.NEGATIVE_INFINITY;
      throw new Error(`no certificate in ${this.facts.configuration} yet`);
    }
    return this.keeper.agent;
  }

  private async readCertificate(): Promise<void> {
    this.readAt = this.clock.monotonic();
    this.hasFailed = false;
    try {
      const [ca, cert, key] = await Promise.all(
        ["authority.pem", "host.pem", "host.key"].map((name) =>
          readFile(join(this.facts.configuration, name), "utf8"),
        ),
      );
      const made = JSON.stringify([ca, cert, key]);
      if (made === this.keeper?.made) {
        return;
      }
      const agent = new Keeper({
        ca,
        cert,
        key,
        keepAlive: true,
        maxSockets: 8,
        minVersion: "TLSv1.3",
      });
      this.keeper = { agent, made };
    } catch {
      // What there is goes on being used.
    }
  }
}
