import { rotateSecret } from "../../ops/operations/rotate-secret";
import { setReceiver } from "../../ops/operations/set-receiver";
import type { HostAccess } from "../../ops/platform/host-access";
import type { SecretStore } from "../../ops/platform/secret-store";
import { topologyOf } from "../hosts/rendered";

/** Gives a receiver something; returns what was stored, run and said. */
async function give(
  receiver: string,
  text: string,
  monitoring: Parameters<typeof topologyOf>[0] = {
    monitor: true,
    monitoring: { webhook: true, heartbeat: true },
  },
) {
  const stored: Array<readonly [string, string]> = [];
  const ran: string[] = [];
  const secrets = {
    put: async (name: string, content: string) => {
      stored.push([name, content]);
    },
  } as unknown as SecretStore;
  const access = {
    run: async (host: string, command: readonly string[]) => {
      ran.push(`${host}: ${command.join(" ")}`);
      return { exitCode: 0, stdout: "", stderr: "" };
    },
  } as unknown as HostAccess;
  const said: string[] = [];
  const topology = topologyOf(monitoring);
  await setReceiver({ topology, access, secrets }, receiver, text, (line) => said.push(line));
  return { stored, ran, said };
}

test("an address is stored as a secret, and the monitor uses it", async () => {
  const { stored, ran, said } = await give("webhook", "https://hooks.example.org/a?token=b\n");
  const [name, content] = stored[0] as readonly [string, string];
  expect(name).toBe("alert-webhook");
  expect(Buffer.from(content, "base64").toString()).toBe(
    "given:https://hooks.example.org/a?token=b",
  );
  expect(ran).toEqual(["monitor-1: /opt/cluster/scripts/host/apply-secret.sh alert-webhook"]);
  expect(said).toEqual(["monitor-1 uses it from now on"]);
});

test.each([
  ["pager", "x", /no receiver "pager"; there are webhook, email, heartbeat/],
  ["webhook", "", /nothing was given/],
  ["webhook", "https://a.example.org/ https://b.example.org/", /space or a line break/],
  ["webhook", "ftp://hooks.example.org/secret", /not an http or https address/],
  ["webhook", "https://hooks.example.org:8443/secret", /port 80 or 443/],
  ["webhook", `https://hooks.example.org/${"a".repeat(3000)}`, /at most 2000/],
  ["email", "password", /monitoring\.email\.user, and deploy first/],
])("%s is refused with %j", async (receiver, text, reason) => {
  const refused = give(receiver, text);
  await expect(refused).rejects.toThrow(reason);
  await expect(refused).rejects.toThrow("Nothing was changed.");
  // It may be a secret.
  await expect(refused).rejects.not.toThrow(/hooks\.example/);
});

test("without a monitor there is nothing to give", async () => {
  await expect(give("webhook", "https://hooks.example.org/", {})).rejects.toThrow(
    /Set monitor: true and monitoring\.webhook: true/,
  );
});

test("what was given is not rotated: another one is given", async () => {
  const topology = topologyOf({ monitor: true, monitoring: { webhook: true } });
  const target = { topology, access: {} as HostAccess, secrets: {} as SecretStore };
  await expect(
    rotateSecret(target, "alert-webhook", { dryRun: false }, () => undefined),
  ).rejects.toThrow(/it is given: .*set-receiver\. Nothing was changed/);
});
