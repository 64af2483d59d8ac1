import type { Bootstrap } from "../../../agent/bootstrap";
import { Commands } from "../../../agent/commands";
import { type GtidSet, isSubset, subtract } from "../../../agent/gtid-set";
import { Agent } from "../../../agent/loop";
import type { LastSeenPrimary, Marks } from "../../../agent/marks";
import type { Peers } from "../../../agent/peers";
import type { Peer } from "../../../agent/state";
import type { Identity, Surroundings } from "../../../agent/surroundings";
import type { Chance } from "../../../drill/chance";
import { Disk, gtidsOf, type Transaction } from "./disk";
import { FakeFence } from "./fence";
import { FakeHealthPort } from "./health-port";
import { FakeLock } from "./lock";
import { FakeMysql, type Network, type Pace } from "./mysql";
import type { Quorum } from "./quorum";
import { Life, type VirtualTime } from "./time";

/** What a host asks of the world around it. */
export interface World extends Network {
  readonly time: VirtualTime;
  readonly chance: Chance;
  readonly pace: Pace;
  readonly durability: "available" | "lossless";
  /** Where the record of the primary is kept; `undefined` if failover is manual. */
  readonly quorum: Quorum | undefined;
  /**
   * Asks a host's health port for its state. The answer is `undefined` where there is none in time.
   *
   * @param limit milliseconds for the connection
   */
  askState(
    from: string,
    to: string,
    limit: number,
    answer: (text: string | undefined) => void,
  ): void;
  /** Reads an answer, as the agent does. */
  parse(name: string, text: string | undefined): Peer;
  log(host: string, line: string): void;
  /** Called before a host founds a cluster, with what it saw last. */
  founding(host: Host): void;
  opened(host: Host): void;
}

export const addressOf = (name: string) => `10.0.0.${name.slice(-1)}`;
export const nameAt = (address: string) => `database-${address.slice(-1)}`;

/** What `mysqlbinlog` prints of a transaction. */
function printed({ change }: Transaction): string {
  return change === "none"
    ? "FLUSH STATUS\n/*!*/;\n"
    : "#261126 16:40:32 server id 2  end_log_pos 1300 CRC32 0x9dc05787 \tWrite_rows: table id 116\n";
}

/** A database host: its power, volume, server, health port, and the real agent with these instead of its own. */
export class Host {
  isOn = false;
  isFrozen = false;
  readonly mysql: FakeMysql;
  readonly healthPort: FakeHealthPort;
  readonly fence: FakeFence;
  /** How fast its clock runs, and by how many milliseconds its date is wrong. */
  readonly clock = { rate: 1, skew: 0 };
  lock = new FakeLock();
  agent: Agent | undefined;
  /** What operators ask of the agent. */
  commands: Commands | undefined;
  /** What is running where nothing else ends it: systemd. */
  machine: Life;
  agentLife: Life | undefined;
  /** What the agent last saw of the others. */
  seen: Peer[] = [];
  hasRoom = true;
  /** What waits for a disk that hangs; `undefined` while it does not. */
  private waitingForDisk: (() => void)[] | undefined;
  /** Scripts that fail, by name. */
  readonly failing = new Set<string>();
  /** How often each script was run. */
  readonly runs: Record<string, number> = {};

  // What lies on the volume, beside the server's data.
  isHeld = false;
  isRestoring = false;
  isOriginal = false;
  isRecorded = false;
  /** Whether its settings say that failover is manual. */
  isManual = false;
  setAside: Transaction[] = [];

  // What a reboot removes.
  private incarnation: string | undefined;
  caughtUp: string | undefined;
  lastSeen: LastSeenPrimary | undefined;

  private starts = 0;
  private disks = 0;

  constructor(
    readonly identity: Identity,
    readonly world: World,
  ) {
    this.machine = new Life(world.time);
    this.machine.end();
    this.healthPort = new FakeHealthPort(world.time, this.clock);
    this.fence = new FakeFence(world.time);
    this.mysql = new FakeMysql(
      this.name,
      world.time,
      this.newDisk(),
      world.pace,
      world,
      world.chance,
    );
    this.mysql.opened = () => world.opened(this);
    this.mysql.ended = () => this.startServerLater(300);
  }

  get name(): string {
    return this.identity.name;
  }

  get disk(): Disk {
    return this.mysql.disk;
  }

  /** This run of its server, as the record names it. */
  get syncEntry(): string {
    return `${this.name}@${this.incarnation}`;
  }

  private newDisk(): Disk {
    const { number } = this.identity;
    return new Disk(
      `${number}${number}${number}${number}0000-0000-0000-0000-00000000000${this.disks++}`,
    );
  }

  // --- What happens to it

  powerOn(): void {
    if (this.isOn) {
      return;
    }
    this.isOn = true;
    this.machine = new Life(this.world.time);
    this.lock = new FakeLock();
    this.healthPort.forget();
    this.machine.after(this.world.pace.boot(), () => {
      this.startServer();
      this.startAgent();
    });
  }

  powerOff(): void {
    if (!this.isOn) {
      return;
    }
    this.isOn = false;
    this.isFrozen = false;
    this.machine.end();
    this.agentLife?.end();
    this.agentLife = undefined;
    this.agent = undefined;
    this.commands = undefined;
    this.mysql.end();
    this.disk.losePower(this.world.time.now, this.world.chance);
    this.incarnation = undefined;
    this.caughtUp = undefined;
    this.lastSeen = undefined;
    this.healthPort.forget();
    this.fence.forget();
  }

  /** It comes back with an empty volume. */
  loseVolume(): void {
    this.mysql.disk = this.newDisk();
    this.setAside = [];
    this.isHeld = false;
    this.isRestoring = false;
    this.isOriginal = false;
    this.isRecorded = false;
  }

  freeze(): void {
    this.isFrozen = true;
    this.machine.freeze();
    this.agentLife?.freeze();
    this.mysql.run?.freeze();
  }

  thaw(): void {
    this.isFrozen = false;
    this.machine.thaw();
    this.agentLife?.thaw();
    this.mysql.run?.thaw();
  }

  /** No commit ends any more, and no other write to the volume. */
  hangDisk(): void {
    this.waitingForDisk ??= [];
    this.mysql.isDiskHung = true;
  }

  releaseDisk(): void {
    this.mysql.isDiskHung = false;
    this.waitingForDisk?.map((resolve) => resolve());
    this.waitingForDisk = undefined;
  }

  private beginIncarnation(): void {
    this.incarnation = `${this.name}.${++this.starts}`;
  }

  private startServer(): void {
    this.beginIncarnation();
    this.mysql.start();
  }

  private startServerLater(milliseconds: number): void {
    this.machine.after(milliseconds, () => {
      if (this.mysql.run === undefined) {
        this.startServer();
      }
    });
  }

  /** As scripts/database/stop.sh does. */
  async restartServer(): Promise<void> {
    const life = this.machine;
    const { commands, agentLife } = this;
    if (commands !== undefined && this.world.quorum !== undefined) {
      await Promise.race([
        new Promise<void>((resolve) =>
          agentLife?.enter(() => void commands.leave().then(() => resolve())),
        ),
        life.sleep(5_000),
      ]);
    }
    const letGo = await this.lock.take(life, 15);
    await this.closeServer(life);
    this.mysql.terminate();
    letGo?.();
  }

  startAgent(): void {
    const life = new Life(this.world.time, this.clock);
    const isEnding = this.isManual && this.isRecorded;
    const quorum = this.isManual && !isEnding ? undefined : this.world.quorum;
    this.fence.isThere ||= !this.isManual;
    this.agentLife = life;
    const identity: Identity = { ...this.identity, isEnding };
    const surroundings: Surroundings = {
      server: this.mysql.askedBy(life),
      peers: this.peersFor(life),
      marks: this.marks(),
      bootstrap: this.bootstrapFor(life),
      lock: this.lock.askedBy(life),
      healthPort: this.healthPort,
      clock: life.clock(),
      fence: this.fence.askedBy(life),
      log: (line) => this.world.log(this.name, line),
      ...(quorum && {
        automatic: { store: quorum.askedBy(this.name, life) },
      }),
    };
    this.agent = new Agent(identity, surroundings);
    this.commands = new Commands(identity, surroundings, this.agent);
    this.agent.run().catch((error: Error) => this.world.log(this.name, `ended: ${error.stack}`));
  }

  /** systemd starts it again after a second. */
  killAgent(): void {
    this.agentLife?.end();
    this.agentLife = undefined;
    this.agent = undefined;
    this.commands = undefined;
    this.machine.after(1_000, () => {
      if (this.agent === undefined) {
        this.startAgent();
      }
    });
  }

  /** Its settings change, and its agent is started anew, as scripts/host/converge.sh does. */
  setFailover(failover: "manual" | "automatic"): void {
    this.isManual = failover === "manual";
    this.agentLife?.end();
    this.machine.after(800, () => this.startAgent());
  }

  // --- What the agent works with

  private marks(): Marks {
    return {
      isHeld: async () => this.isHeld,
      hold: async () => {
        this.isHeld = true;
      },
      release: async () => {
        this.isHeld = false;
      },
      noteOriginal: async () => {
        this.isOriginal = true;
      },
      noteNewLogs: async () => undefined,
      noteSound: async () => undefined,
      isRestoring: async () => this.isRestoring,
      incarnation: async () => this.incarnation,
      caughtUp: async () => this.caughtUp,
      noteCaughtUp: async (text) => {
        this.caughtUp = text;
      },
      lastSeenPrimary: async () => this.lastSeen,
      notePrimary: async (seen) => {
        this.lastSeen = seen;
      },
      hasRoom: async () => this.hasRoom,
      probe: () =>
        new Promise((resolve) =>
          this.waitingForDisk ? this.waitingForDisk.push(resolve) : resolve(),
        ),
      isRecorded: async () => this.isRecorded,
      noteRecorded: async () => {
        this.isRecorded = true;
      },
      forgetRecord: async () => {
        this.isRecorded = false;
      },
    };
  }

  private peersFor(life: Life): Peers {
    return {
      look: (connectSeconds) =>
        new Promise((resolve) => {
          const { peers } = this.identity;
          const seen: Peer[] = [];
          let left = peers.length;
          const end = () => {
            this.seen = seen;
            resolve([...seen]);
          };
          if (left === 0) {
            life.after(1, end);
          }
          peers.forEach(({ name }, index) => {
            this.world.askState(this.name, name, connectSeconds * 1000, (text) =>
              life.enter(() => {
                seen[index] = this.world.parse(name, text);
                if (--left === 0) {
                  end();
                }
              }),
            );
          });
        }),
    };
  }

  private async closeServer(life: Life): Promise<void> {
    await life.sleep(20);
    if (this.mysql.run !== undefined && !(await this.mysql.close(life))) {
      this.mysql.end();
    }
  }

  private logOf(transactions: GtidSet): Transaction[] | undefined {
    const { log, executed, purged } = this.disk;
    return isSubset(transactions, subtract(executed, purged))
      ? log.filter((one) => isSubset(gtidsOf([one]), transactions))
      : undefined;
  }

  private bootstrapFor(life: Life): Bootstrap {
    const { mysql, world } = this;
    const { pace } = world;
    const serverAt = (address: string) => world.server(nameAt(address));
    const begin = async (script: string) => {
      this.runs[script] = (this.runs[script] ?? 0) + 1;
      if (this.failing.has(script)) {
        await life.sleep(pace.statement());
        throw new Error(`${script}.sh failed`);
      }
    };
    return {
      found: async () => {
        world.founding(this);
        await begin("found");
        await life.sleep(pace.statement());
        if (!mysql.isUp) {
          throw new Error("the server does not answer");
        }
      },
      declare: async () => {
        await begin("declare");
        await mysql.record(life);
      },
      clone: async (address) => {
        await begin("clone");
        await mysql.clone(life, serverAt(address));
      },
      follow: async (address) => {
        await begin("follow");
        if (world.quorum !== undefined) {
          this.beginIncarnation();
        }
        await mysql.follow(life, nameAt(address));
      },
      close: async () => {
        await begin("close");
        await this.closeServer(life);
      },
      setAside: async (transactions) => {
        await begin("set-aside");
        await life.sleep(pace.statement());
        const logged = mysql.isUp ? this.logOf(transactions) : undefined;
        if (logged === undefined) {
          throw new Error("the binary log no longer has all of them");
        }
        this.setAside.push(...logged);
      },
      createStore: async () => {
        await begin("create");
        world.quorum?.create();
      },
      logged: async (transactions) => {
        await life.sleep(pace.statement());
        return this.logOf(transactions)?.map(printed).join("");
      },
    };
  }
}
