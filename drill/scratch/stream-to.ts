import { spawn } from "node:child_process";
import { Duplex } from "node:stream";

/** A TCP connection from a container of this machine, for a client that runs outside of it. */
export function streamTo(incusProject: string, from: string, target: string): Duplex {
  const child = spawn(
    "incus",
    ["--project", incusProject, "exec", from, "--", "socat", "STDIO", `TCP:${target}`],
    { stdio: ["pipe", "pipe", "ignore"] },
  );
  const stream = Duplex.from({ readable: child.stdout, writable: child.stdin });
  child.on("error", (error) => stream.destroy(error));
  child.on("close", () => stream.destroy());
  stream.on("close", () => child.kill());
  return stream;
}
