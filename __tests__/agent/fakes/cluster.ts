import { isSubset } from "../../../agent/gtid-set";
import { type Peer, parsePeer } from "../../../agent/state";
import { Chance } from "../../../drill/chance";
import type { Transaction } from "./disk";
import { addressOf, Host, type World } from "./host";
import type { FakeMysql, Pace } from "./mysql";
import { Quorum } from "./quorum";
import { VirtualTime } from "./time";

/** What becomes of a question from one host to another. */
export type Link =
  /** Answered in milliseconds. */
  | "open"
  /** No connection. */
  | "cut"
  /** A connection, and no answer. */
  | "hanging"
  /** The answer takes nine tenths of a second. */
  | "late"
  /** The answer takes long, at times too long. */
  | "slow"
  /** The answer ends in the middle. */
  | "half"
  /** Something else answers. */
  | "garbage"
  /** Another host answers. */
  | "another";

/** Paces that a test fixes; they are as short as they may be. */
export const STEADY: Pace = {
  look: () => 2,
  statement: () => 5,
  deliver: () => 1,
  apply: () => 2,
  clone: () => 2_000,
  start: () => 800,
  boot: () => 1_500,
};

/** Database hosts, and what is between them. */
export class Cluster implements World {
  readonly time = new VirtualTime();
  readonly hosts: readonly Host[];
  readonly quorum: Quorum | undefined;
  /** Whether the load balancer, a voter and nothing else here, is down. */
  isBalancerDown = false;
  private readonly parsed = new Map<string, { text: string | undefined; peer: Peer }>();
  private readonly links = new Map<string, Link>();
  /** What the hosts said, to be read when something is wrong. */
  readonly journal: string[] = [];
  whenOpened: (host: Host) => void = () => undefined;
  whenFounding: (host: Host, seen: readonly Peer[]) => void = () => undefined;

  constructor(
    readonly durability: "available" | "lossless" = "available",
    hosts = 3,
    readonly chance = new Chance(1),
    readonly pace: Pace = STEADY,
    isAutomatic = false,
  ) {
    const names = Array.from({ length: hosts }, (_, index) => `database-${index + 1}`);
    const voters = hosts === 2 ? [...names, "load-balancer-1"] : names;
    this.quorum = isAutomatic ? new Quorum(this, voters) : undefined;
    this.hosts = names.map((name, index) => {
      const peers = names
        .filter((peer) => peer !== name)
        .map((peer) => ({ name: peer, address: addressOf(peer) }));
      return new Host({ name, number: index + 1, peers, durability }, this);
    });
  }

  /** Has the cluster been founded long ago: all hosts hold the same, and were switched off together. */
  stand(): void {
    const [first, ...others] = this.hosts as [Host, ...Host[]];
    const term: Transaction = {
      source: first.disk.uuid,
      number: 1,
      change: "term",
      term: 1,
      host: first.name,
    };
    for (const { disk } of this.hosts) {
      disk.log.push(term);
      disk.execute(term);
    }
    for (const { disk } of others) {
      disk.source = first.name;
    }
    this.quorum?.stand({ term: 1, holder: first.name, state: "open", sync: [], sequence: 0 });
    for (const host of this.hosts) {
      host.isRecorded = this.quorum !== undefined;
    }
  }

  /** The first is 1. */
  host(number: number): Host {
    return this.hosts[number - 1] as Host;
  }

  named(name: string): Host {
    return this.hosts.find((host) => host.name === name) as Host;
  }

  /** The same answer is read once, however many ask. */
  parse(name: string, text: string | undefined): Peer {
    const known = this.parsed.get(name);
    if (known !== undefined && known.text === text) {
      return known.peer;
    }
    const peer = parsePeer(name, text);
    this.parsed.set(name, { text, peer });
    return peer;
  }

  log(host: string, line: string): void {
    this.journal.push(`${(this.time.now / 1000).toFixed(3)} ${host}: ${line}`);
  }

  founding(host: Host): void {
    this.whenFounding(host, host.seen);
  }

  opened(host: Host): void {
    this.whenOpened(host);
  }

  server(name: string): FakeMysql | undefined {
    return this.hosts.find((host) => host.name === name)?.mysql;
  }

  private link(from: string, to: string): Link {
    return this.links.get(`${from} ${to}`) ?? "open";
  }

  /** Whether a host runs: a database host, or the load balancer. */
  isAlive(name: string): boolean {
    const host = this.hosts.find((one) => one.name === name);
    return host === undefined ? !this.isBalancerDown : host.isOn && !host.isFrozen;
  }

  isOpen(from: string, to: string): boolean {
    return (
      this.isAlive(from) &&
      this.isAlive(to) &&
      this.link(from, to) !== "cut" &&
      this.link(to, from) !== "cut"
    );
  }

  /** Changes something between or in the hosts, as their connections notice it. */
  change(something: () => void): void {
    for (const { mysql } of this.hosts) {
      mysql.replication.noteHeard();
    }
    something();
    for (const { mysql } of this.hosts) {
      mysql.replication.noteChange();
    }
  }

  /** In both directions where it is cut; else what the first hears of the second. */
  setLink(from: string, to: string, link: Link): void {
    this.change(() => this.links.set(`${from} ${to}`, link));
  }

  healLinks(): void {
    this.change(() => this.links.clear());
  }

  askState(
    from: string,
    to: string,
    limit: number,
    answer: (text: string | undefined) => void,
  ): void {
    const { time, chance } = this;
    const host = this.named(to);
    const link = this.link(from, to);
    if (!host.isOn || host.isFrozen || link === "cut" || this.link(to, from) === "cut") {
      time.after(limit, () => answer(undefined));
      return;
    }
    if (link === "hanging") {
      time.after(1_000, () => answer(undefined));
      return;
    }
    const isLate = link === "slow" || link === "late";
    const delay = link === "slow" ? chance.between(100, 1_300) : link === "late" ? 900 : 2;
    // What arrives late was said early.
    const said = isLate ? this.said(host, link) : undefined;
    time.after(Math.min(delay, 1_000), () => {
      if (delay > 1_000) {
        answer(undefined);
      } else {
        answer(isLate ? said : this.said(host, link));
      }
    });
  }

  private said(host: Host, link: Link): string | undefined {
    const text = host.isOn && !host.isFrozen ? host.healthPort.state : undefined;
    switch (link) {
      case "half":
        return text?.slice(0, this.chance.between(0, text.length - 1));
      case "garbage":
        return this.chance.oneOf(["", "null", "[]", "<html>busy</html>", '{"state":"unknown"}']);
      case "another":
        return this.hosts.find(({ name }) => name !== host.name)?.healthPort.state;
      default:
        return text;
    }
  }

  /** The hosts that take the app's writes. */
  get open(): Host[] {
    return this.hosts.filter(({ mysql }) => mysql.takesWrites);
  }

  /** Whether one host is primary, and all others follow it and have all that it has. */
  get isInSync(): boolean {
    const [primary, ...more] = this.open;
    if (primary === undefined || more.length > 0 || !primary.healthPort.isPrimary) {
      return false;
    }
    const { applied, executed } = primary.disk;
    return this.hosts.every(
      (host) =>
        host === primary ||
        (host.healthPort.answers?.replica === true &&
          host.disk.source === primary.name &&
          host.disk.applied.length === applied.length &&
          isSubset(executed, host.disk.executed)),
    );
  }
}
