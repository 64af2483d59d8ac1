import { join } from "node:path";
import { run } from "../ops/run";

/**
 * Runs the cdktf command line of the project, with plain lines instead of a moving display and
 * without asking its maker's server for news.
 */
export async function runCdktf(...args: string[]): Promise<void> {
  await run([join("node_modules", ".bin", "cdktf"), ...args], {
    env: { CI: "1", CHECKPOINT_DISABLE: "1" },
  });
}
