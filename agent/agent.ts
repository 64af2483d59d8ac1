import { mkdirSync } from "node:fs";
import { BootstrapScripts } from "./bootstrap";
import { SYSTEM_CLOCK } from "./clock";
import { takeCommands } from "./commands";
import { HaproxyHealthPort } from "./health-port";
import { FileLock } from "./lock";
import { Agent } from "./loop";
import { FileMarks } from "./marks";
import { MysqlServer } from "./mysql";
import { PeersByHealthPort } from "./peers";
import type { Address } from "./state";

// The agent of a database host: it brings the host into the cluster, keeps it there, and updates the health port. Its
// facts come from /etc/cluster/host.env.

function fact(name: string): string {
  const value = process.env[name];
  if (value === undefined) {
    throw new Error(`the fact ${name} is missing; the agent's unit reads /etc/cluster/host.env`);
  }
  return value;
}

/** `NAME:ADDRESS` of the other database hosts, separated by spaces. */
function peersOf(text: string): Address[] {
  return text
    .split(" ")
    .filter(Boolean)
    .map((peer) => {
      const [name = "", address = ""] = peer.split(":");
      return { name, address };
    });
}

function main(): void {
  const run = fact("DATABASE_RUN");
  mkdirSync(run, { recursive: true });
  const peers = peersOf(fact("DATABASE_PEERS"));
  const name = fact("HOST_NAME");
  const agent = new Agent(
    {
      name,
      number: Number(fact("HOST_NUMBER")),
      peers,
      durability: fact("DATABASE_DURABILITY") === "lossless" ? "lossless" : "available",
    },
    {
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
      log: (line) => process.stderr.write(`${line}\n`),
    },
  );
  takeCommands(agent, `${run}/agent.sock`);
  void agent.run();
}

main();
