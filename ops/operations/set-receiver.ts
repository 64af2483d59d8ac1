import { ALERT_SECRETS, hostsOf, type Topology } from "../../topology/topology";
import { OperatorError } from "../operator-error";
import type { HostAccess } from "../platform/host-access";
import type { SecretStore } from "../platform/secret-store";
import { onHost } from "./on-host";

/** How long a monitor may take to use it, in seconds. */
const APPLYING = 60;

/** The longest that is stored, in characters. */
const LONGEST = 2_000;

/** A receiver of alerts for which the cluster has to be given something. */
export type Receiver = keyof typeof ALERT_SECRETS;

/** Every such receiver. */
const RECEIVERS = Object.keys(ALERT_SECRETS) as readonly Receiver[];

/** What a receiver needs, and the setting that declares it. */
const NEEDS: Readonly<Record<Receiver, { readonly what: string; readonly setting: string }>> = {
  webhook: { what: "the address of a webhook", setting: "monitoring.webhook: true" },
  email: { what: "the password of the mail server's user", setting: "monitoring.email.user" },
  heartbeat: { what: "the address to be told", setting: "monitoring.heartbeat: true" },
};

function problemOf(receiver: Receiver, text: string): string | undefined {
  if (text === "") {
    return "nothing was given on standard input";
  }
  if (text.length > LONGEST) {
    return `what was given has ${text.length} characters; at most ${LONGEST} can be stored`;
  }
  if (/\s/.test(text)) {
    return "what was given has a space or a line break in it; wanted one line without spaces";
  }
  if (receiver === "email") {
    return undefined;
  }
  // No message says what was given: it may be a secret nonetheless.
  if (!URL.canParse(text) || !["http:", "https:"].includes(new URL(text).protocol)) {
    return "what was given is not an http or https address";
  }
  return ["", "80", "443"].includes(new URL(text).port)
    ? undefined
    : "the address is not at port 80 or 443, which are the ports that hosts can reach outside";
}

/**
 * Gives the cluster what it needs to send alerts to a receiver: it is stored as a secret, and the monitor uses it from then
 * on.
 *
 * @param text as given, with or without a line break at its end
 * @throws OperatorError if it is refused, or the monitor does not use it: the same command continues
 */
export async function setReceiver(
  {
    topology,
    access,
    secrets,
  }: { readonly topology: Topology; readonly access: HostAccess; readonly secrets: SecretStore },
  receiver: string,
  text: string,
  say: (line: string) => void,
): Promise<void> {
  const known = RECEIVERS.find((one) => one === receiver);
  if (known === undefined) {
    throw new OperatorError(
      `Refused: there is no receiver ${JSON.stringify(receiver)}; there are ${RECEIVERS.join(", ")}. Nothing was changed.`,
    );
  }
  const { what, setting } = NEEDS[known];
  const name = ALERT_SECRETS[known];
  if (!topology.secrets.some((secret) => secret.name === name)) {
    throw new OperatorError(
      `Refused: the cluster sends no alerts that way. Set monitor: true and ${setting}, and deploy first. Nothing was changed.`,
    );
  }
  const given = text.replace(/\r?\n$/, "");
  const problem = problemOf(known, given);
  if (problem !== undefined) {
    throw new OperatorError(
      `Refused: ${problem}. Wanted: ${what}, on standard input. Nothing was changed.`,
    );
  }
  // The beginning tells it from what the platform generated before anything was given (scripts/monitor/receivers.sh).
  await secrets.put(name, Buffer.from(`given:${given}`, "utf8").toString("base64"));
  for (const { name: host } of hostsOf(topology, "monitor")) {
    await onHost(access, host, ["host/apply-secret.sh", name], APPLYING);
    say(`${host} uses it from now on`);
  }
}
