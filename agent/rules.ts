// Tables of rules that are evaluated and documented from the same source. Pure.

/** A condition of a rule, worded as in the documentation. */
export interface Predicate<View> {
  readonly says: string;
  readonly holds: (view: View) => boolean;
}

/** Applies if all of `when` and of its part's `when` holds, and no earlier rule applied. */
export interface Rule<View, Outcome> {
  readonly when: readonly Predicate<View>[];
  readonly outcome: Outcome;
}

/** A part of a table, for hosts for which all of `when` holds and that no earlier part covers. */
export interface Part<View, Outcome> {
  readonly title: string;
  readonly when: readonly Predicate<View>[];
  readonly rules: readonly Rule<View, Outcome>[];
}

/** What makes the predicates and the rules of a table, for one kind of view and of outcome. */
export function tableOf<View, Outcome>() {
  return {
    predicate: (says: string, holds: (view: View) => boolean): Predicate<View> => ({ says, holds }),
    rule: (outcome: Outcome, ...when: Predicate<View>[]): Rule<View, Outcome> => ({
      outcome,
      when,
    }),
  };
}

/**
 * The outcome of the first rule that applies.
 *
 * @param parts one of whose rules applies to every view
 */
export function firstOutcome<View, Outcome>(
  parts: readonly Part<View, Outcome>[],
): (view: View) => Outcome {
  const rules = parts.flatMap((part) =>
    part.rules.map(({ outcome, when }) => ({ outcome, when: [...part.when, ...when] })),
  );
  return (view) => {
    const found = rules.find(({ when }) => when.every(({ holds }) => holds(view)));
    return (found as Rule<View, Outcome>).outcome;
  };
}
