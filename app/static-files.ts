import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import type { FastifyInstance } from "fastify";
import { STATIC_PREFIX } from "./page";

const TYPES: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
};

/**
 * Serves the files of a folder, not of those below it, from memory.
 *
 * Only for a process that runs alone: on a web server Nginx answers these paths itself. The files
 * are read once at start, so no path from a request ever reaches the file system. An absent folder
 * serves nothing.
 */
export function serveStaticFiles(app: FastifyInstance, folder: string): void {
  let names: string[] = [];
  try {
    names = readdirSync(folder).filter((name) => TYPES[extname(name)] !== undefined);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  for (const name of names) {
    const content = readFileSync(join(folder, name));
    app.get(`${STATIC_PREFIX}${name}`, (_request, reply) =>
      reply.type(String(TYPES[extname(name)])).send(content),
    );
  }
}
