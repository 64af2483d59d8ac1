/**
 * The guestbook's process: reads its settings, listens, and stops when it is told to.
 *
 * One file is all it needs:
 *
 *     esbuild app/server.ts --bundle --platform=node --target=node20 --format=cjs \
 *       --outfile=server.js
 *
 * and, where nothing in front serves `/static/`, the folder `public` beside it. The variables it
 * reads are listed at `settingsFromEnvironment`. It exits with 0 when it was stopped in order, and
 * with 1 when its settings are wrong, it cannot listen, or stopping took too long.
 */
import { join } from "node:path";
import { GuestbookInMysql, type Log } from "./guestbook-in-mysql";
import { Metrics } from "./metrics";
import { ReadinessProbe } from "./readiness";
import { type Settings, SettingsError, settingsFromEnvironment } from "./settings-from-environment";
import { stop } from "./shutdown";
import { makeWebServer } from "./web-server";

async function run(settings: Settings): Promise<void> {
  // The guestbook needs the log before the server that provides it exists.
  const log: Log = {
    info: (details, message) => app.log.info(details, message),
    warn: (details, message) => app.log.warn(details, message),
  };
  const guestbook = new GuestbookInMysql(settings.database, settings.hostName, log);
  const readiness = new ReadinessProbe(() => guestbook.check());
  const app = makeWebServer({
    hostName: settings.hostName,
    guestbook,
    readiness,
    metrics: new Metrics(),
    logging: true,
    publicFolder: join(__dirname, "public"),
  });

  let stopping = false;
  const onSignal = async (signal: NodeJS.Signals): Promise<void> => {
    if (stopping) return;
    stopping = true;
    app.log.info({ signal }, "stopping");
    const orderly = await stop({ app, guestbook, readiness }, settings.drainSeconds);
    app.log.info({ orderly }, "stopped");
    process.exit(orderly ? 0 : 1);
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);

  await app.listen({ host: settings.host, port: settings.port });
}

try {
  run(settingsFromEnvironment(process.env)).catch((error: Error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  });
} catch (error) {
  if (!(error instanceof SettingsError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}
