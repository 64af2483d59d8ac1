import { existsSync, mkdirSync } from "node:fs";
import { BootstrapScripts } from "./bootstrap";
import { SYSTEM_CLOCK } from "./clock";
import { takeCommands } from "./command-socket";
import { Commands } from "./commands";
import { EtcdRecordStore } from "./etcd";
import { NftablesFence } from "./fence";
import { HaproxyHealthPort } from "./health-port";
import { FileLock } from "./lock";
import { Agent } from "./loop";
import { FileMarks } from "./marks";
import { MysqlServer } from "./mysql";
import { PeersByHealthPort } from "./peers";
import type { Address } from "./state";
import type { Identity, Surroundings } from "./surroundings";

// The agent of a database host: it brings the host into the cluster, keeps it there, and updates the health port. Its
// facts come from /etc/cluster/host.env.

function fact(name: string): string {
  const value = process.env[name];
  if (value === undefined) {
    throw new Error(`the fact ${name} is missing; the agent's unit reads /etc/cluster/host.env`);
  }
  return value;
}

/** `NAME:ADDRESS` of hosts, separated by spaces. */
function addressesIn(text: string): Address[] {
  return text
    .split(" ")
    .filter(Boolean)
    .map((peer) => {
      const [name = "", address = ""] = peer.split(":");
      return { name, address };
    });
}

/** Whether failover is manual by the settings, and was automatic: the mark is on the volume (agent/marks.ts). */
const isEnding = () =>
  fact("DATABASE_FAILOVER") === "manual" && existsSync(`${fact("DATABASE_VOLUME")}/recorded`);

/** What automatic failover needs; `undefined` if failover is manual, and no record can be left. */
function automatic(): Surroundings["automatic"] {
  if (fact("DATABASE_FAILOVER") !== "automatic" && !isEnding()) {
    return undefined;
  }
  // Where failover is manual there are no voters: this host's member goes on until the record is removed.
  const own = { name: fact("HOST_NAME"), address: fact("HOST_ADDRESS") };
  return {
    store: new EtcdRecordStore({
      name: own.name,
      endpoints: isEnding() ? [own] : addressesIn(fact("ETCD_ENDPOINTS")),
      clientPort: Number(fact("ETCD_CLIENT_PORT")),
      configuration: fact("ETCD_CONFIGURATION"),
      directory: fact("ETCD_DIRECTORY"),
      volume: fact("DATABASE_VOLUME"),
    }),
  };
}

function main(): void {
  const run = fact("DATABASE_RUN");
  mkdirSync(run, { recursive: true });
  const peers = addressesIn(fact("DATABASE_PEERS"));
  const failover = automatic();
  const name = fact("HOST_NAME");
  const identity: Identity = {
    name,
    number: Number(fact("HOST_NUMBER")),
    peers,
    durability: fact("DATABASE_DURABILITY") === "lossless" ? "lossless" : "available",
    isEnding: isEnding(),
  };
  const surroundings: Surroundings = {
    server: new MysqlServer(name, peers, fact("MYSQL_SOCKET"), Number(fact("MYSQL_PORT"))),
    peers: new PeersByHealthPort(peers, Number(fact("DATABASE_HEALTH_PORT"))),
    marks: new FileMarks(fact("DATABASE_VOLUME"), run, fact("DATABASE_RESERVE")),
    bootstrap: new BootstrapScripts("/opt/cluster/scripts/database"),
    lock: new FileLock(run),
    healthPort: new HaproxyHealthPort(
      fact("HAPROXY_SOCKET"),
      fact("DATABASE_ANSWERS"),
      `${run}/authority`,
    ),
    clock: SYSTEM_CLOCK,
    fence: new NftablesFence(Number(fact("MYSQL_PORT"))),
    log: (line) => process.stderr.write(`${line}\n`),
    ...(failover && { automatic: failover }),
  };
  const agent = new Agent(identity, surroundings);
  takeCommands(new Commands(identity, surroundings, agent), `${run}/agent.sock`);
  void agent.run();
}

main();
