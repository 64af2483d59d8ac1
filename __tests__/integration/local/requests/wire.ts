import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import type { ScratchCluster } from "../../../../drill/scratch/scratch-cluster";
import type { Echo } from "./echo-app";

export const MIB = 2 ** 20;

export const pause = (seconds: number) =>
  new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** The headers of a request that names a host and ends its connection. */
export const close = ["Host: test", "Connection: close"];

/** A raw connection on which the test sends every byte. */
export class Wire {
  received = "";
  closed = false;

  private constructor(readonly socket: Socket) {
    socket.on("data", (data) => {
      this.received += data.toString("latin1");
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.closed = true;
    });
  }

  static open(cluster: ScratchCluster): Promise<Wire> {
    return new Promise((resolve, reject) => {
      const socket = connect(cluster.topology.settings.localPort, "127.0.0.1", () =>
        resolve(new Wire(socket)),
      );
      socket.on("error", reject);
    });
  }

  send(bytes: string | Buffer): void {
    this.socket.write(bytes);
  }

  /** Waits until what was received matches, or the connection is closed. */
  async until(pattern: RegExp, seconds = 10): Promise<string> {
    const deadline = Date.now() + seconds * 1000;
    while (!pattern.test(this.received)) {
      if (this.closed || Date.now() > deadline) {
        throw new Error(
          `${pattern} did not arrive within ${seconds} s${this.closed ? ", the connection is closed" : ""}: ${this.received.slice(0, 2000)}`,
        );
      }
      await pause(0.05);
    }
    return this.received;
  }

  /** Waits until the other side closes the connection. */
  end(seconds = 15): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.closed) {
        resolve();
        return;
      }
      const deadline = setTimeout(
        () => reject(new Error(`still open after ${seconds} s: ${this.received.slice(0, 2000)}`)),
        seconds * 1000,
      );
      this.socket.on("close", () => {
        clearTimeout(deadline);
        resolve();
      });
    });
  }

  close(): void {
    this.socket.destroy();
  }
}

/** Sends a request exactly as it is written, and returns the whole response. */
export async function exchange(
  cluster: ScratchCluster,
  lines: readonly string[],
  body = "",
): Promise<{ status: number; text: string; echo: Echo | undefined }> {
  const wire = await Wire.open(cluster);
  wire.send(`${lines.join("\r\n")}\r\n\r\n${body}`);
  await wire.end();
  const text = wire.received;
  const json = /\{"method".*\}/.exec(text)?.[0];
  return {
    status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]),
    text,
    echo: json === undefined ? undefined : JSON.parse(json),
  };
}

/** A WebSocket, or a connection of another protocol, once the app has accepted the upgrade. */
export async function upgrade(cluster: ScratchCluster, protocol = "websocket", method = "GET") {
  const wire = await Wire.open(cluster);
  wire.send(
    [
      `${method} /socket//a%2Fb?x=1 HTTP/1.1`,
      "Host: test",
      "Connection: keep-alive, Upgrade",
      `Upgrade: ${protocol}`,
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      "Sec-WebSocket-Version: 13",
      "Content-Length: 0",
      "\r\n",
    ].join("\r\n"),
  );
  await wire.until(/\r\n\r\n/);
  return wire;
}

/** A client's text frame; the server returns its payload in a frame of its own. */
export function frame(text: string): Buffer {
  const mask = randomBytes(4);
  const masked = Buffer.from(text).map((byte, index) => byte ^ (mask[index % 4] as number));
  return Buffer.concat([Buffer.from([0x81, 0x80 | text.length]), mask, masked]);
}

export async function echoes(wire: Wire, text: string): Promise<void> {
  wire.send(frame(text));
  await wire.until(new RegExp(text));
}

/** Runs curl, as a client that sends its body in its own way; returns the status and the response. */
export function curl(
  cluster: ScratchCluster,
  path: string,
  args: readonly string[],
  input: string,
) {
  const options = ["--silent", "--max-time", "20", "-w", "\n%{http_code}"];
  return new Promise<{ exitCode: number | null; status: number; body: string | undefined }>(
    (resolve, reject) => {
      const child = spawn("curl", [...options, ...args, cluster.url + path], {
        stdio: ["pipe", "pipe", "ignore"],
      });
      let printed = "";
      child.stdout.on("data", (data) => {
        printed += data;
      });
      child.on("error", reject);
      child.on("close", (exitCode) => {
        const [, body, code] = /^([\s\S]*)\n(\d+)$/.exec(printed) ?? [];
        resolve({ exitCode, status: Number(code), body });
      });
      // curl may exit before it has read all of it.
      child.stdin.on("error", () => {});
      child.stdin.end(input);
    },
  );
}
