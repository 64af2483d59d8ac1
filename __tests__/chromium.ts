import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, chromium } from "playwright-core";
import { attemptSync } from "../ops/run";

const CHROMIUM = attemptSync([
  "sh",
  "-c",
  "command -v chromium || command -v chromium-browser",
]).stdout.trim();

/** Without a browser its tests count as skipped. */
export const inBrowser = CHROMIUM === "" ? test.skip : test;

/** A browser without a window, with a profile of its own. */
export interface OpenBrowser {
  readonly context: BrowserContext;
  close(): Promise<void>;
}

/** Opens one; `undefined` where there is none. */
export async function openBrowser(
  options: readonly string[] = [],
): Promise<OpenBrowser | undefined> {
  if (CHROMIUM === "") {
    return;
  }
  const profile = mkdtempSync(join(tmpdir(), "browser-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      ...options,
    ],
  });
  return {
    context,
    close: async () => {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}
