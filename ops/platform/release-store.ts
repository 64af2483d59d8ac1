import { OperatorError } from "../operator-error";

/** The store from which a cluster's hosts fetch the app's releases. */
export interface ReleaseStore {
  /** Stores an archive under `name`, for every host to fetch. */
  put(name: string, file: string): Promise<void>;
  /**
   * The releases of the app, the one that is to run first.
   *
   * @throws OperatorError if the list is missing or cannot be read, which does not mean that it is empty
   */
  list(): Promise<string[]>;
  /** Writes that list. */
  set(releases: readonly string[]): Promise<void>;
}

/**
 * Parses the list of releases.
 *
 * @param where the source of the list, for the error message
 * @throws OperatorError if it is not a valid list
 */
export function parseReleases(text: string, where: string): string[] {
  const releases = text.split(/\s+/).filter(Boolean);
  const wrong = releases.filter((release) => !/^[0-9a-f]{64}$/.test(release));
  if (releases.length === 0 || wrong.length > 0) {
    const got =
      releases.length === 0
        ? "it is empty"
        : `it contains ${JSON.stringify(wrong[0]?.slice(0, 80))}`;
    throw new OperatorError(
      `The list of releases (${where}) is not valid: ${got}; wanted the SHA-256 of one or more releases, the one to run first. Nothing was changed.`,
    );
  }
  return releases;
}
