import { SettingsError } from "../topology/settings";

/** Something that only the operator can put right; its message is all he needs. */
export class OperatorError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "OperatorError";
  }
}

/** Whether an error's message alone tells the operator what to do. */
export function isForOperator(error: unknown): error is Error {
  return error instanceof OperatorError || error instanceof SettingsError;
}
