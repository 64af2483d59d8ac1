import { SettingsError } from "../topology/settings";

/** An error that the operator has to fix; its message is sufficient for that. */
export class OperatorError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "OperatorError";
  }
}

/** Whether an error is for the operator, whose message is to be printed without a stack trace. */
export function isForOperator(error: unknown): error is Error {
  return error instanceof OperatorError || error instanceof SettingsError;
}
