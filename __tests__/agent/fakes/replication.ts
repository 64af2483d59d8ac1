import { isSubset, union, writtenBy } from "../../../agent/gtid-set";
import { added, contains, type Disk, gtidsOf } from "./disk";
import type { Life, VirtualTime } from "./time";

/** A server as its replication sees it. */
export interface ReplicatingServer {
  readonly host: string;
  readonly disk: Disk;
  /** Its process; `undefined` while it is down. */
  readonly run: Life | undefined;
  readonly isUp: boolean;
  /** Whether no commit ends without a replica, however long that takes. */
  readonly waitsWithoutEnd: boolean;
  readonly replication: Replication;
  /** Its replicas have received its log up to this position. */
  acknowledged(position: number): void;
}

/** How long things take, in milliseconds. */
interface ReplicationPace {
  deliver(): number;
  apply(): number;
}

/** What a server reaches of the others. */
interface Sources {
  isOpen(from: string, to: string): boolean;
  server(host: string): ReplicatingServer | undefined;
}

/** A replica's connection to its source. */
interface Connection {
  readonly replica: Replication;
  readonly source: Replication;
  position: number;
  isPumping: boolean;
  isAlive: boolean;
}

/** Replication of a server from another one, and of others from it: receiving, acknowledging and applying. */
export class Replication {
  /** Those who replicate from it, as far as it knows. */
  readonly replicas = new Set<Connection>();
  private isReceiving = false;
  private isApplying = false;
  private isApplyPlanned = false;
  private hasReceiverFailed = false;
  private applierError: "conflict" | "cut off" | undefined;
  private connection: Connection | undefined;
  private heardAt: number | undefined;

  constructor(
    readonly server: ReplicatingServer,
    private readonly time: VirtualTime,
    private readonly pace: ReplicationPace,
    private readonly network: Sources,
  ) {}

  // --- What is known of it

  get status(): "running" | "failed" | "stopped" {
    const isRunning = this.isReceiving && this.isApplying;
    const hasFailed = this.hasReceiverFailed || this.applierError === "conflict";
    return isRunning ? "running" : hasFailed ? "failed" : "stopped";
  }

  /** Whether all was applied but the half of a transaction at the end of the relay log. */
  get isCutOff(): boolean {
    return this.applierError === "cut off" && this.status !== "running";
  }

  get silentSeconds(): number {
    return this.heardAt === undefined
      ? Number.POSITIVE_INFINITY
      : Math.floor((this.time.now - this.heardAt) / 1000);
  }

  // --- What is done to it

  start(): void {
    this.isReceiving = true;
    this.isApplying = true;
    this.connectLater(5);
  }

  stop(): void {
    this.noteHeard();
    this.isReceiving = false;
    this.isApplying = false;
    this.disconnect();
  }

  /** It no longer has a source. */
  reset(): void {
    const { disk } = this.server;
    this.stop();
    disk.source = undefined;
    disk.forgetRelayLog();
    this.applierError = undefined;
    this.hasReceiverFailed = false;
    this.heardAt = undefined;
  }

  /** Receives nothing further, and applies what was received. */
  applyReceived(): void {
    this.noteHeard();
    this.isReceiving = false;
    this.disconnect();
    this.isApplying = true;
    this.applierError = undefined;
    this.applyLater();
  }

  /** The server's process has ended. */
  end(): void {
    this.isReceiving = false;
    this.isApplying = false;
    this.isApplyPlanned = false;
    this.hasReceiverFailed = false;
    this.applierError = undefined;
    this.heardAt = undefined;
    this.disconnect();
    this.dropReplicas();
  }

  /** Ends the connections of all who replicate from it. */
  dropReplicas(): void {
    for (const connection of [...this.replicas]) {
      connection.replica.lostSource(connection);
    }
    this.replicas.clear();
  }

  /** Sends the replicas what is new in the log. */
  send(): void {
    for (const connection of this.replicas) {
      this.pump(connection);
    }
  }

  // --- Connections

  private isHealthy(connection: Connection): boolean {
    const source = connection.source.server;
    const replica = connection.replica.server;
    return (
      connection.isAlive &&
      source.isUp &&
      source.run?.isFrozen === false &&
      replica.run?.isFrozen === false &&
      this.network.isOpen(replica.host, source.host)
    );
  }

  /** Notes what it hears before something in the world changes. */
  noteHeard(): void {
    if (this.connection !== undefined && this.isHealthy(this.connection)) {
      this.heardAt = this.time.now;
    }
  }

  /** Looks what became of its connection after something in the world has changed. */
  noteChange(): void {
    const { connection } = this;
    const { run } = this.server;
    if (connection === undefined || run === undefined) {
      return;
    }
    if (this.isHealthy(connection)) {
      this.pump(connection);
      return;
    }
    const { heardAt } = this;
    run.after(5_000, () => {
      if (
        this.connection === connection &&
        !this.isHealthy(connection) &&
        this.heardAt === heardAt
      ) {
        this.disconnect();
        this.connectLater(0);
      }
    });
  }

  private disconnect(): void {
    const { connection, server } = this;
    this.connection = undefined;
    if (connection !== undefined) {
      connection.isAlive = false;
      const { source } = connection;
      const forget = () => source.replicas.delete(connection);
      if (this.network.isOpen(server.host, source.server.host) && server.run !== undefined) {
        forget();
      } else {
        // Nobody told the source.
        source.server.run?.after(10_000, forget);
      }
    }
  }

  private lostSource(connection: Connection): void {
    if (this.connection === connection) {
      this.heardAt = this.time.now;
      this.connection = undefined;
      connection.isAlive = false;
      this.connectLater(1_000);
    }
  }

  private connectLater(milliseconds: number): void {
    this.server.run?.after(milliseconds, () => this.connect());
  }

  private connect(): void {
    const { host, disk } = this.server;
    if (!this.isReceiving || this.connection !== undefined || disk.source === undefined) {
      return;
    }
    const source = this.network.server(disk.source);
    if (
      source === undefined ||
      !source.isUp ||
      source.run?.isFrozen !== false ||
      !this.network.isOpen(host, source.host)
    ) {
      this.connectLater(1_000);
      return;
    }
    const here = union(disk.executed, disk.received);
    const { uuid, executed, log, purged } = source.disk;
    const isThere = union(executed, gtidsOf(log));
    if (!isSubset(purged, here) || !isSubset(writtenBy(here, uuid), writtenBy(isThere, uuid))) {
      this.hasReceiverFailed = true;
      this.isReceiving = false;
      return;
    }
    const { replicas } = source.replication;
    for (const old of [...replicas]) {
      if (old.replica === this) {
        replicas.delete(old);
      }
    }
    const connection = {
      replica: this,
      source: source.replication,
      position: 0,
      isPumping: false,
      isAlive: true,
    };
    this.connection = connection;
    this.heardAt = this.time.now;
    replicas.add(connection);
    this.pump(connection);
  }

  /** Brings what the source has in its log to the replica, and its acknowledgement back. */
  private pump(connection: Connection): void {
    const { replica } = connection;
    const source = connection.source.server;
    const { run } = replica.server;
    if (connection.isPumping || run === undefined) {
      return;
    }
    connection.isPumping = true;
    run.after(this.pace.deliver(), () => {
      connection.isPumping = false;
      if (!this.isHealthy(connection)) {
        return;
      }
      const { disk } = replica.server;
      for (const transaction of source.disk.log.slice(connection.position)) {
        if (!contains(disk.executed, transaction) && !contains(disk.received, transaction)) {
          disk.relay.push({ transaction, at: this.time.now });
          disk.received = added(disk.received, transaction);
        }
      }
      connection.position = source.disk.log.length;
      replica.applyLater();
      const position = connection.position;
      source.run?.after(this.pace.deliver(), () => {
        if (this.isHealthy(connection)) {
          source.acknowledged(position);
        }
      });
    });
  }

  // --- Applying

  private applyLater(): void {
    const { relay, isCutOff } = this.server.disk;
    if (!this.isApplying || this.isApplyPlanned || (relay.length === 0 && !isCutOff)) {
      return;
    }
    this.isApplyPlanned = true;
    this.server.run?.after(this.pace.apply(), () => {
      this.isApplyPlanned = false;
      const { disk } = this.server;
      while (this.isApplying && disk.relay.length > 0) {
        // What is applied waits for a replica as what is written does, and nobody replicates from a replica.
        if (this.server.waitsWithoutEnd) {
          return;
        }
        if (disk.isDamaged) {
          this.applierError = "conflict";
          this.isApplying = false;
          return;
        }
        const { transaction } = disk.relay.shift() as (typeof disk.relay)[number];
        if (!contains(disk.executed, transaction)) {
          disk.execute(transaction);
          disk.log.push(transaction);
          this.send();
        }
      }
      if (this.isApplying && disk.isCutOff) {
        this.applierError = "cut off";
        this.isApplying = false;
      }
    });
  }
}
