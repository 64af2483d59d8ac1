import { rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type Commands, Refusal } from "./commands";

// Commands from operators and scripts on this host (scripts/database/agent.sh): a name and its arguments.

/** The action of a command; its return value is printed. */
type Command = (commands: Commands, args: readonly string[]) => Promise<string | object>;

const USAGE =
  "usage: agent.sh candidate | status | state | observe | close [SUCCESSOR] | leave | release | promote [--lost HOST]... [--accept-loss]";

function promote(commands: Commands, args: readonly string[]): Promise<string> {
  const lost: string[] = [];
  let acceptLoss = false;
  for (let index = 0; index < args.length; index++) {
    if (args[index] === "--lost" && args[index + 1] !== undefined) {
      lost.push(args[++index] as string);
    } else if (args[index] === "--accept-loss") {
      acceptLoss = true;
    } else {
      throw new Refusal(USAGE);
    }
  }
  return commands.promote(lost, acceptLoss);
}

const COMMANDS: Readonly<Record<string, Command>> = {
  candidate: (commands) => commands.candidate(),
  status: (commands) => commands.status(),
  state: (commands) => commands.state(),
  observe: (commands) => commands.publishNow(),
  close: (commands, [successor]) => commands.close(successor),
  leave: (commands) => commands.leave(),
  release: (commands) => commands.release(),
  promote,
};

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = "";
  for await (const text of request.setEncoding("utf8")) {
    body += text;
  }
  return body;
}

async function answer(
  commands: Commands,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const [word = "", ...args] = (await bodyOf(request)).split("\n").filter((line) => line !== "");
  try {
    const command = COMMANDS[word];
    if (command === undefined) {
      throw new Refusal(USAGE);
    }
    const said = await command(commands, args);
    const text = typeof said === "string" ? said : JSON.stringify(said);
    response.writeHead(200).end(text === "" ? "" : `${text}\n`);
  } catch (error) {
    const { message, stack } = error as Error;
    response
      .writeHead(error instanceof Refusal ? 409 : 500)
      .end(`${error instanceof Refusal ? message : (stack ?? message)}\n`);
  }
}

/**
 * Accepts commands, each a request whose body has one line for the name and one for each argument. A refused command is
 * answered with 409 and the reasons, one per line.
 *
 * @param socket path of the socket, accessible only to root
 */
export function takeCommands(commands: Commands, socket: string): void {
  rmSync(socket, { force: true });
  const server = createServer((request, response) => {
    answer(commands, request, response).catch(() => response.destroy());
  });
  const umask = process.umask(0o177);
  server.listen(socket, () => process.umask(umask));
}
