import { createConnection } from "mysql2/promise";
import { messageOf } from "./load";

// A client that stays connected to one database host, whatever becomes of it: it runs in the network of a web server,
// writes without a pause between, and prints the key of each write that was acknowledged. It ends with its standard
// input, or after two minutes.

/** What it reads from its standard input, as one line of JSON. */
export interface DirectWriterSettings {
  readonly host: string;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** The beginning of each key. */
  readonly prefix: string;
  readonly connections: number;
}

const LONGEST_SECONDS = 120;
/** Between an answer and the next write, in milliseconds. */
const PAUSE = 50;

async function writeForEver(settings: DirectWriterSettings, number: number): Promise<void> {
  const { host, user, password, database, prefix } = settings;
  const connection = await createConnection({
    host,
    user,
    password,
    database,
    ssl: { rejectUnauthorized: false },
  });
  for (let count = 0; ; count++) {
    const key = `${prefix}-${number}-${count}`;
    await connection.execute(
      `INSERT INTO guestbook_entries (request_key, name, message, written_at, web_server, database_host)
       VALUES (?, 'drill', ?, UTC_TIMESTAMP(3), 'none', ?)`,
      [key, messageOf(key), host],
    );
    process.stdout.write(`${key}\n`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
}

function main(): void {
  let text = "";
  setTimeout(() => process.exit(0), LONGEST_SECONDS * 1000);
  process.stdin.on("end", () => process.exit(0));
  process.stdin.on("data", (part) => {
    text += part;
    if (text.endsWith("\n")) {
      const settings: DirectWriterSettings = JSON.parse(text);
      for (let number = 0; number < settings.connections; number++) {
        writeForEver(settings, number).catch(({ message }: Error) =>
          process.stderr.write(`connection ${number}: ${message}\n`),
        );
      }
    }
  });
}

if (require.main === module) {
  main();
}
