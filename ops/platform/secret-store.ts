/**
 * Where a secret is in its rotation. Each step is compatible with the one before and the one after it: a host that is one
 * behind, or ahead, uses a value that all others accept.
 *
 * - `steady`: there is one value. Nothing is being rotated.
 * - `next`: another value is to be accepted too, and is not in use yet.
 * - `previous`: the other value is in use; the previous one is still accepted.
 * - `former`: the former value is no longer accepted.
 */
export const PHASES = ["steady", "next", "previous", "former"] as const;

export type Phase = (typeof PHASES)[number];

/** The phase after another one; the last is followed by `steady`. */
export function phaseAfter(phase: Phase): Phase {
  return PHASES[(PHASES.indexOf(phase) + 1) % PHASES.length] as Phase;
}

/** The secrets of a cluster, where its hosts fetch them. Values never leave it. */
export interface SecretStore {
  /**
   * The phase of a secret.
   *
   * @throws OperatorError if there is no such secret, or what is stored is not valid
   */
  phase(name: string): Promise<Phase>;
  /**
   * Changes a secret to the next phase, in one step. After `steady`, a new value is generated.
   *
   * @param from the phase that it has
   * @throws OperatorError if it has another one
   */
  advance(name: string, from: Phase): Promise<void>;
  /**
   * Stores a secret that an operator gives.
   *
   * @param content letters, digits and `+/=`
   * @throws OperatorError if there is no such secret
   */
  put(name: string, content: string): Promise<void>;
}
