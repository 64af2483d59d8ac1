import { GIVEN_CERTIFICATE, type Secret, type Topology } from "../../topology/topology";
import { OperatorError } from "../operator-error";
import type { HostAccess } from "../platform/host-access";
import { type Phase, phaseAfter, type SecretStore } from "../platform/secret-store";
import { Interrupted, wasInterrupted } from "../run";
import { awaitChecks } from "./await-checks";
import { outOfService } from "./drain";
import { onHost } from "./on-host";
import { type ClusterStatus, factsOf, gatherStatus, heldByLoadBalancers } from "./status";

// A secret is rotated in phases (ops/platform/secret-store.ts). What is stored names the phase, so nothing else has to be
// remembered: every host applies what is stored, and only when all have done so is the next phase stored. Whatever is
// interrupted is done again from the stored phase.

/** How long a host may take to apply a phase, in seconds: a replica may lag, and restic may wait for a backup. */
const APPLYING = 420;

/** How long systemd gives an app to stop, twice over, and a host some time of its own; in seconds. */
const RESTARTING = 90;

/** How long the load balancer sends a web server requests before the next host's turn, in seconds. */
const IN_SERVICE = 2;

/** The phases in which an app that read a secret when it started has to start anew. */
const RESTARTS: Readonly<Record<string, readonly Phase[]>> = {
  "mysql-app-password": ["previous"],
  "mysql-read-password": ["previous"],
  // It trusts the next authority before any server has a certificate of it, and the former one no longer.
  "certificate-authority-seed": ["next", "former"],
};

/** What rotating a secret does, apart from generating another value; for people. */
const EFFECTS: Readonly<Record<string, string>> = {
  "mysql-app-password": "MySQL accepts both passwords until every web server uses the new one",
  "mysql-read-password": "MySQL accepts both passwords until every web server uses the new one",
  "mysql-replication-password":
    "MySQL accepts both passwords until every replica has logged in again with the new one; it keeps what it has received",
  "certificate-authority-seed":
    "replicas and web servers trust both authorities until every database host has a certificate of the new one; no server restarts",
  "etcd-authority-seed":
    "etcd trusts both authorities until every voter has a certificate of the new one; for that it restarts twice, on one voter at a time",
  "acme-account-seed":
    "load balancers open another account with the authority when they next need a certificate; those they have stay valid",
  "quic-seed":
    "load balancers reload HAProxy with what is derived from the new one; connections go on",
  "backup-password":
    "the repository opens with both passwords until every database host uses the new one; backups are not encrypted anew",
};

/** A host's part in a phase. */
export interface Turn {
  readonly host: string;
  /** Whether its app starts anew, while the web server is drained if there is another one. */
  readonly restart: boolean;
}

/** What to do in a phase. */
export type Decision =
  | { readonly kind: "refuse"; readonly reasons: readonly string[] }
  | {
      readonly kind: "apply";
      /** In this order, one after the other. */
      readonly turns: readonly Turn[];
      /** Hosts that do not run: they fetch their secrets when they boot. */
      readonly skipped: readonly string[];
    };

/** The hosts that a secret concerns: those that read it, and those that rely on what is derived from it. */
function concerned(topology: Topology, { name, readers }: Secret): string[] {
  const voters = topology.voters.map((host) => host.name);
  return topology.hosts
    .filter((host) => {
      switch (name) {
        case "etcd-authority-seed":
          return host.role === "database" || voters.includes(host.name);
        case "certificate-authority-seed":
          return host.role === "database" || host.role === "web";
        default:
          return readers.includes(host.role);
      }
    })
    .map((host) => host.name);
}

/**
 * Decides what hosts have to do in a phase of a secret's rotation: the primary first, because replicas replicate what it
 * changes, then the other database hosts, load balancers, and web servers last. Pure.
 */
export function decideRotation(
  topology: Topology,
  secret: Secret,
  phase: Phase,
  status: ClusterStatus,
): Decision {
  const names = concerned(topology, secret);
  const hosts = status.hosts.filter(({ host }) => names.includes(host));
  const skipped = hosts
    .filter(({ facts, power }) => facts === undefined && ["stopped", "absent"].includes(power))
    .map(({ host }) => host);
  const silent = hosts.filter(({ host, facts }) => facts === undefined && !skipped.includes(host));
  const open = factsOf(status, "database")
    .filter(({ facts }) => facts.writability === "open")
    .map(({ host }) => host);
  const reasons = [
    ...silent.map(
      ({ host, silence }) =>
        `${silence ?? `${host} does not answer`}; it might go on with the former value: start it, or stop it`,
    ),
    ...(open.length === 1
      ? []
      : [`${open.length} database hosts accept writes; wanted exactly one`]),
  ];
  if (reasons.length > 0) {
    return { kind: "refuse", reasons };
  }
  const restarts =
    !topology.settings.app.rereadsSecrets && RESTARTS[secret.name]?.includes(phase) === true;
  const rank = (host: string, role: string) =>
    host === open[0] ? 0 : role === "database" ? 1 : role === "load-balancer" ? 2 : 3;
  const turns = hosts
    .filter(({ facts }) => facts !== undefined)
    .sort((one, other) => rank(one.host, one.role) - rank(other.host, other.role))
    .map(({ host, role }) => ({ host, restart: role === "web" && restarts }));
  return { kind: "apply", turns, skipped };
}

/** The plan, in lines. */
function explainRotation({ settings, hosts }: Topology, name: string, phase: Phase) {
  const restarts = !settings.app.rereadsSecrets && RESTARTS[name] !== undefined;
  const webServers = hosts.filter(({ role }) => role === "web").length;
  return [
    phase === "steady"
      ? `${name} will be replaced by another value: ${EFFECTS[name]}.`
      : `The rotation of ${name} was interrupted in phase ${phase}, and goes on from there: ${EFFECTS[name]}.`,
    ...(restarts
      ? [
          webServers > 1
            ? "The app is restarted on one web server at a time, drained meanwhile, because app.rereadsSecrets is false."
            : "The app is restarted, because app.rereadsSecrets is false; there is one web server, so visitors wait meanwhile or get a 503.",
        ]
      : []),
    ...(name === "backup-password"
      ? ["A copy of the repository that was made before still opens with the former password."]
      : []),
  ];
}

/** What is said once all hosts have applied a phase. */
const APPLIED: Readonly<Record<Phase, string>> = {
  steady: "",
  next: "every host accepts both values",
  previous: "every host uses the new value",
  former: "the former value is refused everywhere",
};

/** A cluster with access to its hosts and secrets. */
export interface RotationTarget {
  readonly topology: Topology;
  readonly access: HostAccess;
  readonly secrets: SecretStore;
}

async function apply(
  { topology, access }: RotationTarget,
  name: string,
  { host, restart }: Turn,
  status: ClusterStatus,
): Promise<void> {
  const script = ["host/apply-secret.sh", name, ...(restart ? ["--restart"] : [])] as const;
  if (!restart) {
    await onHost(access, host, script, APPLYING);
    return;
  }
  const facts = factsOf(status, "web").find((one) => one.host === host)?.facts;
  const serves = facts?.healthy === true && heldByLoadBalancers(status, host) === "up";
  const seconds = topology.settings.app.startTimeout + RESTARTING;
  await outOfService(topology, access, { host, serves }, () =>
    onHost(access, host, script, seconds),
  );
  await awaitChecks(topology, access, host, { seconds: IN_SERVICE, inService: true });
}

/**
 * Rotates a secret, or completes a rotation that was interrupted.
 *
 * @throws OperatorError if there is no such secret, a host cannot be relied on, or one fails: what was done stays, every
 *   host works with it, and the same command continues
 */
export async function rotateSecret(
  target: RotationTarget,
  name: string,
  { dryRun }: { readonly dryRun: boolean },
  say: (line: string) => void,
): Promise<void> {
  const { topology, access, secrets } = target;
  const secret = topology.secrets.find((one) => one.name === name);
  if (secret === undefined) {
    const known = topology.secrets.map((one) => one.name).join(", ");
    throw new OperatorError(
      `There is no secret ${name}; there are: ${known}. Nothing was changed.`,
    );
  }
  if (secret.isGiven) {
    throw new OperatorError(
      `Refused: ${name} is not generated, it is given: npm run cluster -- STACK ${name === GIVEN_CERTIFICATE ? "set-certificate" : "set-receiver"}. Nothing was changed.`,
    );
  }
  const first = await secrets.phase(name);
  for (let phase = first, begun = false; ; begun = true) {
    if (wasInterrupted()) {
      throw new Interrupted();
    }
    const status = await gatherStatus(topology, access);
    const decision = decideRotation(topology, secret, phase, status);
    if (decision.kind === "refuse") {
      throw new OperatorError(
        [
          begun
            ? `The rotation of ${name} was stopped in phase ${phase}. Every host works with the value that it has; once this is fixed, run the same command again:`
            : "Refused. Nothing was changed.",
          ...decision.reasons,
        ].join("\n  "),
      );
    }
    if (!begun) {
      explainRotation(topology, name, phase).map((line) => say(line));
      for (const host of decision.skipped) {
        say(`${host} does not run: it fetches the secret when it boots.`);
      }
      if (dryRun) {
        return;
      }
    }
    if (phase !== "steady") {
      for (const turn of decision.turns) {
        if (wasInterrupted()) {
          throw new Interrupted();
        }
        await apply(target, name, turn, status).catch((error: Error) => {
          throw new OperatorError(
            `The rotation of ${name} was stopped in phase ${phase} at ${turn.host}: ${error.message}\n  Every host works with the value that it has. Once this is fixed, run the same command again: it continues from there.`,
          );
        });
      }
      say(APPLIED[phase]);
    }
    await secrets.advance(name, phase);
    phase = phaseAfter(phase);
    if (phase === "steady") {
      say(`${name} is rotated`);
      return;
    }
  }
}
