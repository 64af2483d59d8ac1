import { TestEnvironment } from "jest-environment-node";

/** What the tests of a file find in `globalThis`. */
export interface Failures {
  /** How many of them have failed so far. */
  testsFailed?: number;
}

/** The part of jest's events that is used here: https://jestjs.io/docs/configuration#testenvironment-string. */
interface TestEvent {
  readonly name: string;
  readonly test?: { readonly errors: readonly unknown[] };
}

/** Jest's Node environment, which also tells the tests of a file how many of those before them failed. */
export default class extends TestEnvironment {
  handleTestEvent({ name, test }: TestEvent): void {
    if (name === "test_done" && test !== undefined && test.errors.length > 0) {
      const seen = this.global as Failures;
      seen.testsFailed = (seen.testsFailed ?? 0) + 1;
    }
  }
}
