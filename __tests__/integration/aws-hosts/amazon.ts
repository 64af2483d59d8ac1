import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { type InstanceIdentity, MetadataService } from "../emulator/metadata";
import { refusalOf } from "./payload";
import { RunCommand } from "./run-command";

// Stands in for AWS to hosts and their operator: its API, which is the emulator's except for what happens inside the
// hosts, and the instance metadata. It is a separate process, so that it answers while a test waits for a program.

/** Its input, as a JSON file. */
export interface Amazon {
  /** Where hosts find both: the metadata at port 80, the API over TLS. */
  readonly address: string;
  /** Files of the API's certificate. */
  readonly certificate: { readonly key: string; readonly certificate: string };
  /** The emulator's address. */
  readonly emulator: string;
  /** The words before `HOST -- PROGRAM ...` that run something on a host. */
  readonly execute: readonly string[];
  /**
   * The words before the host that stop a host at once, start a stopped one or reboot one, by EC2's name of the action.
   */
  readonly power: Readonly<Record<string, readonly string[]>>;
  /** The unit of the SSM agent. */
  readonly agentUnit: string;
  /** The path at which AWS offers the agent's package to everybody, and the file that it sends. */
  readonly agentPackage: { readonly path: string; readonly file: string };
  readonly instances: ReadonlyArray<
    InstanceIdentity & { readonly host: string; readonly address: string }
  >;
}

const amazon: Amazon = JSON.parse(readFileSync(process.argv[2] as string, "utf8"));
const withId = (id: string | null) => amazon.instances.find((instance) => instance.id === id);

const commands = new RunCommand((id) => {
  const instance = withId(id);
  return instance && [...amazon.execute, instance.host, "--"];
}, amazon.agentUnit);

/** Does to a container what EC2 agreed to do to its instance. */
function carryOut(body: string): void {
  const parameters = new URLSearchParams(body);
  const words = amazon.power[parameters.get("Action") ?? ""];
  const instance = withId(parameters.get("InstanceId.1"));
  if (words !== undefined && instance !== undefined) {
    const [program = "", ...args] = [...words, instance.host];
    spawn(program, args, { stdio: "ignore" });
  }
}

/** Forwards a request unchanged: its signature covers the name and the headers that it was sent with. */
function pass(
  incoming: IncomingMessage,
  response: ServerResponse,
  body: Buffer,
  then: () => void,
): void {
  const { hostname, port } = new URL(amazon.emulator);
  const outgoing = request(
    {
      hostname,
      port,
      method: incoming.method,
      path: incoming.url,
      headers: incoming.rawHeaders as unknown as Record<string, string>,
    },
    (answer) => {
      if (answer.statusCode === 200) {
        then();
      }
      response.writeHead(answer.statusCode ?? 500, answer.rawHeaders);
      answer.pipe(response);
    },
  );
  outgoing.on("error", () => response.writeHead(503).end());
  outgoing.end(body);
}

async function api(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  if (incoming.method === "GET" && incoming.url === amazon.agentPackage.path) {
    response.end(readFileSync(amazon.agentPackage.file));
    return;
  }
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) {
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  const refusal = refusalOf(incoming.headers, body);
  if (refusal) {
    response.writeHead(refusal.status, { "content-type": "application/xml" });
    response.end(`<Error><Code>${refusal.code}</Code></Error>`);
    return;
  }
  const [, action] = /^AmazonSSM\.(\w+)$/.exec(String(incoming.headers["x-amz-target"])) ?? [];
  const own = action && (await commands.answer(action, JSON.parse(body.toString())));
  if (own) {
    response.writeHead(own.status, { "content-type": "application/x-amz-json-1.1" });
    response.end(JSON.stringify(own.body));
    return;
  }
  const isForm = incoming.headers["content-type"]?.startsWith("application/x-www-form-urlencoded");
  pass(incoming, response, body, () => isForm && carryOut(body.toString()));
}

async function main(): Promise<void> {
  const metadata = new MetadataService((address) =>
    amazon.instances.find((instance) => instance.address === address),
  );
  await metadata.start(amazon.address, 80);

  const { key, certificate } = amazon.certificate;
  const ofHosts = createTlsServer({ key: readFileSync(key), cert: readFileSync(certificate) }, api);
  await new Promise<void>((resolve) => ofHosts.listen(443, amazon.address, resolve));
  const ofOperator = createServer(api);
  await new Promise<void>((resolve) => ofOperator.listen(0, "127.0.0.1", resolve));
  // The parent process waits for this line.
  console.log(`http://127.0.0.1:${(ofOperator.address() as AddressInfo).port}`);
}

void main();
