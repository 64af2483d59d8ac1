import { join } from "node:path";

/**
 * Absolute path of the project. The relative path from the bundle of `npm run cluster`, in .cache/, is the same as from
 * this folder.
 */
export const PROJECT = join(__dirname, "..");
