import { join } from "node:path";

/**
 * Absolute path of the project. From the bundle of `npm run cluster`, which lies in .cache/, it is as far as from this
 * folder.
 */
export const PROJECT = join(__dirname, "..");
