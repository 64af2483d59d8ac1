import type { Bootstrap } from "./bootstrap";
import type { Clock } from "./clock";
import type { Fence } from "./fence";
import type { HealthPort } from "./health-port";
import type { Lock } from "./lock";
import type { Marks } from "./marks";
import type { Server } from "./mysql";
import type { Peers } from "./peers";
import type { RecordStore } from "./record";
import type { Address } from "./state";

/** The agent's dependencies; tests replace them. */
export interface Surroundings {
  readonly server: Server;
  readonly peers: Peers;
  readonly marks: Marks;
  readonly bootstrap: Bootstrap;
  readonly lock: Lock;
  readonly healthPort: HealthPort;
  readonly clock: Clock;
  readonly log: (line: string) => void;
  /** What automatic failover needs; `undefined` if failover is manual, and no record can be left. */
  readonly automatic?: { readonly store: RecordStore };
  readonly fence: Fence;
}

/** This host, as defined in the topology. */
export interface Identity {
  readonly name: string;
  readonly number: number;
  readonly peers: readonly Address[];
  readonly durability: "available" | "lossless";
  /** Whether failover is manual by the settings, and was automatic before; default false. */
  readonly isEnding?: boolean;
}
