/** A web server as a load balancer sees it (scripts/load-balancer/servers.sh). */
export interface CheckedServer {
  readonly name: string;
  /** HAProxy's status, for example `UP`, `DOWN` or `DRAIN`. */
  readonly status: string;
  readonly underWay: number;
  /** Seconds since the status last changed. */
  readonly changedSecondsAgo: number;
  /** The result of its last check, in HAProxy's terms. */
  readonly check: string;
  /** The HTTP status of the answer to that check; `null` without an answer. */
  readonly answer: number | null;
}

/** https://docs.haproxy.org/3.2/management.html#9.1, check_status. */
const CHECKS: Readonly<Record<string, string>> = {
  INI: "it has not been checked yet",
  UNK: "it has not been checked yet",
  SOCKERR: "the load balancer could not open a socket for the check",
  L4TOUT: "it accepted no connection within a second",
  L4CON: "it refuses connections",
  L7TOUT: "it did not answer within a second",
  L7RSP: "its answer is not valid HTTP",
};

/** The result of a web server's last check. */
export function checkInWords({ check, answer }: CheckedServer): string {
  return answer === null
    ? (CHECKS[check] ?? `the result of the check is ${check}`)
    : `the check returned ${answer}`;
}

/** A web server's status according to a load balancer. */
export type Held = "up" | "down" | "drained";

/** `up` only after a check has succeeded: before the first one, nothing is known. */
export function heldFor({ status, check }: CheckedServer): Held {
  if (status.startsWith("DRAIN") || status.startsWith("MAINT")) {
    return "drained";
  }
  return status.startsWith("UP") && check !== "INI" && check !== "UNK" ? "up" : "down";
}
