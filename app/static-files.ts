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
 * Serves the files of a folder, without its subfolders, from memory. Only for a process that runs
 * without a proxy: on a web server Nginx serves these paths itself. Files are read once at the
 * start, so no path from a request reaches the file system. If the folder does not exist, nothing
 * is served.
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
