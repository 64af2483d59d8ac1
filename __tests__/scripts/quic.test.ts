import { statSync } from "node:fs";
import { HostFolder } from "./host-folder";

// HAProxy's second configuration file on a load balancer, with what is derived from the secret.

const FILE = "etc/haproxy/quic.cfg";

let host: HostFolder;

/** What is in the file of a load balancer with these facts, and how often it was written. */
async function written(facts = ""): Promise<string> {
  host = new HostFolder("HOST_NAME=load-balancer-1 HOST_ROLE=load-balancer");
  const known = host.read("etc/cluster/host.env");
  host.put("etc/cluster/host.env", `${known}QUIC_CONFIGURATION=${host.at(FILE)}\n${facts}\n`);
  host.put("etc/haproxy/haproxy.cfg", "");
  host.put("run/cluster/secrets/quic-seed", "seed");
  return write();
}

async function write(): Promise<string> {
  const sources = ["host/lib.sh", "load-balancer/quic.sh"].map((name) => host.bring(name));
  const { status, stderr } = await host.shell(sources, "write_quic_configuration");
  expect([status, stderr]).toEqual([0, ""]);
  return host.read(FILE);
}

afterEach(() => host.remove());

test("every load balancer derives the same from the secret, which is not in it", async () => {
  // The SHA-256 of "seed".
  const derived = "19b25856e1c150ca834cffc8b59b23adbd0ec0389e58eb22b3b64768098d002b";
  expect(await written("QUIC_DERIVED_FROM=quic-seed")).toMatch(
    new RegExp(`^global\\n {2}cluster-secret ${derived}\\n$`, "m"),
  );
});

test("only root can read it, and it changes only with the secret", async () => {
  const before = await written("QUIC_DERIVED_FROM=quic-seed");
  const inode = () => statSync(host.at(FILE)).ino;
  const first = inode();
  expect(statSync(host.at(FILE)).mode & 0o777).toBe(0o600);
  expect([await write(), inode()]).toEqual([before, first]);
  host.put("run/cluster/secrets/quic-seed", "another");
  expect(await write()).not.toBe(before);
});

test("where visitors cannot use TLS it sets nothing, and HAProxy starts with it", async () => {
  expect(await written()).toMatch(/^global\n$/m);
  expect(host.read(FILE)).not.toContain("secret");
});
