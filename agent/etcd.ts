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

/** How long a member that failed is asked last, in milliseconds. */
const AVOIDED = 5_000;

/** How often the certificate is read again, in milliseconds: usually, and after a failure. */
const READ_AGAIN = { usually: 3_600_000, afterFailure: 30_000 } as const;

/** The longest answer that is read, in characters. */
const LONGEST = 1_000_000;

/** The one request whose answer has no header. */
const TRANSFER = "maintenance/transfer-leadership";

/** A request that failed. */
class RequestError extends Error {
  /** @param wasSent whether the member may have got the request */
  constructor(
    message: string,
    readonly wasSent: boolean,
  ) {
    super(message);
  }
}

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

/** The record in etcd. */
export class EtcdRecordStore implements RecordStore {
  private keeper: { readonly agent: Keeper; readonly made: string } | undefined;
  private readAt = Number.NEGATIVE_INFINITY;
  private reading: Promise<void> | undefined;
  private hasFailed = false;
  private readonly failedAt = new Map<string, number>();

  /** @param patience how long one request to one member may take, in milliseconds, connection included */
  constructor(
    private readonly facts: EtcdFacts,
    private readonly clock: Pick<Clock, "monotonic"> = SYSTEM_CLOCK,
    private readonly patience = TIMERS.request,
  ) {}

  async read(): Promise<Stored | undefined> {
    const answer = await this.first<{
      readonly kvs?: ReadonlyArray<{ readonly value?: string; readonly mod_revision: string }>;
    }>("kv/range", { key: KEY });
    const found = answer.kvs?.[0];
    return found === undefined
      ? undefined
      : { record: parseRecord(decoded(found.value ?? "")), revision: found.mod_revision };
  }

  async write(record: PrimaryRecord, revision: string): Promise<string | undefined> {
    const answer = await this.first<{ readonly header: Header; readonly succeeded?: boolean }>(
      "kv/txn",
      {
        compare: [
          { key: KEY, target: "MOD", result: "EQUAL", modRevision: revision || NO_REVISION },
        ],
        success: [{ requestPut: { key: KEY, value: encoded(serializeRecord(record)) } }],
      },
      // Sent to another member as well it would be refused, if the first one has written it.
      { onlyUnsent: true },
    );
    if (answer.succeeded !== true) {
      return undefined;
    }
    if (answer.header.revision === undefined) {
      throw new Error("etcd does not tell the revision of what it has written");
    }
    return answer.header.revision;
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

  /** The members in the order in which they are asked: this host's first, and those that have just failed last. */
  private ordered(): Address[] {
    const now = this.clock.monotonic();
    const rank = ({ name }: Address) =>
      (now - (this.failedAt.get(name) ?? Number.NEGATIVE_INFINITY) < AVOIDED ? 2 : 0) +
      (name === this.facts.name ? 0 : 1);
    return [...this.facts.endpoints].sort((one, other) => rank(one) - rank(other));
  }

  /**
   * The answer of the first member that gives one.
   *
   * @param onlyUnsent whether no other member is asked if one may have got the request
   * @throws Error with the reason of each that gave none
   */
  private async first<Answer>(
    path: string,
    body: object,
    { onlyUnsent = false } = {},
  ): Promise<Answer> {
    const failures: string[] = [];
    for (const one of this.ordered()) {
      try {
        return await this.ask<Answer>(one, path, body);
      } catch (error) {
        failures.push((error as Error).message);
        if (onlyUnsent && (error as RequestError).wasSent) {
          break;
        }
      }
    }
    throw new Error(failures.join("; ") || "there are no voters: database.failover is manual");
  }

  /** @throws RequestError */
  private async ask<Answer>(member: Address, path: string, body: object): Promise<Answer> {
    try {
      const agent = await this.connections();
      const answer = await this.send<Answer>(agent, member, path, body);
      this.failedAt.delete(member.name);
      return answer;
    } catch (error) {
      this.hasFailed = true;
      this.failedAt.set(member.name, this.clock.monotonic());
      throw error;
    }
  }

  private send<Answer>(
    agent: Keeper,
    { name, address }: Address,
    path: string,
    body: object,
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      let wasSent = false;
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
        reject(new RequestError(`etcd on ${name}: ${reason}`, wasSent));
        outgoing.destroy();
      };
      const deadline = setTimeout(
        () => fail(`no answer within ${this.patience} ms`),
        this.patience,
      );
      outgoing.on("socket", (socket) => {
        if (outgoing.reusedSocket) {
          wasSent = true;
        } else {
          socket.once("secureConnect", () => {
            wasSent = true;
          });
        }
      });
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
   * @throws RequestError if there is no certificate yet
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
      throw new RequestError(`no certificate in ${this.facts.configuration} yet`, false);
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
