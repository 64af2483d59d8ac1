import { OperatorError } from "../operator-error";

/** Where a cluster's hosts find the releases of the app, wherever it stands. */
export interface ReleaseStore {
  /** Puts an archive where every host can fetch it, under `name`. */
  put(name: string, file: string): Promise<void>;
  /**
   * The releases of the app, the one that is to run first.
   *
   * @throws OperatorError when the list is missing or cannot be read: it is then not known, and not empty
   */
  list(): Promise<string[]>;
  /** Says which release is to run, and which ran before. */
  set(releases: readonly string[]): Promise<void>;
}

/**
 * Reads the list of releases.
 *
 * @param where it comes from, for the message
 * @throws OperatorError when it is none
 */
export function parseReleases(text: string, where: string): string[] {
  const releases = text.split(/\s+/).filter(Boolean);
  const wrong = releases.filter((release) => !/^[0-9a-f]{64}$/.test(release));
  if (releases.length === 0 || wrong.length > 0) {
    const got =
      releases.length === 0 ? "it is empty" : `it holds ${JSON.stringify(wrong[0]?.slice(0, 80))}`;
    throw new OperatorError(
      `The list of releases (${where}) cannot be read: ${got}; wanted are the SHA-256 of one or more releases, the one to run first. Nothing was changed.`,
    );
  }
  return releases;
}
